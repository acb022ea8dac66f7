"""Two voices side by side: what was heard and what was said, aligned to the sample. Pure."""

import numpy as np

from sipflow.audio.resample import Resampler

_SAMPLE_BYTES = 2


class Track:
    """One voice at the rate of the file, whatever rate it comes in."""

    __slots__ = ("_from_hz", "_resampler", "_to_hz", "samples")

    def __init__(self, sample_rate_hz: int) -> None:
        """Start empty, at `sample_rate_hz`."""
        self._to_hz = self._from_hz = sample_rate_hz
        self._resampler: Resampler | None = None
        self.samples = bytearray()

    def comes_at(self, sample_rate_hz: int) -> None:
        """Take what comes from here on as samples of another rate."""
        if sample_rate_hz == self._from_hz:
            return
        if self._resampler is not None:
            self.samples += self._resampler.process(b"", last=True)
        self._from_hz = sample_rate_hz
        self._resampler = Resampler(sample_rate_hz, self._to_hz) if sample_rate_hz != self._to_hz else None

    def append(self, pcm: bytes) -> None:
        """Append 16-bit little-endian samples."""
        self.samples += pcm if self._resampler is None else self._resampler.process(pcm)

    def pad(self, size: int) -> None:
        """Append silence until `size` bytes are there."""
        missing = size - len(self.samples)
        if missing > 0:
            self.samples += bytes(missing)


class Tracks:
    """The caller on the left, the agent on the right.

    What is said is the clock: a packet time of it, silence too, comes with every tick, and what is heard comes a few
    milliseconds before it, from the same clock. So what is heard begins where what is said has come to, unless it is
    ahead: then it follows on. Nothing is stretched or cut.

    Attributes:
        sample_rate_hz: of the file.
        taken_frames: how many pairs of samples `take` has given.
    """

    __slots__ = ("left", "right", "sample_rate_hz", "taken_frames")

    def __init__(self, sample_rate_hz: int) -> None:
        """Start empty."""
        self.sample_rate_hz = sample_rate_hz
        self.left = Track(sample_rate_hz)
        self.right = Track(sample_rate_hz)
        self.taken_frames = 0

    @property
    def waiting_ms(self) -> int:
        """How much has come and was not taken."""
        return len(self.right.samples) * 1000 // (_SAMPLE_BYTES * self.sample_rate_hz)

    @property
    def duration_ms(self) -> int:
        """How much has come."""
        return self.taken_frames * 1000 // self.sample_rate_hz + self.waiting_ms

    def heard(self, pcm: bytes) -> None:
        """Append what the caller said."""
        self.left.pad(len(self.right.samples))
        self.left.append(pcm)

    def said(self, pcm: bytes) -> None:
        """Append what was sent to the caller."""
        self.right.append(pcm)

    def take(self) -> bytes:
        """Take everything up to the clock: 16-bit little-endian samples, left and right in turn."""
        size = len(self.right.samples)
        self.left.pad(size)
        stereo = np.empty((size // _SAMPLE_BYTES, 2), "<i2")
        stereo[:, 0] = np.frombuffer(bytes(self.left.samples[:size]), "<i2")
        stereo[:, 1] = np.frombuffer(bytes(self.right.samples), "<i2")
        del self.left.samples[:size]
        self.right.samples.clear()
        self.taken_frames += len(stereo)
        return stereo.tobytes()
