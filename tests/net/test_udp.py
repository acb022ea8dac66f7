import asyncio
import errno
import socket
import sys
import time

import pytest

from sipflow.errors import TransportError
from sipflow.net.settings import ListenAddress
from sipflow.net.udp import UdpSocket
from sipflow.sip.brake import Brake, OverloadSettings
from sipflow.sip.hop import Hop
from tests.net.fakes import PATIENCE_S
from tests.net.loops import on_both_loops


class Port:
    """A UDP socket of ours, and what it told."""

    def __init__(self, address: str = "udp:127.0.0.1:0", brake: Brake | None = None) -> None:
        self.heard: list[tuple[bytes, Hop]] = []
        self.unreachable: list[tuple[Hop, str]] = []
        self._news = asyncio.Event()
        self.udp = UdpSocket(
            ListenAddress.parse(address),
            on_datagram=self._datagram,
            on_unreachable=self._unreachable,
            source_of=lambda host: "127.0.0.1" if host == "127.0.0.1" else "",
            brake=brake,
        )
        self.udp.open(buffer_bytes=1_048_576, dscp=24)

    def _datagram(self, data: bytes, hop: Hop) -> None:
        self.heard.append((data, hop))
        self._news.set()

    def _unreachable(self, hop: Hop, why: str) -> None:
        self.unreachable.append((hop, why))
        self._news.set()

    async def news(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._news.wait()
        self._news.clear()


@on_both_loops
async def test_a_datagram_comes_with_the_peers_address_and_ours() -> None:
    one, other = Port(), Port("udp:0.0.0.0:0")

    assert one.udp.send(b"hello", "127.0.0.1", other.udp.address.port) == ""
    await other.news()
    assert other.udp.send(b"welcome", *other.heard[0][1][1:3]) == ""
    await one.news()

    assert other.heard == [
        (b"hello", Hop("udp", "127.0.0.1", one.udp.address.port, "127.0.0.1", other.udp.address.port))
    ]
    assert one.heard == [
        (b"welcome", Hop("udp", "127.0.0.1", other.udp.address.port, "127.0.0.1", one.udp.address.port))
    ]
    one.udp.close()
    other.udp.close()


@on_both_loops
@pytest.mark.parametrize("spoken_to", ["127.0.0.5", "127.0.0.1"])
async def test_the_answer_leaves_from_the_address_that_the_peer_wrote_to(spoken_to: str) -> None:
    everywhere, peer = Port("udp:0.0.0.0:0"), Port()

    for word in (b"hello", b"again"):
        peer.udp.send(word, spoken_to, everywhere.udp.address.port)
        await everywhere.news()
        everywhere.udp.send(b"welcome", "127.0.0.1", peer.udp.address.port)
        await peer.news()

    assert [hop.host for _, hop in peer.heard] == [spoken_to] * 2
    assert {hop.local_host for _, hop in everywhere.heard} == {"127.0.0.1"}  # what is written into Contact stays
    everywhere.udp.close()
    peer.udp.close()


@on_both_loops
async def test_every_unreachable_destination_is_named_once_and_no_other_suffers() -> None:
    port, other = Port(), Port()

    for _ in range(3):
        assert port.udp.send(b"x", "127.0.0.1", 9) == ""
        assert port.udp.send(b"y", "127.0.0.1", 10) == ""
        assert port.udp.send(b"z", "127.0.0.1", other.udp.address.port) == ""
    await asyncio.sleep(0.02)
    port.unreachable.sort()

    near = ("127.0.0.1", port.udp.address.port)
    assert {hop for hop, _ in port.unreachable} == {
        Hop("udp", "127.0.0.1", 9, *near),
        Hop("udp", "127.0.0.1", 10, *near),
    }
    assert {why for _, why in port.unreachable} == {"Connection refused"}
    assert [data for data, _ in other.heard] == [b"z"] * 3
    port.udp.close()
    other.udp.close()


async def test_datagrams_wait_for_a_full_send_buffer_and_are_lost_beyond_the_backlog() -> None:
    port, other = Port(), Port()
    real = port.udp._socket

    class Full:
        """A socket whose send buffer is full."""

        def sendto(self, data: bytes, target: tuple[str, int]) -> int:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    port.udp._socket = Full()  # type: ignore[assignment]
    said = {port.udp.send(b"%d" % number, "127.0.0.1", other.udp.address.port) for number in range(1030)}
    port.udp._socket = real
    while len(other.heard) < 1024:
        await other.news()

    assert (said, port.udp.dropped) == ({""}, 6)
    assert [data for data, _ in other.heard] == [b"%d" % number for number in range(1024)]
    port.udp.close()
    other.udp.close()


async def test_a_flood_of_sources_does_not_fill_the_memory() -> None:
    port = Port()

    for number in range(5000):
        port.udp._hop(("127.0.0.1", number))

    assert len(port.udp._hops) <= 4096
    port.udp.forget_hops()
    assert len(port.udp._hops) == 0
    port.udp.close()


async def test_a_link_local_peer_keeps_its_zone() -> None:
    port = Port("udp:[::1]:0")

    assert port.udp._hop(("fe80::1", 5060, 0, 3)).host == "fe80::1%3"
    port.udp.close()


async def test_a_handler_may_close_the_socket_it_was_called_by() -> None:
    port, other = Port(), Port()
    port.udp._on_datagram = lambda data, hop: port.udp.close()

    for _ in range(3):
        other.udp.send(b"x", "127.0.0.1", port.udp.address.port)
    await asyncio.sleep(0.02)

    other.udp.close()


async def test_a_taken_port_is_refused_and_the_socket_given_back() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"udp:127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(TransportError, match=f"^cannot listen on {address}: another program"):
            Port(address)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not say when a datagram came")
@pytest.mark.parametrize("address", ["udp:127.0.0.1:0", "udp:0.0.0.0:0"])
async def test_the_brake_is_told_how_long_datagrams_have_waited_where_there_are_several(address: str) -> None:
    brake = Brake(OverloadSettings(wait_s=0.02))
    one, other = Port(), Port(address, brake)

    for number in range(3):
        one.udp.send(b"%d" % number, "127.0.0.1", other.udp.address.port)
    time.sleep(0.05)  # noqa: ASYNC251  (the loop stands still)
    await other.news()
    while len(other.heard) < 3:
        await other.news()

    assert [data for data, _ in other.heard] == [b"0", b"1", b"2"]
    assert 0.05 <= brake.worst_s < 120
    assert brake.wait_s == 0.0
    one.udp.close()
    other.udp.close()
