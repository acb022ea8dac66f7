"""One part of the configuration's tree: validates it with pydantic, and says every error by line, key and remedy."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sipflow.config.problems import Problems, shown, suggestion
from sipflow.config.tree import Branch, Entry, Items, Leaf, Node
from sipflow.errors import ConfigError, SipflowError

_KIND = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_type": "must be a whole number",
    "string_type": "must be one value, not a list or a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping: lines of key: value",
    "model_type": "must be a mapping: lines of key: value",
    "model_attributes_type": "must be a mapping: lines of key: value",
    "finite_number": "must be a number",
}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")  # not 0123 and not +1206...: those are text
_FLOAT = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}")
_WORDS: dict[str, object] = {"true": True, "True": True, "false": False, "False": False}
_T = TypeVar("_T")
_M = TypeVar("_M", bound="Model")
_A = TypeVar("_A")


class Model(BaseModel):
    """Base of the schema: unknown keys are errors, and no message or repr quotes a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=False)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the file, where it is, and where to report what is wrong with it.

    Attributes:
        branch: its keys.
        path: its own key, outermost first; () for the whole file.
        line: of its own key.
        folder: of the configuration file, where relative paths start.
        problems: what is found goes here.
    """

    branch: Branch
    path: tuple[str, ...]
    line: int
    folder: Path
    problems: Problems

    def child(self, key: str) -> "Section | None":
        """Return the mapping below `key`; an absent or empty one is an empty mapping, anything else a problem."""
        entry = self.branch.entries.get(key)
        if entry is None:
            return self._at(key, Branch({}, self.line), self.line)
        if isinstance(entry.node, Branch):
            return self._at(key, entry.node, entry.line)
        if isinstance(entry.node, Leaf) and entry.node.text is None:
            return self._at(key, Branch({}, entry.line), entry.line)
        self.report(_KIND["dict_type"], key)
        return None

    def children(self) -> Iterator[tuple[str, "Section"]]:
        """Yield the mapping below each key."""
        for key in self.branch.entries:
            child = self.child(key)
            if child is not None:
                yield key, child

    def without(self, *keys: str) -> "Section":
        """Return the same without these keys."""
        entries = {key: entry for key, entry in self.branch.entries.items() if key not in keys}
        return Section(Branch(entries, self.branch.line), self.path, self.line, self.folder, self.problems)

    def report(self, text: str, *keys: str) -> None:
        """Remember a problem with the key below this section, at that key's line."""
        self.problems.add(text, line=self.line_of(*keys), path=(*self.path, *keys))

    def line_of(self, *keys: str) -> int:
        """Return the line of a key below this section, or of the nearest one above it that exists."""
        return _locate(self.branch, keys, self.line)[0]

    def validate(self, model: type[_M]) -> _M | None:
        """Return the section as the model reads it, or None once its problems are reported."""
        try:
            return model.model_validate(_plain(self.branch))
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=True, include_input=False):
                self._report_detail(detail, model)
            return None

    def attempt(self, keys: tuple[str, ...], make: Callable[[_A], _T], value: _A) -> _T | None:
        """Return `make(value)`; what it raises on purpose becomes a problem at `keys`, with variables masked."""
        try:
            return make(value)
        except SipflowError as error:
            if isinstance(error, ConfigError) and error.key:
                keys = self._named_by(error, keys)
            reason = str(error.args[0]) if error.args else str(error)
            self.report(_masked(reason, _locate(self.branch, keys, self.line)[1] or self.branch), *keys)
            return None

    def file(self, key: str, text: str) -> str:
        """Return the path of a file named by `key`, made absolute; one that cannot be opened is a problem."""
        path = self.folder / Path(text).expanduser()
        try:
            with path.open("rb"):
                pass
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
            self.report(f"this file cannot be read: {reason}", key)
        return str(path)

    def options(self) -> dict[str, object]:
        """Return the section as plain values for code that is not ours: numbers, true, false and text.

        `+12065550100`, `0123`, `yes`, whatever is in quotes and whatever came from a variable stays text.
        """
        return {key: _typed(entry.node) for key, entry in self.branch.entries.items()}

    def _at(self, key: str, branch: Branch, line: int) -> "Section":
        return Section(branch, (*self.path, key), line, self.folder, self.problems)

    def _named_by(self, error: ConfigError, keys: tuple[str, ...]) -> tuple[str, ...]:
        named = tuple(error.key.split("."))
        return named[len(self.path) :] if named[: len(self.path)] == self.path else keys

    def _report_detail(self, detail: ErrorDetails, model: type[Model]) -> None:
        keys = tuple(str(part) for part in detail["loc"])
        line, node = _locate(self.branch, keys, self.line)
        if isinstance(node, Leaf) and node.broken:
            return
        if detail["type"] == "extra_forbidden":
            text = "unknown key" + suggestion(keys[-1], _keys_at(model, keys[:-1]))
        else:
            text = _sentence(detail, node)
        self.problems.add(text, line=line, path=(*self.path, *keys))


def _sentence(detail: ErrorDetails, node: Node | None) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if isinstance(node, Leaf) and node.text is None and kind.endswith("_type"):
        return "has no value"
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        written = _written(node)
        near = suggestion(written, re.findall(r"'([^']*)'", expected)) if "did you mean" in suggestion(
            written, re.findall(r"'([^']*)'", expected)) else ""  # fmt: skip
        return f"must be {expected}" + (f", not {shown(written)!r}" if written else "") + near
    if kind == "value_error":
        return _masked(str(context.get("error", "")), node) if node else str(context.get("error", ""))
    text = _KIND.get(kind) or str(detail["msg"]).replace("Input should", "must").replace("should", "must")
    written = _written(node)
    return f"{text}, not {shown(written)!r}" if written else text


def _written(node: Node | None) -> str:
    """Return what stands in the file if it may be shown: a variable by its name, a secret not at all."""
    return node.written if isinstance(node, Leaf) and node.written and not node.secret else ""


def _masked(text: str, node: Node) -> str:
    """Return a sentence with the values of variables and secrets below `node` taken out."""
    for leaf in _leaves(node):
        for value, written in leaf.variables:
            text = text.replace(value, written) if value else text
        if leaf.secret and leaf.text:
            text = text.replace(leaf.text, "***")
    return text


def _leaves(node: Node) -> Iterator[Leaf]:
    rest = [node]
    while rest:
        match rest.pop():
            case Leaf() as leaf:
                yield leaf
            case Items() as items:
                rest.extend(items.nodes)
            case Branch() as branch:
                rest.extend(entry.node for entry in branch.entries.values())


def _locate(branch: Branch, keys: tuple[str, ...], line: int) -> tuple[int, Node | None]:
    """Return the line of a key and its value; of the deepest existing key above it, and None, when it is not there."""
    node: Node = branch
    for key in keys:
        entry = _step(node, key)
        if entry is None:
            return line, None
        line, node = entry.line, entry.node
    return line, node


def _step(node: Node, key: str) -> Entry | None:
    if isinstance(node, Branch):
        return node.entries.get(key)
    if isinstance(node, Items) and key.isdecimal() and int(key) < len(node.nodes):
        item = node.nodes[int(key)]
        return Entry(item.line, item)
    return None


def _plain(node: Node) -> object:
    match node:
        case Leaf():
            return node.text
        case Items():
            return [_plain(item) for item in node.nodes]
        case Branch():
            return {key: _plain(entry.node) for key, entry in node.entries.items()}


def _typed(node: Node) -> object:
    match node:
        case Leaf():
            return _typed_leaf(node)
        case Items():
            return [_typed(item) for item in node.nodes]
        case Branch():
            return {key: _typed(entry.node) for key, entry in node.entries.items()}


def _typed_leaf(leaf: Leaf) -> object:
    text = leaf.text
    if text is None or not leaf.plain or leaf.secret or leaf.variables:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _keys_at(model: type[BaseModel], keys: tuple[str, ...]) -> list[str]:
    """Return the valid keys of the mapping at `keys`."""
    for key in keys:
        inner = [
            _model_in(field.annotation) for name, field in model.model_fields.items() if (field.alias or name) == key
        ]
        if not inner or inner[0] is None:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in an annotation such as `Register | None`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
