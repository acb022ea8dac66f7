"""The switchboard as its neighbours see it: hold, silence, draining, the books."""

import asyncio
import re
from functools import partial

import pytest
from structlog.testing import capture_logs

from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallFailed, TransportError
from sipflow.sip.hop import Hop
from sipflow.sip.parser import parse_datagram
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, answer_and_wait, staged


async def test_record_says_who_called_whom_and_how_it_ended() -> None:
    async with staged() as stage:
        call = await stage.call()
        await call.hangup()
        await stage.quiet()

    (record,) = stage.kept.records
    assert (record.direction, record.from_number, record.to_number) == ("inbound", "caller", NUMBER)
    assert (record.trunk, record.number, record.agent) == ("local", NUMBER, "agent")
    assert record.ending is not None
    assert (record.ending.by, record.ending.word, record.ending.q850) == ("remote", Word.HUNG_UP, 16)
    assert record.answered_at is not None
    assert record.ended_at is not None
    assert record.started_at <= record.answered_at <= record.ended_at


async def test_hold_is_told_to_the_agent_and_stops_what_is_sent() -> None:
    held: list[bool] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        while call.ending is None:
            if not held or held[-1] != call.held:
                held.append(call.held)
            await asyncio.sleep(0.01)

    async with staged(agent) as stage:
        call = await stage.call()
        assert call.media is not None
        offer = call.media.offer()
        for direction, expected in ((b"a=sendonly", [False, True]), (b"a=sendrecv", [False, True, False])):
            body = offer.replace(b"a=sendrecv", direction)
            assert direction in body
            stage.caller.switchboard.apply(call.usage.offer(partial(bytes, body), now=stage.caller.switchboard.now))
            async with asyncio.timeout(10):
                while held != expected:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await call.hangup()
        await stage.quiet()


async def test_reoffer_with_nothing_in_common_is_refused_and_the_call_goes_on() -> None:
    async with staged() as stage:
        call = await stage.call()
        body = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n"
        stage.caller.switchboard.apply(call.usage.offer(lambda: body, now=stage.caller.switchboard.now))
        await asyncio.sleep(0.2)
        alive = call.ending is None and not stage.kept.records
        await call.hangup()
        await stage.quiet()

    assert alive


async def test_drain_refuses_new_calls_waits_for_live_ones_then_hangs_up() -> None:
    async with staged() as stage:
        call = await stage.call()
        drain = asyncio.create_task(stage.callee.switchboard.drain(0.3))
        await asyncio.sleep(0.05)
        with pytest.raises(CallFailed) as refused:
            await stage.call()
        with pytest.raises(TransportError):
            await stage.callee.switchboard.place(stage.plan())
        ending = await asyncio.wait_for(call.ended(), 10)
        await drain

    assert refused.value.status == 503
    assert (ending.by, ending.why) == ("remote", "the far end hung up")


async def test_drain_ends_as_soon_as_the_last_call_does() -> None:
    async with staged() as stage:
        call = await stage.call()
        drain = asyncio.create_task(stage.callee.switchboard.drain(3600))
        await asyncio.sleep(0.05)
        await call.hangup()
        await asyncio.wait_for(drain, 10)

    assert stage.callee.switchboard.calls == {}


async def test_a_hundred_calls_leave_nothing_behind() -> None:
    async with staged(answer_and_wait, ports=300) as stage:
        calls = [call for _ in range(9) for call in await asyncio.gather(*[stage.call() for _ in range(10)])]
        live = len(stage.callee.switchboard.calls)
        for call in calls:
            await call.hangup()
        await stage.quiet()
        lent = [counts.lent for edge in (stage.callee, stage.caller) for counts in edge.desk.counts()]

    assert live == 90
    assert lent == [0, 0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"BYE  SIP/2.0\r\n\r\n", "not a start line: 'BYE  SIP/2.0'"),
        (b"hello", "the header section does not end with an empty line"),
        (b"OPTIONS sip:b@c SIP/2.0\n\n", "its lines end with LF alone, where SIP wants CR LF"),
    ],
)
async def test_what_is_no_sip_message_is_dropped_and_the_log_says_that_and_why(data: bytes, why: str) -> None:
    async with staged() as stage:
        hop = Hop("udp", "192.0.2.9", 5060)
        with capture_logs() as logs:
            stage.callee.endpoint.perform(stage.callee.ua.receive(parse_datagram(data), hop, now=0.0))

    assert logs == [
        {
            "event": "message dropped: it cannot be read",
            "log_level": "info",
            "source": "udp:192.0.2.9:5060",
            "why": why,
        }
    ]


async def test_a_call_out_that_was_not_taken_is_told_with_its_trunk_and_one_that_was_is_not() -> None:
    told: list[tuple[str, int]] = []
    async with staged() as stage:
        board = stage.caller.switchboard
        board.on_call_failed = lambda trunk, status: told.append((trunk, status))
        taken = await board.place(stage.plan(), trunk=LOCAL)
        await taken.wait_answered()
        await taken.hangup()
        given_up = await board.place(stage.plan(), trunk=LOCAL)
        given_up.end("we changed our mind")
        for user, trunk in (("+12065550198", None), ("+12065550199", LOCAL)):
            call = await board.place(stage.plan(user), trunk=trunk)
            with pytest.raises(CallFailed):
                await call.wait_answered()
        await stage.quiet()

    assert told == [("local", 404)]


async def test_a_call_whose_far_end_has_fallen_silent_for_good_is_ended_with_the_reason() -> None:
    async with staged(rtp_timeout_s=0.2, caller_sends_silence=False) as stage:
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            heard = await call.ended()
        await stage.quiet()
        ending = stage.kept.records[0].ending

    assert ending is not None
    assert (ending.word, ending.fault, ending.by) == (Word.MEDIA_LOST, Fault.NETWORK, "local")
    assert re.fullmatch(r"no audio came for [0-9]+ s \(media\.rtp_timeout_s\)", ending.why)
    assert "no audio came" in heard.why


async def test_a_call_on_hold_may_be_silent_for_as_long_as_it_wants() -> None:
    async with staged(rtp_timeout_s=0.2, caller_sends_silence=False) as stage:
        call = await stage.call()
        await call.put_on_hold()
        await asyncio.sleep(0.6)
        alive = call.ending is None
        await call.hangup()
        await stage.quiet()

    assert alive
