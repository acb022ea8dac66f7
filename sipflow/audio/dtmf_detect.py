"""Digits that are heard as tones: pairs of sines found in the audio, and told from speech (ITU-T Q.23, Q.24)."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.audio.tones import DTMF_COLUMNS_HZ, DTMF_KEYS, DTMF_ROWS_HZ
from sipflow.errors import MediaError

_WINDOW_MS, _HOP_MS = 20, 10  # a tone of 40 ms fills at least two windows whole, and two more to three quarters
_WINDOWS = 2  # looked at together: numpy's price is by the call
_HITS = 3  # windows in a row that make a digit
_MISSES = 3  # windows in a row that end it: a pause of 40 ms has at least as many, a gap of 10 ms has not
_QUIETEST_DBFS = -32.0  # of each sine: -28.8 dBm0
_TWIST_DB = 5.0  # by how much the column may be louder (Q.24: 4)
_REVERSE_TWIST_DB = 9.0  # by how much the row may be (Q.24: 8)
_ABOVE_OTHERS = 6.0  # power of a sine over every other of its group
_PURITY = 0.75  # of the energy is in the two sines; a window filled to three quarters with a clean tone has 0.75
_HARMONIC = 0.1  # of a sine's power may lie at twice its frequency: voices have overtones, keys have none
_NEAR_HZ = 120  # twice a row may lie beside the column, whose own power is seen there then


class DtmfDetector:
    """Hears digits in one stream of samples; each once, when it has lasted about 40 ms.

    Every 10 ms, 20 ms of sound are compared with the eight frequencies and twice each. A digit is there when one
    frequency of each group stands out, both are about as loud, together they make up most of the sound, and neither
    has an overtone; three times in a row. It is over when that has failed three times in a row.
    """

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        """Listen at this rate.

        Raises:
            MediaError: it is below 8000 Hz, or its milliseconds are no whole samples.
        """
        if sample_rate_hz < 8000 or sample_rate_hz % 1000:
            raise MediaError(f"digits cannot be heard at {sample_rate_hz} Hz: it takes a multiple of 1000 from 8000 on")
        window, hop = sample_rate_hz // 1000 * _WINDOW_MS, sample_rate_hz // 1000 * _HOP_MS
        self._step_bytes = _WINDOWS * hop * SAMPLE_BYTES
        self._kept = window - hop
        self._pending = b""
        self._sound = np.zeros(self._kept + _WINDOWS * hop, dtype=np.float32)
        stride = self._sound.strides[0]
        self._views = np.lib.stride_tricks.as_strided(self._sound, (_WINDOWS, window), (hop * stride, stride))
        self._bank = _filters(window, sample_rate_hz)
        # Of a full-scale sine, `_bank` gives power 1; of a window full of it, the sum of squares is this.
        self._energy_scale = 2.0 / (window * 32768.0**2)
        self._last = ""  # what the last window had
        self._hits = 0
        self._misses = 0
        self._pressed = ""  # the digit that was reported and is not over

    def feed(self, pcm: bytes) -> list[str]:
        """Hear some samples, 16-bit little-endian mono, any number; give the digits that were recognised in them."""
        found: list[str] = []
        if self._pending:
            pcm = self._pending + pcm
        at, step = 0, self._step_bytes
        while len(pcm) - at >= step:
            self._look(np.frombuffer(pcm, np.int16, step // SAMPLE_BYTES, at), found)
            at += step
        self._pending = pcm[at:]
        return found

    def _look(self, samples: npt.NDArray[np.int16], found: list[str]) -> None:
        """Judge the next windows."""
        sound = self._sound
        sound[: self._kept] = sound[-self._kept :]
        sound[self._kept :] = samples
        energies = np.einsum("ij,ij->i", self._views, self._views).tolist()
        if max(energies) * self._energy_scale < _FAINTEST:
            for _ in energies:
                self._judge("", found)
            return
        parts = self._views @ self._bank
        powers = (parts * parts).tolist()
        for row, energy in zip(powers, energies, strict=True):
            self._judge(_key_of(row, energy * self._energy_scale), found)

    def _judge(self, key: str, found: list[str]) -> None:
        """Count what the windows had, one after the other."""
        if key and key == self._last:
            self._hits += 1
        else:
            self._hits = 1 if key else 0
        self._last = key
        self._misses = 0 if key and key == self._pressed else self._misses + 1
        if self._pressed and self._misses >= _MISSES:
            self._pressed = ""
        if self._hits >= _HITS and key != self._pressed:
            self._pressed = key
            self._misses = 0
            found.append(key)


_FAINTEST = 2 * 10 ** (_QUIETEST_DBFS / 10)  # power of two such sines, where a full-scale sine has 1
_QUIETEST = 10 ** (_QUIETEST_DBFS / 10)
_TWIST = 10 ** (_TWIST_DB / 10)
_REVERSE_TWIST = 10 ** (_REVERSE_TWIST_DB / 10)
_BESIDE = [[abs(2 * row - column) < _NEAR_HZ for column in DTMF_COLUMNS_HZ] for row in DTMF_ROWS_HZ]
_TONES_HZ = (*DTMF_ROWS_HZ, *DTMF_COLUMNS_HZ)


@lru_cache(maxsize=8)  # one per rate: making it costs as much as all else of setting a call up
def _filters(window: int, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Give cosine and sine of every frequency and of twice it, as columns: Goertzel's sums are a product with it."""
    at = np.arange(window)
    hz = np.array([*_TONES_HZ, *(2 * each for each in _TONES_HZ)])
    angle = np.outer(at, hz) * (2 * math.pi / sample_rate_hz)
    shape = np.hamming(window)[:, None]  # keeps neighbours apart, and takes a key that is 1.5 % off
    bank = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * shape * (2.0 / (shape.sum() * 32768.0))
    bank = np.ascontiguousarray(bank, dtype=np.float32)
    bank.setflags(write=False)  # all detectors share it
    return bank


def _key_of(squares: list[float], energy: float) -> str:
    """Name the key of one window, "" for none."""
    powers = [squares[number] + squares[number + 16] for number in range(8)]
    rows, columns = powers[:4], powers[4:]
    low, high = max(rows), max(columns)
    if low < _QUIETEST or high < _QUIETEST or low + high < _PURITY * energy:
        return ""
    if high > low * _TWIST or low > high * _REVERSE_TWIST:
        return ""
    row, column = rows.index(low), columns.index(high)
    if sum(_ABOVE_OTHERS * each > low for each in rows) > 1 or sum(_ABOVE_OTHERS * each > high for each in columns) > 1:
        return ""
    if not _BESIDE[row][column] and squares[8 + row] + squares[24 + row] > _HARMONIC * low:
        return ""
    if squares[12 + column] + squares[28 + column] > _HARMONIC * high:
        return ""
    return DTMF_KEYS[4 * row + column]
