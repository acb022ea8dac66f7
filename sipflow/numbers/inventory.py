"""The numbers this edge answers for, and the way from what was dialled to one of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sipflow.errors import ConfigError
from sipflow.numbers.number import Reading, read

_WILDCARD = re.compile(r"\+?[0-9]*\*")  # `*` alone, or digits and a last `*`; codes such as *21# are not wildcards
_DIGITS = re.compile(r"[0-9]{7,15}")  # E.164 without its +, the way many carriers write it


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number, an extension, or a range of them.

    Attributes:
        number: E.164 (`+12065550100`), extension or code as dialled (`200`, `*21`), or a wildcard (`+1206555*`, `*`).
        friendly_name: for people.
        trunk: name of the only trunk it is reached by, or None for any.
        inbound_agent: name of the agent that answers it, or None when nobody does.
        outbound_agents: names of the agents that may call from it.
    """

    number: str
    friendly_name: str = ""
    trunk: str | None = None
    inbound_agent: str | None = None
    outbound_agents: tuple[str, ...] = ()


class Lookup(NamedTuple):
    """The outcome of one search.

    Attributes:
        number: what was found, or None.
        tried: what was looked for, in order, each with a remark when it is listed and still does not serve.
    """

    number: Number | None
    tried: tuple[str, ...]

    def __str__(self) -> str:
        found = f"is {self.number.number}" if self.number else "is no number of ours"
        return f"{found} (tried {', '.join(self.tried)})"


def is_wildcard(number: str) -> bool:
    """Whether a listed number stands for every number that begins like it (`+1206555*`, or `*` for all)."""
    return _WILDCARD.fullmatch(number) is not None


class Inventory:
    """All numbers by how they are listed; never changes, so a reload replaces the whole."""

    __slots__ = ("_lengths", "_listed", "_prefixes")

    def __init__(self, numbers: Iterable[Number] = ()) -> None:
        """Take the numbers in.

        Raises:
            ConfigError: a number is listed twice.
        """
        self._listed: dict[str, Number] = {}
        for number in numbers:
            if number.number in self._listed:
                raise ConfigError(f"{number.number} is listed twice")
            self._listed[number.number] = number
        self._prefixes = {name[:-1]: number for name, number in self._listed.items() if is_wildcard(name)}
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def __len__(self) -> int:
        return len(self._listed)

    def __iter__(self) -> Iterator[Number]:
        return iter(self._listed.values())

    def get(self, number: str) -> Number | None:
        """Return the number listed under exactly this name."""
        return self._listed.get(number)

    def lookup(self, dialled: str, *, region: str | None = None, trunk: str | None = None) -> Lookup:
        """Find the number that was dialled.

        What was written is tried as it stands, as E.164 and with a + before it, then the longest wildcard.

        Args:
            dialled: user part, `tel:` or `sip:` URI, as received.
            region: country of the trunk, for national forms.
            trunk: name of the trunk the call came by, or None when that is what the number has to tell.
        """
        forms = _forms(read(dialled, region=region))
        tried: list[str] = []
        for form in forms:
            number = self._listed.get(form)
            if number is not None and _serves(number, trunk):
                return Lookup(number, (*tried, form))
            tried.append(form if number is None else _elsewhere(number))
        if self._lengths:
            return self._longest_wildcard(forms, trunk, tried)
        return Lookup(None, tuple(tried))

    def _longest_wildcard(self, forms: Iterable[str], trunk: str | None, tried: list[str]) -> Lookup:
        for length in self._lengths:
            for form in forms:
                number = self._prefixes.get(form[:length])
                if number is None or len(form) < length:
                    continue
                if _serves(number, trunk):
                    return Lookup(number, (*tried, number.number))
                tried.append(_elsewhere(number))
        return Lookup(None, tuple(tried))


def _forms(reading: Reading) -> tuple[str, ...]:
    kept, e164 = reading
    if kept == e164:
        return (kept,)
    forms = [kept] if e164 is None else [kept, e164]
    if _DIGITS.fullmatch(kept) and "+" + kept not in forms:
        forms.append("+" + kept)
    return tuple(forms)


def _serves(number: Number, trunk: str | None) -> bool:
    return trunk is None or number.trunk is None or number.trunk == trunk


def _elsewhere(number: Number) -> str:
    return f"{number.number} (listed, but only on trunk {number.trunk})"
