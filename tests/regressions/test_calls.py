"""What went wrong with whole calls elsewhere, proved again with two edges on loopback."""

import asyncio

import pytest

from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.settings import Settings
from sipflow.errors import CallFailed, TransportError
from sipflow.net.settings import TlsSettings
from sipflow.sip.headers.via import Via
from sipflow.sip.hop import Hop
from sipflow.sip.usage.uas import UasInvite
from tests.calls.stage import WAIT_S, Stage, answer_and_wait, staged
from tests.calls.test_reception import refused
from tests.net.certificates import Certificates
from tests.net.conftest import certificates
from tests.net.fakes import OK, hop_to, request, running, transmit
from tests.net.test_tls import calling, serving

__all__ = ["certificates"]


async def refusal(stage: Stage) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await stage.call()
    return failed.value


async def test_rtp_port_exhaustion_must_be_503_and_retry_after_siphon_ai_554() -> None:
    async with staged(ports=2) as stage:
        first = await stage.call()
        second = await stage.caller.switchboard.place(stage.plan())
        with pytest.raises(CallFailed) as failed:
            await second.wait_answered()
        after = second.last_words.get("Retry-After") if second.last_words is not None else None
        await first.hangup()
        await stage.quiet()

    assert (failed.value.status, after) == (503, "5")


async def test_drain_must_not_originate_siphon_ai_343() -> None:
    async with staged() as stage:
        call = await stage.call()
        drain = asyncio.create_task(stage.callee.switchboard.drain(5.0))
        await asyncio.sleep(0)
        with pytest.raises(TransportError, match="going down"):
            await stage.callee.switchboard.place(stage.plan())
        assert (await refused(stage))[0] == 503
        await call.hangup()
        await drain


async def test_via_port_is_the_port_of_the_socket_esphome_104() -> None:
    seen: list[tuple[Via, Hop]] = []

    async def agent(call: InboundCall) -> None:
        assert isinstance(call.usage, UasInvite)
        seen.append((call.usage.request.via, call.usage.hop))
        await answer_and_wait(call)

    async with staged(agent) as stage:
        await (await stage.call()).hangup()
        await stage.quiet()
        port = stage.caller.endpoint.ports["udp"]

    ((via, hop),) = seen
    assert (via.port, hop.port) == (port, port)


@pytest.mark.parametrize("answered", [False, True])
async def test_media_timeout_while_ringing_livekit_sip_346(answered: bool) -> None:
    async def agent(call: InboundCall) -> None:
        await call.ring()
        await asyncio.sleep(0.5)
        if answered:
            await call.answer()
        await call.ended()

    async with staged(agent, rtp_timeout_s=0.15, caller_sends_silence=False) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        await asyncio.sleep(0.4)
        assert call.ending is None  # it may ring for as long as it wants
        if answered:
            async with asyncio.timeout(WAIT_S):
                await call.ended()  # and once it is answered, silence is noticed
        else:
            call.end("enough")
        await stage.quiet()

    ending = stage.kept.records[0].ending
    assert ending is not None
    assert (ending.word is Word.MEDIA_LOST) is answered


async def test_panic_recovery_per_handler_livekit_sip_765() -> None:
    calls: list[InboundCall] = []

    async def agent(call: InboundCall) -> None:
        calls.append(call)
        await call.answer()
        if len(calls) == 2:
            raise ZeroDivisionError("a bug of the agent's")
        await call.ended()

    async with staged(agent) as stage:
        first = await stage.call()
        second = await stage.call()
        async with asyncio.timeout(WAIT_S):
            ending = await second.ended()
        third = await stage.call()
        alive = (first.ending, third.ending)
        for call in (first, third):
            await call.hangup()
        await stage.quiet()

    assert (alive, ending.by) == ((None, None), "remote")
    (word,) = [each.ending.word for each in stage.kept.records if each.ending and each.ending.by == "local"]
    assert word is Word.AGENT_FAILED


async def test_503_for_dispatch_failure_livekit_sip_656() -> None:
    async with staged() as stage:
        stage.agent.runner._agents = {}  # it went at a reload
        failed = await refusal(stage)
        await stage.quiet()

    assert failed.status == 503


async def test_a_full_edge_is_503_and_not_486_livekit_sip_656() -> None:
    async with staged(calls=Settings(max_calls=0)) as stage:
        assert (await refused(stage))[0] == 503


async def test_dialogs_ports_and_tasks_are_given_back_siphon_ai_458() -> None:
    async with staged() as stage:
        for _ in range(3):
            calls = await asyncio.gather(*[stage.call() for _ in range(20)])
            for call in calls:
                await call.hangup()
            await stage.quiet()
        left = [
            (len(edge.switchboard.calls), edge.ua.counts["dialogs"], sum(each.lent for each in edge.desk.counts()))
            for edge in (stage.callee, stage.caller)
        ]

    assert left == [(0, 0, 0)] * 2
    assert len(stage.kept.records) == 60


async def test_tls_sni_with_an_ip_literal(certificates: Certificates) -> None:
    async with (
        running(settings=serving(certificates.server, certificates)) as (server, server_core),
        running(settings=calling(TlsSettings(ca=certificates.ca))) as (client, client_core),
    ):
        server_core.replies = lambda parsed, hop: [transmit(OK, hop)]
        for name in ("", "127.0.0.1"):  # no name is sent (RFC 6066 §3), and the certificate is asked for the address
            client.perform([transmit(request(), hop_to(server)._replace(server_name=name))])
        await client_core.until_received(2)

    assert client_core.methods == ["200", "200"]
