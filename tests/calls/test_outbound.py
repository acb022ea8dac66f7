"""Calls that we place."""

import asyncio
import gc
from contextlib import suppress

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed, TransportError
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.uri import SipUri
from tests.calls.stage import staged


async def test_answered_call_has_the_answers_headers_and_where_it_went() -> None:
    async with staged() as stage:
        call = await stage.call()
        where, server, there = call.where, call.headers.get("Server"), f"udp:127.0.0.1:{stage.port}"
        await call.hangup()
        await stage.quiet()

    assert where == there
    assert server is not None
    assert server.startswith("sipflow/")


async def test_progress_is_told_as_it_comes() -> None:
    async def agent(call: InboundCall) -> None:
        await call.ring()
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        told: list[tuple[int, str]] = []
        call.on_progress = lambda status, reason: told.append((status, reason))
        await asyncio.wait_for(call.wait_answered(), 10)
        await stage.quiet()

    assert told == [(180, "Ringing")]


async def test_nobody_at_the_address_fails_with_503_and_words() -> None:
    async with staged() as stage:
        nowhere = SipUri("sip", "x", None, "127.0.0.1", 1)
        call = await stage.caller.switchboard.place(stage.plan(uri=nowhere, destination=nowhere))
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(call.wait_answered(), 10)

    assert failed.value.status == 503
    assert "refused" in failed.value.reason


async def test_a_name_without_address_fails_before_there_is_a_call() -> None:
    async with staged() as stage:
        nowhere = SipUri("sip", "x", None, "no-such-host.invalid")
        with pytest.raises(TransportError):
            await stage.caller.switchboard.place(stage.plan(uri=nowhere, destination=nowhere))

        assert stage.caller.switchboard.calls == {}


async def test_a_fail_over_reaches_the_second_target() -> None:
    async with staged() as stage:
        board = stage.caller.switchboard
        good = (await stage.caller.endpoint.resolve(stage.plan().destination))[0]

        async def resolve(_uri: SipUri) -> tuple[object, ...]:
            return (good._replace(port=1), good)

        board.endpoint.resolve = resolve  # type: ignore[method-assign, assignment]
        call = await stage.call()
        where, there = call.where, f"udp:127.0.0.1:{stage.port}"
        await call.hangup()
        await stage.quiet()

    assert where == there


def sdp(port: int, *, formats: str = "0") -> bytes:
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n"
    ).encode()


def from_place(tag: str, status: int) -> Response:
    """What one of several places that ring says."""
    invite = Request("INVITE", "sip:b")
    invite.headers.add("To", "<sip:b>")
    return make_response(invite, status, to_tag=tag)


def heard_at(call: OutboundCall) -> int:
    assert call.media is not None
    assert call.media.agreed is not None
    return call.media.agreed.remote_rtp_port


async def rings_on(call: InboundCall) -> None:
    await call.ring()
    await call.ended()


async def test_of_several_places_that_ring_the_last_to_speak_up_is_heard_and_then_whoever_answered() -> None:
    async with staged(rings_on) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        assert call.media is not None
        assert call.media.agreed is None
        seen = []
        for tag, port in (("one", 4000), ("two", 4010), ("one", 4000), ("two", 0)):
            call.progressed(from_place(tag, 183), sdp(port) if port else b"")
            seen.append(heard_at(call))
        for tag, body in (("two", b""),):
            call.confirmed(from_place(tag, 200), body)
            seen.append(heard_at(call))
        await call.hangup()

    assert seen == [4000, 4010, 4000, 4000, 4010]


async def test_an_answer_that_was_sure_to_arrive_is_not_changed_by_what_comes_after_rfc3261_13_2_1() -> None:
    async with staged(rings_on) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        seen = []
        for port, reliable in ((4000, False), (4002, True), (4004, True), (4006, False)):
            call.progressed(from_place("one", 183), sdp(port), reliable=reliable)
            seen.append(heard_at(call))
        call.confirmed(from_place("one", 200), sdp(4008))
        seen.append(heard_at(call))
        await call.hangup()

    assert seen == [4000, 4002, 4002, 4002, 4002]


async def test_the_answer_of_a_place_that_only_rang_is_taken_from_its_200() -> None:
    async with staged(rings_on) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        call.progressed(from_place("one", 183), sdp(4000))
        call.confirmed(from_place("two", 200), sdp(4010))
        seen = heard_at(call)
        await call.hangup()

    assert seen == 4010


async def test_a_far_end_that_invents_places_is_heeded_for_sixteen() -> None:
    async with staged(rings_on) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        for number in range(40):
            call.progressed(from_place(f"p{number}", 183), sdp(4000 + 2 * number))
        seen = heard_at(call)
        await call.hangup()

    assert seen == 4030


async def test_early_media_that_cannot_be_used_ends_the_call() -> None:
    async with staged(rings_on) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        await asyncio.sleep(0.1)
        call.progressed(from_place("one", 183), sdp(4000, formats="18"))
        with pytest.raises(CallFailed):
            await asyncio.wait_for(call.wait_answered(), 10.0)
        await stage.quiet()


async def test_of_calls_that_were_refused_nothing_waits_for_the_garbage_collector() -> None:
    async def rejects(call: InboundCall) -> None:
        await call.reject(486)

    gc.collect()
    gc.disable()
    try:
        async with staged(rejects) as stage:
            for _ in range(2):
                call = await stage.caller.switchboard.place(stage.plan())
                with suppress(CallFailed):
                    await call.wait_answered()
            del call
            await stage.quiet()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage if isinstance(each, OutboundCall | CallRecord)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []
