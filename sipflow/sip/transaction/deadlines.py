"""When which transaction wants to be called: one heap, lazily corrected."""

import heapq

from sipflow.sip.transaction.machine import NEVER
from sipflow.sip.transaction.records import Record

_SLACK = 64  # stale entries that are not worth a sweep


class Deadlines:
    """The next deadline of every transaction that has one.

    A transaction has at most one live entry, never later than its deadline. A deadline that moved back is corrected
    when its entry comes up; one that moved forward gets a new entry and leaves a stale one behind. Stale entries hold
    two numbers and no transaction, and are swept out when new entries find them in the majority.

    It is `sip.alarms.Alarms` written out for transactions: each message notes a deadline here, and to ask for it by way
    of a property, as `Alarms` does, would cost each of them one call more.

    Attributes:
        soonest: a moment that no deadline comes before, infinite where there is none; exact right after `next`.
    """

    __slots__ = ("_heap", "_live", "_tickets", "soonest")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._live: dict[int, Record] = {}
        self._tickets = 0
        self.soonest = NEVER

    def __len__(self) -> int:
        """How many transactions have an entry."""
        return len(self._live)

    @property
    def entries(self) -> int:
        """How many entries there are, stale ones included."""
        return len(self._heap)

    def note(self, record: Record) -> None:
        """Take over the deadline that the transaction has now."""
        at = record.machine.deadline
        if at is None or at >= record.due:
            return
        if record.ticket:
            del self._live[record.ticket]
        self._tickets += 1
        record.ticket = self._tickets
        record.due = at
        self._live[record.ticket] = record
        heapq.heappush(self._heap, (at, record.ticket))
        if at < self.soonest:
            self.soonest = at
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = [entry for entry in self._heap if entry[1] in self._live]
            heapq.heapify(self._heap)

    def drop(self, record: Record) -> None:
        """Forget a transaction."""
        if record.ticket:
            del self._live[record.ticket]
            record.ticket = 0
            record.due = NEVER

    def next(self) -> float | None:
        """The earliest deadline, exactly; None if there is none."""
        heap, live = self._heap, self._live
        while heap:
            due, ticket = heap[0]
            record = live.get(ticket)
            if record is None:
                heapq.heappop(heap)
                continue
            at = record.machine.deadline
            if at == due:
                self.soonest = due
                return due
            if at is None:
                self.drop(record)  # its entry is stale now
            else:
                record.due = at
                heapq.heapreplace(heap, (at, ticket))
        self.soonest = NEVER
        return None

    def pop_due(self, now: float) -> list[Record]:
        """Take out every transaction whose deadline has come, earliest first."""
        records: list[Record] = []
        while (at := self.next()) is not None and at <= now:
            _, ticket = heapq.heappop(self._heap)
            record = self._live.pop(ticket)
            record.ticket = 0
            record.due = NEVER
            records.append(record)
        return records
