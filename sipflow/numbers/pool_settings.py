"""What a pool is: its numbers, in which order they are tried, and what each of them may be used for."""

from collections.abc import Sequence
from dataclasses import dataclass

from sipflow.errors import LocalProtocolError
from sipflow.numbers.resting import DEFAULT_REST, RestSettings
from sipflow.numbers.strategies import ORDERS, PREFERENCES
from sipflow.numbers.use import NO_CAPS, Caps

_HEAVIEST = 1_000_000.0
_SHORT = {  # one word -> what it stands for
    "sticky": ("sticky", "least_recently_used"),
    "same_area": ("same_area", "same_country", "round_robin"),
    "same_country": ("same_country", "round_robin"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A number in a pool.

    Attributes:
        number: as listed.
        weight: how often its turn comes, beside the others'; only with the strategy `weighted`.
        caps: its own in this pool.

    Raises:
        LocalProtocolError: the weight is not between 0 and a million.
    """

    number: str
    weight: float = 1.0
    caps: Caps = NO_CAPS

    def __post_init__(self) -> None:
        if not 0 < self.weight <= _HEAVIEST:
            raise LocalProtocolError(f"weight: must be more than 0 and at most {_HEAVIEST:.0f}, not {self.weight}")


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool is.

    Attributes:
        name: of the pool.
        strategy: what is tried, in order: of `sticky`, `same_area` and `same_country` any, then one of
            `round_robin`, `least_recently_used` and `weighted`, which also decides among equals.
        members: its numbers, in order. `+1206*` stands for every listed number that begins so.
        caps: of each of its numbers.
        rest: when they rest.
        remember: callees whose number is remembered, with `sticky`; beyond that the oldest are forgotten.

    Raises:
        LocalProtocolError: the strategy is unknown or in an order that means nothing.
    """

    name: str
    strategy: tuple[str, ...] = ("round_robin",)
    members: tuple[Member, ...] = ()
    caps: Caps = NO_CAPS
    rest: RestSettings = DEFAULT_REST
    remember: int = 100_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategy", _spelt_out(self.strategy))
        if self.remember < 1:
            raise LocalProtocolError(f"remember: must be at least 1, not {self.remember}")

    @property
    def order(self) -> str:
        """Who is next among equals."""
        return self.strategy[-1]


def _spelt_out(strategy: Sequence[str]) -> tuple[str, ...]:
    """Check a strategy, and put in what its short forms leave out: the order among equals, say."""
    words = tuple(strategy)
    known = (*PREFERENCES, *ORDERS)
    for word in words:
        if word not in known:
            raise LocalProtocolError(f"strategy: {word[:40]!r} is none of {', '.join(known)}")
    if len(words) == 1 and words[0] in _SHORT:
        return _SHORT[words[0]]
    if not words or words[-1] not in ORDERS:
        words = (*words, "round_robin")
    if len(set(words)) < len(words) or any(word in ORDERS for word in words[:-1]):
        raise LocalProtocolError(f"strategy: {', '.join(words)}: each once, and one of {', '.join(ORDERS)} last")
    return words
