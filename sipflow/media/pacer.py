"""The one clock of all streams: plays out what was received and sends what is due, each at its own moment."""

import asyncio
import time
from math import inf

from sipflow.media.fine_timer import FineTimer
from sipflow.media.lateness import Lateness
from sipflow.media.poller import Poller
from sipflow.media.schedule import Due, Paced, Schedule

_PHASE_MS = 2
_URGENT_S = 0.0005  # what is passed on to another call is waited for by somebody's jitter buffer


class Pacer:
    """Ticks every stream at its absolute times (see `Schedule`), with one loop timer for all, asleep without streams.

    Times are `time.monotonic()`, which is also asyncio's; uvloop's own clock stands still within a loop iteration.

    Each tick sends, then reads what has come for anybody (`Poller`), then plays out: what is to be sent waits already,
    and no packet leaves later for what others are told. After a stall it sends last.

    Attributes:
        poller: whose packets come first.
        due_at: when the next phase is due; infinite while there is none. Whoever keeps the loop busy for long may look
            at it, which costs nothing, and call `run_due` if that has passed.
        lateness: how long after its due time each packet was sent; all of a phase count as late as its last one.
        skipped: packets never sent because the loop stood still for longer than can be caught up.
        failed: ticks that raised; the loop's exception handler has been told, and the other streams went on.
        urgent: streams whose packets are passed on as they come: while there are any, what has come is read every
            half a millisecond, or every one to two where there is no timer finer than the loop's.
    """

    def __init__(self, *, phase_ms: int = _PHASE_MS, catch_up: int = 3) -> None:
        """Sleep until the first stream; the arguments are those of `Schedule`."""
        origin = time.monotonic()
        self._sending = Schedule(phase_ms=phase_ms, catch_up=catch_up, origin=origin)
        self._hearing = Schedule(phase_ms=phase_ms, catch_up=catch_up, origin=origin)
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self.poller = Poller()
        self._fine = FineTimer(_URGENT_S, self.poller.poll)
        self.due_at = inf
        self.lateness = Lateness()
        self.skipped = 0
        self.failed = 0
        self.urgent = 0

    def __len__(self) -> int:
        return len(self._sending)

    def add(self, stream: Paced, *, ptime_ms: int = 20) -> None:
        """Have a stream send every `ptime_ms` (10 to 60) until it is removed; one that is there already moves.

        Must be called in the running loop.
        """
        self._sending.add(stream, ptime_ms, now=time.monotonic())
        self._arm()

    def hear(self, stream: Paced, *, ptime_ms: int = 20, after: float | None = None) -> None:
        """Have a stream play out every `ptime_ms`, until it is removed; one that is there already moves.

        Args:
            stream: what is played out.
            ptime_ms: 10 to 60.
            after: when a packet of it came, monotonic seconds: play-out follows a little later, so that packets that
                are slower than this one are in time without waiting longer than they must.
        """
        self._hearing.add(stream, ptime_ms, now=time.monotonic(), after=after)
        self._arm()

    def remove(self, stream: Paced) -> None:
        """Stop ticking a stream, at once; no error if it is not there."""
        self._sending.remove(stream)
        self._hearing.remove(stream)
        if not self._sending.members and not self._hearing.members:
            self.due_at = inf
            if not self.urgent:
                self._fine.stop()  # the loop's timer finds nothing to do once, or serves the next stream

    def close(self) -> None:
        """Cancel the timer, and watch no sockets. Streams that are still there tick again when another is added."""
        self.due_at = inf
        self._fine.stop()
        self.poller.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def run_due(self, now: float) -> None:
        """Tick every stream whose time has come by `now`, monotonic seconds. The timer may find nothing left to do."""
        sending = self._sending.due(now=now)
        stalled = any(due.ticks > 1 for due in sending)
        if not stalled:
            self._send(sending)
        hearing = self._hearing.due(now=now)
        if self.poller.polled:
            self.poller.catch_up(max((due.skipped + due.ticks for due in hearing), default=1))
        for due in hearing:
            self._tick_phase(due, self._hearing)
        if stalled:  # several packets each: what has just been played out may be among them
            self._send(sending)
        self.due_at = min(self._sending.deadline, self._hearing.deadline)

    def _send(self, sending: list[Due]) -> None:
        """Tick those who send, and note how late that was."""
        for due in sending:
            self._tick_phase(due, self._sending)
            late_s = time.monotonic() - due.at
            for tick in range(due.ticks):
                self.lateness.add(late_s - tick * due.period_s, len(due.members))
            self.skipped += due.skipped * len(due.members)

    def _arm(self) -> None:
        """Have the timer fire at the earlier deadline of the two schedules."""
        deadline = self.due_at = min(self._sending.deadline, self._hearing.deadline)
        if not (self.urgent and self.poller.polled):
            self._fine.stop()
        elif not self._fine.start():
            deadline = min(deadline, time.monotonic() + _URGENT_S)
        if deadline == inf or (self._timer is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = asyncio.get_running_loop().call_later(max(deadline - time.monotonic(), 0.0), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.run_due(max(time.monotonic(), self._armed_for))  # a loop may fire a little early
        self._arm()

    def _tick_phase(self, due: Due, schedule: Schedule) -> None:
        present, skipped = schedule.members, due.skipped
        first, *others = [due.at + number * due.period_s for number in range(due.ticks)]
        for stream in due.members:
            if stream not in present:
                continue  # removed by one that ticked before it
            try:
                if skipped:
                    stream.skip(skipped)
                stream.tick(first)
                for at in others:
                    stream.tick(at)
            except Exception as error:  # noqa: BLE001  (one stream's fault must not silence the others)
                self._report(stream, error)

    def _report(self, stream: Paced, error: Exception) -> None:
        self.failed += 1
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a media stream failed: {stream!r}", "exception": error}
        )
