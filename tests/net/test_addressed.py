import socket

import pytest

from sipflow.net.addressed import Addressed, Ancillary, watch

PEER = ("198.51.100.7", 5060)
INTERFACE = b"\x02\0\0\0"


def told(address: str) -> Ancillary:
    """What the system says of a datagram that was sent to an IPv4 address of ours."""
    octets = socket.inet_pton(socket.AF_INET, address)
    return [(socket.IPPROTO_IP, 8, INTERFACE + octets + octets)]


def addressed() -> Addressed:
    return Addressed(socket.AF_INET, lambda _host: "192.0.2.1")


def test_only_a_peer_that_wrote_to_another_address_is_answered_in_a_way_of_its_own() -> None:
    known = addressed()
    for address, odd in (("192.0.2.1", False), ("192.0.2.9", True), ("192.0.2.9", True), ("192.0.2.1", False)):
        known.note(PEER, told(address))
        answer = [(socket.IPPROTO_IP, 8, bytes(4) + socket.inet_pton(socket.AF_INET, address) + bytes(4))]
        assert known.odd == ({PEER: answer} if odd else {})


def test_ipv6_peers_are_known_too_but_for_those_of_a_zone() -> None:
    known = Addressed(socket.AF_INET6, lambda _host: "2001:db8::1")
    ours = socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    for source in (("2001:db8::7", 5060, 0, 0), ("fe80::7", 5060, 0, 3)):
        known.note(source, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, ours + INTERFACE)])

    assert known.odd == {("2001:db8::7", 5060): [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, ours + bytes(4))]}


def test_a_flood_of_sources_does_not_fill_the_memory_and_silence_of_the_system_changes_nothing() -> None:
    known = addressed()
    for port in range(10_000):
        known.note(("198.51.100.7", port), told("192.0.2.9"))
    known.note(PEER, [])

    assert 0 < len(known.odd) <= 4096
    known.forget()
    assert known.odd == {}


@pytest.mark.parametrize(("host", "watched"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_socket_on_one_address_is_not_asked(host: str, watched: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert (watch(sock, host, lambda _host: "") is not None) is watched
