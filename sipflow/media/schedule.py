"""When each stream's next packet is due. Pure: the pacer asks it, and tests play it in simulated time."""

from heapq import heapify, heappush, heapreplace
from math import ceil, inf
from typing import NamedTuple, Protocol

_FOLLOWS_MS = range(
    6, 12
)  # after a moment: time for packets that come later than others, and no more waiting than that
_CROWDED = 8  # streams in one phase, beyond twice the average, are too many


class Paced(Protocol):
    """Something that has to be done every packet time."""

    def tick(self, at: float) -> None:
        """Do what is due at `at`, monotonic seconds; it may be a little later than that."""

    def skip(self, ticks: int) -> None:
        """Let `ticks` packet times pass with nothing done; what is next comes after them."""


class Due(NamedTuple):
    """One phase whose time has come.

    Attributes:
        at: when the first of `ticks` was due: monotonic seconds.
        period_s: from one tick to the next.
        skipped: ticks before `at` that nobody will make up for.
        ticks: how many to make now: 1, and more after a stall.
        members: who is to make them.
    """

    at: float
    period_s: float
    skipped: int
    ticks: int
    members: list[Paced]


class _Phase:
    """Streams of one packet time that tick at the same moment; its times are counted, never added up."""

    __slots__ = ("members", "number", "origin", "period_s")

    def __init__(self, origin: float, ptime_ms: int) -> None:
        self.origin = origin
        self.period_s = ptime_ms / 1000
        self.number = 0  # of the next tick
        self.members: dict[Paced, None] = {}

    @property
    def due_at(self) -> float:
        return self.origin + self.number * self.period_s


def _crowd(phase: _Phase) -> int:
    return len(phase.members)


class Schedule:
    """Spreads streams over the packet time and says who is due.

    A packet time of 20 ms has ten phases of 2 ms; a stream joins the emptiest and ticks at its times for good: they
    are counted from one origin, so nothing drifts. After a stall each stream makes up for up to `catch_up` ticks, the
    newest ones, and is told to skip the older ones. Phases without streams cost nothing.

    Attributes:
        members: every stream, with its phase.
    """

    def __init__(self, *, phase_ms: int = 2, catch_up: int = 3, origin: float | None = None) -> None:
        """Start empty.

        Args:
            phase_ms: from one phase to the next, at least 1.
            catch_up: ticks made at once after a stall, at least 1.
            origin: monotonic seconds that all phases are counted from; None is the first `add`.
        """
        self._phase_ms = phase_ms
        self._catch_up = catch_up
        self._origin = origin
        self._phases: dict[int, list[_Phase]] = {}  # by packet time
        self.members: dict[Paced, _Phase] = {}
        self._heap: list[tuple[float, int, _Phase]] = []  # due time, a tie-breaker, phase; the phases with members
        self._entries = 0

    def __len__(self) -> int:
        return len(self.members)

    @property
    def deadline(self) -> float:
        """When the next phase is due: monotonic seconds, infinite while there is no stream."""
        return self._heap[0][0] if self._heap else inf

    def add(self, member: Paced, ptime_ms: int, *, now: float, after: float | None = None) -> None:
        """Give a stream a place; its first tick comes within a packet time. One that has a place moves.

        Args:
            member: the stream.
            ptime_ms: its packet time.
            now: monotonic seconds.
            after: a moment, monotonic seconds, to which its ticks should follow by 6 to 12 ms, unless too many do so
                already; None is the emptiest phase.
        """
        self.remove(member)
        if self._origin is None:
            self._origin = now
        phases = self._phases.get(ptime_ms)
        if phases is None:
            count = max(ptime_ms // self._phase_ms, 1)
            phases = [_Phase(self._origin + n * self._phase_ms / 1000, ptime_ms) for n in range(count)]
            self._phases[ptime_ms] = phases
        place = self._place(phases, after)
        if not place.members:
            place.number = int((now - place.origin) // place.period_s) + 1
            self._entries += 1
            heappush(self._heap, (place.due_at, self._entries, place))
        place.members[member] = None
        self.members[member] = place

    def _place(self, phases: list[_Phase], after: float | None) -> _Phase:
        """Find the emptiest phase, of those that follow a moment if that is asked for and they are not crowded."""
        if after is not None and self._origin is not None:
            first = ceil((after - self._origin) * 1000 / self._phase_ms) + _FOLLOWS_MS.start // self._phase_ms
            last = first + len(_FOLLOWS_MS) // self._phase_ms
            near = min((phases[n % len(phases)] for n in range(first, last)), key=_crowd)
            if _crowd(near) <= _CROWDED + 2 * len(self.members) // len(phases):
                return near
        for phase in phases:
            if not phase.members:
                return phase
        return min(phases, key=_crowd)

    def remove(self, member: Paced) -> None:
        """Forget a stream; one that has no place is no error."""
        phase = self.members.pop(member, None)
        if phase is None:
            return
        del phase.members[member]
        if not phase.members:
            self._heap = [entry for entry in self._heap if entry[2] is not phase]
            heapify(self._heap)

    def due(self, *, now: float) -> list[Due]:
        """Say which phases are due at `now`, and move them on to their next tick after it."""
        out = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, entry, phase = heap[0]
            ticks = int((now - at) / phase.period_s) + 1
            skipped = max(ticks - self._catch_up, 0)
            phase.number += ticks
            heapreplace(heap, (phase.due_at, entry, phase))
            at += skipped * phase.period_s
            out.append(Due(at, phase.period_s, skipped, ticks - skipped, list(phase.members)))
        return out
