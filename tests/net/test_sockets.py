import socket
from contextlib import closing

import pytest

from sipflow.errors import TransportError
from sipflow.net.settings import ListenAddress
from sipflow.net.sockets import ask_for_buffers, bind, prepare_stream, set_traffic_class

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
NOT_OURS = (
    "this host does not have that address; behind NAT listen on 0.0.0.0 or [::], and write the public one into "
    "sip.advertise and media.advertise"
)


@pytest.mark.parametrize(
    ("family", "level", "option"),
    [(IPV4, socket.IPPROTO_IP, socket.IP_TOS), (IPV6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS)],
)
def test_packets_carry_the_code_point_that_was_set(family: int, level: int, option: int) -> None:
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as sock:
        set_traffic_class(sock, None)
        before = sock.getsockopt(level, option)
        set_traffic_class(sock, 24)

        assert (before, sock.getsockopt(level, option)) == (0, 24 << 2)


def test_buffers_become_as_large_as_the_system_allows() -> None:
    with (
        closing(socket.socket(IPV4, socket.SOCK_DGRAM)) as plain,
        closing(socket.socket(IPV4, socket.SOCK_DGRAM)) as sock,
    ):
        ask_for_buffers(sock, 4 * 1_048_576)

        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            assert sock.getsockopt(socket.SOL_SOCKET, option) >= plain.getsockopt(socket.SOL_SOCKET, option)


def test_a_stream_sends_at_once_and_notices_a_dead_peer_before_timer_f() -> None:
    with closing(socket.socket(IPV4, socket.SOCK_STREAM)) as sock:
        prepare_stream(sock, 24)

        assert sock.getblocking() is False
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 32_000


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (ListenAddress("udp", "192.0.2.77", 5060), NOT_OURS),
        (ListenAddress("udp", "2001:db8::77", 5060), NOT_OURS),
    ],
)
def test_an_address_that_cannot_be_used_is_named_with_the_remedy(address: ListenAddress, why: str) -> None:
    with closing(socket.socket(address.family, socket.SOCK_DGRAM)) as sock, pytest.raises(TransportError) as caught:
        bind(sock, address)

    assert str(caught.value) == f"cannot listen on {address}: {why}"


def test_an_ipv6_socket_leaves_the_port_to_ipv4_as_well() -> None:
    with (
        closing(socket.socket(IPV6, socket.SOCK_DGRAM)) as six,
        closing(socket.socket(IPV4, socket.SOCK_DGRAM)) as four,
    ):
        bind(six, ListenAddress("udp", "::", 0))
        port = six.getsockname()[1]

        bind(four, ListenAddress("udp", "0.0.0.0", port))

        assert four.getsockname() == ("0.0.0.0", port)
