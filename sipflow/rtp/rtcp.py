"""RTCP: compound packets read and written (RFC 3550 §6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from sipflow.errors import RemoteProtocolError
from sipflow.rtp.source import ReceptionReport

SENDER_REPORT = 200  # RFC 3550 §12.1
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203

_UNIX_TO_NTP_S = 2_208_988_800  # from 1900 to 1970
_MAX_ITEMS = 31  # the count has 5 bits
_CNAME = 1  # RFC 3550 §6.5.1

_HEADER = Struct("!BBH")
_SENDER = Struct("!IQIII")
_REPORT = Struct("!IIIIII")
_WORD = Struct("!I")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender has sent, and how it receives (RFC 3550 §6.4.1).

    Attributes:
        ntp_time: wall clock in 64 bits, seconds since 1900 in the high 32.
        rtp_timestamp: the same moment in the stream's ticks.
        packets, octets: sent since the start; payload octets only.
    """

    ssrc: int
    ntp_time: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReceptionReport, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """How somebody who sends nothing receives (RFC 3550 §6.4.2)."""

    ssrc: int
    reports: tuple[ReceptionReport, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The lasting name of a source (RFC 3550 §6.5.1); its other items are not kept."""

    ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Sources that leave (RFC 3550 §6.6). Anybody can forge one: it ends no call."""

    ssrcs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OtherPacket:
    """A packet of a type that is not read here, such as feedback (RFC 4585) or APP."""

    packet_type: int
    count: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | OtherPacket


def parse_compound(data: bytes) -> tuple[RtcpPacket, ...]:
    """Read the packets of one datagram.

    Reading ends quietly at a packet that is broken, unless it is the first; a source description gives one value per
    source that has a CNAME.

    Raises:
        RemoteProtocolError: the first packet is no RTCP. The datagram is to be dropped and counted.
    """
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        try:
            body, packet_type, count = _cut(data, at)
            packets.extend(_read(packet_type, count, body))
        except RemoteProtocolError:
            if at == 0:
                raise
            break
        at += 4 * (int.from_bytes(data[at + 2 : at + 4], "big") + 1)
    if not data:
        raise RemoteProtocolError("an empty datagram is no RTCP")
    return tuple(packets)


def _cut(data: bytes, at: int) -> tuple[bytes, int, int]:
    """Cut out one packet's body, without padding: body, type, count (RFC 3550 §6.4.1)."""
    if at + 4 > len(data):
        raise RemoteProtocolError(f"{len(data) - at} bytes are too few for RTCP (RFC 3550 §6.4)")
    first, packet_type, words = _HEADER.unpack_from(data, at)
    end = at + 4 * (words + 1)
    if first >> 6 != 2:
        raise RemoteProtocolError(f"RTCP version {first >> 6} is not 2 (RFC 3550 §6.4.1)")
    if end > len(data):
        raise RemoteProtocolError(f"an RTCP packet of {end - at} bytes is cut off at {len(data) - at}")
    padding = data[end - 1] if first & 0x20 else 0
    if padding > end - at - 4:
        raise RemoteProtocolError(f"{padding} bytes of padding in an RTCP packet of {end - at} bytes")
    return data[at + 4 : end - padding], packet_type, first & 0x1F


def _read(packet_type: int, count: int, body: bytes) -> list[RtcpPacket]:
    if packet_type == SENDER_REPORT:
        if len(body) < _SENDER.size:
            raise RemoteProtocolError("an RTCP sender report is cut off (RFC 3550 §6.4.1)")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        return [SenderReport(ssrc, ntp, timestamp, packets, octets, _reports(body, _SENDER.size, count))]
    if packet_type == RECEIVER_REPORT:
        if len(body) < _WORD.size:
            raise RemoteProtocolError("an RTCP receiver report is cut off (RFC 3550 §6.4.2)")
        return [ReceiverReport(_word(body, 0), _reports(body, _WORD.size, count))]
    if packet_type == SOURCE_DESCRIPTION:
        return list(_descriptions(body, count))
    if packet_type == GOODBYE:
        return [_goodbye(body, count)]
    return [OtherPacket(packet_type, count, body)]


def _word(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4], "big")


def _reports(body: bytes, start: int, count: int) -> tuple[ReceptionReport, ...]:
    if start + count * _REPORT.size > len(body):
        raise RemoteProtocolError(f"an RTCP report of {len(body)} bytes cannot hold {count} blocks")
    found = []
    for at in range(start, start + count * _REPORT.size, _REPORT.size):
        ssrc, losses, highest, jitter, last_sr, delay = _REPORT.unpack_from(body, at)
        lost = losses & 0xFFFFFF
        lost -= (lost & 0x800000) << 1  # 24 bits, signed
        found.append(ReceptionReport(ssrc, losses >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(found)


def _descriptions(body: bytes, count: int) -> list[SourceDescription]:
    """Read the chunks of a source description: items up to a zero, then on to a whole word (RFC 3550 §6.5)."""
    found = []
    at = 0
    for _ in range(count):
        if at + 4 > len(body):
            raise RemoteProtocolError("an RTCP source description is cut off (RFC 3550 §6.5)")
        ssrc = _word(body, at)
        at += 4
        while at < len(body) and body[at]:
            length = body[at + 1] if at + 1 < len(body) else 0
            if at + 2 + length > len(body):
                raise RemoteProtocolError("an RTCP source description item is cut off (RFC 3550 §6.5)")
            if body[at] == _CNAME:
                found.append(SourceDescription(ssrc, body[at + 2 : at + 2 + length].decode("utf-8", "replace")))
            at += 2 + length
        at = (at // 4 + 1) * 4
    return found


def _goodbye(body: bytes, count: int) -> Goodbye:
    if 4 * count > len(body):
        raise RemoteProtocolError("an RTCP BYE is cut off (RFC 3550 §6.6)")
    ssrcs = tuple(_word(body, 4 * number) for number in range(count))
    rest = body[4 * count :]
    return Goodbye(ssrcs, rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else "")


def build_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """Write packets into one datagram.

    RFC 3550 §6.1 wants a report first and a source description in every compound: that is the caller's to see to.
    At most 31 blocks or sources of a packet and 255 bytes of a text are written.
    """
    return b"".join([_build(packet) for packet in packets])


def _build(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            sent = (packet.packets & 0xFFFFFFFF, packet.octets & 0xFFFFFFFF)
            body = _SENDER.pack(packet.ssrc, packet.ntp_time, packet.rtp_timestamp & 0xFFFFFFFF, *sent)
            return _packet(SENDER_REPORT, len(packet.reports[:_MAX_ITEMS]), body + _blocks(packet.reports))
        case ReceiverReport():
            body = _WORD.pack(packet.ssrc) + _blocks(packet.reports)
            return _packet(RECEIVER_REPORT, len(packet.reports[:_MAX_ITEMS]), body)
        case SourceDescription():
            text = _text(packet.cname)
            item = _WORD.pack(packet.ssrc) + bytes([_CNAME, len(text)]) + text
            return _packet(SOURCE_DESCRIPTION, 1, item + bytes(4 - len(item) % 4))  # at least one zero ends the items
        case Goodbye():
            ssrcs = packet.ssrcs[:_MAX_ITEMS]
            text = _text(packet.reason)
            reason = bytes([len(text)]) + text if text else b""
            body = b"".join([_WORD.pack(ssrc) for ssrc in ssrcs]) + reason
            return _packet(GOODBYE, len(ssrcs), body + bytes(-len(body) % 4))
        case OtherPacket():
            return _packet(packet.packet_type, packet.count, packet.body + bytes(-len(packet.body) % 4))


def _packet(packet_type: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _blocks(reports: tuple[ReceptionReport, ...]) -> bytes:
    return b"".join(
        [
            _REPORT.pack(
                report.ssrc,
                report.fraction_lost << 24 | report.cumulative_lost & 0xFFFFFF,
                report.highest_sequence,
                report.jitter_ticks,
                report.last_sr,
                report.delay_since_last_sr,
            )
            for report in reports[:_MAX_ITEMS]
        ]
    )


def _text(text: str) -> bytes:
    """Encode a text in at most 255 bytes, without half a character (RFC 3550 §6.5)."""
    return text.encode("utf-8", "replace")[:255].decode("utf-8", "ignore").encode()


def ntp_time(wall_clock_s: float) -> int:
    """Turn Unix seconds into the 64 bits of a sender report (RFC 3550 §4)."""
    return int((wall_clock_s + _UNIX_TO_NTP_S) * 4294967296) & 0xFFFFFFFFFFFFFFFF


def round_trip_s(report: ReceptionReport, ntp_now: int) -> float | None:
    """Work out the round trip from a block about us, received at the 64-bit NTP time `ntp_now` (RFC 3550 §6.4.1).

    None when the peer has not seen a sender report of ours, or the block makes no sense.
    """
    if not report.last_sr:
        return None
    trip = ((ntp_now >> 16) - report.last_sr - report.delay_since_last_sr) & 0xFFFFFFFF
    return trip / 65536 if trip < 0x80000000 else None
