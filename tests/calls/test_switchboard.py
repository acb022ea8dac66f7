"""The switchboard as its neighbours see it: who is turned away and why, limits, hold, draining, the books."""

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.settings import Settings
from sipflow.errors import CallFailed, TransportError
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Number
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response
from sipflow.sip.outputs import Ended
from sipflow.sip.parser import parse_datagram
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, answer_and_wait, staged


async def refused(stage: Stage, user: str = NUMBER, **changes: object) -> tuple[int, str]:
    """Place a call that is refused; returns status and reason header."""
    reasons: list[str] = []
    board = stage.caller.switchboard
    known = board.on_event

    def listen(event: object) -> None:
        if isinstance(event, Ended) and isinstance(event.message, Response):
            reasons.extend(event.message.headers.all("Reason") or event.message.headers.all("Warning"))
        known(event)

    board.on_event = listen  # type: ignore[method-assign]
    with pytest.raises(CallFailed) as failed:
        await stage.call(user, **changes)
    return failed.value.status, reasons[0] if reasons else ""


async def test_call_to_no_number_gets_404_with_a_reason() -> None:
    async with staged() as stage:
        assert await refused(stage, "+12065550199") == (
            404,
            'SIP;cause=404;text="no number of trunk local matches +12065550199"',
        )


async def test_call_from_an_unknown_source_gets_403_that_says_what_to_do() -> None:
    elsewhere = Trunk(name="pbx", accept_from=Networks(["192.0.2.0/24"]))
    async with staged(trunks=(elsewhere,)) as stage:
        status, reason = await refused(stage)

    assert status == 403
    assert "127.0.0.1 is in no trunk's accept_from" in reason


async def test_call_beyond_max_calls_gets_503_and_the_first_lives_on() -> None:
    async with staged(calls=Settings(max_calls=1)) as stage:
        first = await stage.call()
        status, _ = await refused(stage)
        alive = first.ending is None
        await first.hangup()
        await stage.quiet()

    assert (status, alive) == (503, True)


async def test_call_without_a_free_port_gets_503() -> None:
    async with staged(ports=(41400, 41402)) as stage:
        first = await stage.call()
        status, reason = await refused(stage)
        await first.hangup()
        await stage.quiet()

    assert status == 503
    assert "port" in reason


@pytest.mark.parametrize("user", ["+12065550100", "12065550100", "2065550100", "%2B12065550100", "(206)555-0100"])
async def test_number_is_found_however_it_is_written(user: str) -> None:
    async with staged() as stage:
        call = await stage.call(user)
        await call.hangup()
        await stage.quiet()

    assert [record.number for record in stage.kept.records] == [NUMBER]


async def test_extension_and_star_code_are_kept_as_they_are() -> None:
    numbers = (Number("200", inbound_agent="agent"), Number("*21#", inbound_agent="agent"))
    async with staged(numbers=numbers) as stage:
        for user in ("200", "*21%23"):
            await (await stage.call(user)).hangup()
        await stage.quiet()

    assert sorted(record.number for record in stage.kept.records) == ["*21#", "200"]


async def test_number_without_an_agent_gets_404() -> None:
    async with staged(numbers=(Number(NUMBER),)) as stage:
        assert await refused(stage) == (404, f'SIP;cause=404;text="number {NUMBER} has no inbound agent"')


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
        status, _ = await refused(stage)
        with pytest.raises(TransportError):
            await stage.callee.switchboard.place(stage.plan())
        ending = await asyncio.wait_for(call.ended(), 10)
        await drain

    assert status == 503
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
    async with staged(answer_and_wait, ports=(41600, 41900)) as stage:
        calls = await asyncio.gather(*[stage.call() for _ in range(90)])
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
    assert ending.why == "no audio came for 0 s (media.rtp_timeout_s)"
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
