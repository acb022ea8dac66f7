import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipflow.net.endpoint import Endpoint
from sipflow.net.keepalive import PING, PONG
from sipflow.net.settings import Settings, StreamSettings
from sipflow.sip.hop import Hop
from sipflow.sip.parser import Parsed
from tests.net.fakes import (
    OK,
    PATIENCE_S,
    Proxy,
    RememberingCore,
    Streams,
    hop_to,
    listen,
    name_of,
    request,
    running,
    transmit,
)
from tests.net.loops import on_both_loops


def limited(**limits: float) -> Settings:
    return Settings(listen=listen("tcp:127.0.0.1:0"), streams=StreamSettings(**limits))  # type: ignore[arg-type]


@asynccontextmanager
async def phone(endpoint: Endpoint) -> AsyncIterator[Streams]:
    """A peer that opens a connection by hand."""
    address = endpoint.listening[0]
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """Wait until the endpoint closes; give what it sent before."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read(-1)
        except ConnectionResetError:
            return b""


async def exactly(reader: asyncio.StreamReader, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(len(data)) == data


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@on_both_loops
async def test_messages_to_one_peer_share_a_connection_and_wait_for_it_in_order() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), running("tcp:127.0.0.1:0") as (client, _):
        methods = ["REGISTER", "OPTIONS", "MESSAGE"]

        client.perform([transmit(request(method), hop_to(server)) for method in methods])
        await core.until_received(3)

        assert core.methods == methods
        assert len({hop.connection for _, hop in core.received}) == 1
        assert client.counts["connections"] == server.counts["connections"] == 1


@on_both_loops
async def test_a_request_to_the_source_of_a_connection_goes_back_on_it() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (reader, writer):
        writer.write(request("REGISTER"))
        await core.until_received(1)
        source = core.received[0][1]

        server.perform([transmit(request("INVITE"), Hop("tcp", source.host, source.port))])

        await exactly(reader, request("INVITE"))
        assert server.counts["connections"] == 1


async def test_an_answer_goes_on_the_connection_it_names_and_not_on_another_to_the_same_peer() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as first, phone(server) as second:
        first[1].write(request(branch="z9hG4bKfirst"))
        await core.until_received(1)
        second[1].write(request(branch="z9hG4bKsecond"))
        await core.until_received(2)

        for _, hop in reversed(core.received):
            server.perform([transmit(OK, hop)])

        await exactly(first[0], OK)
        await exactly(second[0], OK)


async def test_an_answer_whose_connection_is_gone_goes_to_the_address_of_its_hop() -> None:
    proxy = Proxy()
    async with proxy.running() as hop, running("tcp:127.0.0.1:0") as (endpoint, _):
        endpoint.perform([transmit(OK, hop._replace(connection=4711))])

        reader, _ = await proxy.connected()
        await exactly(reader, OK)


@pytest.mark.plain  # names in the place of transactions
async def test_a_closed_connection_fails_its_hop_and_is_opened_again_for_the_next_message() -> None:
    proxy = Proxy()
    async with proxy.running() as hop, running("tcp:127.0.0.1:0") as (endpoint, core):
        endpoint.perform([transmit(request("OPTIONS"), hop, "transaction")])
        reader, writer = await proxy.connected()
        await exactly(reader, request("OPTIONS"))

        writer.close()
        await core.until(lambda: bool(core.failed_hops))
        endpoint.perform([transmit(request("MESSAGE"), hop)])
        reader, _ = await proxy.connected()
        await exactly(reader, request("MESSAGE"))

        (lost,) = core.failed_hops
        assert (lost[:3], lost.connection > 0, lost.local_host) == (hop[:3], True, "127.0.0.1")
        assert core.failed_transactions == []  # it had left; whether it fails is for the core to say
        assert endpoint.why(hop) == "the peer closed the connection"


@on_both_loops
async def test_a_ping_is_answered_and_not_handed_to_the_core() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (reader, writer):
        writer.write(PING)
        await exactly(reader, PONG)

        assert core.received == []


async def test_messages_cut_anywhere_are_put_together() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (_, writer):
        data = request("OPTIONS", padding=300) + request("MESSAGE")
        for start in range(0, len(data), 100):
            writer.write(data[start : start + 100])
            await writer.drain()
            await asyncio.sleep(0.001)
        await core.until_received(2)

        assert core.methods == ["OPTIONS", "MESSAGE"]


@pytest.mark.parametrize("begun", [b"OPTIONS sip:a@b SIP/2.0\r\nVia: ", request(padding=500)[:-100]])
async def test_a_message_that_stays_incomplete_closes_its_connection(begun: bytes) -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (reader, writer):
        writer.write(request())
        await core.until_received(1)
        writer.write(begun)
        await asyncio.sleep(0.02)
        now = time.monotonic()

        server.check_times(now=now + 31)
        assert server.counts["connections"] == 1
        server.check_times(now=now + 33)

        assert await closed(reader) == b""
        assert server.why(core.received[0][1]) == "a message stayed incomplete for 32 s"


async def test_a_slow_stream_of_whole_messages_is_not_taken_for_an_incomplete_one() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (_, writer):
        for count in (1, 2):
            writer.write(request() + b"OPTIONS ")
            await core.until_received(count)
            writer.write(request()[8:])
            await core.until_received(2 * count)

        server.check_times(now=time.monotonic() + 33)

        assert server.counts["connections"] == 1


async def test_one_who_connects_and_says_nothing_is_closed() -> None:
    async with running("tcp:127.0.0.1:0") as (server, _), phone(server) as (reader, _):
        await asyncio.sleep(0.02)

        server.check_times(now=time.monotonic() + 33)

        assert await closed(reader) == b""


async def test_an_idle_connection_is_closed_and_one_of_ours_only_long_after() -> None:
    proxy = Proxy()
    async with (
        proxy.running() as hop,
        running("tcp:127.0.0.1:0") as (endpoint, core),
        phone(endpoint) as (quiet, writer),
    ):
        writer.write(request())
        endpoint.perform([transmit(request(), hop)])
        await proxy.connected()
        await core.until_received(1)
        now = time.monotonic()

        endpoint.check_times(now=now + 599)
        assert endpoint.counts["connections"] == 2
        endpoint.check_times(now=now + 601)
        assert (await closed(quiet), endpoint.counts["connections"]) == (b"", 1)
        endpoint.check_times(now=now + 14_401)
        assert endpoint.counts["connections"] == 0


async def test_a_connection_that_somebody_wants_open_is_not_closed() -> None:
    proxy = Proxy()
    async with (
        proxy.running() as hop,
        running("tcp:127.0.0.1:0") as (endpoint, core),
        phone(endpoint) as (_, writer),
    ):
        writer.write(request())
        endpoint.perform([transmit(request(), hop)])
        await proxy.connected()
        await core.until_received(1)
        for one in (hop, core.received[0][1]):
            endpoint.keep_alive(one)
        now = time.monotonic()

        endpoint.check_times(now=now + 99_999)
        assert endpoint.counts["connections"] == 2
        endpoint.forget(hop)
        endpoint.check_times(now=now + 99_999)
        assert endpoint.counts["connections"] == 1


async def test_a_connection_of_ours_is_pinged_and_given_up_if_its_peer_stops_answering() -> None:
    proxy = Proxy()
    async with proxy.running() as hop, running("tcp:127.0.0.1:0") as (endpoint, core):
        endpoint.perform([transmit(request(), hop)])
        reader, writer = await proxy.connected()
        await exactly(reader, request())
        now = time.monotonic()

        endpoint.check_times(now=now + 26)
        await exactly(reader, PING)
        writer.write(PONG + request("MESSAGE"))
        await core.until_received(1)
        endpoint.check_times(now=now + 52)
        await exactly(reader, PING)
        endpoint.check_times(now=now + 61)
        assert core.failed_hops == []
        endpoint.check_times(now=now + 63)

        assert [lost[:3] for lost in core.failed_hops] == [hop[:3]]
        assert endpoint.why(hop) == "the peer no longer answers pings within 10 s"


async def test_a_peer_that_never_answers_pings_keeps_its_connection() -> None:
    proxy = Proxy()
    async with proxy.running() as hop, running("tcp:127.0.0.1:0") as (endpoint, core):
        endpoint.perform([transmit(request(), hop)])
        await proxy.connected()
        now = time.monotonic()

        for second in range(20, 300, 10):
            endpoint.check_times(now=now + second)

        assert (core.failed_hops, endpoint.counts["connections"]) == ([], 1)


@on_both_loops
async def test_a_peer_that_does_not_read_is_dropped_at_the_cap() -> None:
    settings = limited(write_buffer_bytes=100_000)
    async with running(settings=settings) as (server, core), phone(server) as (_, writer):
        writer.write(request())
        await core.until_received(1)
        hop = core.received[0][1]

        for _ in range(1000):
            server.perform([transmit(request(padding=60_000), hop)])
            if not server.counts["connections"]:
                break

        assert core.failed_hops[0].connection == hop.connection
        assert server.why(hop).startswith("the peer does not read: ")


@pytest.mark.plain  # names in the place of transactions
async def test_what_waits_for_a_connection_is_bounded() -> None:
    async with running(settings=limited(write_buffer_bytes=1000)) as (endpoint, core):
        hop = Hop("tcp", "127.0.0.1", 9)

        endpoint.perform([transmit(request(padding=300), hop, number) for number in range(3)])

        assert core.failed_transactions == [1, 2]
        assert endpoint.why(hop) == "too much waits for tcp:127.0.0.1:9 to connect"


@pytest.mark.plain  # names in the place of transactions
async def test_a_peer_that_does_not_accept_is_given_up_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        hop = Hop("tcp", *full.getsockname())
        async with running(settings=limited(connect_s=0.1)) as (endpoint, core):
            crowd = [socket.socket() for _ in range(3)]  # they fill the queue of the one who does not accept
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            endpoint.perform([transmit(request(), hop, "transaction")])
            await core.until(lambda: bool(core.failed_transactions))
            for one in crowd:
                one.close()

            assert endpoint.why(hop) == f"TCP to 127.0.0.1:{hop.port} failed: no answer in time"


async def test_the_oldest_connection_that_said_nothing_makes_room_for_a_new_one() -> None:
    async with (
        running(settings=limited(connections_per_source=2)) as (server, core),
        phone(server) as (_, talker),
        phone(server) as (silent, _),
    ):
        talker.write(request())
        await core.until_received(1)
        async with phone(server) as (_, newcomer):
            newcomer.write(request("MESSAGE"))
            await core.until_received(2)

            assert (await closed(silent), server.counts["connections"]) == (b"", 2)
            async with phone(server) as (refused, _):
                assert await closed(refused) == b""
            assert server.counts["connections"] == 2


async def test_all_sources_together_have_a_cap_too() -> None:
    async with running(settings=limited(connections_total=1)) as (server, core):
        async with phone(server) as (silent, _), phone(server) as (_, talker):
            talker.write(request())
            await core.until_received(1)
            assert await closed(silent) == b""
            async with phone(server) as (refused, _):
                assert await closed(refused) == b""

        assert core.methods == ["OPTIONS"]


async def test_a_stream_without_message_borders_is_answered_and_then_closed() -> None:
    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (reader, writer):
        core.replies = lambda parsed, hop: [transmit(OK, hop)]
        writer.write(request().replace(b"Content-Length: 0", b"Content-Length: 4294967296"))

        assert await closed(reader) == OK
        assert core.methods == ["malformed"]


async def test_one_who_sends_very_much_at_once_lets_others_have_their_turn() -> None:
    order: list[str] = []

    def replies(parsed: Parsed, hop: Hop) -> Sequence[object]:
        order.append(name_of(parsed))
        return []

    async with running("tcp:127.0.0.1:0") as (server, core), phone(server) as (_, loud), phone(server) as (_, modest):
        core.replies = replies
        loud.write(request("MESSAGE") * 2000)
        await core.until_received(1)
        modest.write(request("OPTIONS"))
        await core.until_received(2001)

        assert order.index("OPTIONS") < 1500


async def test_closing_sends_what_still_waits_and_leaves_no_descriptor_open() -> None:
    before = descriptors()
    proxy = Proxy()
    async with proxy.running() as hop:
        async with running("tcp:127.0.0.1:0", "udp:127.0.0.1:0") as (endpoint, core), phone(endpoint) as (_, writer):
            writer.write(request())
            await core.until_received(1)
            endpoint.perform([transmit(request("REGISTER"), hop)])
            reader, _ = await proxy.connected()
            endpoint.perform([transmit(request("BYE"), hop)])
        assert await closed(reader) == request("REGISTER") + request("BYE")
    await asyncio.sleep(0.01)

    assert descriptors() == before


@pytest.mark.plain  # names in the place of transactions
async def test_a_message_to_a_new_peer_while_closing_is_nobodys_failure() -> None:
    core = RememberingCore()
    async with running("tcp:127.0.0.1:0", core=core) as (endpoint, _):
        endpoint.perform([transmit(request(), Hop("tcp", "127.0.0.1", 9), "transaction")])

    assert (core.failed_transactions, core.failed_hops) == ([], [])
