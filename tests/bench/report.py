"""How figures are printed: what, how much, and the aim beside it where there is one."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure.

    Attributes:
        what: in words.
        value: number and unit.
        aim: what it should be, "" where it only informs.
        met: whether it is so; None without an aim.
    """

    what: str
    value: str
    aim: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = "" if self.met is None else f"   {'ok' if self.met else 'MISSED'}: {self.aim}"
        return f"  {self.what:<58} {self.value:>16}{verdict}"


def at_most(what: str, value: float, limit: float, unit: str, *, digits: int = 2) -> Line:
    """A figure that should not be larger than `limit`."""
    return Line(what, f"{value:.{digits}f} {unit}", f"at most {limit:g} {unit}", value <= limit)


def exactly(what: str, value: float, wanted: float) -> Line:
    """A count that should be `wanted`."""
    return Line(what, f"{value:.0f}", f"{wanted:g}", value == wanted)


def show(title: str, lines: Iterable[Line]) -> None:
    """Print a heading, and each line as soon as it is known."""
    print(title, flush=True)
    for line in lines:
        print(line, flush=True)
    print(flush=True)
