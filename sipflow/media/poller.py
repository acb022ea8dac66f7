"""Which sockets have packets: one system call for all streams, where a loop would wake up for every packet."""

import asyncio
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

Reader = Callable[[], None]


class _Loop(Protocol):
    """What is needed of a loop. asyncio's says whether it watched what it is to forget, uvloop's gives nothing."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object: ...

    def remove_reader(self, fd: int, /) -> object: ...


WATCHED = 40  # sockets; more bring packets faster than the pacer ticks, so that its ticks are when to look
_WATCHED_AGAIN = 20
_MOST_AT_ONCE = 10  # packets of one socket, after a stall
_EPOLL = hasattr(select, "epoll")  # Linux


class Poller:
    """Calls each stream's reader when a packet waits on its socket, one packet at a time.

    With few sockets the loop watches all of them through one descriptor and readers are called at once. With more than
    WATCHED, nobody watches: the pacer calls `poll` at each of its ticks, every 2 ms, which is precise enough to measure
    jitter by and spares a wake-up per packet. A reader takes one packet; what waits behind it is seen by the next poll,
    so a flood on one call takes 500 packets a second at most and holds up no other.

    Where the system has no epoll, as macOS, the loop watches every socket by itself. Without sockets it stays ready for
    the next, until it is closed.

    Attributes:
        polled: whether `poll` must be called.
        failed: readers that raised; the loop's exception handler has been told.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self._readers: dict[int, Reader] = {}
        self._files: dict[socket.socket, int] = {}  # a closed socket does not know its number any more
        self._epoll: Any = None  # select.epoll, which not every system has
        self._loop: _Loop | None = None
        self.polled = False
        self.failed = 0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, sock: socket.socket, reader: Reader) -> None:
        """Call `reader` whenever `sock` has a packet. Must be called in the running loop."""
        file = sock.fileno()
        if file in self._readers:  # of a socket that was closed and not removed
            self._files = {other: number for other, number in self._files.items() if number != file}
            self._forget_file(file)
        self._files[sock] = file
        self._readers[file] = reader
        if not _EPOLL:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(file, partial(self._call, reader))
            return
        if self._epoll is None:
            self._epoll = select.epoll()
        self._epoll.register(file, select.EPOLLIN)
        if len(self._readers) > WATCHED:
            self._unwatch()
            self.polled = True
        elif not self.polled and self._loop is None:
            self._watch()

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket, closed or not; no error if it is not there."""
        file = self._files.pop(sock, None)
        if file is None:
            return
        self._forget_file(file)
        if self.polled and len(self._readers) <= _WATCHED_AGAIN:
            self.polled = False
            self._watch()

    def replace(self, sock: socket.socket, reader: Reader) -> None:
        """Call another reader for a socket from now on; no error if it is not there."""
        file = self._files.get(sock)
        if file is None:
            return
        self._readers[file] = reader
        if not _EPOLL and self._loop is not None:
            self._loop.add_reader(file, partial(self._call, reader))

    def poll(self) -> int:
        """Have every reader called whose socket has a packet; says how many sockets had one."""
        if self._epoll is None:
            return 0
        readers = self._readers
        ready = self._epoll.poll(0)
        for file, _ in ready:
            reader = readers.get(file)
            if reader is not None:  # None: removed by a reader before it
                try:
                    reader()
                except Exception as error:  # noqa: BLE001  (one stream's fault must not silence the others)
                    self._report(error)
        return len(ready)

    def catch_up(self, packets: int) -> None:
        """Poll, and again where each socket may have so many packets, for nobody has looked for so many packet times.

        What still waits in a socket would be taken for lost by those who play out, and to conceal it costs more than to
        read it: the later they were, the later they would become.
        """
        for _ in range(min(packets, _MOST_AT_ONCE)):
            if not self.poll():
                break

    def close(self) -> None:
        """Watch nothing any more. Streams that are added later begin anew."""
        for file in list(self._readers) if not _EPOLL else ():
            self._forget_file(file)
        self._unwatch()
        self.polled = False
        self._readers.clear()
        self._files.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _forget_file(self, file: int) -> None:
        del self._readers[file]
        if self._epoll is not None:
            with suppress(OSError):  # closed already, which took it out
                self._epoll.unregister(file)
        elif self._loop is not None:
            self._loop.remove_reader(file)

    def _watch(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self.poll)

    def _unwatch(self) -> None:
        if self._loop is not None and self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._loop = None

    def _call(self, reader: Reader) -> None:
        try:
            reader()
        except Exception as error:  # noqa: BLE001  (counted, as with `poll`)
            self._report(error)

    def _report(self, error: Exception) -> None:
        self.failed += 1
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a media stream failed to receive", "exception": error}
        )
