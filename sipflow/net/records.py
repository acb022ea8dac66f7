"""What is asked of DNS and what comes back, without DNS itself."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Question(NamedTuple):
    """One look-up.

    Attributes:
        kind: "NAPTR", "SRV", "A" or "AAAA".
        name: lower case, without the final dot.
    """

    kind: str
    name: str


class Naptr(NamedTuple):
    """A NAPTR record as RFC 3263 §4.1 uses it; the replacement is without its final dot."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782); the target is without its final dot, "" for "no such service here"."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question brought.

    Attributes:
        naptr, srv, addresses: the records; all empty when there are none.
        ttl_s: how long they are good, in seconds.
        problem: why there are none, to follow "no address for NAME: "; "" when the name merely has none of this kind.
        silent: whether nobody answered, so that nothing is known.
    """

    naptr: tuple[Naptr, ...] = ()
    srv: tuple[Srv, ...] = ()
    addresses: tuple[str, ...] = ()
    ttl_s: float = 0.0
    problem: str = ""
    silent: bool = False

    @property
    def empty(self) -> bool:
        """Whether it brought no record."""
        return not (self.naptr or self.srv or self.addresses)


class Lookup(Protocol):
    """Asks one question; a failure is an `Answer` with a `problem`, not an exception."""

    async def __call__(self, question: Question) -> Answer:
        """Look it up, now."""
