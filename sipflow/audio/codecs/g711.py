"""G.711, both laws, by table (ITU-T G.711 tables 1 and 2).

Samples are 16 bit, as everywhere in sipflow: the 14 bits of mu-law and the 13 bits of A-law stand in the high bits.
Where a sample lies on a decision value, the code is the one ITU-T's own software (G.191) gives.
"""

import numpy as np
import numpy.typing as npt

from sipflow.errors import MediaError

ULAW_SILENCE = b"\xff"  # +0
ALAW_SILENCE = b"\xd5"  # the smallest positive step: A-law has no zero

_ULAW_BIAS = 33  # on the 14-bit scale
_ULAW_CLIP = 8158  # table 2: from the virtual decision value 8159 on, the loudest code
_ALAW_CLIP = 4095  # table 1: from the virtual decision value 4096 on, the loudest code

_U8 = np.dtype(np.uint8)
_U16 = np.dtype("<u2")


def _ulaw_values() -> npt.NDArray[np.int16]:
    """Give the sample of each code: table 2, column 8, times 4; the wire carries all bits inverted."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((2 * (code & 0x0F) + _ULAW_BIAS) << (code >> 4 & 7)) - _ULAW_BIAS
    return (4 * np.where(code & 0x80, -magnitude, magnitude)).astype("<i2")


def _alaw_values() -> npt.NDArray[np.int16]:
    """Give the sample of each code: table 1, column 8, times 8; the wire carries even bits inverted."""
    code = np.arange(256) ^ 0x55
    segment = code >> 4 & 7
    step = 2 * (code & 0x0F) + 1
    magnitude = np.where(segment == 0, step, (step + 32) << np.maximum(segment - 1, 0))
    return (8 * np.where(code & 0x80, magnitude, -magnitude)).astype("<i2")


def _all_samples() -> npt.NDArray[np.int64]:
    """List the samples in the order of their 16 bits read as unsigned: 0 to 32767, then -32768 to -1."""
    return np.arange(0x10000, dtype=np.uint16).view(np.int16).astype(np.int64)


def _ulaw_codes() -> npt.NDArray[np.uint8]:
    sample = _all_samples()
    magnitude = np.where(sample < 0, ~sample, sample) >> 2
    biased = np.minimum(magnitude, _ULAW_CLIP) + _ULAW_BIAS
    segment = np.frexp(biased)[1] - 6
    code = segment << 4 | (biased >> (segment + 1) & 0x0F)
    return np.asarray(~(code | np.where(sample < 0, 0x80, 0)) & 0xFF, dtype=np.uint8)


def _alaw_codes() -> npt.NDArray[np.uint8]:
    sample = _all_samples()
    magnitude = np.minimum(np.where(sample < 0, ~sample, sample) >> 3, _ALAW_CLIP)
    segment = np.maximum(np.frexp(magnitude)[1] - 5, 0)
    code = segment << 4 | (magnitude >> np.maximum(segment, 1) & 0x0F)
    return np.asarray((code | np.where(sample < 0, 0, 0x80)) ^ 0x55, dtype=np.uint8)


_from_ulaw = _ulaw_values().take
_from_alaw = _alaw_values().take
_to_ulaw = _ulaw_codes().take
_to_alaw = _alaw_codes().take


def decode_ulaw(payload: bytes) -> bytes:
    """Turn mu-law octets into 16-bit little-endian samples."""
    return _from_ulaw(np.frombuffer(payload, _U8)).tobytes()


def decode_alaw(payload: bytes) -> bytes:
    """Turn A-law octets into 16-bit little-endian samples."""
    return _from_alaw(np.frombuffer(payload, _U8)).tobytes()


def encode_ulaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into mu-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    return _to_ulaw(_words(pcm)).tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into A-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    return _to_alaw(_words(pcm)).tobytes()


def _words(pcm: bytes) -> npt.NDArray[np.uint16]:
    try:
        return np.frombuffer(pcm, _U16)
    except ValueError:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples") from None
