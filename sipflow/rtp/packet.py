"""RTP packets: read, and headers written, once per 20 ms and call (RFC 3550 §5.1)."""

from dataclasses import dataclass
from struct import Struct

from sipflow.errors import RemoteProtocolError

HEADER_BYTES = 12  # RFC 3550 §5.1: without CSRC list and extension

_HEADER = Struct("!BBHII")
_unpack = _HEADER.unpack_from
_pack = _HEADER.pack
_MARKED = 0x80
_PLAIN = 0x80  # first octet of version 2 without padding, extension and CSRC: nearly every packet


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet, without its CSRC list, extension and padding.

    Not frozen: freezing makes construction four times slower, and a call makes a hundred a second.

    Attributes:
        payload_type: 0 to 127.
        marker: start of a talk spurt (RFC 3551 §4.1) or of an event (RFC 4733 §2.2).
        sequence: 0 to 2**16 - 1.
        timestamp: 0 to 2**32 - 1, in ticks of the payload's clock.
        ssrc: 0 to 2**32 - 1.
        payload: may be empty.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_packet(data: bytes) -> RtpPacket:
    """Read one datagram as RTP.

    CSRC list, header extension and padding are skipped. RTCP on the same port is told apart first, by `is_rtcp`.

    Raises:
        RemoteProtocolError: shorter than its header says, or not version 2. The packet is to be dropped and counted.
    """
    if len(data) < HEADER_BYTES:
        raise RemoteProtocolError(f"{len(data)} bytes are too few for an RTP header (RFC 3550 §5.1)")
    first, second, sequence, timestamp, ssrc = _unpack(data)
    payload = data[HEADER_BYTES:] if first == _PLAIN else _payload(data, first)
    return RtpPacket(second & 0x7F, second >= _MARKED, sequence, timestamp, ssrc, payload)


def _payload(data: bytes, first: int) -> bytes:
    """Cut the payload out of a packet with CSRC list, extension or padding."""
    if first >> 6 != 2:
        raise RemoteProtocolError(f"RTP version {first >> 6} is not 2 (RFC 3550 §5.1)")
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:  # RFC 3550 §5.3.1: 16 bits for the profile, 16 bits length in words
        if start + 4 > len(data):
            raise RemoteProtocolError("the RTP header extension is cut off (RFC 3550 §5.3.1)")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if start > end:
        raise RemoteProtocolError("the RTP header is longer than the packet (RFC 3550 §5.1)")
    if first & 0x20:  # RFC 3550 §5.1: the last octet counts the padding, itself included
        padding = data[-1]
        if not 0 < padding <= end - start:
            raise RemoteProtocolError(f"{padding} bytes of RTP padding in {end - start} bytes of payload")
        end -= padding
    return data[start:end]


def header(payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool = False) -> bytes:
    """Write the 12 bytes before a payload; sequence and timestamp wrap, so plain counters will do.

    `payload_type` is 0 to 127 and `ssrc` 0 to 2**32 - 1 (struct.error otherwise: a bug on our side).
    """
    return _pack(
        _PLAIN,
        payload_type | _MARKED if marker else payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )


def is_rtcp(data: bytes) -> bool:
    """Say whether a datagram on a shared port is RTCP (RFC 5761 §4: packet types 192 to 223)."""
    return len(data) > 1 and 192 <= data[1] <= 223
