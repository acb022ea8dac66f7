"""The one loop timer that drives a core's deadlines."""

import asyncio
from collections.abc import Callable

_LONGEST_S = 86400.0  # what loops accept without overflow; it is asked again then
# From one time to the next: what ends soon after each other is ended together (a busy edge lets go of 800
# transactions a second), and a deadline that is not moved by its own handling does not spin the loop.
_SHORTEST_S = 0.01


class DeadlineTimer:
    """Calls `on_due(now)` once the deadline has come; `now` is never before it.

    Args:
        loop: whose clock deadlines are in.
        deadline: gives the current one, None for none.
        soonest: gives a moment that is not after it, infinite for none, at next to no cost: whoever has it looked at
            after every message does not have the deadline itself worked out.
        on_due: handles it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadline: Callable[[], float | None],
        soonest: Callable[[], float],
        on_due: Callable[[float], None],
    ) -> None:
        self._loop = loop
        self._deadline = deadline
        self._soonest = soonest
        self._on_due = on_due
        self._handle: asyncio.TimerHandle | None = None
        self._at = float("inf")
        self._not_before = float("-inf")
        self._stopped = False

    def arm(self) -> None:
        """Look at the deadline again. A timer that will fire too early is left: it then sees that and re-arms."""
        if self._soonest() >= self._at or self._stopped:
            return
        deadline = self._deadline()
        if deadline is None or deadline >= self._at:
            return
        at = max(min(deadline, self._loop.time() + _LONGEST_S), self._not_before)
        if at >= self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = self._loop.call_at(self._at, self._fire)

    def rest(self, seconds: float) -> None:
        """Fire no sooner than in `seconds`, whatever the deadline says."""
        self._not_before = self._loop.time() + seconds

    def stop(self) -> None:
        """Fire no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._stopped = True

    def _fire(self) -> None:
        fired_at, self._at, self._handle = self._at, float("inf"), None
        deadline = self._deadline()
        if deadline is not None and deadline <= fired_at:
            now = max(deadline, self._loop.time())  # loops may fire one tick of their clock early
            self._not_before = now + _SHORTEST_S
            self._on_due(now)
        self.arm()
