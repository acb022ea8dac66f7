"""Tones of one frequency, such as the beep of a voicemail box: found in 20 ms pieces, and told from voices."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
WINDOW_MS = 20
WINDOW_SAMPLES = RATE_HZ * WINDOW_MS // 1000

_LOWEST_HZ, _HIGHEST_HZ, _STEP_HZ = 300, 2300, 10  # up to the 2100 Hz of a fax
_SAME_HZ = 35.0  # by how much a tone may seem to move
_PURITY = 0.7  # of the energy stands in the one frequency
_NARROW = 0.6  # what looks less like one sine than this is not measured
_MISSES = 2  # windows inside a tone that may fail: a packet that was concealed, a phase that was turned, noise
_STEADY_DB = 4.0  # between the loudest and the quietest window of a tone: voices swell and fade

Samples = npt.NDArray[np.float32]


class ToneRun(NamedTuple):
    """A stretch of one frequency.

    Attributes:
        hz: which, to about 10 Hz; below 420 to about 20.
        from_ms, until_ms: where it stands in the audio.
        steady: whether it was as loud at its end as at its beginning; its first and last window do not count.
    """

    hz: float
    from_ms: int
    until_ms: int
    steady: bool

    @property
    def duration_ms(self) -> int:
        """How long it was, to 40 ms."""
        return self.until_ms - self.from_ms

    def near(self, hz: float, within_hz: float) -> bool:
        """Say whether it is this frequency."""
        return abs(self.hz - hz) <= within_hz


class ToneTracker:
    """Follows tones of one frequency through windows of 20 ms."""

    __slots__ = ("_hz", "_inner", "_misses", "_windows", "from_ms", "until_ms")

    def __init__(self) -> None:
        self._hz = 0.0
        self._windows = 0
        self._misses = 0
        self._inner: list[float] = []
        self.from_ms = self.until_ms = 0

    @property
    def running_ms(self) -> int:
        """How long the tone that is heard now has been, 0 for none."""
        return self.until_ms - self.from_ms if self._windows else 0

    @property
    def run(self) -> ToneRun:
        """The tone that is heard now, or was heard last."""
        inner = self._inner[1:-1] or [0.0]
        return ToneRun(self._hz, self.from_ms, self.until_ms, max(inner) - min(inner) <= _STEADY_DB)

    def judge(self, hz: float, level_db: float, at_ms: int) -> ToneRun | None:
        """Take what one window has, 0 Hz for no tone; give the tone that was over before it, if one was.

        Args:
            hz: see `tone_of`.
            level_db: how loud the window is.
            at_ms: where it begins.
        """
        if hz and self._windows and abs(hz - self._hz) <= _SAME_HZ:
            self._hz += (hz - self._hz) / (self._windows + 1)
            self._windows += 1
            self._misses = 0
            self.until_ms = at_ms + WINDOW_MS
            self._inner.append(level_db)
            return None
        if self._windows and not hz and self._misses < _MISSES:
            self._misses += 1
            return None
        over = self.run if self._windows else None
        self._windows = self._misses = 0
        if hz:
            self._hz, self._windows = hz, 1
            self._inner = [level_db]
            self.from_ms, self.until_ms = at_ms, at_ms + WINDOW_MS
        return over


def tone_of(samples: Samples, energy: float) -> float:
    """Give the frequency of the one sine that a window of 160 samples is, 300 to 2300 Hz; 0 if it is anything else.

    Where it may lie follows from the likeness of the sound to itself one and two samples later (Pisarenko); whether it
    does is measured there by Goertzel's sum, under a Hann window.

    Args:
        samples: 20 ms of them.
        energy: sum of their squares, more than 0.
    """
    one, two = float(samples[1:].dot(samples[:-1])), float(samples[2:].dot(samples[:-2]))
    if not one:
        return 0.0
    ratio = two / one
    cosine = (ratio + math.copysign(math.sqrt(ratio * ratio + 8.0), one)) / 4
    if not -1.0 < cosine < 1.0 or one / cosine < _NARROW * energy:
        return 0.0
    hz = math.acos(cosine) * (RATE_HZ / (2 * math.pi))
    if not _LOWEST_HZ <= hz <= _HIGHEST_HZ:
        return 0.0
    real, imaginary = _goertzel()[round((hz - _LOWEST_HZ) / _STEP_HZ)].dot(samples).tolist()
    return hz if real * real + imaginary * imaginary >= _PURITY * energy else 0.0


@lru_cache(maxsize=1)
def _goertzel() -> Samples:
    """Give cosine and sine of each frequency in steps of 10 Hz: of a window full of one, their squares add up to it."""
    at = np.arange(WINDOW_SAMPLES)
    shape = np.hanning(WINDOW_SAMPLES + 2)[1:-1]
    shape *= math.sqrt(2 * WINDOW_SAMPLES) / shape.sum()
    hz = np.arange(_LOWEST_HZ, _HIGHEST_HZ + _STEP_HZ, _STEP_HZ)[:, None]
    angle = hz * at * (2 * math.pi / RATE_HZ)
    table = np.ascontiguousarray(np.stack([np.cos(angle) * shape, np.sin(angle) * shape], axis=1), dtype=np.float32)
    table.setflags(write=False)  # all share it
    return table
