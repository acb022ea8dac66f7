"""Tells systemd how the daemon is: ready, reloading, going down, alive (sd_notify(3)). Without systemd: nobody."""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger("sipflow.daemon")
_STATUS_EVERY_S = 10.0  # where there is no watchdog that wants to hear more often
_AGAIN_S = 0.1  # while systemd is too busy to take anything
_MOST_WAITING = 16


class Notifier:
    """Speaks to the socket that NOTIFY_SOCKET names, and beats for the watchdog from within the event loop.

    A loop that stands still beats no more, so that systemd restarts the daemon.
    """

    def __init__(self, status: Callable[[], str], environ: Mapping[str, str] = os.environ) -> None:
        """Open a socket, where systemd waits for us; it stays open, for the day when descriptors run out.

        Args:
            status: how the daemon is, in a sentence; asked for with every beat.
            environ: has NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
        """
        self._status = status
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_s(environ, os.getpid())
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._timer: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)

    def ready(self) -> None:
        """Say that calls are taken, and begin to beat. Must be called in the running loop."""
        self._send("READY=1", self._status_line())
        if self._socket is not None and self._timer is None:
            self._beat()

    def around(self, reload: Callable[[], None]) -> Callable[[], None]:
        """Return a reload that says when it begins and when it is over."""

        def told() -> None:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            try:
                reload()
            finally:
                self._send("READY=1", self._status_line())

        return told

    def stopping(self, *, within_s: float) -> None:
        """Say that the daemon goes down and how long that may take, whatever the unit's TimeoutStopSec is."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}", self._status_line())

    def close(self) -> None:
        """Beat no more."""
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()
        self._timer = self._again = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _beat(self) -> None:
        every_s = self._watchdog_s / 2 if self._watchdog_s is not None else _STATUS_EVERY_S
        self._timer = asyncio.get_running_loop().call_later(every_s, self._beat)
        if not self._waiting:  # a beat that was late is worth no more than the next
            self._send(*(("WATCHDOG=1",) if self._watchdog_s is not None else ()), self._status_line())

    def _status_line(self) -> str:
        return "STATUS=" + " ".join(self._status().split()) if self._socket is not None else ""

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            self._waiting.append("\n".join(lines).encode())
            if self._again is None:
                self._flush()

    def _flush(self) -> None:
        """Send what waits, in its order, and never wait for systemd: calls would."""
        self._again = None
        while self._waiting and self._socket is not None and self._address is not None:
            try:
                self._socket.sendto(self._waiting[0], self._address)
            except BlockingIOError:
                self._again = asyncio.get_running_loop().call_later(_AGAIN_S, self._flush)
                return
            except OSError as error:
                log.warning("systemd cannot be told", what=self._waiting[0].decode(), why=str(error))
            self._waiting.popleft()


def _address(named: str) -> str | None:
    """Read NOTIFY_SOCKET: a path, or `@` and an abstract name."""
    if named.startswith("@"):
        return "\0" + named[1:]
    if named and not named.startswith("/"):
        log.warning("systemd cannot be told: NOTIFY_SOCKET is neither a path nor an abstract name", socket=named)
        return None
    return named or None


def _watchdog_s(environ: Mapping[str, str], own: int) -> float | None:
    """Read WATCHDOG_USEC, unless it is meant for another process."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "") or str(own)
    return int(usec) / 1_000_000 if usec.isdecimal() and int(usec) > 0 and pid == str(own) else None
