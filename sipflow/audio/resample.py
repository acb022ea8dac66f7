"""Changes the sample rate of a whole piece of sound: a windowed-sinc filter in polyphase form."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sipflow.audio.frame import Frame
from sipflow.audio.tones import to_pcm
from sipflow.errors import MediaError

MAX_RATE_HZ = 384_000  # studio equipment ends here; beyond, a header is wrong

_CROSSINGS = 48  # zero crossings of the sinc on each side: passes 3600 Hz, stops 4000 Hz of a piece that becomes 8 kHz
_KAISER_BETA = 8.0  # 80 dB down in the stop band
_CUTOFF = 0.475  # of the lower rate: the middle of the slope from 0.45 to 0.5
_BLOCK = 1 << 20  # products held at once


def to_rate(frame: Frame, sample_rate_hz: int = 8000) -> Frame:
    """Bring a piece of sound to another rate.

    Raises:
        MediaError: a rate is not from 1 to 384000 Hz, or the piece ends in half a sample.
    """
    return Frame(resample(frame.pcm, frame.sample_rate_hz, sample_rate_hz), sample_rate_hz)


def resample(pcm: bytes, from_hz: int, to_hz: int = 8000) -> bytes:
    """Bring 16-bit little-endian mono samples from one rate to another.

    What the lower rate cannot carry is filtered out, 80 dB down. The result has ceil(samples * to / from) samples and
    no delay.

    Raises:
        MediaError: a rate is not from 1 to 384000 Hz, or `pcm` ends in half a sample.
    """
    for rate in (from_hz, to_hz):
        if not 0 < rate <= MAX_RATE_HZ:
            raise MediaError(f"a sample rate of {rate} Hz cannot be converted, only 1 to {MAX_RATE_HZ}")
    if len(pcm) % 2:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples")
    if from_hz == to_hz or not pcm:
        return pcm
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    half = math.ceil(_CROSSINGS * max(1.0, from_hz / to_hz))  # input samples on each side of an output sample
    padded = np.concatenate([np.zeros(half), samples, np.zeros(half + 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    result = np.empty(-(-len(samples) * up // down))
    for phase in range(min(up, len(result))):  # output samples that lie equally between input samples
        start = phase * down // up
        taps = _taps(half, phase * down % up / up, min(1.0, to_hz / from_hz))
        for first, rows in _blocks(windows[start::down], len(result[phase::up])):
            result[phase + first * up : phase + (first + len(rows)) * up : up] = rows @ taps
    return to_pcm(result)


def _taps(half: int, shift: float, ratio: float) -> npt.NDArray[np.float64]:
    """Give the filter for output samples `shift` (0 to 1) of an input sample after the window's middle."""
    at = np.arange(-half, half + 1) - shift
    inside = np.maximum(1 - (at / (half + 1)) ** 2, 0)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    taps = np.sinc(2 * _CUTOFF * ratio * at) * window
    return np.asarray(taps / taps.sum(), dtype=np.float64)


def _blocks(windows: npt.NDArray[np.float64], count: int) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Cut the first `count` windows into pieces of bounded size."""
    step = max(_BLOCK // windows.shape[1], 1)
    for first in range(0, count, step):
        yield first, windows[first : min(first + step, count)]
