"""Hears from the system that addresses or routes of this machine have changed (rtnetlink(7) of Linux)."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

_GROUPS = 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, and both of IPv6
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
_MESSAGE_BYTES = 65_536
_BATCH = 64  # messages per wake-up; a router of the internet has many
_SETTLE_S = 0.5  # one change comes in several messages


class Netlink:
    """Tells of each change once, half a second after its first message.

    Args:
        on_change: told that something has changed; must not raise.
        connect: gives the socket, bound; the system's unless a test brings its own.
    """

    def __init__(
        self, on_change: Callable[[], None], *, connect: Callable[[], socket.socket | None] | None = None
    ) -> None:
        self._on_change = on_change
        self._connect = connect or _connect
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Listen in the running loop. A system that has no such thing, or forbids it, tells nothing."""
        self._socket = self._connect()
        if self._socket is not None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Hear nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        """Read away what came: that it came says all, for the system is asked anew."""
        with suppress(OSError):  # that was all
            for _ in range(_BATCH):
                if self._socket is not None:
                    self._socket.recv(_MESSAGE_BYTES)
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(_SETTLE_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._on_change()


def _connect() -> socket.socket | None:
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_RAW, getattr(socket, "NETLINK_ROUTE", 0))
        sock.setblocking(False)
        sock.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)  # uvloop stops watching a socket that has an error
        sock.bind((0, _GROUPS))
    except OSError:
        if sock is not None:
            sock.close()
        return None
    return sock
