import asyncio
import socket
import time
from collections.abc import Sequence

import pytest
import structlog

from sipflow.errors import TransportError
from sipflow.net.endpoint import Endpoint
from sipflow.net.keepalive import PING
from sipflow.net.resolver import Resolver
from sipflow.net.settings import DnsSettings, Settings
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Resolve
from sipflow.sip.parser import Parsed
from sipflow.sip.uri import SipUri, parse_uri
from tests.net.fakes import OK, PATIENCE_S, RememberingCore, hop_to, listen, request, running, transmit
from tests.net.loops import on_both_loops

EVERYWHERE = ("udp:127.0.0.1:0", "udp:[::1]:0", "tcp:127.0.0.1:0", "tcp:[::1]:0")


def uri(text: str) -> SipUri:
    parsed = parse_uri(text)
    assert isinstance(parsed, SipUri)
    return parsed


def deaf_udp() -> socket.socket:
    """A peer that listens and says nothing."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def heard(sock: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.get_running_loop().sock_recv(sock, 65535)


@pytest.mark.parametrize("address", EVERYWHERE)
@on_both_loops
async def test_a_message_and_its_answer_travel(address: str) -> None:
    async with running(address) as (server, server_core), running(address) as (client, client_core):
        server_core.replies = lambda parsed, hop: [transmit(OK, hop)]

        client.perform([transmit(request(), hop_to(server))])
        await client_core.until_received(1)

        (_, source), (_, answered) = server_core.received[0], client_core.received[0]
        assert (server_core.methods, client_core.methods) == (["OPTIONS"], ["200"])
        assert answered[:3] == hop_to(server)[:3]
        assert (source.local_host, source.local_port) == (server.listening[0].host, server.listening[0].port)
        assert bool(source.connection) == source.reliable


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_ipv4_and_ipv6_may_share_one_port(transport: str) -> None:
    async with running(f"{transport}:0.0.0.0:0") as (first, _):
        port = first.listening[0].port

        async with running(f"{transport}:[::]:{port}") as (second, core):
            first.perform([])
            async with running(f"{transport}:[::1]:0") as (client, _):
                client.perform([transmit(request(), Hop(transport, "::1", port))])
                await core.until_received(1)

            assert [(hop.host, hop.local_host, hop.local_port) for _, hop in core.received] == [("::1", "::1", port)]
            assert second.ports[transport] == port


async def test_outputs_are_carried_out_in_order_and_those_of_an_event_come_after() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):
        core.on_event = lambda event: endpoint.perform(["answer to first"]) if event == "first" else None

        endpoint.perform(["first", "second"])

        assert core.events == ["first", "second", "answer to first"]


async def test_a_fault_while_handling_an_event_keeps_nothing_else_back() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):

        def on_event(event: object) -> None:
            if event == "poison":
                raise ZeroDivisionError("ptime 0")

        core.on_event = on_event
        with structlog.testing.capture_logs() as lines:
            endpoint.perform(["poison", "poison", "cure"])

        assert core.events == ["poison", "poison", "cure"]
        assert [(line["event"], repr(line["exc_info"])) for line in lines] == [
            ("fault while handling an event", "ZeroDivisionError('ptime 0')")
        ]
        assert endpoint.faults == 2


@pytest.mark.parametrize("address", ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
@on_both_loops
async def test_a_message_that_breaks_the_core_stops_no_other(address: str) -> None:
    async with running(address) as (server, core), running(address) as (client, _):

        def replies(parsed: Parsed, hop: Hop) -> Sequence[object]:
            if len(core.received) < 3:
                raise IndexError("of the core")
            return []

        core.replies = replies
        with structlog.testing.capture_logs() as lines:
            for number in range(4):
                client.perform([transmit(request(branch=f"z9hG4bK{number}"), hop_to(server))])
            await core.until_received(4)

        assert [line["log_level"] for line in lines if "exc_info" in line] == ["error"]
        assert server.faults == 2


async def test_a_malformed_datagram_reaches_the_core_and_idle_octets_do_not() -> None:
    async with running("udp:127.0.0.1:0") as (server, core):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\xff\xfe nothing", request()):
                phone.sendto(data, (server.listening[0].host, server.listening[0].port))
            await core.until_received(2)

        assert core.methods == ["malformed", "OPTIONS"]


async def test_many_datagrams_at_once_all_arrive_in_order() -> None:
    async with running("udp:127.0.0.1:0") as (server, core), running("udp:127.0.0.1:0") as (client, _):
        client.perform([transmit(request(branch=f"z9hG4bK{n}"), hop_to(server)) for n in range(200)])
        await core.until_received(200)

        assert [parsed.branch for parsed, _ in core.received if isinstance(parsed, Request)] == [
            f"z9hG4bK{n}" for n in range(200)
        ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@on_both_loops
async def test_a_udp_peer_that_is_not_there_fails_its_hop_and_the_socket_lives_on(host: str) -> None:
    address = "udp:[::1]:0" if ":" in host else "udp:127.0.0.1:0"
    nobody = Hop("udp", host, 9)
    async with running(address) as (client, core), running(address) as (server, server_core):
        client.perform([transmit(request(), nobody), transmit(request(), hop_to(server))])
        await core.until(lambda: bool(core.failed_hops))
        client.perform([transmit(request("MESSAGE"), hop_to(server))])
        await server_core.until_received(2)

        near = client.listening[0]
        assert core.failed_hops == [nobody._replace(local_host=near.host, local_port=near.port)]
        assert client.why(nobody) == f"{nobody} cannot be reached: Connection refused"
        assert server_core.methods == ["OPTIONS", "MESSAGE"]


@pytest.mark.plain  # names in the place of transactions
@pytest.mark.parametrize(
    ("hop", "size", "why"),
    [
        (Hop("udp", "127.0.0.1", 99999), 0, "port 99999 is not in 1..65535"),
        (Hop("udp", "127.0.0.1", 0), 0, "Invalid argument"),
        (Hop("udp", "pbx.example.com", 5060), 0, "'pbx.example.com' is not an IP address"),
        (Hop("udp", "127.0.0.1", 5060), 70_000, "a message of 70246 octets is too large for UDP"),
        (Hop("udp", "::1", 5060), 0, "no UDP socket of ours can reach it"),
        (Hop("sctp", "127.0.0.1", 5060), 0, "transport 'sctp' is not spoken here"),
    ],
)
async def test_what_cannot_be_sent_fails_its_transaction_at_once(hop: Hop, size: int, why: str) -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):
        endpoint.perform([transmit(request(padding=size), hop, "transaction 1")])

        assert core.failed_transactions == ["transaction 1"]
        assert endpoint.why(hop).removeprefix(f"cannot send to {hop}: ") == why


@pytest.mark.plain  # names in the place of transactions
@pytest.mark.parametrize("port", [9, 99999, 0])
async def test_a_refused_connection_fails_every_transaction_that_waits_for_it(port: int) -> None:
    async with running("tcp:127.0.0.1:0") as (endpoint, core):
        hop = Hop("tcp", "127.0.0.1", port)

        endpoint.perform([transmit(request(), hop, name) for name in ("first", "second", None)])
        await core.until(lambda: len(core.failed_transactions) == 2)

        assert (core.failed_transactions, core.failed_hops) == (["first", "second"], [])
        assert endpoint.why(hop).startswith(
            "TCP to 127.0.0.1:9 failed: connection refused" if port == 9 else f"TCP to 127.0.0.1:{port} failed:"
        )


async def test_the_core_is_called_at_its_deadline_and_never_before() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):
        now = asyncio.get_running_loop().time()
        core.deadline = now + 3600
        endpoint.perform([])
        core.deadline = due = now + 0.02
        endpoint.perform([])
        await core.until(lambda: bool(core.timers))

        assert len(core.timers) == 1
        assert core.timers[0] >= due


async def test_what_a_timer_returns_is_carried_out() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):
        core.on_timer = lambda now: ["timer B"]
        core.deadline = asyncio.get_running_loop().time()

        endpoint.perform([])
        await core.until(lambda: core.events == ["timer B"])


async def test_a_fault_in_a_timer_is_logged_and_does_not_spin() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):

        def on_timer(now: float) -> Sequence[object]:
            core.deadline = now
            raise KeyError("of the core")

        core.on_timer = on_timer
        core.deadline = asyncio.get_running_loop().time()
        with structlog.testing.capture_logs() as lines:
            endpoint.perform([])
            await core.until(lambda: bool(core.timers))
            await asyncio.sleep(0.05)

        assert (len(core.timers), [line["event"] for line in lines]) == (1, ["fault in a timer"])


async def test_an_ip_literal_is_resolved_before_perform_returns() -> None:
    async with running("udp:127.0.0.1:0", "tcp:127.0.0.1:0") as (endpoint, core):
        udp, tcp = endpoint.listening

        endpoint.perform([Resolve("a", uri("sip:127.0.0.9:5080")), Resolve("b", uri("sip:127.0.0.9;transport=tcp"))])

        assert core.resolutions == [
            ("a", (Hop("udp", "127.0.0.9", 5080, "127.0.0.1", udp.port),)),
            ("b", (Hop("tcp", "127.0.0.9", 5060, "127.0.0.1", tcp.port),)),
        ]


async def test_a_name_of_the_hosts_file_needs_no_dns() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, core):
        endpoint.perform([Resolve("a", uri("sip:localhost"))])

        assert core.resolutions == [("a", (Hop("udp", "127.0.0.1", 5060, "127.0.0.1", endpoint.listening[0].port),))]
        assert await endpoint.resolve(uri("sip:localhost")) == core.resolutions[0][1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sip:pbx.example.com;transport=sctp", "transport sctp is not spoken here (udp, tcp and tls are)"),
        ("sip:nobody.example", "no address for nobody.example: DNS did not answer in 0.05 s"),
    ],
)
async def test_a_uri_without_address_is_unresolved_in_a_sentence(text: str, why: str) -> None:
    with deaf_udp() as nameserver:
        server = f"127.0.0.1:{nameserver.getsockname()[1]}"
        settings = Settings(listen=listen("udp:127.0.0.1:0"), dns=DnsSettings(servers=(server,), lookup_s=0.05))
        async with running(settings=settings) as (endpoint, core):
            endpoint.perform([Resolve(7, uri(text))])
            await core.until(lambda: bool(core.unresolved_keys))

            assert core.unresolved_keys == [(7, why)]


async def test_a_udp_path_is_pinged_until_it_is_forgotten() -> None:
    with deaf_udp() as proxy:
        async with running("udp:127.0.0.1:0") as (endpoint, _):
            hop = Hop("udp", *proxy.getsockname())
            endpoint.keep_alive(hop)
            now = time.monotonic()

            endpoint.check_times(now=now + 1)
            endpoint.check_times(now=now + 26)
            ping = await heard(proxy)
            endpoint.forget(hop)
            endpoint.check_times(now=now + 99)

            assert ping == PING
            with pytest.raises(BlockingIOError):
                proxy.recv(100)
            assert endpoint.counts["kept_alive"] == 0


async def test_losing_a_connection_that_is_kept_alive_is_told_at_once() -> None:
    lost: list[tuple[Hop, str]] = []

    def on_flow_lost(hop: Hop, why: str) -> None:
        lost.append((hop, why))

    async with (
        running("tcp:127.0.0.1:0") as (server, server_core),
        running("tcp:127.0.0.1:0", on_flow_lost=on_flow_lost) as (client, core),
    ):
        registrar, other = hop_to(server), Hop("udp", "127.0.0.1", 5060)
        for hop in (registrar, other):
            client.keep_alive(hop)
        client.perform([transmit(request("REGISTER"), registrar)])
        await server_core.until_received(1)

        await server.close()
        await core.until(lambda: bool(core.failed_hops))

        assert [(hop[:3], why) for hop, why in lost] == [(registrar[:3], "the peer closed the connection")]


async def test_a_ping_that_finds_nobody_is_a_lost_flow_too() -> None:
    lost: list[tuple[Hop, str]] = []

    def on_flow_lost(hop: Hop, why: str) -> None:
        lost.append((hop, why))
        raise LookupError("of the one who is told")

    async with running("udp:127.0.0.1:0", on_flow_lost=on_flow_lost) as (client, core):
        hop = client.local_address(Hop("udp", "127.0.0.1", 9))
        client.keep_alive(hop)

        client.check_times(now=time.monotonic() + 26)
        await core.until(lambda: bool(core.failed_hops))

        assert (lost, client.faults) == ([(hop, "udp:127.0.0.1:9 cannot be reached: Connection refused")], 1)


async def test_a_listener_that_cannot_be_opened_is_named_and_none_stays_open() -> None:
    with deaf_udp() as other:
        taken = f"udp:127.0.0.1:{other.getsockname()[1]}"
        settings = Settings(listen=listen("tcp:127.0.0.1:0", taken))
        endpoint = Endpoint(RememberingCore(), settings, Resolver(settings), on_event=print)

        with pytest.raises(TransportError) as caught:
            await endpoint.start()

        assert str(caught.value) == (
            f"cannot listen on {taken}: another program (or another sipflow) has this port; "
            "stop it or choose another port"
        )
        assert endpoint.listening == ()
        await endpoint.close()


async def test_the_listeners_are_told_in_the_order_of_the_settings_with_real_ports() -> None:
    async with running("tcp:127.0.0.1:0", "udp:127.0.0.1:0", "udp:[::1]:0") as (endpoint, _):
        listening = endpoint.listening

        assert [(one.transport, one.host, one.port > 0) for one in listening] == [
            ("tcp", "127.0.0.1", True),
            ("udp", "127.0.0.1", True),
            ("udp", "::1", True),
        ]
        assert endpoint.ports == {"tcp": listening[0].port, "udp": listening[1].port}


async def test_the_near_end_of_a_hop_is_the_listener_of_its_transport_and_ip_version() -> None:
    async with running("udp:0.0.0.0:0", "udp:[::1]:0") as (endpoint, _):
        four, six = endpoint.listening

        assert [
            endpoint.local_address(Hop(transport, host, 5060))[3:5]
            for transport, host in (("udp", "127.0.0.1"), ("udp", "::1"))
        ] == [("127.0.0.1", four.port), ("::1", six.port)]


async def test_the_near_end_of_a_stream_without_listener_is_the_port_that_its_connections_leave_from() -> None:
    async with running("udp:127.0.0.1:0") as (endpoint, _):
        own = endpoint.ports["tcp"]

        assert [
            endpoint.local_address(Hop(transport, host, 5060))[3:5]
            for transport, host in (("tcp", "127.0.0.1"), ("tls", "::1"))
        ] == [("127.0.0.1", own), ("::1", own)]
        assert own not in (0, endpoint.ports["udp"])


async def test_an_answer_leaves_from_the_socket_that_was_asked() -> None:
    async with (
        running("udp:127.0.0.1:0", "udp:127.0.0.1:0") as (server, core),
        running("udp:127.0.0.1:0") as (client, c),
    ):
        core.replies = lambda parsed, hop: [transmit(OK, hop)]

        for position in (0, 1):
            client.perform([transmit(request(), hop_to(server, position))])
            await c.until_received(position + 1)

        assert [hop.port for _, hop in c.received] == [one.port for one in server.listening]


@pytest.mark.parametrize("address", ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
async def test_a_source_that_is_not_admitted_is_not_read(address: str) -> None:
    refused: list[str] = []

    def admit(host: str) -> bool:
        refused.append(host)
        return False

    async with running(address, admit=admit) as (server, core), running(address) as (client, _):
        client.perform([transmit(request(), hop_to(server))])
        await asyncio.sleep(0.05)

        assert (core.received, refused, server.dropped) == ([], ["127.0.0.1"], 1)


@pytest.mark.parametrize("address", ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
async def test_a_fault_while_admitting_locks_nobody_out(address: str) -> None:
    def admit(host: str) -> bool:
        raise TypeError(host)

    async with running(address, admit=admit) as (server, core), running(address) as (client, _):
        client.perform([transmit(request(), hop_to(server))])
        await core.until_received(1)

        assert server.faults == 1


@pytest.mark.parametrize("address", ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
async def test_a_tracer_sees_every_message_in_both_directions(address: str) -> None:
    class Memory:
        def __init__(self) -> None:
            self.seen: list[tuple[str, bytes]] = []

        def sent(self, data: bytes, hop: Hop) -> None:
            self.seen.append(("sent", data))

        def received(self, data: bytes, hop: Hop) -> None:
            self.seen.append(("received", data))

    memory = Memory()
    async with running(address, tracer=memory) as (server, core), running(address) as (client, client_core):
        core.replies = lambda parsed, hop: [transmit(OK, hop)]
        client.perform([transmit(request(), hop_to(server))])
        await client_core.until_received(1)

    assert memory.seen == [("received", request()), ("sent", OK)]


async def test_nothing_is_sent_after_closing() -> None:
    with deaf_udp() as peer:
        hop = Hop("udp", *peer.getsockname())
        async with running("udp:127.0.0.1:0") as (endpoint, core):
            pass

        endpoint.perform([transmit(request(), hop), "an event"])
        await endpoint.close()

        with pytest.raises(BlockingIOError):
            peer.recv(100)
        assert core.events == ["an event"]
