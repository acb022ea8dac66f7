"""Puts in the values that are not in the file: `${NAME}` from the environment, `file:PATH` for secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sipflow.config.problems import Problems, shown
from sipflow.config.tree import Branch, Entry, Items, Leaf, Node
from sipflow.errors import ConfigError

LONGEST_SECRET_BYTES = 65536
_SECRET_KEYS = re.compile(
    r"(?:.*[_-])?(?:password|passphrase|secret|token|(?:api|encryption)[_-]?key|credential)s?", re.IGNORECASE
)
_SECRET_PLACES = frozenset({("hep", "key")})  # keys that are secrets only there
_VARIABLE = re.compile(r"(\$?)\$\{([^{}]*)(\}?)")  # a doubled $ stands for itself
_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_FILE = "file:"


def is_secret(*path: str) -> bool:
    """Whether the value of this key, with those above it or alone, is never shown and may be `file:PATH`."""
    return _SECRET_KEYS.fullmatch(path[-1]) is not None or path[-2:] in _SECRET_PLACES


def resolve(root: Branch, *, environ: Mapping[str, str], folder: Path, problems: Problems) -> Branch:
    """Return the tree with every value filled in; what is missing goes to `problems`.

    Args:
        environ: the variables.
        folder: of the configuration file; a secret's relative path starts there.
    """
    return _Resolver(environ, folder, problems).branch(root, ())


@dataclass(frozen=True, slots=True)
class _Resolver:
    environ: Mapping[str, str]
    folder: Path
    problems: Problems

    def branch(self, branch: Branch, path: tuple[str, ...]) -> Branch:
        entries = {}
        for key, entry in branch.entries.items():
            if "${" in key:
                self.problems.add("variables are read in values, not in keys", line=entry.line, path=(*path, key))
            entries[key] = Entry(entry.line, self._node(entry.node, (*path, key)))
        return Branch(entries, branch.line)

    def _node(self, node: Node, path: tuple[str, ...]) -> Node:
        match node:
            case Branch():
                return self.branch(node, path)
            case Items():
                return Items(tuple(self._node(item, path) for item in node.nodes), node.line)
            case Leaf():
                return self._leaf(node, path)

    def _leaf(self, leaf: Leaf, path: tuple[str, ...]) -> Leaf:
        secret = is_secret(*path)
        if not secret and (leaf.written is None or "${" not in leaf.written):
            return leaf
        if leaf.written is None:
            return replace(leaf, secret=secret)
        try:
            text, variables = self._expand(leaf.written)
            if secret:
                text = self._secret(leaf.written, text)
        except ConfigError as refusal:  # raised below, without a place
            self.problems.add(str(refusal), line=leaf.line, path=path)
            return replace(leaf, text=leaf.written, secret=secret, broken=True)
        return replace(leaf, text=text, variables=variables, secret=secret)

    def _expand(self, written: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        variables: list[tuple[str, str]] = []

        def value_of(match: re.Match[str]) -> str:
            if match[1]:
                return match[0][1:]
            value = self._variable(match[2], closed=bool(match[3]))
            variables.append((value, match[0]))
            return value

        return _VARIABLE.sub(value_of, written), tuple(variables)

    def _variable(self, inside: str, *, closed: bool) -> str:
        named = _NAMED.fullmatch(inside)
        if named is None or not closed:
            raise ConfigError(
                "'${' must begin a variable such as ${NAME} or ${NAME:-default}; write $${ for the text itself"
            )
        name, default = named.groups()
        value = self.environ.get(name, "")
        if value or (default is None and name in self.environ):
            return value
        if default is None:
            raise ConfigError(f"the environment variable {shown(name)} is not set")
        return str(default)

    def _secret(self, written: str, text: str) -> str:
        if written.startswith(_FILE):
            text = self._read(self.folder / text.removeprefix(_FILE).strip(), text.removeprefix(_FILE).strip())
        if not text:
            raise ConfigError("is empty; remove the key if there is none")
        return text

    def _read(self, path: Path, name: str) -> str:
        try:
            with path.open("rb") as stream:
                data = stream.read(LONGEST_SECRET_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
            raise ConfigError(f"the secret file {shown(name)} cannot be read: {reason}") from None
        if len(data) > LONGEST_SECRET_BYTES:
            raise ConfigError(f"the secret file {shown(name)} is larger than {LONGEST_SECRET_BYTES} bytes")
        try:
            text = data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError(f"the secret file {shown(name)} is not UTF-8 text") from None
        if "\n" in text or "\r" in text:
            raise ConfigError(f"the secret file {shown(name)} has more than one line; a secret is one")
        return text
