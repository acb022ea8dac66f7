"""What can wait until a stream has gone on for a while: one timer for all of them, and nothing for those that end."""

import asyncio
from collections.abc import Callable


class Later:
    """Calls something for each of many owners, the same time after each was added, in that order.

    Attributes:
        after_s: how long after `add` each is called.
    """

    def __init__(self, after_s: float) -> None:
        """Wait for nothing yet."""
        self.after_s = after_s
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}  # until when, whom; the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, owner: object, call: Callable[[], None]) -> None:
        """Call `call` once, in the running loop, unless `owner` is removed before."""
        loop = asyncio.get_running_loop()
        self._waiting[owner] = (loop.time() + self.after_s, call)
        if self._timer is None:
            self._timer = loop.call_later(self.after_s, self._look, loop)

    def remove(self, owner: object) -> None:
        """Do not call for `owner`; no error if that has been done, or was never asked for."""
        self._waiting.pop(owner, None)

    def close(self) -> None:
        """Call for nobody any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        try:
            while self._waiting:
                owner, (until, call) = next(iter(self._waiting.items()))
                if until > now:
                    break
                del self._waiting[owner]
                call()
        finally:  # one that raises must not keep the others waiting for ever
            for until, _ in self._waiting.values():
                self._timer = loop.call_later(max(until - now, 0.0), self._look, loop)
                break
