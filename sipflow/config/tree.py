"""Turns YAML text into a tree that knows the line of every key and value, and what each value looked like.

YAML would read `+12065550100` as a whole number, `0123` as 83, `no` as false and `1:30` as 90. Here a value stays the
text that was written; the schema decides what it is. The tree is built from the parser's events, without recursion, so
that nesting, aliases and size are limited while reading.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from sipflow.config.problems import Problems, shown
from sipflow.errors import ConfigError

DEEPEST = 20  # the schema needs 5; agents' own options may nest
MOST_NODES = 200_000  # with every alias counted in full: 20 million laughs end here
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is seventeen times faster where it is built in
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STRING_TAG = "tag:yaml.org,2002:str"
_COLLECTION_TAGS = frozenset({None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e"  # what word processors make of ' and "
_NO_BREAK_SPACE = re.compile("[ \t]*\u00a0")
_STUCK_COLON = re.compile(r"[ -]*[A-Za-z_][A-Za-z0-9_]*:[^ /]")
_BROKEN = {
    "mapping values": "a ':' where YAML expects none: put the value in quotes, or line the key up with the ones above",
    "sequence entries": "a '-' where YAML expects none: put a list on lines of its own",
    "unexpected end of stream": "a quote is opened and never closed",
    "unknown escape": "a \\ in double quotes begins an escape: write \\\\ or use single quotes",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value.

    Attributes:
        written: the text in the file, without quotes; None for an empty value, `~` or `null`.
        text: what it stands for, once variables and secret files are read in.
        line: 1-based.
        plain: written without quotes.
        secret: its text must not be shown.
        broken: a problem with it is already known.
        variables: what was put in, and how that was written: ("hunter2", "${PBX_PASSWORD}").
    """

    written: str | None = field(repr=False)
    line: int
    plain: bool = True
    text: str | None = field(default=None, repr=False)
    secret: bool = False
    broken: bool = False
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: "tuple[Node, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value; `line` is the key's."""

    line: int
    node: "Node"


@dataclass(frozen=True, slots=True)
class Branch:
    """A mapping; keys as written, in order."""

    entries: "Mapping[str, Entry]"
    line: int


Node = Leaf | Items | Branch


@dataclass(slots=True)
class _Open:
    """A list or a mapping whose end has not come yet; in a mapping every second node is a key."""

    line: int
    anchor: str | None
    mapping: bool
    nodes: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: dict[str, Entry] = field(default_factory=dict)
    key: Leaf | None = None
    size: int = 1


def read_tree(text: str, *, file: str, problems: Problems) -> Branch:
    """Return the top-level mapping; a key that occurs twice goes to `problems`.

    Raises:
        ConfigError: not YAML, empty, not a mapping, more than one document, or larger than a configuration can be.
    """
    try:
        root = _Builder(file, problems).build(yaml.parse(text, Loader=LOADER))
    except yaml.YAMLError as error:
        raise _syntax_error(error, text.splitlines(), file) from None
    if root is None or (isinstance(root, Leaf) and root.written is None):
        raise ConfigError("the file is empty", file=file)
    if not isinstance(root, Branch):
        raise ConfigError("must begin with keys such as sip:, trunks:, numbers:, agents:", file=file, line=root.line)
    return root


class _Builder:
    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._root: Node | None = None
        self._count = 0
        self._line = 0

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        for event in events:
            line = self._line = event.start_mark.line + 1 if event.start_mark else 0
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event, line)
                case yaml.AliasEvent():
                    self._alias(event, line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.DocumentStartEvent() if self._root is not None:
                    raise self._error("a second document begins here (---): a configuration is one", line)
        return self._root

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if event.tag not in (None, "!", _STRING_TAG):
            raise self._error("a value that begins with ! must be in quotes", line)
        plain = event.implicit[0] and not event.style
        if plain and event.value[:1] in _QUOTES and event.value:
            raise self._error("curly quotes are no quotes to YAML; write ' or \"", line)
        null = plain and event.tag is None and event.value in _NULLS
        leaf = Leaf(None if null else event.value, line, plain=plain, text=None if null else event.value)
        self._add(leaf, 1, event.anchor)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if event.anchor not in self._anchors:
            raise self._error("a value that begins with * must be in quotes (or: no such alias before this line)", line)
        node, size = self._anchors[event.anchor]
        self._add(node, size, None)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        if event.tag not in _COLLECTION_TAGS:
            raise self._error("a value that begins with ! must be in quotes", line)
        if len(self._open) >= DEEPEST:
            raise self._error(f"nested deeper than {DEEPEST} levels", line)
        self._open.append(_Open(line, event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _end(self) -> None:
        done = self._open.pop()
        node: Node
        if done.mapping:
            node = Branch({**done.merged, **done.entries}, done.line)
        else:
            node = Items(tuple(done.nodes), done.line)
        self._add(node, done.size, done.anchor, counted=True)

    def _add(self, node: Node, size: int, anchor: str | None, *, counted: bool = False) -> None:
        self._count += 1 if counted else size
        if self._count > MOST_NODES:
            raise self._error(f"more than {MOST_NODES} values, aliases counted in full", self._line)
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.size += size
        if not parent.mapping:
            parent.nodes.append(node)
        elif parent.key is None:
            parent.key = self._key(node)
        else:
            self._enter(parent, parent.key, node)
            parent.key = None

    def _key(self, node: Node) -> Leaf:
        if not isinstance(node, Leaf) or node.written is None:
            raise self._error("a key must be a word or a number before a ':'", node.line)
        return node

    def _enter(self, parent: _Open, key: Leaf, node: Node) -> None:
        name = key.written or ""
        if name == "<<" and key.plain:
            self._merge(parent, node, key.line)
        elif name in parent.entries:
            first = parent.entries[name].line
            path = [*(frame.key.written or "" for frame in self._open[:-1] if frame.key), name]
            self._problems.add(f"this key is already on line {first}; one of the two must go", line=key.line, path=path)
        else:
            parent.entries[name] = Entry(key.line, node)

    def _merge(self, parent: _Open, node: Node, line: int) -> None:
        for branch in node.nodes if isinstance(node, Items) else (node,):
            if not isinstance(branch, Branch):
                raise self._error("<<: takes the mapping of an alias, such as <<: *defaults", line)
            parent.merged = {**branch.entries, **parent.merged}

    def _error(self, text: str, line: int) -> ConfigError:
        return ConfigError(text, file=self._file, line=line)


def _syntax_error(error: yaml.YAMLError, lines: list[str], file: str) -> ConfigError:
    """Tell where and why in our words: the parser's own quote the line, and the line may hold a password."""
    mark = getattr(error, "problem_mark", None)
    if "simple key" in str(getattr(error, "context", None)):
        mark = getattr(error, "context_mark", None) or mark  # the line that lacks its ": ", not the one after it
    line = min(mark.line + 1, len(lines)) if mark else 0
    written = lines[line - 1] if line else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent:
        return ConfigError("a tab indents this line; YAML takes spaces only", file=file, line=line)
    for number in range(max(line - 1, 1), line + 1):
        if _NO_BREAK_SPACE.match(lines[number - 1]):
            return ConfigError(
                "a no-break space indents this line; YAML takes plain spaces only", file=file, line=number
            )
    if "${" in written:
        return ConfigError('inside { } and [ ] put "${NAME}" in quotes', file=file, line=line)
    if "[::" in written or "]:" in written:
        return ConfigError("an address with [ ] must be in quotes inside a list", file=file, line=line)
    problem = str(getattr(error, "problem", None) or "")
    for part, text in _BROKEN.items():
        if part in problem:
            return ConfigError(text, file=file, line=line)
    return ConfigError(_unquoted(written), file=file, line=line)


def _unquoted(written: str) -> str:
    if _STUCK_COLON.match(written):
        return "a ':' without a space behind it: write key: value"
    value = written.partition(": ")[2].strip() or written.strip().removeprefix("- ")
    if value[:1] in "%@`&*!|>" and value:
        return f"a value that begins with {shown(value[0])} must be in quotes"
    return "not YAML from here: look for a missing quote, comma or bracket, or wrong indentation"
