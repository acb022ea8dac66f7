"""How many SIP messages there were, of which kind, and how many of them were said twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter

from sipflow.sip.hop import Hop

_METHODS = frozenset(
    {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "PRACK", "UPDATE", "REFER", "NOTIFY",
     "SUBSCRIBE", "MESSAGE", "PUBLISH"}
)  # fmt: skip
_CLASSES = {f"{number}".encode(): f"{number}xx" for number in range(1, 7)}
_OTHER = "other"
_KINDS: dict[bytes, str] = {method.encode(): method for method in _METHODS}
_REMEMBERED = 20_000  # messages; over twice as many a retransmission is known again, half a minute of a busy edge
_REPEATED_S = 32.0  # RFC 3261 §17: 64*T1, after which nothing is repeated any more
_beginning = itemgetter(slice(11))  # octets: a status and what is before it; more than the longest method and a space
_MOST_CELLS = 500
_TOGETHER = 32  # messages that are counted at once
SENT, RECEIVED = "sent", "received"


class _Way:
    """The messages of one direction."""

    __slots__ = ("before", "cells", "clock", "forget_at", "kinds", "now", "repeated", "uncounted")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.forget_at = clock() + _REPEATED_S
        self.kinds: dict[str, list[int]] = {}
        self.cells: dict[bytes, list[int]] = {}  # by how a message begins, so that it need not be read
        self.now: set[int] = set()
        self.before: set[int] = set()
        self.repeated = 0
        self.uncounted: list[bytes] = []

    def count(self) -> None:
        """Count what came since."""
        uncounted, self.uncounted = self.uncounted, []
        now = self.clock()
        if now >= self.forget_at:  # what an edge with few calls heard long ago is not kept until there is more
            self.before = self.now if now < self.forget_at + _REPEATED_S else set()
            self.now, self.forget_at = set(), now + _REPEATED_S
        for beginning, number in Counter(map(_beginning, uncounted)).items():
            cell = self.cells.get(beginning)
            if cell is None:
                cell = self._cell(beginning)
            cell[0] += number
        known_as = set(map(hash, uncounted))
        new = known_as - self.now - self.before
        self.repeated += len(uncounted) - len(new)
        self.now |= new
        if len(self.now) >= _REMEMBERED:
            self.before, self.now = self.now, set()

    def _cell(self, beginning: bytes) -> list[int]:
        cell = self.kinds.setdefault(kind_of(beginning), [0])
        if len(self.cells) < _MOST_CELLS:
            self.cells[beginning] = cell
        return cell


class MessageTally:
    """A `Tracer` that counts. Names of methods that nobody knows are counted together: strangers invent them.

    It counts a few dozen messages at a time, or when somebody asks.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet; `clock` is monotonic seconds."""
        self._ways = {SENT: _Way(clock), RECEIVED: _Way(clock)}
        self._sent, self._received = self._ways[SENT], self._ways[RECEIVED]

    def sent(self, data: bytes, hop: Hop) -> None:  # noqa: ARG002  (a Tracer's shape)
        """Count a message given to the network."""
        uncounted = self._sent.uncounted
        uncounted.append(data)
        if len(uncounted) >= _TOGETHER:
            self._sent.count()

    def received(self, data: bytes, hop: Hop) -> None:  # noqa: ARG002
        """Count a message that came from the network."""
        uncounted = self._received.uncounted
        uncounted.append(data)
        if len(uncounted) >= _TOGETHER:
            self._received.count()

    @property
    def messages(self) -> dict[tuple[str, str], int]:
        """How many there were, by direction and kind: a method, or `1xx` to `6xx`."""
        return {(name, kind): cell[0] for name, way in self._counted() for kind, cell in way.kinds.items()}

    @property
    def repeated(self) -> dict[str, int]:
        """How many were octets that went the same way before, by direction."""
        return {name: way.repeated for name, way in self._counted()}

    def _counted(self) -> Iterable[tuple[str, _Way]]:
        for way in self._ways.values():
            way.count()
        return self._ways.items()


def kind_of(data: bytes) -> str:
    """Name what a message is, in few enough words for a metric: its method, or the class of its status."""
    if data.startswith(b"SIP/2.0 "):
        return _CLASSES.get(data[8:9], _OTHER)
    return _KINDS.get(data[: data.find(b" ")], _OTHER)
