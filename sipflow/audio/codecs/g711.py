"""G.711, both laws (ITU-T G.711 tables 1 and 2).

Samples are 16 bit, as everywhere in sipflow: the 14 bits of mu-law and the 13 bits of A-law stand in the high bits, and
what is below them is rounded down. Where a sample then lies on a decision value, mu-law takes the louder code.
"""

from sipflow.audio.codecs.audioop import AudioopError, alaw2lin, lin2alaw, lin2ulaw, ulaw2lin
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError

ULAW_SILENCE = b"\xff"  # +0
ALAW_SILENCE = b"\xd5"  # the smallest positive step: A-law has no zero


def decode_ulaw(payload: bytes) -> bytes:
    """Turn mu-law octets into 16-bit little-endian samples."""
    return ulaw2lin(payload, SAMPLE_BYTES)


def decode_alaw(payload: bytes) -> bytes:
    """Turn A-law octets into 16-bit little-endian samples."""
    return alaw2lin(payload, SAMPLE_BYTES)


def encode_ulaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into mu-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    try:
        return lin2ulaw(pcm, SAMPLE_BYTES)
    except AudioopError:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples") from None


def encode_alaw(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into A-law octets.

    Raises:
        MediaError: an odd number of bytes.
    """
    try:
        return lin2alaw(pcm, SAMPLE_BYTES)
    except AudioopError:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples") from None


_CODES = bytes(range(256))
_ULAW_TO_ALAW = encode_alaw(decode_ulaw(_CODES))
_ALAW_TO_ULAW = encode_ulaw(decode_alaw(_CODES))


def ulaw_to_alaw(payload: bytes) -> bytes:
    """Turn mu-law octets into A-law octets, as decoding and encoding would, at a tenth of the cost."""
    return payload.translate(_ULAW_TO_ALAW)


def alaw_to_ulaw(payload: bytes) -> bytes:
    """Turn A-law octets into mu-law octets, as decoding and encoding would, at a tenth of the cost."""
    return payload.translate(_ALAW_TO_ULAW)
