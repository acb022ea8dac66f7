"""A media session without sockets: what is played is kept, what is heard is given to it, time passes by hand."""

import asyncio
from dataclasses import replace

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import LocalProtocolError
from sipflow.media.play_queue import PlayQueue
from sipflow.media.playing import Playing
from sipflow.media.playout import Sink
from sipflow.media.reader import FrameQueue, FrameReader
from sipflow.media.recording import Format, Recording
from sipflow.media.statistics import MediaStatistics

PTIME_MS = 20
_QUEUE_FRAMES = 50  # as every session has
_DIGITS = frozenset("0123456789*#ABCD")


class FakeSession(Playing):
    """Has what calls use of a `MediaSession`, over the real play queue and the real readers.

    Attributes:
        queue, turn, closed: as a `MediaSession` has them.
        held: whether time passes without anything being sent.
        muted: whether what is played is kept from the far end; nothing of it counts as `played`.
        deaf: whether what is heard is silence.
        played: samples sent, without the silence between them.
        digits, digits_ms: DTMF digits sent, and how long they would have taken.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.queue = PlayQueue(sample_rate_hz=sample_rate_hz)
        self.turn = asyncio.Lock()
        self.closed = False
        self.held = self.deaf = self.muted = False
        self.played = bytearray()
        self.digits = ""
        self.digits_ms = 0
        self.frame_bytes = sample_rate_hz * PTIME_MS // 1000 * SAMPLE_BYTES
        self._readers: tuple[FrameQueue, ...] = ()
        self._away = False
        self._recordings: tuple[Recording, ...] = ()
        self._statistics = MediaStatistics(codec="PCMU" if sample_rate_hz == 8000 else "L16")

    def prefer(self, sample_rate_hz: int) -> None:
        """Have no codec to ask for another rate."""

    def frames(self) -> FrameReader:
        """Read what is heard from now on."""
        queue = FrameQueue(self.queue.sample_rate_hz, limit=_QUEUE_FRAMES)
        self._readers = (*self._readers, queue)
        reader = FrameReader(queue, self._detach)
        if self.closed:
            reader.close()
        return reader

    def send_readers_away(self) -> None:
        """Let readers wait and hear nothing."""
        self._away = True

    def let_readers_back(self) -> None:
        """Give the readers what is said from now on."""
        self._away = False

    async def record(self, path: str, *, format: Format = "wav") -> Recording:
        """Record what is heard and said, into a real file."""
        recording = await Recording.open(path, format=format, sample_rate_hz=self.queue.sample_rate_hz)
        recording.when_stopped(lambda: self._forget(recording))
        if self.closed:
            recording.end()
        else:
            self._recordings = (*self._recordings, recording)
        return recording

    def _forget(self, recording: Recording) -> None:
        self._recordings = tuple(other for other in self._recordings if other is not recording)

    def tick(self, heard: bytes) -> None:
        """Let 20 ms pass: `heard` is heard, and what is due is sent."""
        counted = self._statistics
        self._statistics = replace(
            counted, packets_received=counted.packets_received + 1, packets_sent=counted.packets_sent + 1
        )
        listeners: tuple[Sink, ...] = (*(() if self._away else self._readers), *self._recordings)
        for listener in listeners:
            listener.put(bytes(len(heard)) if self.deaf else heard)
        before = self.queue.played_bytes
        pcm = None if self.held else self.queue.take(self.frame_bytes)
        said = bytes(len(pcm)) if pcm is not None and self.muted else pcm
        for recording in self._recordings:
            recording.sent(said or bytes(self.frame_bytes))
        if pcm is not None:
            if not self.muted:
                self.played += pcm[: self.queue.played_bytes - before]
            self.queue.settle()

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for audio to come or to be sent."""
        return bool(self.queue.marks) or any(reader.waited_for for reader in self._readers)

    @property
    def heard_anything(self) -> bool:
        """Whether time has passed in which something could be heard."""
        return self._statistics.packets_received > 0

    def send_digits(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 100) -> asyncio.Future[bool]:
        """Keep the digits, and say at once that they were sent."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        for digit in digits:
            if digit not in _DIGITS:
                raise LocalProtocolError(f"{digit!r} is no DTMF digit")
        self.digits += digits
        self.digits_ms += len(digits) * (duration_ms + gap_ms)
        future.set_result(True)
        return future

    def statistics(self) -> MediaStatistics:
        """Count what passed."""
        return replace(self._statistics, played_ms=self.played_ms)

    def close(self) -> None:
        """End every reader and mark."""
        self.closed = True
        self.queue.clear()
        readers, self._readers = self._readers, ()
        listeners: tuple[Sink, ...] = (*readers, *self._recordings)
        for listener in listeners:
            listener.end()

    def _detach(self, queue: FrameQueue) -> None:
        self._readers = tuple(other for other in self._readers if other is not queue)
