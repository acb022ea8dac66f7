"""The one clock of all streams: calls each session when its next packet is due."""

import asyncio
import time
from math import inf

from sipflow.media.lateness import Lateness
from sipflow.media.schedule import Due, Paced, Schedule


class Pacer:
    """Ticks every session at its absolute times (see `Schedule`), with one loop timer for all, asleep without sessions.

    Times are `time.monotonic()`, which is also asyncio's; uvloop's own clock stands still within a loop iteration.

    A loop that has many packets to read comes to its timers late. So whoever reads one looks at `due_at` first, which
    costs nothing, and calls `run_due` if that has passed.

    Attributes:
        due_at: when the next phase is due; infinite while there is none.
        lateness: how long after its due time each packet was sent; all of a phase count as late as its last one.
        skipped: packets never sent because the loop stood still for longer than can be caught up.
        failed: ticks that raised; the loop's exception handler has been told, and the other sessions went on.
    """

    def __init__(self, *, phase_ms: int = 2, catch_up: int = 3) -> None:
        """Sleep until the first session; the arguments are those of `Schedule`."""
        self._schedule = Schedule(phase_ms=phase_ms, catch_up=catch_up)
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self.due_at = inf
        self.lateness = Lateness()
        self.skipped = 0
        self.failed = 0

    def __len__(self) -> int:
        return len(self._schedule)

    def add(self, session: Paced, *, ptime_ms: int = 20) -> None:
        """Tick a session every `ptime_ms` (10 to 60) until it is removed; one that is there already moves.

        Must be called in the running loop.
        """
        self._schedule.add(session, ptime_ms, now=time.monotonic())
        self._arm()

    def remove(self, session: Paced) -> None:
        """Stop ticking a session, at once; no error if it is not there."""
        self._schedule.remove(session)
        if not len(self._schedule):
            self.close()

    def close(self) -> None:
        """Cancel the timer. Sessions that are still there tick again when another is added."""
        self.due_at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def run_due(self, now: float) -> None:
        """Tick every session whose time has come by `now`, monotonic seconds. The timer may find nothing left to do."""
        for due in self._schedule.due(now=now):
            self._tick_phase(due)
        deadline = self._schedule.deadline
        self.due_at = inf if deadline is None else deadline

    def _arm(self) -> None:
        """Have the timer fire at the schedule's deadline."""
        deadline = self._schedule.deadline
        self.due_at = inf if deadline is None else deadline
        if deadline is None or (self._timer is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = asyncio.get_running_loop().call_later(max(deadline - time.monotonic(), 0.0), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.run_due(max(time.monotonic(), self._armed_for))  # a loop may fire a little early
        self._arm()

    def _tick_phase(self, due: Due) -> None:
        members, present = due.members, self._schedule.members
        for session in members:
            if session not in present:
                continue  # removed by one that ticked before it
            try:
                if due.skipped:
                    session.skip(due.skipped)
                for _ in range(due.ticks):
                    session.tick()
            except Exception as error:  # noqa: BLE001  (one session's fault must not silence the others)
                self._report(session, error)
        late_s = time.monotonic() - due.at
        for tick in range(due.ticks):
            self.lateness.add(late_s - tick * due.period_s, len(members))
        self.skipped += due.skipped * len(members)

    def _report(self, session: Paced, error: Exception) -> None:
        self.failed += 1
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a media stream failed to send: {session!r}", "exception": error}
        )
