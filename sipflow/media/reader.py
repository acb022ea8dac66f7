"""The audio of one stream as its reader sees it: a bounded queue, and frames of the rate the reader wants."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from sipflow.audio.frame import SAMPLE_BYTES, Frame
from sipflow.audio.resample import MAX_RATE_HZ, Resampler
from sipflow.errors import MediaError
from sipflow.media.run_up import run_up


class FrameQueue:
    """Packet times of 16-bit mono samples on their way to a reader: the stream puts, the reader takes.

    Attributes:
        sample_rate_hz: of what is put.
        items: what waits; frames are of before a `switch`.
        lost: packet times dropped, oldest first, because the reader was slow.
        ended: whether no more will come.
        on_lost: told how many were lost since it was last told: at the first one, then when as many again as the queue
            holds have gone, and when the reader reads on.
        hand: called for each packet time that is put, in the place of a reader that waits; None where nobody is.
    """

    __slots__ = (
        "_limit",
        "_lost_told",
        "_tell_at",
        "_waiting",
        "ended",
        "hand",
        "items",
        "lost",
        "on_lost",
        "sample_rate_hz",
    )

    def __init__(self, sample_rate_hz: int, *, limit: int) -> None:
        """Start empty; `sample_rate_hz` is of what will be put, `limit` how many packet times may wait."""
        self.sample_rate_hz = sample_rate_hz
        self._limit = limit
        self.items: deque[bytes | Frame] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self.lost = self._lost_told = 0
        self._tell_at = 1
        self.ended = False
        self.on_lost: Callable[[int], None] | None = None
        self.hand: Callable[[], None] | None = None

    def put(self, pcm: bytes) -> None:
        """Append a packet time, and wake the reader."""
        items = self.items
        if len(items) >= self._limit:
            items.popleft()
            self.lost += 1
            if self.lost >= self._tell_at:
                self.tell_lost(again_after=self._limit)
        items.append(pcm)
        if self.hand is not None:
            self.hand()
            return
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            if not waiting.done():
                waiting.set_result(None)

    def switch(self, sample_rate_hz: int) -> None:
        """Change the rate of what is to come."""
        self.items = deque(self.frame(item) for item in self.items)
        self.sample_rate_hz = sample_rate_hz

    def end(self) -> None:
        """Let the reader have what waits, and then end."""
        self.ended = True
        self.hand = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for the next packet time now."""
        return self.hand is not None or (self._waiting is not None and not self._waiting.done())

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done when there is something to take, or the end has come.

        Raises:
            MediaError: another task waits already.
        """
        waiting = self._waiting
        if self.hand is not None or (waiting is not None and not waiting.done()):
            raise MediaError("two tasks read the same frames: give each its own reader")
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        return waiting

    def frame(self, item: bytes | Frame) -> Frame:
        """Make a frame of one of `items`, unless it is one."""
        if isinstance(item, Frame):
            return item
        return Frame(item, self.sample_rate_hz)

    def tell_lost(self, *, again_after: int) -> None:
        """Tell what was lost since the last time; the next time is after `again_after` more."""
        lost, self._lost_told = self.lost - self._lost_told, self.lost
        self._tell_at = self.lost + again_after
        if lost and self.on_lost is not None:
            self.on_lost(lost)

    def caught_up(self) -> None:
        """Tell of what was lost, for the reader reads on."""
        if self._lost_told != self.lost or self._tell_at != self.lost + 1:
            self.tell_lost(again_after=1)


class FrameReader:
    """Iterates over the frames received from the moment it was made until the session closes.

    It ends early when closed, or when nothing refers to it any more. Cancelling a wait loses no frame.
    """

    __slots__ = ("__weakref__", "_detach", "_queue", "_rate", "_told")

    def __init__(self, queue: FrameQueue, detach: Callable[[FrameQueue], None]) -> None:
        self._queue = queue
        self._detach = detach
        self._rate: _Converter | None = None
        self._told = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """Wait for the next frame.

        Raises:
            StopAsyncIteration: the session, or this reader, is closed and every frame was read.
            MediaError: another task waits on this reader already.
        """
        while (frame := self._next()) is None:
            if self._queue.ended:
                raise StopAsyncIteration
            await self._queue.change()
        return frame

    def _next(self) -> Frame | None:
        """Give the next frame of those that came, None if they are not enough for one."""
        queue, rate = self._queue, self._rate
        while True:
            if rate is not None and rate.ready:
                return rate.take()
            if not queue.items:
                return None
            if queue.lost:
                queue.caught_up()
            frame = queue.frame(queue.items.popleft())
            if rate is None or rate.passes(frame):
                return frame
            rate.put(frame)

    def take(self) -> tuple[bytes, int] | None:
        """Take the samples of the next frame, and their rate in Hz, without waiting; None if nothing is there.

        With `change` it is what iterating does, for less: no object is made for a frame.
        """
        queue = self._queue
        if self._rate is not None or queue.lost or not queue.items:
            frame = self._next()
            return None if frame is None else (frame.pcm, frame.sample_rate_hz)
        item = queue.items.popleft()
        return (item.pcm, item.sample_rate_hz) if isinstance(item, Frame) else (item, queue.sample_rate_hz)

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done when there is something to take, or `ended` has become true.

        Raises:
            MediaError: another task waits on this reader already.
        """
        return self._queue.change()

    @property
    def ended(self) -> bool:
        """Whether no more will come than what waits to be taken."""
        return self._queue.ended

    def at(self, sample_rate_hz: int) -> Self:
        """Give frames of this rate from now on, whatever the stream's is or becomes; resampled as one stream.

        Frames keep the length they have on the wire, 20 ms unless agreed otherwise.

        Raises:
            MediaError: no such rate.
        """
        if not 0 < sample_rate_hz <= MAX_RATE_HZ:
            raise MediaError(f"frames cannot be had at {sample_rate_hz} Hz, only at 1 to {MAX_RATE_HZ}")
        self._rate = _Converter(sample_rate_hz)
        return self

    def hand_to(self, take: Callable[[bytes], None]) -> None:
        """Give `take` the samples of each frame in the tick in which it is played out, in the place of iterating.

        There is no task and no queue between, which halves the cost of a frame; but whatever time `take` needs, every
        call waits for. Frames that wait already come first. It ends with `close`, or the session, which nobody is told.
        """
        queue = self._queue

        def hand() -> None:
            items, rate = queue.items, self._rate
            while items:
                item = items.popleft()
                if rate is None or (type(item) is bytes and rate.passes_at(queue.sample_rate_hz)):
                    take(item if isinstance(item, bytes) else item.pcm)
                    continue
                rate.put(queue.frame(item))
                while rate.ready:
                    take(rate.take().pcm)

        queue.hand = hand
        hand()

    @property
    def on_lost(self) -> Callable[[int], None] | None:
        """Told how many frames were lost: at the first, once a second while it goes on, and when reading goes on."""
        return self._queue.on_lost

    @on_lost.setter
    def on_lost(self, told: Callable[[int], None] | None) -> None:
        self._queue.on_lost = told

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


class _Converter:
    """Frames of any rate in, frames of one rate out, as one stream without a seam.

    Attributes:
        ready: whether a whole frame can be taken.
    """

    __slots__ = ("_from_hz", "_resampler", "_rest", "_size", "_skip", "_to_hz", "ready")

    def __init__(self, to_hz: int) -> None:
        self._to_hz = to_hz
        self._from_hz = 0  # of the last frame
        self._resampler: Resampler | None = None
        self._rest = b""
        self._size = 1  # of a frame that comes out
        self._skip = 0  # of what comes out of the resampler next
        self.ready = False

    def passes(self, frame: Frame) -> bool:
        """Say whether a frame can go as it is."""
        return self.passes_at(frame.sample_rate_hz)

    def passes_at(self, sample_rate_hz: int) -> bool:
        """Say whether a frame of this rate can go as it is."""
        return sample_rate_hz == self._to_hz and self._resampler is None and not self._rest

    def put(self, frame: Frame) -> None:
        """Take a frame in."""
        rate_hz = frame.sample_rate_hz
        self._size = frame.samples * self._to_hz // rate_hz * SAMPLE_BYTES
        begins = not self._from_hz
        if rate_hz != self._from_hz:
            self._tune(frame)
        self._rest += self._resampled(frame.pcm)
        if begins and len(self._rest) < self._size:  # what the resampler holds back is silence at the very beginning,
            self._rest = bytes(self._size - len(self._rest)) + self._rest  # and no frame of it comes later than others
        self.ready = len(self._rest) >= self._size > 0

    def take(self) -> Frame:
        """Give the next frame."""
        pcm, self._rest = self._rest[: self._size], self._rest[self._size :]
        self.ready = len(self._rest) >= self._size
        return Frame(pcm, self._to_hz)

    def _resampled(self, pcm: bytes) -> bytes:
        if self._resampler is None:
            return pcm
        pcm = self._resampler.process(pcm)
        if self._skip:
            skipped = min(self._skip, len(pcm))
            self._skip -= skipped
            pcm = pcm[skipped:]
        return pcm

    def _tune(self, frame: Frame) -> None:
        """Go over to another rate: the old stream to its last sample, the new one as if it had been there."""
        rate_hz = frame.sample_rate_hz
        if self._resampler is not None:
            self._rest += self._resampler.process(b"", last=True)
        self._resampler = Resampler(rate_hz, self._to_hz) if rate_hz != self._to_hz else None
        if self._from_hz and self._resampler is not None:
            edge = run_up(frame.pcm, rate_hz)
            self._skip = len(edge) // SAMPLE_BYTES * self._to_hz // rate_hz * SAMPLE_BYTES
            self._resampled(edge)
        self._from_hz = rate_hz
