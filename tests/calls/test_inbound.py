"""Inbound calls from the agent's side, against a real caller on loopback."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from sipflow.audio.tones import level_dbfs, sine
from sipflow.calls.call import Call
from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.outputs import Confirmed, Progressed
from sipflow.sip.parser import parse_datagram
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, staged


async def test_returning_hangs_up() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.call()
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert (ending.by, ending.status, ending.word) == ("remote", 200, Word.HUNG_UP)
    assert [record.ending.by for record in stage.kept.records if record.ending] == ["local"]


async def test_agent_sees_headers_and_variables_before_it_answers() -> None:
    seen: dict[str, object] = {}

    async def agent(call: InboundCall) -> None:
        seen.update(call.variables, caller=call.caller, callee=call.callee, answered=call.answered)
        seen["order"] = call.headers.get("x-order")
        await call.answer()

    async with staged(agent) as stage:
        headers = (("X-Order", "17"), ("x-Lower", "kept"), ("X-EI", "S.abc;"), ("Diversion", "<sip:9@h>;reason=busy"))
        await stage.call(headers=headers)
        await stage.quiet()

    assert seen == {
        "X-Order": "17",
        "x-Lower": "kept",
        "X-EI": "S.abc;",
        "ei_session": "abc",
        "Diversion": "<sip:9@h>;reason=busy",
        "caller": "caller",
        "callee": "+12065550100",
        "answered": False,
        "order": "17",
    }


async def test_ringing_comes_before_the_answer() -> None:
    async def agent(call: InboundCall) -> None:
        await call.ring()
        await call.ring(183)
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.call()
        await stage.quiet()

    assert call.provisionals == [180, 183]


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
async def test_agent_rejects_with_the_status_it_wants(status: int) -> None:
    async def agent(call: InboundCall) -> None:
        await call.reject(status, headers={"Contact": "<sip:elsewhere@192.0.2.1>"} if status == 302 else None)

    async with staged(agent) as stage:
        with pytest.raises(CallFailed) as failed:
            await stage.call()
        await stage.quiet()

    assert failed.value.status == status
    assert [record.ending.status for record in stage.kept.records if record.ending] == [status]


async def test_agent_that_raises_before_the_answer_gives_500_and_harms_no_other_call() -> None:
    async def agent(call: InboundCall) -> None:
        if call.variables.get("X-Fail"):
            raise RuntimeError("a bug in the agent")
        await call.answer()
        await call.ended()

    async with staged(agent) as stage:
        good = await stage.call()
        with pytest.raises(CallFailed) as failed:
            await stage.call(headers=(("X-Fail", "1"),))
        alive = good.ending is None
        await good.hangup()
        await stage.quiet()

    assert failed.value.status == 500
    assert alive
    first = next(record.ending for record in stage.kept.records if record.ending and record.ending.status == 500)
    assert (first.word, first.fault) == (Word.AGENT_FAILED, Fault.LOCAL)


async def test_agent_that_raises_after_the_answer_ends_its_call_with_bye() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        raise ValueError("a bug in the agent")

    async with staged(agent) as stage:
        call = await stage.call()
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert ending.status == 200
    assert ending.why == "the far end hung up (the agent raised ValueError)"


async def test_agent_that_returns_without_answering_gives_480() -> None:
    async def agent(call: InboundCall) -> None:
        return

    async with staged(agent) as stage:
        with pytest.raises(CallFailed) as failed:
            await stage.call()

    assert failed.value.status == 480


async def test_every_await_ends_with_the_call() -> None:
    raised: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        for wait in (call.read_digit(timeout=60), call.play(b"\0\0" * 80000), call.answer(), call.ring()):
            try:
                await wait
            except CallEnded as ended:
                raised.append(ended.by)

    async with staged(agent) as stage:
        call = await stage.call()
        await call.hangup()
        await stage.quiet()

    assert raised == ["remote"] * 4


async def test_audio_ends_quietly_with_the_call() -> None:
    finished = asyncio.Event()

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async for _ in call.audio:
            pass
        finished.set()

    async with staged(agent) as stage:
        call = await stage.call()
        await call.hangup()
        await asyncio.wait_for(finished.wait(), 10)
        await stage.quiet()

    assert [record.ending.word for record in stage.kept.records if record.ending] == ["hung_up"]


async def test_answering_twice_is_the_agents_error() -> None:
    errors: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        try:
            await call.answer()
        except LocalProtocolError as error:
            errors.append(str(error))

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert errors == ["the call is already answered or over"]


async def test_caller_that_gives_up_ends_a_ringing_agent_quietly() -> None:
    ended: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.ring()
        try:
            await call.read_digit(timeout=60)
        except CallEnded as error:
            ended.append(error.reason)
            raise

    async with staged(agent) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        while not call.provisionals:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await call.hangup()
        with pytest.raises(CallFailed) as failed:
            await call.wait_answered()
        await stage.quiet()

    assert failed.value.status == 487
    assert ended == ["the caller gave up before the call was answered"]


async def test_digits_that_come_before_they_are_wanted_are_kept_in_order() -> None:
    digits: list[str | None] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        while len(digits) < 3:
            digits.append(await call.read_digit(timeout=10))
            await asyncio.sleep(0.2)
        digits.append(await call.read_digit(timeout=0.01))
        await call.ended()

    async with staged(agent) as stage:
        call = await stage.call()
        await call.send_digits("1#9")
        while len(digits) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await call.hangup()
        await stage.quiet()

    assert digits == ["1", "#", "9", None]


async def test_leaving_playing_stops_the_prompt() -> None:
    played: list[int] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async with call.playing(b"\0\0" * 8000 * 60):
            await asyncio.sleep(0.2)
        assert call.media is not None
        played.append(call.media.session.queued_ms)

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert played == [0]


TONE = sine(440, 400, level_dbfs=-10.0)


async def first_sound(call: Call) -> bool:
    """Whether a frame that is not silent comes within ten seconds."""
    async with asyncio.timeout(10.0):
        async for frame in call.audio:
            if level_dbfs(frame.pcm) > -40.0:
                return True
    return False


async def until_early(call: OutboundCall) -> None:
    async with asyncio.timeout(10.0):
        while call.media is None or call.media.agreed is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("prack", [True, False])
async def test_early_media_flows_both_ways_before_the_answer(prack: bool) -> None:
    heard: dict[str, object] = {}

    async def agent(call: InboundCall) -> None:
        await call.progress()
        await call.progress(headers={"X-Stage": "again"})
        heard["by agent"] = await first_sound(call)
        heard["answered by then"] = call.answered
        await call.play(TONE)
        await call.answer()
        heard["answered"] = call.answered
        await call.play(TONE)

    async with staged(agent, trunks=(replace(LOCAL, prack=prack),)) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        await until_early(call)
        sound = call.playing(TONE * 5)
        async with sound:
            heard["by caller"] = await first_sound(call)
            heard["before the answer"] = not call.answered
            await asyncio.wait_for(call.wait_answered(), 10.0)
            with suppress(CallEnded):
                await call.ended()
        await stage.quiet()

    assert heard == {
        "by agent": True,
        "answered by then": False,
        "by caller": True,
        "before the answer": True,
        "answered": True,
    }
    assert call.provisionals == [183, 183]


async def test_a_200_repeats_the_sdp_of_a_plain_183_and_leaves_out_that_of_a_reliable_one() -> None:
    async def agent(call: InboundCall) -> None:
        await call.progress()
        await call.answer()
        await call.ended()

    bodies = {}
    for prack in (True, False):
        async with staged(agent, trunks=(replace(LOCAL, prack=prack),)) as stage:
            seen: list[bytes] = []
            before = stage.caller.switchboard.on_event

            def note(event: object, seen: list[bytes] = seen, before: Callable[[object], None] = before) -> None:
                if isinstance(event, Progressed | Confirmed):
                    seen.append(event.body)
                before(event)

            stage.caller.endpoint._on_event = note
            call = await stage.call()
            await call.hangup()
            await stage.quiet()
            bodies[prack] = seen

    assert [len(bodies[True]), bodies[True][1]] == [2, b""]
    assert bodies[False][0] == bodies[False][1] != b""


async def test_a_caller_who_gives_up_during_early_media_ends_what_is_played() -> None:
    ended: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.progress()
        try:
            await call.play(TONE * 50)
        except CallEnded as over:
            ended.append(over.by)
            raise

    async with staged(agent) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        await until_early(call)
        await call.hangup()
        await stage.quiet()

    assert ended == ["remote"]
    assert [record.ending.word for record in stage.kept.records if record.ending] == [Word.CANCELLED]


async def test_progress_after_the_answer_or_with_a_final_status_is_refused() -> None:
    refused: list[str] = []

    async def agent(call: InboundCall) -> None:
        for status in (180, 200):
            if status == 180:
                await call.answer()
            try:
                await call.progress(status)
            except LocalProtocolError as error:
                refused.append(str(error))

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert len(refused) == 2


UNREACHABLE = "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "the ACK's SDP cannot be used: the far end answered without SDP"),
        (
            UNREACHABLE,
            "the ACK's SDP cannot be used: the audio is at the IPv6 address 2001:db8::1, ours at the IPv4 address"
            " 127.0.0.1",
        ),
    ],
)
async def test_an_ack_whose_sdp_cannot_be_used_is_hung_up_and_bye_and_record_say_why(body: str, why: str) -> None:
    async with staged() as stage:
        caller = ByHand()
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(lambda: caller, remote_addr=("127.0.0.1", stage.port))
        way.sendto(caller.request("INVITE"))
        answer = await caller.heard("200")
        way.sendto(caller.request("ACK", f";tag={answer.to.tag}", body))
        bye = await caller.heard("BYE")
        way.sendto(bytes(make_response(bye, 200)))  # type: ignore[arg-type]
        await stage.quiet()
        way.close()

    (record,) = stage.kept.records
    assert bye.headers.get("Reason") == f'SIP;cause=488;text="{why}"'
    assert record.ending is not None
    assert (record.ending.word, record.ending.why) == (Word.MEDIA_FAILED, why)


class ByHand(asyncio.DatagramProtocol):
    """A caller who says what a test writes."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[Request | Response] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request | Response)
        self._heard.put_nowait(message)

    async def heard(self, word: str) -> Request | Response:
        """The next message of a method or status."""
        while True:
            message = await asyncio.wait_for(self._heard.get(), WAIT_S)
            if word == (message.method if isinstance(message, Request) else str(message.status)):
                return message

    def request(self, method: str, tag: str = "", sdp: str = "") -> bytes:
        lines = [
            f"{method} sip:{NUMBER}@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-{method};rport",
            "From: <sip:caller@127.0.0.1>;tag=me",
            f"To: <sip:{NUMBER}@127.0.0.1>{tag}",
            "Call-ID: by-hand",
            f"CSeq: 1 {method}",
            "Contact: <sip:caller@192.168.0.9>",  # behind NAT: what follows comes back the same way
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp)}",
        ]
        return "\r\n".join([*lines, "", sdp]).encode()
