"""Putting the rooms together."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from sipflow.calls.record import CallRecord
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import Edge, NoRecords, build
from sipflow.errors import MediaError, TransportError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri
from sipflow.trunks.table import TrunkTable
from tests.calls.stage import LOCAL, SECRET, OneAgent, answer_and_wait
from tests.interop.free_ports import free_media_ports


def edge(*listen: ListenAddress, speak: tuple[str, ...] = (), media_bind: str = "127.0.0.1") -> Edge:
    ports = free_media_ports(12)
    return build(
        router=Router(TrunkTable([LOCAL], secret=SECRET), Inventory()),
        agents=lambda tasks: OneAgent(tasks, answer_and_wait),
        net=NetSettings(listen=listen or (ListenAddress("udp", "127.0.0.1", 0),)),
        media=MediaSettings(port_low=ports.start, port_high=ports.stop - 1, bind_host=media_bind, drain_s=0.0),
        calls=CallSettings(user_agent="Our Edge/7", speak=speak),
    )


def ask(port: int) -> RequestPlan:
    uri = SipUri("sip", None, None, "127.0.0.1", port)
    from_ = NameAddr.parse("<sip:a@127.0.0.1>;tag=1")
    return RequestPlan("OPTIONS", uri, uri, from_, NameAddr("", uri), "call-1", 1)


async def test_edge_opens_answers_and_closes() -> None:
    ours = edge()
    await ours.open()
    try:
        outcome = await asyncio.wait_for(ours.switchboard.request(ask(ours.endpoint.ports["udp"])), 10)
    finally:
        await ours.close()

    assert outcome.status == 200
    assert outcome.response is not None
    assert outcome.response.headers.get("Server") == "Our Edge/7"


async def test_media_cannot_be_bound_to_an_address_of_another_machine() -> None:
    ours = edge(media_bind="192.0.2.77")
    with pytest.raises(TransportError, match=r"^media\.bind is 192\.0\.2\.77, and this host does not have"):
        await ours.open()

    assert ours.endpoint.listening == ()
    await ours.close()


async def test_texts_are_spoken_where_a_program_is_named() -> None:
    assert edge().switchboard.transfers.voice is None
    voice = edge(speak=("sh", "-c", "cat >&2; exit 7")).switchboard.transfers.voice

    assert voice is not None
    with pytest.raises(MediaError, match=r"^sh ended with status 7: hello there$"):
        await voice.say("hello there")


async def test_listener_that_cannot_be_opened_is_named_and_none_stays_open() -> None:
    first = edge()
    await first.open()
    port = first.endpoint.ports["udp"]
    second = edge(ListenAddress("tcp", "127.0.0.1", 0), ListenAddress("udp", "127.0.0.1", port))
    with pytest.raises(TransportError, match=rf"^cannot listen on udp:127\.0\.0\.1:{port}: "):
        await second.open()
    await second.close()
    await first.close()

    assert second.endpoint.listening == ()


async def test_two_edges_have_nonces_and_ids_of_their_own() -> None:
    one, other = edge(), edge()

    assert one.ua.ids.token() != other.ua.ids.token()
    await one.close()
    await other.close()


def test_without_a_store_records_go_nowhere() -> None:
    NoRecords().save(CallRecord("1", "a", "inbound", "", "", "", "", "", datetime.now(UTC)))


async def test_new_calls_are_refused_by_the_brake_that_the_sockets_tell() -> None:
    ours = edge()
    await ours.open()
    brake = ours.endpoint.brake
    assert brake is not None
    try:
        for beat in range(9):
            brake.waited(0.3, now=beat / 8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.setblocking(False)
            caller.bind(("127.0.0.1", 0))
            uri = f"sip:1@127.0.0.1:{caller.getsockname()[1]}"
            headers = (
                f"Via: SIP/2.0/UDP 127.0.0.1:{caller.getsockname()[1]};branch=z9hG4bK-1",
                f"From: <{uri}>;tag=1",
                f"To: <{uri}>",
                "Call-ID: 1",
                "CSeq: 1 INVITE",
                f"Contact: <{uri}>",
                "Max-Forwards: 70",
                "Content-Length: 0",
            )
            invite = "\r\n".join((f"INVITE {uri} SIP/2.0", *headers, "", "")).encode()
            caller.sendto(invite, ("127.0.0.1", ours.endpoint.ports["udp"]))
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(caller, 65535), 10)
    finally:
        await ours.close()

    assert answer.startswith(b"SIP/2.0 503 ")
    assert (brake.refused, ours.ua.counts) == (1, {"transactions": 0, "dialogs": 0})
