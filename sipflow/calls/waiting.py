"""Where calls wait for room: in order, for as long as each may, and never behind one that waits for something else."""

import asyncio
from bisect import insort
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar

from sipflow.errors import LimitReached, SipflowError

T = TypeVar("T")
_SOON_S = 0.001  # a clock that is a tick early must not keep us turning


class Ticket(Generic[T]):
    """A place in the line. Whoever draws one waits for it, or cancels it."""

    def __init__(
        self,
        room: "WaitingRoom",
        order: int,
        attempt: Callable[[], T],
        give_back: Callable[[T], object],
        refused: LimitReached,
    ) -> None:
        self._room = room
        self._order = order
        self._attempt = attempt
        self._give_back = give_back
        self._granted: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._expiry: asyncio.TimerHandle | None = None
        self.refused = refused

    def __lt__(self, other: "Ticket[Any]") -> bool:
        return self._order < other._order

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return not self._granted.done()

    async def wait(self) -> T:
        """Wait until there is room, and return what was admitted.

        Raises:
            LimitReached: there was none in time; the sentence says what was waited for.
            Conflict, NotFound: what was asked for is there no more.

        Cancelling gives the place up, and gives back what was admitted in the same moment.
        """
        try:
            return await self._granted
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Leave the line. What was admitted already, and nobody took, is given back."""
        self._room._leave(self)
        if not self._granted.done():
            self._granted.cancel()
        elif not self._granted.cancelled() and self._granted.exception() is None:
            self._give_back(self._granted.result())

    def _try(self) -> LimitReached | None:
        """Try again; returns what refuses it, None once it is over."""
        try:
            self._granted.set_result(self._attempt())
        except LimitReached as error:
            self.refused = error
            return error
        except SipflowError as error:  # the agent or its numbers have gone meanwhile
            self._granted.set_exception(error)
        self._room._leave(self)
        return None

    def _expire(self, waited_s: float) -> None:
        if self.open:
            self._room._leave(self)
            why = self.refused
            text = f"no room after {waited_s:g} s in the queue: {why}"
            self._granted.set_exception(
                LimitReached(text, limit=why.limit, retry_after_s=why.retry_after_s, again_s=why.again_s)
            )
            self._granted.exception()  # whoever never waits for it needs no warning


class WaitingRoom:
    """The line of those who wait. All of them try in turn whenever a call has gone, and when a rate allows the next.

    Args:
        most: who may wait at once.
        longest_s: how long each may wait at most.
    """

    def __init__(self, *, most: int, longest_s: float) -> None:
        self.most = most
        self.longest_s = longest_s
        self._orders = count()
        self._lines: dict[str, list[Ticket[Any]]] = {}  # by what refused them last, each in order
        self._waiting = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._busy = self._again = False

    def __len__(self) -> int:
        return self._waiting

    def ahead(self, limit: str) -> int:
        """Return how many wait for a limit."""
        return len(self._lines.get(limit, ()))

    def enter(
        self,
        attempt: Callable[[], T],
        *,
        give_back: Callable[[T], object],
        refused: LimitReached,
        at_most_s: float,
    ) -> Ticket[T]:
        """Join the line.

        Args:
            attempt: tries to be admitted; raises LimitReached while there is no room.
            give_back: undoes what `attempt` did, for somebody who has gone.
            refused: why the first attempt failed.
            at_most_s: how long to wait.

        Raises:
            LimitReached: the line is full.
        """
        if self._waiting >= self.most:
            text = f"{refused}; and {self._waiting} calls wait already (limits.queue.calls)"
            raise LimitReached(text, limit="limits.queue", retry_after_s=refused.retry_after_s)
        ticket = Ticket(self, next(self._orders), attempt, give_back, refused)
        waits_s = min(at_most_s, self.longest_s)
        ticket._expiry = asyncio.get_running_loop().call_later(waits_s, ticket._expire, waits_s)
        self._stand(ticket)
        self._waiting += 1
        self._wake_in(refused.again_s)
        return ticket

    def close(self) -> None:
        """Send everybody away."""
        for line in list(self._lines.values()):
            for ticket in list(line):
                ticket.cancel()
        if self._alarm is not None:
            self._alarm.cancel()

    def pump(self) -> None:
        """Let everybody try who may have room now: in order, and of those with one and the same obstacle the first."""
        if not self._waiting:
            return
        if self._busy:
            self._again = True
            return
        self._busy = True
        try:
            self._again = True
            while self._again:
                self._again = False
                self._pass()
        finally:
            self._busy = False

    def _pass(self) -> None:
        heads = [(line[0], limit) for limit, line in self._lines.items()]
        heapify(heads)
        soonest: float | None = None
        while heads:
            ticket, limit = heappop(heads)
            error = ticket._try()
            if error is not None and error.again_s is not None:
                soonest = error.again_s if soonest is None else min(soonest, error.again_s)
            if error is not None and error.limit != limit:
                self._unline(ticket, limit)
                self._stand(ticket)
            if (error is None or error.limit != limit) and limit in self._lines:
                heappush(heads, (self._lines[limit][0], limit))
        self._wake_in(soonest)

    def _wake_in(self, seconds: float | None) -> None:
        if seconds is None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, _SOON_S)
        if self._alarm is not None and not self._alarm.cancelled():
            if loop.time() < self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self.pump)

    def _stand(self, ticket: Ticket[Any]) -> None:
        insort(self._lines.setdefault(ticket.refused.limit, []), ticket)

    def _leave(self, ticket: Ticket[Any]) -> None:
        for limit, line in self._lines.items():
            if ticket in line:
                self._unline(ticket, limit)
                self._waiting -= 1
                break
        if ticket._expiry is not None:
            ticket._expiry.cancel()

    def _unline(self, ticket: Ticket[Any], limit: str) -> None:
        line = self._lines[limit]
        line.remove(ticket)
        if not line:
            del self._lines[limit]
