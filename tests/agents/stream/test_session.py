"""Conversations with bots in this process, on a call that remembers."""

import asyncio
import json
from binascii import b2a_base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sipflow.agents.stream.options import read_options
from sipflow.agents.stream.session import How, Outcome, Session
from sipflow.audio.codecs.g711 import encode_ulaw
from sipflow.audio.tones import sine
from tests.agents.stream.bots import Bot, Script, Visit, bot
from tests.agents.stream.fake_call import FakeCall, played

SOUND = sine(440, 20)
WRITTEN = ("write", len(SOUND), 8000)


def media(pcm: bytes = SOUND) -> dict[str, object]:
    return {"event": "media", "media": {"payload": b2a_base64(encode_ulaw(pcm), newline=False).decode()}}


def mark(name: str) -> dict[str, object]:
    return {"event": "mark", "mark": {"name": name}}


class Talk:
    """A conversation under way.

    Attributes:
        call, bot, session: who takes part.
        outcome: how it ends.
    """

    def __init__(self, call: FakeCall, found: Bot, session: Session, outcome: "asyncio.Task[Outcome]") -> None:
        self.call, self.bot, self.session, self.outcome = call, found, session, outcome

    async def over(self) -> Outcome:
        async with asyncio.timeout(10):
            return await self.outcome


@asynccontextmanager
async def talk(script: Script, call: FakeCall | None = None, **options: object) -> AsyncIterator[Talk]:
    """Begin a conversation; the caller hangs up at the end."""
    call = call or FakeCall()
    async with bot(script) as found:
        read = read_options({"url": found.url, "dialect": "twilio", **options})
        session = Session(call.as_call, read)
        outcome = asyncio.create_task(session.run())
        try:
            yield Talk(call, found, session, outcome)
        finally:
            call.hang_up()
            await outcome


async def listen(visit: Visit) -> None:
    await visit.hear_all()


async def test_the_caller_hears_ringing_until_the_bot_has_been_told_of_the_call() -> None:
    async with talk(listen) as it:
        await it.call.until("answer")
        visit = await it.bot.visited()

    assert it.call.did[:2] == ["ring", "answer"]
    assert [message["event"] for message in visit.heard[:2]] == ["connected", "start"]
    assert visit.heard[1]["start"]["customParameters"]["X-Customer"] == "42"


async def test_audio_and_digits_of_the_caller_reach_the_bot_in_pieces_of_20_ms_and_the_end_is_told() -> None:
    async with talk(listen) as it:
        await it.call.until("listen")
        it.call.say(SOUND * 3)
        await asyncio.sleep(0.02)
        it.call.press("7")
        await asyncio.sleep(0.02)
        it.call.hang_up()
        outcome = await it.over()
        visit = await it.bot.visited()

    heard = visit.heard[2:]
    assert outcome == Outcome(How.CALL_ENDED, "the caller hung up")
    assert [message["event"] for message in heard] == ["media", "media", "media", "dtmf", "stop"]
    assert [message["sequenceNumber"] for message in heard] == ["2", "3", "4", "5", "6"]
    assert [message["media"]["timestamp"] for message in heard[:3]] == ["0", "20", "40"]
    assert heard[3]["dtmf"]["digit"] == "7"
    assert visit.socket.close_code == 1000


async def test_timestamps_catch_up_with_the_clock_after_a_silence() -> None:
    async with talk(listen) as it:
        await it.call.until("listen")
        it.call.say(SOUND)
        await asyncio.sleep(0.6)
        it.call.say(SOUND)
        await asyncio.sleep(0.02)
        visit = await it.bot.visited()

    first, second = [int(message["media"]["timestamp"]) for message in visit.heard if message["event"] == "media"]
    assert first == 0
    assert 400 <= second <= 2000


async def test_what_the_bot_says_is_played_and_marks_come_back_in_their_place() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(media(), mark("a"), media(), media(), mark("b"))
        await visit.hear_event("mark")
        await visit.hear_event("mark")
        await visit.hear_all()

    async with talk(script) as it:
        await it.call.until("mark")
        await asyncio.sleep(0.05)
        it.call.all_played()
        await asyncio.sleep(0.05)
        visit = await it.bot.visited()

    assert played(it.call) == [WRITTEN, "mark", WRITTEN, WRITTEN, "mark"]
    assert [message["mark"]["name"] for message in visit.heard if message["event"] == "mark"] == ["a", "b"]


async def test_a_mark_with_nothing_before_it_comes_back_at_once() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(mark("now"))
        await visit.hear_event("mark")
        await visit.say({"event": "mark", "mark": {"name": "done"}})
        await visit.hear_event("mark")
        await visit.socket.close()

    async with talk(script) as it:
        assert (await it.over()).how is How.DONE


async def test_clear_empties_the_queue_and_gives_every_mark_back() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(media(), mark("a"), mark("b"), {"event": "clear", "streamSid": "MZ"})
        await visit.hear_event("mark")
        await visit.hear_event("mark")
        await visit.socket.close()

    async with talk(script) as it:
        assert (await it.over()).how is How.DONE
        visit = await it.bot.visited()

    assert played(it.call) == [WRITTEN, "mark", "mark", "clear", "mark"]
    assert [message["mark"]["name"] for message in visit.heard if message["event"] == "mark"] == ["a", "b"]


async def test_jambonz_marks_that_are_cleared_are_told_and_their_audio_goes_on() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SOUND, {"type": "mark", "data": {"name": "a"}}, {"type": "clearMarks"})
        while (message := await visit.hear()) != {"type": "mark", "data": {"name": "a", "event": "cleared"}}:
            assert isinstance(message, dict)
        await visit.say({"type": "disconnect"})
        await visit.hear_all()

    async with talk(script, dialect="jambonz") as it:
        await it.call.until("mark")
        await asyncio.sleep(0.05)
        it.call.all_played()
        assert await it.over() == Outcome(How.DONE, "the bot hung up")

    assert "clear" not in it.call.did


async def test_vonage_gets_raw_audio_and_is_told_that_it_was_cleared() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(bytes(1000), {"action": "clear"}, {"action": "notify", "payload": {"turn": 1}})
        await visit.hear_event("websocket:notify")
        await visit.socket.close()

    async with talk(script, dialect="vonage") as it:
        await it.call.until("listen")
        it.call.say(bytes(640))
        assert (await it.over()).how is How.DONE
        visit = await it.bot.visited()

    assert it.call.readers[0].rate_hz == 16000
    texts = [message for message in visit.heard if isinstance(message, dict)]
    assert [message["event"] for message in texts] == ["websocket:connected", "websocket:cleared", "websocket:notify"]
    assert texts[2]["payload"] == {"turn": 1}
    assert [message for message in visit.heard if isinstance(message, bytes)] in ([], [bytes(640)])


async def test_a_bot_that_closes_is_done_once_its_last_words_are_played() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(media())

    async with talk(script) as it:
        await it.call.until("mark")
        assert not it.outcome.done()
        it.call.all_played()
        assert await it.over() == Outcome(How.DONE, "the bot closed the WebSocket with 1000")


@pytest.mark.parametrize(("code", "reason"), [(1011, "internal error"), (1012, ""), (4000, "no")])
async def test_a_bot_that_closes_with_an_error_has_failed_and_is_silenced(code: int, reason: str) -> None:
    async def script(visit: Visit) -> None:
        await visit.say(media())
        await visit.socket.close(code, reason)

    async with talk(script) as it:
        outcome = await it.over()

    assert outcome == Outcome(How.FAILED, f"the bot closed the WebSocket with {code} {reason}".rstrip())
    assert it.call.did[-1] == "clear"


async def test_a_bot_whose_connection_breaks_has_failed() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear_event("start")
        visit.socket.transport.abort()

    async with talk(script) as it:
        outcome = await it.over()

    assert outcome.how is How.FAILED
    assert outcome.why.startswith("the connection broke")


async def test_a_bot_that_goes_while_the_call_is_being_answered_has_failed() -> None:
    class Slow(FakeCall):
        async def answer(self) -> None:
            await asyncio.sleep(0.2)
            await super().answer()

    async def script(visit: Visit) -> None:
        await visit.hear_event("start")
        visit.socket.transport.abort()

    async with talk(script, Slow()) as it:
        outcome = await it.over()

    assert outcome.how is How.FAILED


async def test_a_close_can_mean_the_fallback() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear_event("start")

    async with talk(script, on_close="fallback", fallback="desk") as it:
        outcome = await it.over()

    assert outcome == Outcome(How.FAILED, "the bot closed the WebSocket with 1000")


async def test_a_caller_who_gives_up_while_it_is_tried_ends_it_quietly() -> None:
    async with bot(listen, refuse=lambda visit: 503) as found:
        call = FakeCall()
        session = Session(call.as_call, read_options({"url": found.url, "dialect": "twilio"}))
        outcome = asyncio.create_task(session.run())
        await asyncio.sleep(0.3)
        call.hang_up()

        assert await outcome == Outcome(How.CALL_ENDED, "the caller hung up")
    assert (call.did, len(found.requests) > 1) == (["ring"], True)


async def test_a_bot_that_comes_up_while_it_rings_gets_the_call() -> None:
    async with bot(listen, refuse=lambda visit: 503 if visit < 3 else 0) as found:
        call = FakeCall()
        session = Session(call.as_call, read_options({"url": found.url, "dialect": "twilio"}))
        outcome = asyncio.create_task(session.run())
        await call.until("answer")
        call.hang_up()
        await outcome

    assert len(found.requests) == 4


async def test_a_bot_that_is_not_there_is_tried_every_quarter_of_a_second_until_the_time_is_up() -> None:
    async with bot(listen, refuse=lambda visit: 502) as found:
        call = FakeCall()
        options = {"url": found.url, "dialect": "twilio", "connect_timeout_s": 0.9}
        began = asyncio.get_running_loop().time()
        outcome = await Session(call.as_call, read_options(options)).run()
        took_s = asyncio.get_running_loop().time() - began

    host = found.url.split("/")[2]
    assert outcome == Outcome(How.FAILED, f"no stream to {host}: the bot answered HTTP 502, not a WebSocket")
    assert (call.did, 3 <= len(found.requests) <= 4) == (["ring"], True)
    assert 0.6 < took_s < 5


async def test_a_bot_that_says_no_is_not_asked_again() -> None:
    async with bot(listen, refuse=lambda visit: 403) as found:
        outcome = await Session(FakeCall().as_call, read_options({"url": found.url, "dialect": "twilio"})).run()

    assert (outcome.how, len(found.requests)) == (How.FAILED, 1)


async def test_a_call_may_be_answered_before_the_bot_is_there() -> None:
    async with talk(listen, answer="at_once") as it:
        await it.bot.visited()
        assert it.call.did[:1] == ["answer"]


async def test_a_call_may_be_answered_when_the_bot_speaks_and_nothing_of_it_is_lost() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear_event("start")
        await asyncio.sleep(0.1)
        await visit.say({"event": "clear"}, *[media()] * 20, mark("end"))
        await visit.hear_event("mark")

    async with talk(script, answer="first_audio") as it:
        await it.bot.visited()
        await asyncio.sleep(0.05)
        assert it.call.did == ["ring"]
        await it.call.until("mark")
        it.call.all_played()
        assert (await it.over()).how is How.DONE

    assert it.call.did[:2] == ["ring", "answer"]
    assert played(it.call)[:22] == ["clear", *[WRITTEN] * 20, "mark"]


async def test_a_bot_that_never_speaks_fails_where_its_voice_is_the_answer() -> None:
    async with talk(listen, answer="first_audio", first_audio_timeout_s=0.1) as it:
        assert await it.over() == Outcome(How.FAILED, "the bot said nothing for 0.1 s")

    assert it.call.did == ["ring"]


async def test_a_call_that_was_answered_by_another_agent_is_not_answered_again() -> None:
    async with talk(listen, FakeCall(answered=True)) as it:
        await it.bot.visited()
        await asyncio.sleep(0.05)

    assert it.call.did == ["listen"]


async def test_what_cannot_be_read_is_counted_and_passed_over() -> None:
    async def script(visit: Visit) -> None:
        await visit.say("garbage", b"\0\0", {"event": "dance"}, {"event": "media"}, media())
        await visit.hear_all()

    async with talk(script) as it:
        await it.call.until(WRITTEN)

    assert (it.session.counts.garbage, it.session.counts.unknown, it.session.counts.received) == (3, 1, 1)


async def test_a_hundred_messages_that_cannot_be_read_are_too_many() -> None:
    async def script(visit: Visit) -> None:
        for _ in range(100):
            await visit.say("<html>")
        await visit.hear_all()

    async with talk(script) as it:
        assert await it.over() == Outcome(How.FAILED, "the bot sends garbage: not JSON: '<html>'")


async def test_telnyx_is_told_what_cannot_be_read() -> None:
    async def script(visit: Visit) -> None:
        await visit.say("garbage")
        error = await visit.hear_event("error")
        assert error["payload"]["title"] == "malformed_frame"
        await visit.socket.close()

    async with talk(script, dialect="telnyx") as it:
        assert (await it.over()).how is How.DONE


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (json.dumps({"event": "clear"}), "the bot floods us with messages"),
        (json.dumps({"event": "dance"}), "the bot floods us with messages"),
        (json.dumps(mark("x")), "the bot floods us with m"),
    ],
)
async def test_a_flood_of_messages_ends_it(message: str, why: str) -> None:
    async def script(visit: Visit) -> None:
        await visit.say(media())
        for _ in range(5000):
            await visit.say(message)

    async with talk(script) as it:
        outcome = await it.over()

    assert outcome.how is How.FAILED
    assert outcome.why.startswith(why)


async def test_a_flood_of_audio_is_dropped_beyond_the_room_there_is_and_ends_it_when_it_goes_on() -> None:
    async def script(visit: Visit) -> None:
        second = media(bytes(16000))
        for _ in range(200):
            await visit.say(second)
        await visit.hear_all()

    async with talk(script, FakeCall(room_ms=5000)) as it:
        outcome = await it.over()

    assert outcome == Outcome(How.FAILED, "the bot floods us with audio: 60 s of audio wait to be played")
    assert sum(isinstance(thing, tuple) for thing in it.call.did) == 5
    assert it.session.counts.dropped_ms == 61_000


async def test_a_message_that_is_too_long_ends_it() -> None:
    async def script(visit: Visit) -> None:
        await visit.say("x" * 5000)
        await visit.hear_all()

    async with talk(script, max_message_bytes=4096) as it:
        outcome = await it.over()

    assert outcome.how is How.FAILED
    assert outcome.why.startswith("the bot broke the protocol: ")
