"""Changes the sample rate: of a whole piece of sound at soxr's best, of a stream with no more delay than it needs.

soxr's own streams work in blocks. Between 8 and 16 kHz its `LQ` gives nothing for two packets of 20 ms and then 59 ms
at once, its `MQ` keeps up to 115 ms: in a conversation that is heard. So a stream between usual rates takes its filter
from soxr, cut to 20 samples of the lower rate on each side, and applies it by itself: where that is 8 kHz the delay is
2.5 ms, and what passes is flat to 3400 Hz and 60 dB down from 4600 Hz on.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

from sipflow.audio.frame import SAMPLE_BYTES, Frame
from sipflow.audio.tones import to_pcm
from sipflow.errors import MediaError

MAX_RATE_HZ = 384_000  # studio equipment ends here; beyond, a header is wrong

_SIDE = 20  # samples of the lower rate on each side of the filter
_BLOCK = 10  # samples of the lower rate that are made at once, if the ratio of the rates allows so few
_RINGING = 100  # samples of the lower rate in which a click of soxr's dies away
_KAISER_BETA = 5.65  # 60 dB down in the stop band
_PLAIN = 640  # the largest number in a ratio of rates that gets a table: 44.1 kHz to 8 and 16 are 441:80 and 441:160

_I2, _F4 = np.dtype("<i2"), np.dtype(np.float32)
_LOUDEST = (np.array(-32768, _F4), np.array(32767, _F4))  # arrays, because numpy takes its time to make some of numbers

_Floats = npt.NDArray[np.float32]


def to_rate(frame: Frame, sample_rate_hz: int = 8000) -> Frame:
    """Bring a piece of sound to another rate.

    Raises:
        MediaError: a rate is not from 1 to 384000 Hz, or the piece ends in half a sample.
    """
    return Frame(resample(frame.pcm, frame.sample_rate_hz, sample_rate_hz), sample_rate_hz)


def resample(pcm: bytes, from_hz: int, to_hz: int = 8000) -> bytes:
    """Bring 16-bit little-endian mono samples from one rate to another.

    What the lower rate cannot carry is filtered out, 100 dB down. The result has ceil(samples * to / from) samples and
    no delay.

    Raises:
        MediaError: a rate is not from 1 to 384000 Hz, or `pcm` ends in half a sample.
    """
    _check_rates(from_hz, to_hz)
    samples = _samples(pcm)
    if from_hz == to_hz or not pcm:
        return pcm
    after = np.zeros(2 * from_hz // to_hz + 2, np.float32)  # soxr may round the length down
    sound = soxr.resample(np.concatenate((samples, after)), from_hz, to_hz, "HQ")
    return to_pcm(sound[: _length(len(samples), from_hz, to_hz)])


class Resampler:
    """Changes the rate of a stream, piece by piece, as if it were one piece.

    Of the first piece it holds back a little, and from then on a packet time in is a packet time out. Between any two
    of 8, 16, 24 and 48 kHz it holds back 2.5 ms, or less where neither is 8; from 44.1 kHz 10 ms. Between rates without
    a simple ratio it works in soxr's blocks of up to 60 ms.
    """

    __slots__ = ("_from_hz", "_given", "_held", "_stream", "_table", "_taken", "_to_hz")

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Begin a stream.

        Raises:
            MediaError: a rate is not from 1 to 384000 Hz.
        """
        _check_rates(from_hz, to_hz)
        self._from_hz = from_hz
        self._to_hz = to_hz
        common = math.gcd(from_hz, to_hz)
        plain = from_hz != to_hz and max(from_hz, to_hz) // common <= _PLAIN
        self._table = _table(from_hz, to_hz) if plain else None
        self._stream: soxr.ResampleStream | None = None
        self._taken = self._given = 0  # bytes
        self._held = b""
        self._begin()

    def process(self, pcm: bytes, last: bool = False) -> bytes:
        """Give what can be given of the 16-bit little-endian samples so far; all of it with the last.

        Altogether these are ceil(samples * to / from) samples. What comes after the last begins another stream.

        Raises:
            MediaError: `pcm` ends in half a sample.
        """
        if len(pcm) % SAMPLE_BYTES:
            raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples")
        table = self._table
        if table is None:
            return self._streamed(pcm, last)
        if last:
            return self._last(pcm, table)
        self._taken += len(pcm)
        held = self._held + pcm
        blocks = (len(held) // SAMPLE_BYTES - 2 * table.side) // table.block
        if blocks <= 0:
            self._held = held
            return b""
        used = blocks * table.block
        self._held = held[SAMPLE_BYTES * used :]
        result = table.applied(held, blocks)
        self._given += len(result)
        return result

    def _last(self, pcm: bytes, table: "_Table") -> bytes:
        """Give all that is left, as if silence followed."""
        samples = (self._taken + len(pcm)) // SAMPLE_BYTES
        left = SAMPLE_BYTES * _length(samples, self._from_hz, self._to_hz) - self._given
        result = self.process(pcm + bytes(SAMPLE_BYTES * (table.side + table.block)))
        self._begin()
        return result[:left]

    def _streamed(self, pcm: bytes, last: bool) -> bytes:
        """Let soxr do it: between rates without a simple ratio, which no telephone has."""
        if self._stream is None:
            return pcm
        self._taken += len(pcm)
        result = to_pcm(self._stream.resample_chunk(_samples(pcm), last=last))
        if last:
            size = SAMPLE_BYTES * _length(self._taken // SAMPLE_BYTES, self._from_hz, self._to_hz) - self._given
            result = result[:size].ljust(size, b"\0")
            self._begin()
        else:
            self._given += len(result)
        return result

    def _begin(self) -> None:
        self._taken = self._given = 0  # bytes
        self._held = b""
        if self._table is not None:
            self._held = bytes(SAMPLE_BYTES * self._table.side)
        elif self._from_hz != self._to_hz:
            self._stream = soxr.ResampleStream(self._from_hz, self._to_hz, 1, dtype="float32", quality="LQ")


class _Table(NamedTuple):
    """How a block of samples comes from those around it.

    Attributes:
        side: how many samples before and after the block it depends on.
        block: samples of the stream that go in.
        weights: a row for each sample that goes in, with those at the sides; a column for each that comes out.
    """

    side: int
    block: int
    weights: _Floats

    def applied(self, pcm: bytes, blocks: int) -> bytes:
        """Give the blocks that come of 16-bit samples, which have `side` samples more on both ends."""
        weights = self.weights
        samples = np.frombuffer(pcm, _I2).astype(_F4)
        sound = np.ndarray((blocks, len(weights)), _F4, samples, 0, (4 * self.block, 4)).dot(weights)
        np.rint(sound, out=sound)
        np.maximum(sound, _LOUDEST[0], out=sound)
        np.minimum(sound, _LOUDEST[1], out=sound)
        return bytes(sound.astype(_I2).tobytes())


@lru_cache(maxsize=64)  # of 4 kB to 1 MB; eight rates of telephones and studios make 56 pairs
def _table(from_hz: int, to_hz: int) -> _Table:
    """Ask soxr what comes of single samples, and lay that out as a table of weights."""
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    lower_hz = min(from_hz, to_hz)
    times = max(_BLOCK // min(up, down), 1)
    side = -(-_SIDE * from_hz // lower_hz)
    block = times * down
    went = np.arange(-side, block + side)[:, None]
    came = np.arange(times * up)[None, :]
    periods, phase = np.divmod(went, down)
    reach = side // down + times + 1
    weights = _heard(from_hz, to_hz, up, down, reach)[phase, came + up * (reach - periods)]
    apart = (came / to_hz - went / from_hz) * lower_hz / _SIDE  # -1 to 1 within the filter
    weights *= np.i0(_KAISER_BETA * np.sqrt(np.maximum(1 - apart**2, 0))) * (np.abs(apart) <= 1)
    weights /= weights.sum(axis=0)
    return _Table(side, block, weights.astype(np.float32))


def _heard(from_hz: int, to_hz: int, up: int, down: int, reach: int) -> npt.NDArray[np.float64]:
    """Give what soxr makes of a click, for each place of a click in a period of `down` samples.

    Each row has `reach` periods of `up` samples before that of the click, and more after it. All clicks go through in
    one stream, too far apart to be heard in each other.
    """
    ringing = _RINGING * from_hz // min(from_hz, to_hz)
    apart = 2 * reach + ringing // down + 1
    sound = np.zeros((down, apart * down))
    sound[np.arange(down), reach * down + np.arange(down)] = 1.0
    heard = soxr.resample(sound.ravel(), from_hz, to_hz, "HQ")
    return np.resize(heard, (down, apart * up))


def _length(samples: int, from_hz: int, to_hz: int) -> int:
    return -(-samples * to_hz // from_hz)


def _check_rates(*rates_hz: int) -> None:
    for rate in rates_hz:
        if not 0 < rate <= MAX_RATE_HZ:
            raise MediaError(f"a sample rate of {rate} Hz cannot be converted, only 1 to {MAX_RATE_HZ}")


def _samples(pcm: bytes) -> _Floats:
    if len(pcm) % SAMPLE_BYTES:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples")
    return np.frombuffer(pcm, "<i2").astype(np.float32)
