"""Comfort noise: what the far end's room sounds like while nobody speaks there (RFC 3389)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sipflow.errors import RemoteProtocolError

_QUIETEST_DBOV = -127  # RFC 3389 §3.1: 7 bits
_STEP = 258 / 32768  # RFC 3389 §3.2: of a reflection coefficient, from -127 to 127 steps
_HIGHEST_INDEX = 254
_MOST_COEFFICIENTS = 16  # RFC 3389 §3: a receiver may leave out the higher ones
_FULL_SCALE = 32768.0
_LOOP_S = 1.0  # of noise that is made at once and repeated; a whole number of its waves fits, so it has no seam
_LEAST_DAMPING = 1e-9  # of a wave: a model on the edge of stability has waves that nothing damps
_FADE_MS = 10  # from one noise to the next


@dataclass(frozen=True, slots=True)
class Noise:
    """How loud a noise is, and what it is coloured like.

    Attributes:
        level_dbov: 0 to -127, relative to a square wave of full scale.
        reflections: coefficients of an all-pole model, each between -1 and 1; none for white noise.
    """

    level_dbov: int
    reflections: tuple[float, ...] = ()


def read_noise(payload: bytes) -> Noise:
    """Read a comfort noise payload (RFC 3389 §3); coefficients after the sixteenth are left out.

    Raises:
        RemoteProtocolError: it is empty.
    """
    if not payload:
        raise RemoteProtocolError("an empty payload describes no comfort noise (RFC 3389 §3)")
    coefficients = payload[1 : 1 + _MOST_COEFFICIENTS]
    reflections = tuple(_STEP * (min(index, _HIGHEST_INDEX) - 127) for index in coefficients)
    return Noise(-(payload[0] & 0x7F), reflections)


class ComfortNoise:
    """Makes noise as described, 16-bit little-endian mono samples. Silent before the first description."""

    __slots__ = ("_at", "_before", "_loop", "_made", "_random", "_rate", "_wanted")

    def __init__(self, sample_rate_hz: int, random: np.random.Generator) -> None:
        """Begin in silence.

        Args:
            sample_rate_hz: of the samples; coefficients are understood to be for it.
            random: where the noise comes from; one will do for all calls.
        """
        self._rate = sample_rate_hz
        self._random = random
        self._wanted: Noise | None = None
        self._made: Noise | None = None
        self._loop = b""
        self._before = b""  # how the noise before this one would go on, while that is faded out
        self._at = 0  # bytes into the loop

    def describe(self, noise: Noise) -> None:
        """Sound like this from here on, beginning softly; the same description again changes nothing.

        The work is left to the next `read`, so that many descriptions cost no more than one.
        """
        self._wanted = noise

    def read(self, samples: int) -> bytes:
        """Give the next samples."""
        if self._wanted != self._made:
            self._change()
        if not self._loop:
            return bytes(2 * samples)
        pcm = self._cut(2 * samples)
        return self._fade(pcm) if self._before else pcm

    def _change(self) -> None:
        """Make the noise that is wanted, and have the one before it fade out."""
        if self._wanted is None:
            return
        fade_bytes = 2 * (self._rate * _FADE_MS // 1000)
        self._before = self._cut(fade_bytes) if self._loop else bytes(fade_bytes)
        self._loop = self._make(self._wanted)
        self._made = self._wanted
        self._at = 0

    def _cut(self, size: int) -> bytes:
        """Take `size` bytes off the loop, from its beginning again after its end."""
        at, loop = self._at, self._loop
        self._at = (at + size) % len(loop)
        pcm = loop[at : at + size]
        while len(pcm) < size:
            pcm += loop[: size - len(pcm)]
        return pcm

    def _fade(self, pcm: bytes) -> bytes:
        """Go over from the noise before to this one."""
        whole = 2 * (self._rate * _FADE_MS // 1000)
        size = min(len(self._before), len(pcm))
        done = (whole - len(self._before)) // 2
        rise = np.arange(done + 1, done + 1 + size // 2) / (whole // 2 + 1)
        old, new = np.frombuffer(self._before[:size], "<i2"), np.frombuffer(pcm[:size], "<i2")
        self._before = self._before[size:]
        return np.rint(old * (1 - rise) + new * rise).astype("<i2").tobytes() + pcm[size:]

    def _make(self, noise: Noise) -> bytes:
        """Draw the spectrum of one loop: random waves, as strong as the all-pole model says."""
        length = int(self._rate * _LOOP_S)
        waves = length // 2 + 1
        drawn = self._random.standard_normal((2, waves))
        damping = np.maximum(np.abs(np.fft.rfft(_prediction(noise.reflections), length)), _LEAST_DAMPING)
        spectrum = (drawn[0] + 1j * drawn[1]) / damping
        spectrum[0] = 0.0
        sound = np.fft.irfft(spectrum, length)
        sound *= _FULL_SCALE * 10 ** (noise.level_dbov / 20) / np.sqrt(np.mean(sound * sound))
        return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()


def _prediction(reflections: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Turn reflection coefficients into the polynomial whose inverse is the model: step-up recursion."""
    polynomial = np.ones(1)
    for coefficient in reflections:
        longer = np.append(polynomial, 0.0)
        polynomial = longer + coefficient * longer[::-1]
    return polynomial
