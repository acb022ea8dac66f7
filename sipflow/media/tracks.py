"""Two voices side by side: what was heard and what was said, aligned to the sample. Pure."""

import numpy as np

from sipflow.audio.resample import Resampler

_SAMPLE_BYTES = 2
_CHANNELS = 2


class Track:
    """One voice at the rate of the file, whatever rate it comes in.

    A resampler holds its last milliseconds back until it has seen what follows. They count as being there, so that
    nothing is put in before them and nothing moves.

    Attributes:
        samples: what is there, in bytes at the rate of the file.
    """

    __slots__ = ("_came", "_from_hz", "_given", "_resampler", "_to_hz", "samples")

    def __init__(self, sample_rate_hz: int) -> None:
        """Start empty, at `sample_rate_hz`."""
        self._to_hz = self._from_hz = sample_rate_hz
        self._resampler: Resampler | None = None
        self._came = self._given = 0  # bytes into the resampler, and out of it
        self.samples = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are to come out of the resampler."""
        if self._resampler is None:
            return 0
        samples = self._came // _SAMPLE_BYTES
        return -(-samples * self._to_hz // self._from_hz) * _SAMPLE_BYTES - self._given

    def comes_at(self, sample_rate_hz: int) -> None:
        """Take what comes from here on as samples of another rate."""
        if sample_rate_hz == self._from_hz:
            return
        self.settle()
        self._from_hz = sample_rate_hz
        self._resampler = Resampler(sample_rate_hz, self._to_hz) if sample_rate_hz != self._to_hz else None

    def append(self, pcm: bytes) -> None:
        """Append 16-bit little-endian samples."""
        if self._resampler is None:
            self.samples += pcm
            return
        self._came += len(pcm)
        resampled = self._resampler.process(pcm)
        self._given += len(resampled)
        self.samples += resampled

    def pad(self, size: int) -> None:
        """Append silence until `size` bytes are there, what is held back counted."""
        missing = size - len(self.samples) - self.held
        if missing > 0:
            self.append(bytes(missing * self._from_hz // (self._to_hz * _SAMPLE_BYTES) * _SAMPLE_BYTES))

    def settle(self) -> None:
        """Have nothing held back: what comes next does not follow on it."""
        if self._resampler is not None:
            self.samples += self._resampler.process(b"", last=True)
            self._came = self._given = 0


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
        return self._said * 1000 // (_SAMPLE_BYTES * self.sample_rate_hz)

    @property
    def _said(self) -> int:
        return len(self.right.samples) + self.right.held

    @property
    def duration_ms(self) -> int:
        """How much has come."""
        return self.taken_frames * 1000 // self.sample_rate_hz + self.waiting_ms

    def heard(self, pcm: bytes) -> None:
        """Append what the caller said."""
        self.left.pad(self._said)
        self.left.append(pcm)

    def said(self, pcm: bytes) -> None:
        """Append what was sent to the caller."""
        self.right.append(pcm)

    def take(self, *, last: bool = False) -> bytes:
        """Take everything up to the clock: 16-bit little-endian samples, left and right in turn.

        Args:
            last: nothing follows on it, for a pause or the end begins. Otherwise what a resampler holds back of either
                voice comes with the next.
        """
        left, right = self.left, self.right
        left.pad(self._said)
        if last:
            left.settle()
            right.settle()
        size = len(right.samples) if last else min(len(left.samples), len(right.samples))
        left.samples += bytes(max(size - len(left.samples), 0))
        stereo = np.empty((size // _SAMPLE_BYTES, _CHANNELS), "<i2")
        stereo[:, 0] = np.frombuffer(bytes(left.samples[:size]), "<i2")
        stereo[:, 1] = np.frombuffer(bytes(right.samples[:size]), "<i2")
        del left.samples[: len(left.samples) if last else size]
        del right.samples[:size]
        self.taken_frames += len(stereo)
        return stereo.tobytes()
