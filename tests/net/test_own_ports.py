import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sipflow.net import own_ports
from sipflow.net.endpoint import Endpoint
from sipflow.net.own_ports import OwnPorts
from sipflow.sip.hop import Hop
from tests.net.fakes import Proxy, RememberingCore, hop_to, request, running, transmit
from tests.net.loops import on_both_loops

PBX = Hop("tls", "192.0.2.1", 5061, server_name="pbx.example.com")
OTHER = Hop("tcp", "2001:db8::1", 5060)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ports(clock: Clock) -> Iterator[OwnPorts]:
    ports = OwnPorts(clock)
    yield ports
    ports.close()


def test_all_peers_of_both_ip_versions_are_called_from_one_port(ports: OwnPorts) -> None:
    port = ports.first()

    assert [ports.port(hop) for hop in (PBX, OTHER, PBX, PBX._replace(port=5062))] == [port] * 4
    assert (len(ports), port > 0) == (1, True)


def test_a_reserved_port_is_nobody_elses(ports: OwnPorts) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as other, pytest.raises(OSError, match="Address already in use"):
            other.bind((host, ports.first()))


def test_two_names_at_one_address_are_called_from_two_ports(ports: OwnPorts) -> None:
    tenant = PBX._replace(server_name="tenant.example.com")

    assert len({ports.port(PBX), ports.port(tenant), ports.port(PBX), ports.port(tenant)}) == 2
    assert len(ports) == 2


def test_a_port_that_rests_towards_a_peer_serves_the_others(ports: OwnPorts) -> None:
    port = ports.port(PBX)

    ports.rest(PBX, port)

    assert ports.port(PBX) != port
    assert ports.port(OTHER) == port


def test_a_peer_keeps_its_new_port_when_the_old_one_has_rested(ports: OwnPorts, clock: Clock) -> None:
    old = ports.port(PBX)
    ports.rest(PBX, old)
    new = ports.port(PBX)

    clock.now = 121.0

    assert ports.port(PBX) == new
    ports.rest(PBX, new)
    assert ports.port(PBX) == old


def test_a_peer_that_comes_and_goes_too_fast_has_no_port_for_a_while(ports: OwnPorts, clock: Clock) -> None:
    for _ in range(20):
        ports.rest(PBX, ports.port(PBX))

    assert (ports.port(PBX), len(ports)) == (0, 8)
    clock.now = 120.0
    assert ports.port(PBX) == ports.first()


def test_a_port_that_is_not_reserved_does_not_rest(ports: OwnPorts) -> None:
    ports.rest(PBX, 0)
    ports.rest(PBX, 5060)

    assert ports.port(PBX) == ports.first()


def test_a_flood_of_names_and_addresses_fills_neither_memory_nor_ports(
    ports: OwnPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_ports, "_MOST", 3)
    monkeypatch.setattr(own_ports, "_PLACES", 5)
    named = [ports.port(PBX._replace(server_name=f"{number}.example.com")) for number in range(5)]
    for number in range(50):
        ports.port(PBX._replace(host=f"192.0.2.{number}"))

    assert (len(set(named[:3])), named[3:], len(ports), len(ports._places)) == (3, [0, 0], 3, 5)


def test_a_host_without_ipv6_reserves_ports_of_ipv4(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def four_only(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError("Address family not supported by protocol")
        return bound(family)

    bound = own_ports._bound
    monkeypatch.setattr(own_ports, "_bound", four_only)
    ports = OwnPorts(clock)

    assert ports.port(PBX) == ports.first() > 0
    ports.close()


def test_where_no_port_is_left_the_system_chooses(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(family: int) -> socket.socket:
        raise OSError("Address already in use")

    monkeypatch.setattr(own_ports, "_bound", none_left)

    assert OwnPorts(clock).port(PBX) == 0


def test_closing_gives_every_port_back_and_reserves_none_after(clock: Clock) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    ports = OwnPorts(clock)
    ports.rest(PBX, ports.port(PBX))
    ports.port(PBX)

    ports.close()

    assert (ports.port(PBX), len(ports), len(list(Path("/proc/self/fd").iterdir()))) == (0, 0, before)


# In use

BOTH_VERSIONS = pytest.mark.parametrize("position", [0, 1], ids=["ipv4", "ipv6"])


@asynccontextmanager
async def both_ends(own: RememberingCore | None = None) -> AsyncIterator[tuple[Endpoint, Endpoint, RememberingCore]]:
    """One who has no TCP listener (his core is `own`), one who listens with both IP versions, and the latter's core."""
    async with (
        running("tcp:127.0.0.1:0", "tcp:[::1]:0") as (far, core),
        running("udp:127.0.0.1:0", core=own) as (near, _),
    ):
        yield near, far, core


def occupy(near: Hop) -> socket.socket:
    """Open a connection as the system would know it from before, between the two ends of `near`."""
    other = socket.socket(socket.AF_INET6 if ":" in near.host else socket.AF_INET)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends without TIME_WAIT
    other.bind((near.local_host, near.local_port))
    other.connect((near.host, near.port))
    return other


@BOTH_VERSIONS
@on_both_loops
async def test_where_nothing_listens_a_peer_that_believes_our_contact_finds_the_open_connection(position: int) -> None:
    core = RememberingCore()
    async with both_ends(core) as (near, far, far_core):
        named = near.local_address(hop_to(far, position))
        near.perform([transmit(request("REGISTER"), named)])
        await far_core.until_received(1)

        far.perform([transmit(request("INVITE"), Hop("tcp", named.local_host, named.local_port))])
        await core.until_received(1)

        source, came = far_core.received[0][1], core.received[0][1]
        assert (source.host, source.port) == (named.local_host, named.local_port)
        assert came[:5] == named[:5]
        assert far.counts["connections"] == near.counts["connections"] == 1


async def test_connections_to_many_peers_at_once_leave_from_one_port() -> None:
    async with AsyncExitStack() as stack:
        proxies = [Proxy() for _ in range(50)]
        hops = [await stack.enter_async_context(proxy.running()) for proxy in proxies]
        near, _ = await stack.enter_async_context(running("udp:127.0.0.1:0"))

        near.perform([transmit(request(), near.local_address(hop)) for hop in hops])
        peers = [(await proxy.connected())[1].get_extra_info("peername") for proxy in proxies]

        assert peers == [("127.0.0.1", near.ports["tcp"])] * 50


@BOTH_VERSIONS
async def test_two_names_at_one_address_have_a_connection_each_from_the_port_that_was_named(position: int) -> None:
    async with both_ends() as (near, far, core):
        named = [near.local_address(hop_to(far, position, server_name=name)) for name in ("a.example", "b.example")]

        near.perform([transmit(request(), hop) for hop in named])
        await core.until_received(2)

        assert {hop.port for _, hop in core.received} == {hop.local_port for hop in named}
        assert len({hop.local_port for hop in named}) == 2


@BOTH_VERSIONS
@on_both_loops
async def test_a_connection_that_the_peer_closed_is_opened_again_from_the_same_port(position: int) -> None:
    own = RememberingCore()
    async with both_ends(own) as (near, far, core):
        named = near.local_address(hop_to(far, position))
        for count in range(1, 6):
            near.perform([transmit(request(), named)])
            await core.until_received(count)
            far.check_times(now=time.monotonic() + 601)
            await own.until(lambda count=count: len(own.failed_hops) == count)  # type: ignore[misc]

            assert near.local_address(hop_to(far, position)) == named

        assert {hop.port for _, hop in core.received} == {named.local_port}


@BOTH_VERSIONS
@on_both_loops
async def test_a_connection_that_we_closed_is_opened_again_from_another_port_that_is_named(position: int) -> None:
    async with both_ends() as (near, far, core):
        ports = []
        for count in (1, 2):
            named = near.local_address(hop_to(far, position))
            near.perform([transmit(request(), named)])
            await core.until_received(count)
            near.check_times(now=time.monotonic() + 14_401)
            ports.append(named.local_port)

        assert [hop.port for _, hop in core.received] == ports
        assert ports[0] != ports[1]


@BOTH_VERSIONS
@on_both_loops
async def test_a_port_that_the_system_holds_back_fails_no_message_and_the_next_one_names_another(position: int) -> None:
    async with both_ends() as (near, far, core):
        named = near.local_address(hop_to(far, position))
        with occupy(named):
            near.perform([transmit(request(), named)])
            await core.until_received(1)

        used = core.received[0][1].port
        assert near.local_address(hop_to(far, position)).local_port == used != named.local_port


async def test_a_port_that_is_free_again_a_moment_later_is_waited_for() -> None:
    async with both_ends() as (near, far, core):
        named = near.local_address(hop_to(far))
        busy = occupy(named)
        asyncio.get_running_loop().call_later(0.02, busy.close)

        near.perform([transmit(request(), named)])
        await core.until_received(1)

        assert core.received[0][1].port == named.local_port


async def test_where_every_port_of_ours_is_held_back_the_system_chooses_one() -> None:
    async with both_ends() as (near, far, core):
        hop = hop_to(far)
        near.perform([transmit(request("MESSAGE"), hop)])
        await core.until_received(1)
        refused = [near.local_address(hop_to(far, server_name=str(number))) for number in range(8)]
        for one in refused:
            near._local.ports.rest(one, one.local_port)
        named = near.local_address(hop._replace(server_name="last"))

        near.perform([transmit(request(), named)])
        await core.until_received(2)

        assert (named.local_port, core.methods) == (0, ["MESSAGE", "OPTIONS"])


@pytest.mark.plain  # names in the place of transactions
async def test_a_peer_that_refuses_is_told_as_such_at_once_from_whatever_port() -> None:
    async with running("udp:127.0.0.1:0") as (near, core):
        near.perform([transmit(request(), Hop("tcp", "127.0.0.1", 9), "transaction")])
        await core.until(lambda: bool(core.failed_transactions))

        assert near.why(Hop("tcp", "127.0.0.1", 9)) == (
            "TCP to 127.0.0.1:9 failed: connection refused: nothing listens there"
        )
