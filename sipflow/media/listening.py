"""A live call in somebody's ear: both voices as they pass, for whoever can keep up."""

import asyncio
from collections import deque

import numpy as np

from sipflow.media.tracks import Tracks

_PART_MS = 100
_LONGEST_MS = 3000  # what waits for a listener; then the oldest goes, and no call waits


class Listening:
    """One listener of one call, from now until `end`: the far end left, what it is told right.

    Attributes:
        sample_rate_hz: of what it gives, however the rates of the call change.
        lost_ms: what was dropped because the listener was slow.
        ended: whether no more will come.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.lost_ms = 0
        self.ended = False
        self._tracks = Tracks(sample_rate_hz)
        self._waiting: deque[bytes] = deque()
        self._change: asyncio.Future[None] | None = None

    async def more(self, timeout_s: float) -> bytes:
        """Wait for the next part: 16-bit little-endian samples, left and right in turn.

        Returns b"" when nothing came in time, or when it has ended; only one may wait at a time.
        """
        if not self._waiting and not self.ended:
            self._change = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._change], timeout=timeout_s)
            self._change = None
        return self._waiting.popleft() if self._waiting else b""

    # What the stream gives it: it listens (`Sink`) and taps (`Tap`)

    def put(self, pcm: bytes) -> None:
        """Take what the far end says."""
        self._tracks.heard(pcm)

    def switch(self, sample_rate_hz: int) -> None:
        """Learn the rate of what the far end says from here on."""
        self._tracks.left.comes_at(sample_rate_hz)

    def sent(self, pcm: bytes) -> None:
        """Take what the far end is told."""
        self._tracks.said(pcm)
        if self._tracks.waiting_ms >= _PART_MS:
            self._offer(self._tracks.take())

    def sends_at(self, sample_rate_hz: int) -> None:
        """Learn the rate of what is told from here on."""
        self._tracks.right.comes_at(sample_rate_hz)

    def end(self) -> None:
        """Let the listener have what waits, and then end."""
        if not self.ended:
            self._offer(self._tracks.take(last=True))
        self.ended = True
        self._wake()

    def _offer(self, pcm: bytes) -> None:
        if len(self._waiting) >= _LONGEST_MS // _PART_MS:
            self.lost_ms += len(self._waiting.popleft()) * 1000 // (4 * self.sample_rate_hz)
        if pcm:
            self._waiting.append(pcm)
            self._wake()

    def _wake(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)


def mixed(stereo: bytes) -> bytes:
    """Put both voices into one; what is too loud for that is clipped."""
    both = np.frombuffer(stereo, "<i2").reshape(-1, 2).astype(np.int32).sum(axis=1)
    return bytes(np.clip(both, -32768, 32767).astype("<i2"))
