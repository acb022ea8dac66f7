"""L16: samples as they are, in network byte order (RFC 3551 §4.5.11)."""

from sipflow.audio.codecs.audioop import AudioopError, byteswap
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError, RemoteProtocolError


def decode_l16(payload: bytes) -> bytes:
    """Turn samples in network byte order into 16-bit little-endian ones.

    Raises:
        RemoteProtocolError: an odd number of octets.
    """
    try:
        return byteswap(payload, SAMPLE_BYTES)
    except AudioopError:
        raise RemoteProtocolError(f"L16 of {len(payload)} octets: not whole samples (RFC 3551 §4.5.11)") from None


def encode_l16(pcm: bytes) -> bytes:
    """Turn 16-bit little-endian samples into samples in network byte order.

    Raises:
        MediaError: an odd number of bytes.
    """
    try:
        return byteswap(pcm, SAMPLE_BYTES)
    except AudioopError:
        raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples") from None
