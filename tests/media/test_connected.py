import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sipflow.media.connected import open_connected
from sipflow.media.relay import Relay
from tests.media.stage import HOST, START, Stage, packet, speech

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can do it")


@contextmanager
def sockets(count: int, host: str = HOST, kind: type[socket.socket] = socket.socket) -> Iterator[list[socket.socket]]:
    """Bind so many sockets that wait a second at most."""
    made = [kind(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for sock in made:
            sock.bind((host, 0))
            sock.settimeout(1.0)
        yield made
    finally:
        for sock in made:
            sock.close()


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_the_peer_is_heard_by_its_own_socket_and_everybody_else_by_the_first(host: str) -> None:
    with sockets(3, host) as (rtp, peer, stranger):
        connected = open_connected(rtp, peer.getsockname())
        assert connected is not None
        assert (connected.peer, connected.early) == (peer.getsockname(), [])
        stranger.sendto(b"who", rtp.getsockname())
        peer.sendto(b"me", rtp.getsockname())

        assert connected.sock.recv(100) == b"me"
        assert rtp.recvfrom(100) == (b"who", stranger.getsockname())
        with pytest.raises(BlockingIOError):
            connected.sock.recv(100)
        connected.sock.send(b"here")
        assert peer.recvfrom(100) == (b"here", rtp.getsockname())
        connected.sock.close()
        peer.sendto(b"again", rtp.getsockname())
        assert rtp.recv(100) == b"again"


def test_it_is_marked_as_the_first_one_is() -> None:
    with sockets(2) as (rtp, peer):
        rtp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
        connected = open_connected(rtp, peer.getsockname())
        assert connected is not None

        assert connected.sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
        connected.sock.close()


def test_nobody_else_can_join_us_on_our_port() -> None:
    with sockets(2) as (rtp, peer):
        connected = open_connected(rtp, peer.getsockname())
        assert connected is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(rtp.getsockname())
        connected.sock.close()


def test_what_comes_before_it_is_connected_is_told_with_whose_it_was() -> None:
    with sockets(2) as (stranger, peer):

        class Watched(socket.socket):
            def setsockopt(self, *option: Any) -> None:
                super().setsockopt(*option)
                if option == (socket.SOL_SOCKET, socket.SO_REUSEADDR, 0):  # bound, and not connected yet
                    stranger.sendto(b"who", self.getsockname())

        with sockets(1, kind=Watched) as (rtp,):
            connected = open_connected(rtp, peer.getsockname())
            assert connected is not None
            connected.sock.close()
            rtp.setblocking(False)
            try:
                left = [rtp.recvfrom(100)]
            except BlockingIOError:
                left = []

            assert connected.early + left == [(b"who", stranger.getsockname())]


def test_new_calls_need_the_last_files_more() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with sockets(2) as (rtp, peer):
        resource.setrlimit(resource.RLIMIT_NOFILE, (peer.fileno() + 10, hard))
        try:
            assert open_connected(rtp, peer.getsockname()) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_files_have_no_limit_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with sockets(2) as (rtp, peer):
        connected = open_connected(rtp, peer.getsockname())

        assert connected is not None
        connected.sock.close()


def test_a_peer_that_cannot_be_reached_has_none() -> None:
    with sockets(1) as (rtp,):
        assert open_connected(rtp, ("255.255.255.255", 9)) is None


# In a session


async def test_a_stream_that_has_proved_itself_goes_by_a_socket_of_its_own_from_the_next_report_on() -> None:
    async with Stage() as stage:
        frames = stage.session.frames()
        stage.session._reporting._report()
        assert stage.session._connected is None
        stage.say(1, 2, 3, 4)
        stage.session._reporting._report()
        connected = stage.session._connected
        assert connected is not None
        stage.session.enqueue(bytes(320))
        stage.say(5, 6)
        stage.another_peer().send(stage.port, 7, speech(77))
        stage.listen()
        stage.tick()
        stage.session._reporting._report()

        statistics = stage.session.statistics()
        assert (statistics.packets_received, statistics.strays, statistics.packets_sent) == (6, 1, 1)
        assert stage.peer.received() == [packet(0, bytes([0xFF]) * 160, marker=True)]
        assert stage.session._connected is connected
        assert frames.waiting > 0
        stage.session.close()
        assert connected.sock.fileno() == -1


async def test_a_stream_that_begins_anew_at_the_same_address_goes_by_the_same_socket() -> None:
    async with Stage() as stage:
        stage.say(1, 2, 3, 4)
        stage.session._reporting._report()
        connected = stage.session._connected
        stage.say(901, 902, 903, 904, ssrc=8)
        stage.session._reporting._report()

        assert connected is not None
        assert stage.session._connected is connected
        outgoing = stage.session._outbound
        assert (outgoing._connected, outgoing._connected_to) == (connected.sock, stage.session._latch.target)
        assert stage.session.statistics().packets_received == 6  # it had to prove itself again


@pytest.mark.parametrize("waiting", [5, 60])
async def test_what_waits_meanwhile_is_heard_before_what_comes_later(waiting: int) -> None:
    async with Stage() as one, Stage() as other:
        relay = Relay.between(one.session, other.session, on_foreign=lambda: None)
        assert relay is not None
        for number in (1, 2, 3, 4):
            one.peer.send(one.port, number)
            one.read()
        assert one.session._inbound.shortcut is not None
        for number in range(5, 5 + waiting):
            one.peer.send(one.port, number)
        one.session._reporting._report()
        for number in range(5 + waiting, 20 + waiting):
            one.peer.send(one.port, number)
        one.read()
        relay.end()

        sent = [each.sequence - START.sequence for each in other.peer.received()]
        assert sent == list(range(19 + waiting))
        assert one.session.statistics().packets_received == 19 + waiting
        assert (one.session._connected is None) == (waiting == 60)  # then it has better things to do


async def test_a_peer_that_gets_another_address_is_followed() -> None:
    async with Stage() as stage:
        stage.say(1, 2, 3, 4)
        stage.session._reporting._report()
        first, old = stage.session._connected, stage.peer
        new = stage.another_peer()
        stage.session.update(stage.agreed(new))
        stage.session.enqueue(bytes(640))
        stage.tick()
        assert (len(old.received()), len(new.received())) == (0, 1)

        stage.say(5, 6, 7, 8, peer=new)
        stage.session._reporting._report()
        second = stage.session._connected
        stage.tick()

        assert first is not None
        assert second is not None
        assert (first.peer, second.peer) == ((HOST, old.port), (HOST, new.port))
        assert first.sock.fileno() == -1
        assert (len(old.received()), len(new.received())) == (0, 1)
        assert stage.session.statistics().packets_received == 8


async def test_a_peer_that_has_closed_its_port_is_sent_to_as_before_and_no_fault() -> None:
    async with Stage() as stage:
        stage.say(1, 2, 3, 4)
        stage.session._reporting._report()
        stage.session.enqueue(bytes(320 * 8))
        stage.peer.close()
        for stream in list(stage.pacer.members):
            for _ in range(8):
                stream.tick(stage.pacer.now)

        statistics = stage.session.statistics()
        assert (statistics.packets_sent, statistics.send_errors) == (7, 1)
