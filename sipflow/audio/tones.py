"""Tones: made without a click from frame to frame, and measured.

Levels are in dBFS, where a sine that just does not clip is 0. Telephone networks' tones lie at about -13 to -20.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError

FLOOR_DBFS = -120.0  # what silence measures: below the last bit of 16
_FULL_SCALE = 32767.0
_LOWEST_HZ = 50.0  # below lie direct current and mains hum

DTMF_ROWS_HZ = (697.0, 770.0, 852.0, 941.0)  # ITU-T Q.23
DTMF_COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
DTMF_KEYS = "123A456B789C*0#D"


@dataclass(frozen=True, slots=True)
class Tone:
    """A sound of one or more sines, steady or in bursts.

    Attributes:
        frequencies_hz: each sine's.
        level_dbfs: each sine's.
        on_ms, off_ms: of one burst and its pause; `off_ms` 0 is a steady tone.
    """

    frequencies_hz: tuple[float, ...]
    level_dbfs: float = -16.0
    on_ms: int = 1000
    off_ms: int = 0


RINGBACK_US = Tone((440.0, 480.0), -19.0, 2000, 4000)
RINGBACK_EU = Tone((425.0,), -13.0, 1000, 4000)
BUSY_EU = Tone((425.0,), -13.0, 500, 500)


class ToneSource:
    """Plays a tone piece by piece; the phase goes on from one piece to the next.

    Attributes:
        position_samples: how much has been played.
    """

    def __init__(self, tone: Tone, sample_rate_hz: int = 8000) -> None:
        self._tone = tone
        self._rate = sample_rate_hz
        self._amplitude = _FULL_SCALE * 10 ** (tone.level_dbfs / 20)
        self.position_samples = 0

    def read(self, samples: int) -> bytes:
        """Give the next samples, 16 bit little endian; sines that add up beyond full scale clip."""
        at = np.arange(self.position_samples, self.position_samples + samples, dtype=np.float64)
        self.position_samples += samples
        angle = at * (2 * math.pi / self._rate)
        sound = np.zeros(samples)
        for hz in self._tone.frequencies_hz:
            sound += np.sin(angle * hz)
        sound *= self._amplitude
        if self._tone.off_ms > 0:
            period = (self._tone.on_ms + self._tone.off_ms) * self._rate / 1000
            sound[at % period >= self._tone.on_ms * self._rate / 1000] = 0.0
        return to_pcm(sound)


def sine(hz: float, duration_ms: int, *, level_dbfs: float = -16.0, sample_rate_hz: int = 8000) -> bytes:
    """Give a sine that begins at zero."""
    return ToneSource(Tone((hz,), level_dbfs), sample_rate_hz).read(duration_ms * sample_rate_hz // 1000)


def dtmf_tone(digit: str, *, level_dbfs: float = -13.0) -> Tone:
    """Give the pair of sines of a key (ITU-T Q.23).

    Raises:
        MediaError: `digit` is none of `0-9 * # A-D`.
    """
    key = DTMF_KEYS.find(digit.upper()) if len(digit) == 1 else -1
    if key < 0:
        raise MediaError(f"{digit!r} is not a key: 0-9, *, # and A-D have tones")
    return Tone((DTMF_ROWS_HZ[key // 4], DTMF_COLUMNS_HZ[key % 4]), level_dbfs)


def dtmf_pcm(digits: str, *, on_ms: int = 100, off_ms: int = 100, sample_rate_hz: int = 8000) -> bytes:
    """Give the tones of several keys, each followed by a pause, as 16-bit little-endian samples.

    Each sine has -13 dBFS, which is -9.8 dBm0 (full scale is +3.17 dBm0, ITU-T G.711 table 5); both together -6.8.

    Raises:
        MediaError: a digit is none of `0-9 * # A-D`.
    """
    pause = bytes(off_ms * sample_rate_hz // 1000 * SAMPLE_BYTES)
    return b"".join(
        ToneSource(dtmf_tone(digit), sample_rate_hz).read(on_ms * sample_rate_hz // 1000) + pause for digit in digits
    )


def measure_tone(pcm: bytes, hz: float, sample_rate_hz: int = 8000) -> float:
    """Measure how loud one frequency is, in dBFS; -120 for none of it.

    Goertzel's sum at exactly `hz`, under a Hann window, so that neighbours more than two cycles per piece away do not
    count: 20 Hz apart take 100 ms.
    """
    samples = _windowed(pcm)
    turn = np.exp(np.arange(len(samples)) * (-2j * math.pi * hz / sample_rate_hz))
    return _dbfs(2 * abs(complex(np.dot(samples, turn))))


class Measured(NamedTuple):
    """The loudest tone of a piece of sound: its frequency (0 in silence) and level."""

    hz: float
    level_dbfs: float


def dominant_tone(pcm: bytes, sample_rate_hz: int = 8000) -> Measured:
    """Find the loudest frequency above 50 Hz, to a fraction of a hertz in 100 ms of a clear tone."""
    samples = _windowed(pcm)
    bins = 1 << max(len(samples) * 4 - 1, 1).bit_length()  # four times finer than the piece resolves
    spectrum = np.abs(np.fft.rfft(samples, bins))
    spectrum[: math.ceil(_LOWEST_HZ * bins / sample_rate_hz)] = 0.0
    peak = int(np.argmax(spectrum))
    if spectrum[peak] * 2 < 1.0:
        return Measured(0.0, FLOOR_DBFS)
    hz = (peak + _summit(spectrum, peak)) * sample_rate_hz / bins
    return Measured(hz, measure_tone(pcm, hz, sample_rate_hz))


def level_dbfs(pcm: bytes) -> float:
    """Measure how loud a piece is over all frequencies, in dBFS; -120 in silence."""
    samples = _samples(pcm)
    if not len(samples):
        return FLOOR_DBFS
    return _dbfs(math.sqrt(2 * float(np.mean(samples * samples))))


def to_pcm(sound: npt.NDArray[np.float64]) -> bytes:
    """Turn samples of any size into 16-bit little-endian ones: rounded, and clipped where they are too large."""
    return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()


def _samples(pcm: bytes) -> npt.NDArray[np.float64]:
    if len(pcm) % SAMPLE_BYTES:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples")
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def _windowed(pcm: bytes) -> npt.NDArray[np.float64]:
    """Give the samples under a Hann window whose sum is 1."""
    samples = _samples(pcm)
    window = np.hanning(len(samples) + 2)[1:-1]
    return np.asarray(samples * window / max(float(window.sum()), 1.0), dtype=np.float64)


def _dbfs(amplitude: float) -> float:
    return max(20 * math.log10(amplitude / _FULL_SCALE), FLOOR_DBFS) if amplitude > 0 else FLOOR_DBFS


def _summit(spectrum: npt.NDArray[np.float64], peak: int) -> float:
    """Say how far beside its highest bin a parabola through three bins peaks: -0.5 to 0.5 bins."""
    if not 0 < peak < len(spectrum) - 1:
        return 0.0
    left, middle, right = (math.log(max(float(value), 1e-12)) for value in spectrum[peak - 1 : peak + 2])
    bend = left - 2 * middle + right
    return max(-0.5, min(0.5 * (left - right) / bend, 0.5)) if bend < 0 else 0.0
