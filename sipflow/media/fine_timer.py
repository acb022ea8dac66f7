"""A timer finer than the loop's: libuv counts whole milliseconds, and is up to one late beyond that."""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress

_CLOCK_MONOTONIC = 1
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK if hasattr(os, "O_NONBLOCK") else 0, getattr(os, "O_CLOEXEC", 0)
_COUNT_BYTES = 8  # what a timerfd gives each time: how often it has fired


class _Interval(ctypes.Structure):
    """struct itimerspec: two times of seconds and nanoseconds."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


class FineTimer:
    """Calls something every so often, between the other things that the loop does; missed times are not made up for.

    Attributes:
        running: whether it does.
    """

    def __init__(self, period_s: float, call: Callable[[], object]) -> None:
        """Do nothing yet.

        Args:
            period_s: less than a second.
            call: must not raise.
        """
        self._period_ns = round(period_s * 1e9)
        self._call = call
        self._file = -1
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def running(self) -> bool:
        return self._file >= 0

    def start(self) -> bool:
        """Begin; returns whether that can be done here: Linux alone has such timers. Must be called in the loop."""
        if self.running:
            return True
        self._file = _open(self._period_ns)
        if self._file < 0:
            return False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._fire)
        return True

    def stop(self) -> None:
        """End; no error if it is not running."""
        if self._file < 0:
            return
        file, self._file = self._file, -1
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(file)
        os.close(file)

    def _fire(self) -> None:
        with suppress(OSError):
            os.read(self._file, _COUNT_BYTES)
        self._call()


def _open(period_ns: int) -> int:
    """Make a timer that fires every so often; -1 where there are none."""
    if sys.platform != "linux":
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    file = int(libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK | _CLOEXEC))
    if file >= 0:
        spec = _Interval(0, period_ns, 0, period_ns)
        if libc.timerfd_settime(file, 0, ctypes.byref(spec), None) != 0:
            os.close(file)
            return -1
    return file
