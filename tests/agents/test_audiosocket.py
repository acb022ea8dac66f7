"""The agent as a whole: what it does when the bot fails, and real calls on loopback."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import pytest

from sipflow.agents.audiosocket import audiosocket, check, refers_to
from sipflow.agents.audiosocket_wire import AUDIO_KINDS, call_uuid
from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import AgentError, CallEnded
from sipflow.testing import FakeCall
from sipflow.testing import run as run_agent
from tests.agents.audiosocket_bots import DTMF, ERROR, HANGUP, SLIN, UUID, Bot, Visit, bot, hear_all
from tests.calls.stage import Stage, staged
from tests.interop.phone import steady_dbfs

NOWHERE = {"address": "127.0.0.1:1", "connect_timeout_s": 0.1}


async def outcome_of(options: Mapping[str, object], **scripted: object) -> tuple[FakeCall, HandOver | None]:
    """Run the agent on a call without a network, in real time."""
    call = FakeCall(options=options, speed=1.0, **scripted)  # type: ignore[arg-type]
    after: list[HandOver | None] = []

    async def agent(call: InboundCall) -> None:
        after.append(await audiosocket(call))

    await run_agent(agent, call)
    return call, after[0] if after else None


def connecting(stage: Stage, found: Bot, **options: object) -> None:
    """Let the stage's agent be an audiosocket to this bot."""
    given = {"address": found.address, **options}
    stage.agent.runner._agents["agent"] = (AgentSpec("agent", "audiosocket", given), audiosocket)


async def listen(call: OutboundCall, seconds: float) -> bytes:
    heard = b""
    async for frame in call.audio:
        heard += frame.pcm
        if len(heard) >= 16000 * seconds:
            break
    return heard


# Without a network between the call and the agent


def test_options_that_cannot_work_are_refused() -> None:
    check(NOWHERE)
    with pytest.raises(AgentError, match="needs `address`"):
        check({})


def test_the_agent_that_takes_over_is_known_beforehand() -> None:
    assert (refers_to({"fallback": "desk"}), refers_to(NOWHERE)) == ("desk", "")


async def test_without_a_bot_and_without_a_fallback_the_caller_gets_503() -> None:
    call, after = await outcome_of(NOWHERE)

    assert (call.provisionals, call.answered, after) == ([180], False, None)
    assert call.ending is not None
    assert (call.word, call.rejected) == (Word.AGENT_FAILED, 503)
    assert call.ending.why.startswith("no audiosocket to 127.0.0.1:1: ")


async def test_a_host_name_that_is_none_is_said_as_such() -> None:
    call, _ = await outcome_of({"address": f"{'a' * 70}.example:9092", "connect_timeout_s": 0.1})

    assert call.rejected == 503


async def test_a_fallback_may_be_another_agent() -> None:
    _, after = await outcome_of({**NOWHERE, "fallback": "desk"})

    assert after is not None
    assert after.agent == "desk"


async def test_a_bot_that_comes_late_is_waited_for_while_the_caller_hears_ringing() -> None:
    async with bot() as found:
        port = found.port

    async def come_late() -> None:
        await asyncio.sleep(0.4)
        async with bot(hear_all, port=port) as late:
            while not late.visits:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)

    late = asyncio.ensure_future(come_late())
    call, after = await outcome_of({"address": f"127.0.0.1:{port}"}, patience_s=2.0)
    await late

    assert (call.provisionals, call.answered, after) == ([180], True, None)


async def test_at_once_answers_before_the_bot_is_there() -> None:
    call, _ = await outcome_of({**NOWHERE, "answer": "at_once"})

    assert (call.provisionals, call.answered, call.word) == ([], True, Word.AGENT_FAILED)


async def test_the_caller_who_gives_up_ends_the_search_for_the_bot() -> None:
    call = FakeCall(options={"address": "127.0.0.1:1", "connect_timeout_s": 60}, speed=1.0)
    call.at(0.1, call.caller_hangs_up)
    async with asyncio.timeout(10):
        ending = await run_agent(audiosocket, call)

    assert (ending.by, ending.status) == ("remote", 487)


@pytest.mark.parametrize(
    ("kind", "payload", "why"),
    [
        (ERROR, b"\x04", "the bot reports an error: it is out of memory"),
        (0x48, b"x", "the far end sends garbage: a message of type 0x48, which AudioSocket does not have"),
        (SLIN, b"x", "the far end sends garbage: 1 bytes of audio, which are not whole 16-bit samples"),
    ],
)
async def test_a_bot_that_fails_in_the_middle_gets_its_fallback(kind: int, payload: bytes, why: str) -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, bytes(320))
        await visit.say(kind, payload)
        await asyncio.sleep(60)

    async with bot(script) as found:
        call, after = await outcome_of({"address": found.address, "fallback": "desk"})

    assert (call.answered, after) == (True, HandOver("desk", why))


@pytest.mark.parametrize(("on_close", "fails"), [("hangup", False), ("fallback", True)])
async def test_what_it_means_to_close_without_a_word_is_configured(on_close: str, fails: bool) -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, bytes(320))

    async with bot(script) as found:
        options = {"address": found.address, "on_close": on_close, "fallback": "desk"}
        _, after = await outcome_of(options)

    assert (after is not None) == fails


async def test_a_bot_that_closes_at_once_has_failed() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear()

    async with bot(script) as found:
        _, after = await outcome_of({"address": found.address, "fallback": "desk"})

    assert after is not None
    assert "never said anything" in after.why


async def test_the_bot_s_last_words_are_played_before_it_hangs_up() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, sine(440, 1000))
        await visit.say(HANGUP)

    async with bot(script) as found:
        call, after = await outcome_of({"address": found.address})

    assert (call.played_ms, after) == (1040, None)  # 40 ms of silence begin it


@pytest.mark.parametrize("rate_hz", AUDIO_KINDS)
async def test_audio_of_every_type_is_played_and_sent(rate_hz: int) -> None:
    async def script(visit: Visit) -> None:
        tone = sine(440, 300, sample_rate_hz=rate_hz)
        for at in range(0, len(tone), 60000):
            await visit.say(AUDIO_KINDS[rate_hz], tone[at : at + 60000])
        while len(visit.audio(AUDIO_KINDS[rate_hz])) < 2 * rate_hz * 0.4:
            await visit.hear()
        await visit.say(HANGUP)

    async with bot(script) as found:
        options = {"address": found.address, "sample_rate_hz": rate_hz}
        call, _ = await outcome_of(options, audio=sine(1000, 2000))
        told = found.visits[0].audio(AUDIO_KINDS[rate_hz])

    assert {len(payload) for kind, payload in found.visits[0].heard if kind == AUDIO_KINDS[rate_hz]} == {rate_hz // 25}
    assert steady_dbfs(told[len(told) // 2 :], 1000, rate_hz) == pytest.approx(-16.0, abs=1.0)
    assert measure_tone(call.played[16 * 80 : 16 * 280], 440) == pytest.approx(-16.0, abs=1.0)


async def test_a_bot_that_says_everything_at_once_is_held_back_and_loses_nothing() -> None:
    ahead: list[int] = []

    async def script(visit: Visit) -> None:
        for _ in range(100):
            await visit.say(SLIN, sine(440, 20))
        await visit.say(HANGUP)

    async def agent(call: InboundCall) -> None:
        async def watch() -> None:
            while True:
                await asyncio.sleep(0.01)
                ahead.append(call.queued_ms)

        watching = asyncio.ensure_future(watch())
        await audiosocket(call)
        watching.cancel()

    async with bot(script) as found:
        call = FakeCall(options={"address": found.address}, speed=1.0)
        await run_agent(agent, call)

    assert call.played_ms == 2040
    assert max(ahead) <= 220 + 20


# Real calls on loopback


async def test_a_call_goes_to_a_bot_and_back() -> None:
    """The bot says back what it hears, is told who calls and which digit, and hangs up."""

    async def script(visit: Visit) -> None:
        while True:
            kind, payload = await visit.hear()
            if kind == SLIN:
                await visit.say(SLIN, payload)
            elif kind == DTMF:
                await visit.say(HANGUP)
                await visit.hear_until(HANGUP)
                return

    async with bot(script) as found, staged() as stage:
        connecting(stage, found)
        call = await stage.call()
        async with call.playing(sine(1000, 5000, level_dbfs=-12.0)):
            heard = await listen(call, 2)
        with suppress(CallEnded):  # the bot is quicker than the end of the digit
            await call.send_digits("5")
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()
        told = found.visits[0].heard

    assert steady_dbfs(heard[-16000:], 1000) == pytest.approx(-12.0, abs=1.0)
    assert told[0] == (UUID, call_uuid(stage.agent.calls[0].id).bytes)
    assert [payload for kind, payload in told if kind == DTMF] == [b"5"]
    assert told[-1] == (HANGUP, b"")
    assert {len(payload) for kind, payload in told if kind == SLIN} == {320}
    assert (ending.status, stage.kept.records[0].agent) == (200, "agent")


async def test_a_caller_that_hangs_up_is_told_to_the_bot() -> None:
    async with bot(hear_all) as found, staged() as stage:
        connecting(stage, found)
        call = await stage.call()
        await listen(call, 0.2)
        await call.hangup()
        await stage.quiet()
        async with asyncio.timeout(10):
            while not found.visits or found.visits[0].heard[-1] != (HANGUP, b""):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert [kind for kind, _ in found.visits[0].heard].count(HANGUP) == 1


async def test_a_bot_that_never_reads_ends_the_call_and_costs_no_memory() -> None:
    async def script(visit: Visit) -> None:
        await asyncio.sleep(60)

    async with bot(script) as found:
        call = FakeCall(
            options={"address": found.address, "sample_rate_hz": 192000, "drop_s": 0.5, "fallback_status": 500},
            speed=50.0, patience_s=600,
        )  # fmt: skip
        ending = await asyncio.wait_for(run_agent(audiosocket, call), 50)

    assert ending.why == "the far end read nothing for 0.5 s"
