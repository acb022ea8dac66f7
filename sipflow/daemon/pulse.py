"""How late the event loop comes to what is due: what every call feels when something blocks it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from sipflow.media.lateness import Lateness

_EVERY_S = 0.1
_LATELY = 600  # beats, a minute
_NOW = 20


class Pulse:
    """Beats ten times a second and measures by how much it was late.

    Attributes:
        lateness: of every beat since the start.
        also: is called at every beat.
    """

    def __init__(self) -> None:
        self.lateness = Lateness()
        self._lately: deque[float] = deque(maxlen=_LATELY)
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.also: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._due = time.monotonic() + _EVERY_S
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._beat)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def last_s(self) -> float:
        """How late the last beat was, in seconds."""
        return self._lately[-1] if self._lately else 0.0

    @property
    def worst_lately_s(self) -> float:
        """The latest beat of the last minute, in seconds."""
        return max(self._lately, default=0.0)

    @property
    def typical_now_s(self) -> float:
        """The median lateness of the last two seconds or so, in seconds."""
        newest = sorted(list(self._lately)[-_NOW:])
        return newest[len(newest) // 2] if len(newest) == _NOW else 0.0  # of a few nobody can tell

    def _beat(self) -> None:
        now = time.monotonic()
        late_s = max(0.0, now - self._due)
        self.lateness.add(late_s)
        self._lately.append(late_s)
        self._due = now + _EVERY_S  # a loop that stood still for a second was late once, not ten times
        self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._beat)
        if self.also is not None:
            self.also()
