"""One mapping of the configuration: what it holds, where it stands, and where to report what is wrong with it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sipflow.config.problems import Problems
from sipflow.config.sentences import MAPPING, Model, sentence
from sipflow.config.tree import Branch, Leaf
from sipflow.config.walk import locate, masked, plain, pruned, typed
from sipflow.errors import ConfigError, SipflowError

_FIRST_WORD = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(:)? ")
_T = TypeVar("_T")
_M = TypeVar("_M", bound=Model)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping and its place.

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

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.branch.entries)

    def child(self, key: str) -> "Section | None":
        """Return the mapping below `key`; an absent or empty one has no keys; anything else is a problem."""
        entry = self.branch.entries.get(key)
        if entry is None:
            return self._below(key, Branch({}, self.line), self.line)
        if isinstance(entry.node, Branch):
            return self._below(key, entry.node, entry.line)
        if isinstance(entry.node, Leaf) and entry.node.text is None:
            return self._below(key, Branch({}, entry.line), entry.line)
        self.report(MAPPING, key)
        return None

    def children(self) -> Iterator[tuple[str, "Section"]]:
        """Yield every key with the mapping below it; what is no mapping is a problem and is left out."""
        for key in self.branch.entries:
            child = self.child(key)
            if child is not None:
                yield key, child

    def only(self, keys: frozenset[str]) -> "Section":
        """Return the same section with these of its keys."""
        entries = {key: entry for key, entry in self.branch.entries.items() if key in keys}
        return replace(self, branch=Branch(entries, self.branch.line))

    def without(self, keys: frozenset[str]) -> "Section":
        """Return the same section without these keys."""
        return self.only(frozenset(self.keys) - keys)

    def report(self, text: str, *keys: str) -> None:
        """Remember a problem with the value at `keys` below this section, at its line and without secrets.

        Nothing is said about a value that a problem is known of already.
        """
        _, line, node = locate(self.branch, keys, self.line)
        if not (isinstance(node, Leaf) and node.broken):
            self.problems.add(masked(text, node), line=line, path=(*self.path, *keys))

    def line_of(self, *keys: str) -> int:
        """Return the line of a key below this section, or of the nearest one above it that exists."""
        return locate(self.branch, keys, self.line)[1]

    def validate(self, model: type[_M]) -> _M | None:
        """Return the section as `model` reads it; what it refuses is reported and left out, so that the rest is read.

        None when nothing can be read: something that must be there is missing.
        """
        try:
            return model.model_validate(plain(self.branch))
        except ValidationError as error:
            wrong = [self._report(detail, model) for detail in error.errors(include_url=False, include_input=False)]
        try:
            return model.model_validate(plain(pruned(self.branch, wrong)))
        except ValidationError:
            return None

    def attempt(self, make: Callable[..., _T], *values: str, at: tuple[str, ...] = ()) -> _T | None:
        """Return `make(*values)`; what it raises on purpose is a problem, told without the values of secrets.

        The problem stands at the key that the error names (`ConfigError.key`, or a first word with a colon, as in
        "register.expires: ..."), else at `at`.
        """
        try:
            return make(*values)
        except SipflowError as error:
            keys, text = self._place(error, at)
            self.report(text, *keys)
            return None

    def file(self, key: str, text: str) -> str:
        """Return the path of the file that `key` names, from the folder of the configuration; "" stays ""."""
        if not text:
            return ""
        path = self.folder / Path(text)
        try:
            with path.open("rb"):
                return str(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
            self.report(f"this file cannot be read: {reason}", key)
            return str(path)

    def options(self) -> dict[str, object]:
        """Return the section as plain values, for code whose schema we do not know."""
        return {key: typed(entry.node) for key, entry in self.branch.entries.items()}

    def _report(self, detail: ErrorDetails, model: type[Model]) -> tuple[str, ...]:
        """Report one of pydantic's errors; return the keys below this section where it stands."""
        keys = tuple(str(part) for part in detail["loc"])
        found, line, node = locate(self.branch, keys, self.line)
        if not (isinstance(node, Leaf) and node.broken):
            path = keys if detail["type"] == "missing" else keys[:found]  # not the keys that a short form stands for
            self.problems.add(sentence(detail, node, model), line=line, path=(*self.path, *path))
        return keys[:found]

    def _below(self, key: str, branch: Branch, line: int) -> "Section":
        return Section(branch, (*self.path, key), line, self.folder, self.problems)

    def _place(self, error: SipflowError, at: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """Return the keys below this section that an error is about, and its sentence without them."""
        text = str(error.args[0]) if error.args else type(error).__name__
        if isinstance(error, ConfigError) and error.key:
            named = tuple(error.key.split("."))
            return (named[len(self.path) :] if named[: len(self.path)] == self.path else at), text
        first = _FIRST_WORD.match(text)
        if first is None:
            return at, text
        keys = tuple(first[1].split("."))
        if first[2]:
            return keys, text[first.end() :]
        found, _, _ = locate(self.branch, keys, self.line)
        return (keys if found == len(keys) else at), text
