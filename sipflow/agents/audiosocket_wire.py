"""Asterisk's AudioSocket on the wire: one type byte, two bytes of length, and so many of payload. Pure."""

from enum import IntEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from sipflow.errors import RemoteProtocolError

_HEADER_BYTES = 3
FRAME_MS = 20  # of audio in each message that we send


class Kind(IntEnum):
    """Types that are not audio."""

    HANGUP = 0x00
    UUID = 0x01
    SILENCE = 0x02  # of old clients: nothing to play
    DTMF = 0x03
    ERROR = 0xFF


RATES_HZ = {  # type -> rate of its 16-bit little-endian mono samples
    0x10: 8000, 0x11: 12000, 0x12: 16000, 0x13: 24000, 0x14: 32000, 0x15: 44100, 0x16: 48000, 0x17: 96000,
    0x18: 192000,
}  # fmt: skip
AUDIO_KINDS = {rate_hz: kind for kind, rate_hz in RATES_HZ.items()}
_KNOWN = frozenset({*Kind, *RATES_HZ})
_ERRORS = {0x01: "the caller hung up", 0x02: "a frame could not be forwarded", 0x04: "it is out of memory"}


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Write one message; `payload` has 65535 bytes at most."""
    return b"%c%b%b" % (kind, len(payload).to_bytes(2, "big"), payload)


def call_uuid(call_id: str) -> UUID:
    """Give the UUID that stands for a call of ours: version 5 of `urn:sipflow:call:<id>` (RFC 9562 §5.5)."""
    return uuid5(NAMESPACE_URL, f"urn:sipflow:call:{call_id}")


def error_text(payload: bytes) -> str:
    """Say what an error message means."""
    if not payload:
        return "an error without a code"
    return _ERRORS.get(payload[0], f"error 0x{payload[0]:02x}")


class Messages:
    """Cuts what comes from the far end into messages, at most one payload ahead of the bytes.

    Attributes:
        waiting_bytes: bytes that no message was made of yet.
    """

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    @property
    def waiting_bytes(self) -> int:
        """Bytes that no message was made of yet."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take bytes in, any number of them."""
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0

    def next(self) -> tuple[int, bytes] | None:
        """Give the next whole message as its type and payload; None when more bytes must come first.

        Raises:
            RemoteProtocolError: this is no AudioSocket: a type that there is not, or half a sample.
        """
        data, at = self._data, self._at
        if len(data) <= at:
            return None
        kind = data[at]
        if kind not in _KNOWN:
            raise RemoteProtocolError(f"a message of type 0x{kind:02x}, which AudioSocket does not have")
        start = at + _HEADER_BYTES
        if len(data) < start:
            return None
        end = start + (data[start - 2] << 8 | data[start - 1])
        if kind in RATES_HZ and (end - start) % 2:
            raise RemoteProtocolError(f"{end - start} bytes of audio, which are not whole 16-bit samples")
        if len(data) < end:
            return None
        self._at = end
        return kind, data[start:end]
