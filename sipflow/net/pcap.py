"""SIP and RTP as a capture file that Wireshark and sngrep read. Pure.

Messages are written as UDP in IP, whatever carried them: what was inside TLS can be read, and streams need no sequence
numbers that nobody has kept. The format is classic pcap (draft-ietf-opsawg-pcap) with raw IP packets.
"""

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from sipflow.net.ring import Traced

_MAGIC = 0xA1B2C3D4  # times in microseconds
_LINKTYPE_RAW = 101  # packets begin with an IP header
_LONGEST = 65_535
_UDP = 17
_ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104  (written, not bound)


class Datagram(NamedTuple):
    """One datagram to be written.

    Attributes:
        at: seconds since 1970.
        source, target: IP literal and port.
        data: what was inside.
    """

    at: float
    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


def from_trace(messages: Iterable[Traced]) -> list[Datagram]:
    """Give SIP messages as datagrams; secrets stay in them, so whoever hands the file out masks them before."""
    datagrams = []
    for message in messages:
        hop = message.hop
        near = (hop.local_host or _ANY[6 if ":" in hop.host else 4], hop.local_port)
        far = (hop.host, hop.port)
        source, target = (near, far) if message.sent else (far, near)
        datagrams.append(Datagram(message.at, source, target, message.data))
    return datagrams


def write_pcap(datagrams: Iterable[Datagram]) -> bytes:
    """Write a capture file; datagrams that are too long for one packet are cut off, and say so by their true length."""
    out = [struct.pack("!IHHiIII", _MAGIC, 2, 4, 0, 0, _LONGEST, _LINKTYPE_RAW)]
    for datagram in sorted(datagrams, key=lambda each: each.at):
        packet = _packet(datagram)
        seconds = int(datagram.at)
        microseconds = int((datagram.at - seconds) * 1_000_000)
        out.append(struct.pack("!IIII", seconds, microseconds, len(packet), len(packet)))
        out.append(packet)
    return b"".join(out)


def _packet(datagram: Datagram) -> bytes:
    """Wrap a datagram in UDP and IP headers; a source and target of two families are written as IPv6."""
    source, target = (_address(host) for host in (datagram.source[0], datagram.target[0]))
    if len(source) != len(target):
        source, target = (_mapped(address) for address in (source, target))
    room = _LONGEST - 20 - 8 if len(source) == 4 else _LONGEST - 8
    data = datagram.data[:room]
    udp = struct.pack("!HHHH", datagram.source[1], datagram.target[1], 8 + len(data), 0)
    checksum = _checksum(source + target + struct.pack("!HH", _UDP, len(udp) + len(data)) + udp + data)
    udp = udp[:6] + struct.pack("!H", checksum or 0xFFFF) + data
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(udp), _UDP, 64) + source + target + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, _UDP, 0) + source + target
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + udp


def _address(host: str) -> bytes:
    name = host.partition("%")[0]
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except OSError:
        return bytes(4)  # a name that was never resolved


def _mapped(address: bytes) -> bytes:
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
