"""When which call wants to be woken: one heap, lazily corrected, that keeps no ended call alive."""

import heapq
from math import inf
from typing import Generic, Protocol, TypeVar

_SLACK = 64  # stale entries that are not worth a sweep


class Sleeper(Protocol):
    """What can be woken.

    Attributes:
        alarm: number of its entry, 0 when it has none; only `Alarms` touches it.
        alarm_at: when that entry comes up; only `Alarms` touches it.
    """

    alarm: int
    alarm_at: float

    @property
    def deadline(self) -> float | None:
        """When it wants to be woken: monotonic seconds, None for never."""


S = TypeVar("S", bound=Sleeper)


class Alarms(Generic[S]):
    """The next deadline of every sleeper that has one.

    A sleeper has at most one live entry, never later than its deadline. A deadline that moved back is corrected when
    its entry comes up; one that moved forward gets a new entry and leaves a stale one behind, which holds two numbers
    and no sleeper. Stale entries are swept out when they outnumber the live ones.

    Attributes:
        soonest: a moment that no deadline comes before, infinite where there is none; exact right after `next`.
    """

    __slots__ = ("_heap", "_live", "_numbers", "soonest")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._live: dict[int, S] = {}
        self._numbers = 0
        self.soonest = inf

    def __len__(self) -> int:
        """How many sleepers want to be woken."""
        return len(self._live)

    @property
    def entries(self) -> int:
        """How many entries there are, stale ones included."""
        return len(self._heap)

    def note(self, sleeper: S) -> None:
        """Take over the deadline that a sleeper has now."""
        at = sleeper.deadline
        if at is None:
            self._drop(sleeper)
        elif at < sleeper.alarm_at:
            if sleeper.alarm:
                del self._live[sleeper.alarm]
            self._numbers += 1
            sleeper.alarm = self._numbers
            sleeper.alarm_at = at
            self._live[sleeper.alarm] = sleeper
            heapq.heappush(self._heap, (at, sleeper.alarm))
            if at < self.soonest:
                self.soonest = at
            self._sweep()

    def _drop(self, sleeper: S) -> None:
        if sleeper.alarm:
            del self._live[sleeper.alarm]
            sleeper.alarm = 0
            sleeper.alarm_at = inf
            self._sweep()

    def _sweep(self) -> None:
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap[:] = [entry for entry in self._heap if entry[1] in self._live]
            heapq.heapify(self._heap)

    def next(self) -> float | None:
        """The earliest deadline, exactly; None if there is none."""
        heap, live = self._heap, self._live
        while heap:
            due, number = heap[0]
            sleeper = live.get(number)
            if sleeper is None:
                heapq.heappop(heap)
                continue
            at = sleeper.deadline
            if at == due:
                self.soonest = due
                return due
            if at is None:
                heapq.heappop(heap)
                self._drop(sleeper)
            else:
                sleeper.alarm_at = at
                heapq.heapreplace(heap, (at, number))
        self.soonest = inf
        return None

    def due(self, now: float) -> list[S]:
        """Take out every sleeper whose deadline has come, earliest first; `note` each again when it has been woken."""
        sleepers: list[S] = []
        while (at := self.next()) is not None and at <= now:
            number = heapq.heappop(self._heap)[1]
            sleeper = self._live.pop(number)
            sleeper.alarm = 0
            sleeper.alarm_at = inf
            sleepers.append(sleeper)
        return sleepers
