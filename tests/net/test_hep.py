import socket
import struct

from sipflow.net.hep import HepTracer, write_hep
from sipflow.sip.hop import Hop

OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: abc@h\r\n\r\n"
PEER = Hop("udp", "192.0.2.7", 5062, "192.0.2.1", 5060)


def chunks(packet: bytes) -> dict[int, bytes]:
    """Read a HEP3 packet."""
    assert packet[:4] == b"HEP3"
    assert struct.unpack_from("!H", packet, 4)[0] == len(packet)
    found, at = {}, 6
    while at < len(packet):
        vendor, kind, length = struct.unpack_from("!HHH", packet, at)
        assert vendor == 0
        found[kind] = packet[at + 6 : at + length]
        at += length
    return found


def test_a_message_is_written_with_both_ends_its_time_and_what_it_belongs_to() -> None:
    packet = write_hep(OPTIONS, PEER, sent=False, at=10.25, agent_id=7, key="secret", correlation="abc@h")
    assert chunks(packet) == {
        1: bytes([2]),
        2: bytes([17]),
        3: socket.inet_aton("192.0.2.7"),
        4: socket.inet_aton("192.0.2.1"),
        7: struct.pack("!H", 5062),
        8: struct.pack("!H", 5060),
        9: struct.pack("!I", 10),
        10: struct.pack("!I", 250_000),
        11: bytes([1]),
        12: struct.pack("!I", 7),
        14: b"secret",
        17: b"abc@h",
        15: OPTIONS,
    }


def test_what_we_send_goes_the_other_way_and_ipv6_has_chunks_of_its_own() -> None:
    found = chunks(write_hep(OPTIONS, Hop("tls", "::7", 1, "::1", 2), sent=True, at=0, agent_id=1))
    assert (found[1][0], found[2][0]) == (10, 6)
    assert (found[5], found[6]) == (
        socket.inet_pton(socket.AF_INET6, "::1"),
        socket.inet_pton(socket.AF_INET6, "::7"),
    )
    assert not {3, 4, 14, 17} & set(found)


def test_a_collector_gets_every_message_with_its_secrets_hidden() -> None:
    collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    collector.bind(("127.0.0.1", 0))
    collector.settimeout(5)
    tracer = HepTracer(collector.getsockname(), wall=lambda: 1.5)
    tracer.sent(b'REGISTER sip:a SIP/2.0\r\nCall-ID: r1\r\nAuthorization: Digest response="feed"\r\n\r\n', PEER)
    tracer.received(OPTIONS, PEER)
    first, second = (chunks(collector.recv(2000)) for _ in range(2))
    tracer.close()
    collector.close()

    assert b"feed" not in first[15]
    assert (first[17], second[17], second[15]) == (b"r1", b"abc@h", OPTIONS)
    assert (tracer.sent_packets, tracer.failed) == (2, 0)


def test_a_collector_that_cannot_be_reached_disturbs_nothing() -> None:
    tracer = HepTracer(("127.0.0.1", 9))
    tracer.close()
    tracer.sent(OPTIONS, PEER)
    assert (tracer.sent_packets, tracer.failed) == (0, 1)
