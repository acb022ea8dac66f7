"""The audio of one stream as its reader sees it: a bounded queue, decoded frame by frame when read."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from sipflow.audio.codecs import AudioCodec
from sipflow.audio.frame import Frame
from sipflow.errors import MediaError


class FrameQueue:
    """Payloads on their way to a reader: the stream puts, the reader takes. Payloads nobody takes are never decoded.

    Attributes:
        lost: frames dropped, oldest first, because the reader was slow.
        ended: whether no more will come.
    """

    __slots__ = ("_limit", "_waiting", "codec", "ended", "items", "lost")

    def __init__(self, codec: AudioCodec, *, limit: int) -> None:
        """Start empty; `codec` is what payloads are in, `limit` how many may wait."""
        self.codec = codec
        self._limit = limit
        self.items: deque[bytes | Frame] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self.lost = 0
        self.ended = False

    def put(self, payload: bytes) -> None:
        """Append a payload and wake the reader."""
        items = self.items
        if len(items) >= self._limit:
            items.popleft()
            self.lost += 1
        items.append(payload)
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            if not waiting.done():
                waiting.set_result(None)

    def switch(self, codec: AudioCodec) -> None:
        """Change the codec of the payloads to come."""
        self.items = deque(self.frame(item) for item in self.items)
        self.codec = codec

    def end(self) -> None:
        """Let the reader have what waits, and then end."""
        self.ended = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done when there is something to take, or the end has come.

        Raises:
            MediaError: another task waits already.
        """
        if self._waiting is not None and not self._waiting.done():
            raise MediaError("two tasks read the same frames: give each its own reader")
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def frame(self, item: bytes | Frame) -> Frame:
        """Decode one of `items`, unless that has been done."""
        if isinstance(item, Frame):
            return item
        return Frame(self.codec.decode(item), self.codec.sample_rate_hz)


class FrameReader:
    """Iterates over the frames received from the moment it was made until the session closes.

    It ends early when closed, or when nothing refers to it any more. Cancelling a wait loses no frame.
    """

    __slots__ = ("__weakref__", "_detach", "_queue", "_told")

    def __init__(self, queue: FrameQueue, detach: Callable[[FrameQueue], None]) -> None:
        self._queue = queue
        self._detach = detach
        self._told = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """Wait for the next frame.

        Raises:
            StopAsyncIteration: the session, or this reader, is closed and every frame was read.
            MediaError: another task waits on this reader already.
        """
        queue = self._queue
        while not queue.items:
            if queue.ended:
                raise StopAsyncIteration
            await queue.change()
        return queue.frame(queue.items.popleft())

    @property
    def lost(self) -> int:
        """How many frames were dropped, oldest first, because they were not read in time."""
        return self._queue.lost

    @property
    def waiting(self) -> int:
        """How many frames are there to be read."""
        return len(self._queue.items)

    def newly_lost(self) -> int:
        """How many frames were dropped since this was last asked: 0 says that the last frame followed without a gap."""
        lost = self._queue.lost - self._told
        self._told = self._queue.lost
        return lost

    def close(self) -> None:
        """Stop collecting frames; those that wait can still be read."""
        self._detach(self._queue)
        self._queue.end()

    def __del__(self) -> None:
        self._detach(self._queue)
