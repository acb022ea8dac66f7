import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from sipflow.net.pcap import Datagram, from_trace, write_pcap
from sipflow.net.ring import Traced
from sipflow.net.trace import masked
from sipflow.sip.hop import Hop
from tests.interop.programs import require

INVITE = b"INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nCall-ID: abc\r\n\r\n"
PEER = Hop("tls", "192.0.2.7", 5061, "192.0.2.1", 5060)


def packets(data: bytes) -> list[tuple[float, bytes]]:
    """Read a capture file: time and octets of each packet."""
    magic, major, minor, _, _, _, link = struct.unpack_from("!IHHiIII", data)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)
    found, at = [], 24
    while at < len(data):
        seconds, microseconds, size, length = struct.unpack_from("!IIII", data, at)
        assert size == length
        found.append((seconds + microseconds / 1e6, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return found


def folded(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_messages_become_datagrams_between_the_ends_they_travelled_between() -> None:
    trace = (Traced(10.5, False, PEER, INVITE), Traced(11.0, True, PEER, b"SIP/2.0 100 Trying\r\n\r\n"))
    assert from_trace(trace) == [
        Datagram(10.5, ("192.0.2.7", 5061), ("192.0.2.1", 5060), INVITE),
        Datagram(11.0, ("192.0.2.1", 5060), ("192.0.2.7", 5061), b"SIP/2.0 100 Trying\r\n\r\n"),
    ]


def test_an_ipv4_packet_has_right_lengths_and_checksums() -> None:
    ((at, packet),) = packets(write_pcap([Datagram(10.25, ("192.0.2.7", 5061), ("192.0.2.1", 5060), INVITE)]))
    assert at == 10.25
    assert packet[0] == 0x45
    assert struct.unpack_from("!H", packet, 2)[0] == len(packet) == 28 + len(INVITE)
    assert folded(packet[:20]) == 0xFFFF
    pseudo = packet[12:20] + struct.pack("!HH", 17, len(packet) - 20)
    assert folded(pseudo + packet[20:]) == 0xFFFF
    assert struct.unpack_from("!HHH", packet, 20) == (5061, 5060, 8 + len(INVITE))
    assert packet[28:] == INVITE


def test_an_ipv6_packet_has_right_lengths_and_checksum() -> None:
    ((_, packet),) = packets(write_pcap([Datagram(1.0, ("2001:db8::7", 1), ("2001:db8::1", 2), b"odd")]))
    assert (packet[0] >> 4, packet[6], struct.unpack_from("!H", packet, 4)[0]) == (6, 17, 11)
    assert packet[8:24] == socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    assert folded(packet[8:40] + struct.pack("!HH", 17, 11) + packet[40:]) == 0xFFFF


def test_what_is_too_long_for_a_packet_is_cut_and_names_become_no_address() -> None:
    long, named = packets(
        write_pcap(
            [
                Datagram(1.0, ("192.0.2.7", 1), ("192.0.2.1", 2), b"x" * 70_000),
                Datagram(2.0, ("pbx.example.com", 1), ("::1", 2), b"y"),
            ]
        )
    )
    assert len(long[1]) == 65_535
    assert named[1][0] >> 4 == 6


def test_packets_stand_in_the_order_of_time() -> None:
    later, sooner = (Datagram(at, ("192.0.2.7", 1), ("192.0.2.1", 2), b"x") for at in (2.0, 1.0))
    assert [at for at, _ in packets(write_pcap([later, sooner]))] == [1.0, 2.0]


def test_wireshark_finds_no_fault_in_a_message_whose_media_key_is_hidden(tmp_path: Path) -> None:
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
    )
    head = INVITE.removesuffix(b"\r\n") + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body)
    file = tmp_path / "call.pcap"
    file.write_bytes(write_pcap(from_trace((Traced(10.5, False, PEER._replace(port=5060), masked(head + body)),))))
    read = subprocess.run(
        [require("tshark", "tshark"), "-r", str(file), "-T", "fields", "-e", "sdp.media.proto", "-e", "_ws.malformed"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert b"AAECAwQF" not in file.read_bytes()
    assert read.stdout.split() == ["RTP/SAVP"]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_sip_out_of_it(tmp_path: Path) -> None:
    file = tmp_path / "call.pcap"
    file.write_bytes(write_pcap(from_trace((Traced(10.5, False, PEER._replace(port=5060), INVITE),))))
    read = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", "-e", "sip.Method", "-e", "sip.Call-ID", "-e", "ip.src"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert read.stdout.split() == ["INVITE", "abc", "192.0.2.7"]
