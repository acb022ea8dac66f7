"""A call on disk, written while it runs, so that a process that is killed leaves a file that plays."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from sipflow.audio.wav import WavWriter
from sipflow.errors import MediaError
from sipflow.media.tracks import Tracks

Format = Literal["wav", "ogg"]

_CHANNELS = 2
_CHUNK_MS = 500
_MOST_WAITING = 40  # chunks, 20 s: a disk that is slower loses sound, and no call waits for it
_OPUS_RATE_HZ = 48000
_OPUS_BIT_RATE = 32_000
_PAGE_US = "200000"  # an Ogg page at least so often; one or two more wait in FFmpeg


class Writer(Protocol):
    """A file that grows. Its methods may block: they run in a thread."""

    def write(self, pcm: bytes) -> None:
        """Append stereo samples."""

    def close(self) -> None:
        """Finish the file."""


class WavFile:
    """A WAV file that plays at any moment: its header is brought up to date with every chunk."""

    def __init__(self, path: Path, sample_rate_hz: int) -> None:
        """Create the file, or empty it; OSError if that cannot be."""
        self._file = path.open("wb")
        try:
            self._writer = WavWriter(self._file, sample_rate_hz, _CHANNELS)
            self._file.flush()
        except OSError:  # a full disk: each call would leave an empty file
            path.unlink(missing_ok=True)
            with suppress(OSError):
                self._file.close()
            raise

    def write(self, pcm: bytes) -> None:
        self._writer.write(pcm)
        self._writer.finish()

    def close(self) -> None:
        self._writer.finish()
        self._file.close()


class OggFile:
    """An Ogg file of Opus (RFC 7845), which plays as far as its last page."""

    def __init__(self, path: Path, sample_rate_hz: int) -> None:
        """Create the file, or empty it; OSError if that cannot be."""
        import av

        self._rate = sample_rate_hz
        path.open("wb").close()  # says clearer than FFmpeg why a file cannot be made
        self._container = av.open(
            str(path), "w", format="ogg", options={"page_duration": _PAGE_US, "flush_packets": "1"}
        )
        self._stream = self._container.add_stream("libopus", rate=_OPUS_RATE_HZ, layout="stereo")
        self._stream.bit_rate = _OPUS_BIT_RATE
        self._resampler = av.AudioResampler(format="s16", layout="stereo", rate=_OPUS_RATE_HZ)
        self._frame = av.AudioFrame

    def write(self, pcm: bytes) -> None:
        import numpy as np

        frame = self._frame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = self._rate
        for resampled in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(resampled))

    def close(self) -> None:
        for resampled in self._resampler.resample(None):
            self._container.mux(self._stream.encode(resampled))
        self._container.mux(self._stream.encode(None))
        self._container.close()


_WRITERS: dict[str, Callable[[Path, int], Writer]] = {"wav": WavFile, "ogg": OggFile}


class Recording:
    """One call being recorded: the caller left, the agent right, from now until `stop` or the end of the call.

    Attributes:
        path: of the file.
        paused: whether nothing is recorded for now.
        lost_ms: sound that was dropped because the disk was slower than speech.
        error: why writing stopped, "" while it goes on.
    """

    def __init__(self, path: Path, writer: Writer, tracks: Tracks, threads: Executor | None) -> None:
        self.path = path
        self.paused = False
        self.lost_ms = 0
        self.error = ""
        self._writer = writer
        self._tracks = tracks
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # of the three below, which the loop and the writing thread share
        self._waiting: deque[bytes] = deque()
        self._busy = False  # a thread is writing, or has closed the file
        self._ending = False
        self._stopped: asyncio.Future[None] | None = None
        self._on_stop: list[Callable[[], None]] = []

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        format: str,
        sample_rate_hz: int,
        threads: Executor | None = None,
    ) -> "Recording":
        """Create the file.

        Raises:
            MediaError: no such format, or the file cannot be made.
        """
        maker = _WRITERS.get(format)
        if maker is None:
            raise MediaError(f"a recording cannot be {format!r}: there are {', '.join(_WRITERS)}")
        path = Path(path)
        making = asyncio.get_running_loop().run_in_executor(threads, maker, path, sample_rate_hz)
        try:
            writer = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_abandon)
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name, or FFmpeg's refusal
            raise MediaError(f"{path} cannot be recorded to: {error}") from None
        return cls(path, writer, Tracks(sample_rate_hz), threads)

    @property
    def duration_ms(self) -> int:
        """How much sound was recorded, pauses not counted."""
        return self._tracks.duration_ms

    @property
    def stopped(self) -> bool:
        """Whether nothing more is recorded."""
        return self._stopped is not None

    def pause(self) -> None:
        """Record nothing until `resume`; the file goes on without a gap, both voices still aligned."""
        if not self.paused:
            self.paused = True
            self._flush(last=True)

    def resume(self) -> None:
        """Record again."""
        self.paused = False

    def when_stopped(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when it stops."""
        self._on_stop.append(callback)

    async def stop(self) -> None:
        """Record nothing more, and wait until the file is finished. Twice is once.

        Raises:
            MediaError: not everything could be written.

        Cancelling leaves the file being finished.
        """
        self.end()
        assert self._stopped is not None
        await asyncio.shield(self._stopped)
        if self.error:
            raise MediaError(f"the recording {self.path} is not whole: {self.error}")

    # What the stream gives it: it listens (`Sink`) and taps (`Tap`)

    def put(self, pcm: bytes) -> None:
        """Take what the caller said."""
        if not self.paused:
            self._tracks.heard(pcm)

    def switch(self, sample_rate_hz: int) -> None:
        """Learn the rate of what the caller says from here on."""
        self._tracks.left.comes_at(sample_rate_hz)

    def sent(self, pcm: bytes) -> None:
        """Take what was said to the caller."""
        if not self.paused:
            self._tracks.said(pcm)
            if self._tracks.waiting_ms >= _CHUNK_MS:
                self._flush()

    def sends_at(self, sample_rate_hz: int) -> None:
        """Learn the rate of what is said from here on."""
        self._tracks.right.comes_at(sample_rate_hz)

    def end(self) -> None:
        """Stop; the file is finished in the background."""
        if self._stopped is not None:
            return
        self._stopped = self._loop.create_future()
        for callback in self._on_stop:
            callback()
        self._flush(last=True)
        with self._lock:
            self._ending = True
            idle, self._busy = not self._busy, True
        if idle:
            self._loop.run_in_executor(self._threads, self._work, b"")

    # Writing: one thread at a time, in order. It needs no loop to go on, so what waits is written when that has ended.

    def _flush(self, *, last: bool = False) -> None:
        """Hand over what has come; `last` before a pause or the end, when nothing follows on it."""
        pcm = self._tracks.take(last=last)
        if not pcm or self.error:
            return
        with self._lock:
            idle = not self._busy
            kept = idle or len(self._waiting) < _MOST_WAITING
            self._busy = True
            if kept and not idle:
                self._waiting.append(pcm)
        if idle:
            self._loop.run_in_executor(self._threads, self._work, pcm)
        elif not kept:
            self.lost_ms += len(pcm) * 1000 // (2 * _CHANNELS * self._tracks.sample_rate_hz)

    def _work(self, pcm: bytes) -> None:
        """Write all that waits, in a thread; after the last, close the file."""
        while True:
            if pcm and not self.error:  # a full disk does not get emptier by trying
                self._attempt(partial(self._writer.write, pcm))
            with self._lock:
                pcm = self._waiting.popleft() if self._waiting else b""
                if not pcm and not self._ending:
                    self._busy = False
                    return
            if not pcm:
                break
        self._attempt(self._writer.close)
        if not self.error and not self.path.exists():  # what was written to it since is lost, or somewhere else
            self.error = "the file was deleted or moved while it was being written"
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(self._finished)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  (FFmpeg has errors of its own; whatever it is, the call goes on)
            self.error = self.error or f"{type(error).__name__}: {error}"

    def _finished(self) -> None:
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)


def _abandon(making: "asyncio.Future[Writer]") -> None:
    """Close a file that nobody waits for any more."""
    if not making.cancelled() and making.exception() is None:
        making.result().close()
