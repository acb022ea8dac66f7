"""G.711, both laws, by table (ITU-T G.711 tables 1 and 2).

Samples are 16 bit, as everywhere in sipflow: mu-law's 14 bits and A-law's 13 bits stand in the high bits. Encoding
takes the code whose value is nearest by the recommendation's decision levels, and clips what is louder than the loudest.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sipflow.errors import MediaError

ULAW_SILENCE = b"\xff"  # +0 in mu-law
ALAW_SILENCE = b"\xd5"  # the smallest positive step: A-law has no zero

_Samples = npt.NDArray[np.int16]
_ULAW_BIAS = 33  # on the 14-bit scale
_ULAW_CLIP = 8158  # virtual decision value x128 of table 2a is 8159: what reaches it is clipped
_ALAW_CLIP = 4095  # virtual decision value x128 of table 1a is 4096, on the 13-bit scale


def _ulaw_value(code: int) -> int:
    """Give the 16-bit value of a mu-law code (ITU-T G.711 table 2, column 8)."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 0x0F) + _ULAW_BIAS) << (code >> 4 & 7)) - _ULAW_BIAS
    return 4 * (-magnitude if code & 0x80 else magnitude)


def _alaw_value(code: int) -> int:
    """Give the 16-bit value of an A-law code (ITU-T G.711 table 1, column 8); even bits are inverted."""
    code ^= 0x55
    segment = code >> 4 & 7
    step = 2 * (code & 0x0F) + 1
    magnitude = step if segment == 0 else (step + 32) << (segment - 1)
    return 8 * (magnitude if code & 0x80 else -magnitude)


def _ulaw_code(sample: int) -> int:
    """Give the mu-law code of a 16-bit sample (ITU-T G.711 table 2, decision values of column 3)."""
    magnitude = (-sample if sample < 0 else sample) + 2 >> 2  # half a 14-bit step belongs to the larger value
    biased = min(magnitude, _ULAW_CLIP) + _ULAW_BIAS
    segment = biased.bit_length() - 6
    code = segment << 4 | (biased >> (segment + 1) & 0x0F)
    return ~(code | (0x80 if sample < 0 else 0)) & 0xFF


def _alaw_code(sample: int) -> int:
    """Give the A-law code of a 16-bit sample (ITU-T G.711 table 1, decision values of column 3)."""
    magnitude = min((~sample if sample < 0 else sample) >> 3, _ALAW_CLIP)
    segment = max(magnitude.bit_length() - 5, 0)
    code = segment << 4 | (magnitude >> max(segment, 1) & 0x0F)
    return (code | (0 if sample < 0 else 0x80)) ^ 0x55


def _decoding(value: Callable[[int], int]) -> _Samples:
    return np.array([value(code) for code in range(256)], dtype="<i2")


def _encoding(code: Callable[[int], int]) -> npt.NDArray[np.uint8]:
    """Index by the sample's 16 bits read as unsigned: 0 to 32767, then -32768 to -1."""
    return np.array([code(sample) for sample in (*range(32768), *range(-32768, 0))], dtype=np.uint8)


_FROM_ULAW = _decoding(_ulaw_value)
_FROM_ALAW = _decoding(_alaw_value)
_TO_ULAW = _encoding(_ulaw_code)
_TO_ALAW = _encoding(_alaw_code)


def _unsigned(pcm: bytes) -> npt.NDArray[np.uint16]:
    try:
        return np.frombuffer(pcm, dtype="<u2")
    except ValueError:  # an odd number of bytes
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples") from None


def decode_ulaw(payload: bytes) -> bytes:
    """Turn mu-law octets into 16-bit little-endian samples."""
    return _FROM_ULAW[np.frombuffer(payload, dtype=np.uint8)].tobytes()


def decode_alaw(payload: bytes) -> bytes:
    """Turn A-law octets into 16-bit little-endian samples."""
    return _FROM_ALAW[np.frombuffer(payload, dtype=np.uint8)].tobytes()


def encode_ulaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into mu-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    return _TO_ULAW[_unsigned(pcm)].tobytes()


def encode_alaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into A-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    return _TO_ALAW[_unsigned(pcm)].tobytes()
