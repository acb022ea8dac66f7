"""Which sockets have packets: one system call for all streams, where a loop would wake up for every packet."""

import asyncio
import select
import socket
from collections.abc import Callable

Reader = Callable[[], None]

WATCHED = 40  # streams; more bring packets faster than the pacer ticks, so that its ticks are when to look
_WATCHED_AGAIN = 20


class Poller:
    """Calls each stream's reader when a packet waits on its socket, one packet at a time.

    With few streams the loop watches all their sockets through one descriptor and readers are called at once. With
    more than WATCHED, nobody watches: the pacer calls `poll` at each of its ticks, every 2 ms, which is precise enough
    to measure jitter by and spares a wake-up per packet. A reader takes one packet; what waits behind it is seen by
    the next poll, so a flood on one call takes 500 packets a second at most and holds up no other.

    Attributes:
        polled: whether `poll` must be called.
        failed: readers that raised; the loop's exception handler has been told.
    """

    def __init__(self) -> None:
        """Open nothing yet."""
        self._readers: dict[int, Reader] = {}
        self._epoll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.polled = False
        self.failed = 0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, sock: socket.socket, reader: Reader) -> None:
        """Call `reader` whenever `sock` has a packet. Must be called in the running loop."""
        if self._epoll is None:
            self._epoll = select.epoll()
        file = sock.fileno()
        self._epoll.register(file, select.EPOLLIN)
        self._readers[file] = reader
        if len(self._readers) > WATCHED:
            self._unwatch()
            self.polled = True
        elif not self.polled and self._loop is None:
            self._watch(self._epoll)

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket; no error if it is not there."""
        file = sock.fileno()
        if self._readers.pop(file, None) is None or self._epoll is None:
            return
        self._epoll.unregister(file)
        if not self._readers:
            self.close()
        elif self.polled and len(self._readers) <= _WATCHED_AGAIN:
            self.polled = False
            self._watch(self._epoll)

    def poll(self) -> None:
        """Have every reader called whose socket has a packet."""
        if self._epoll is None:
            return
        readers = self._readers
        for file, _ in self._epoll.poll(0):
            reader = readers.get(file)
            if reader is not None:  # None: removed by a reader before it
                try:
                    reader()
                except Exception as error:  # noqa: BLE001  (one stream's fault must not silence the others)
                    self._report(error)

    def close(self) -> None:
        """Watch nothing any more. Streams that are added later begin anew."""
        self._unwatch()
        self.polled = False
        self._readers.clear()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _watch(self, epoll: select.epoll) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(epoll.fileno(), self.poll)

    def _unwatch(self) -> None:
        if self._loop is not None and self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._loop = None

    def _report(self, error: Exception) -> None:
        self.failed += 1
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a media stream failed to receive", "exception": error}
        )
