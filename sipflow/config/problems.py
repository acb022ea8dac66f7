"""Collects everything that is wrong with a configuration, so that it is told at once and not one by one."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from sipflow.errors import ConfigError

_SHOWN_CHARACTERS = 60
_LISTED_NAMES = 15


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        line: 1-based, or 0 when it belongs to no line.
        key: dotted path such as `trunks.pbx.password`, or "".
        text: what is wrong and what would be right; never the value of a secret.
    """

    line: int
    key: str
    text: str


class Problems:
    """The list, in the order they are found."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, text: str, *, line: int = 0, path: Iterable[str] = ()) -> None:
        """Remember one."""
        self.found.append(Problem(line, dotted(path), text))

    def raise_all(self, file: str) -> None:
        """Raise what was found, or do nothing.

        Raises:
            ConfigError: the first problem's line and key; its text tells all of them, a line each, by line of the file.
        """
        unique = sorted(set(self.found))
        if not unique:
            return
        first, *more = unique
        others = tuple(ConfigError(each.text, file=file, line=each.line, key=each.key) for each in more)
        raise ConfigError(first.text, file=file, line=first.line, key=first.key, others=others)


def dotted(path: Iterable[str]) -> str:
    """Return a key's path the way an operator writes it: `trunks.pbx.password`."""
    return ".".join(shown(part) for part in path)


def shown(text: str) -> str:
    """Return `text` fit for one line of a terminal or a log: printable and not long."""
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "..."


def nearest(wrong: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that was most likely meant, if any is near."""
    by_lower = {name.lower(): name for name in valid}
    near = get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def suggestion(wrong: str, valid: Iterable[str]) -> str:
    """Return "; did you mean NAME?" for the nearest valid name, or the list of names when it is short, or ""."""
    names = sorted(valid)
    near = nearest(wrong, names)
    if near is not None:
        return f"; did you mean {shown(near)}?"
    if names and len(names) <= _LISTED_NAMES:
        return f"; valid: {', '.join(shown(name) for name in names)}"
    return ""
