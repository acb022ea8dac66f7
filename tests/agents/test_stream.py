"""The agent as a whole: its options, what it does when the bot fails, and a real call."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

import pytest

from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.agents.stream import check, refers_to, stream
from sipflow.agents.stream.signing import signature
from sipflow.audio.tones import sine
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import AgentError, CallEnded
from tests.agents.stream.bots import Visit, bot
from tests.agents.stream.fake_call import FakeCall
from tests.calls.stage import Stage, staged
from tests.interop.phone import steady_dbfs

NOWHERE = {"url": "ws://127.0.0.1:1/ws", "dialect": "twilio", "connect_timeout_s": 0.1}


async def listen(visit: Visit) -> None:
    await visit.hear_all()


async def fail_after_answer(visit: Visit) -> None:
    await visit.hear_event("start")
    await asyncio.sleep(0.05)
    await visit.socket.close(1011, "internal error")


def test_options_that_cannot_work_are_refused() -> None:
    check(NOWHERE)
    with pytest.raises(AgentError, match="needs `url`"):
        check({"dialect": "twilio"})


def test_the_agent_that_takes_over_is_known_beforehand() -> None:
    assert (refers_to({"fallback": "desk"}), refers_to(NOWHERE)) == ("desk", "")


async def test_without_a_bot_and_without_a_fallback_the_caller_gets_503() -> None:
    call = FakeCall(NOWHERE)

    assert await stream(call.as_call) is None
    assert call.did[0] == "ring"
    assert call.did[1][:3] == ("end", Word.AGENT_FAILED, 503)  # type: ignore[index]


async def test_a_fallback_may_be_another_agent() -> None:
    call = FakeCall({**NOWHERE, "fallback": "desk"})
    after = await stream(call.as_call)

    assert call.did == ["ring"]
    assert after is not None
    assert after.agent == "desk"
    assert after.why.startswith("no stream to 127.0.0.1:1: it cannot be reached: ")


async def test_a_bot_that_fails_in_the_middle_gets_its_fallback() -> None:
    async with bot(fail_after_answer) as found:
        call = FakeCall({"url": found.url, "dialect": "twilio", "fallback": "desk"})

        assert await stream(call.as_call) == HandOver("desk", "the bot closed the WebSocket with 1011 internal error")
    assert [thing for thing in call.did if isinstance(thing, tuple)] == []


async def test_a_bot_that_is_done_ends_the_call_without_a_word() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear_event("start")

    async with bot(script) as found:
        call = FakeCall({"url": found.url, "dialect": "twilio", "fallback": "desk"})

        assert await stream(call.as_call) is None


async def test_parameters_are_filled_in_and_the_handshake_is_signed() -> None:
    async def script(visit: Visit) -> None:
        await visit.hear_event("start")

    secret = "a secret of many characters"
    async with bot(script, path="/ws?tenant=7") as found:
        parameters = {"greeting": "Hello {caller}", "customer": "{X-Customer}", "none": "{nothing}", "X-Customer": "43"}
        options = {"url": found.url, "dialect": "twilio", "sign_secret": secret, "parameters": parameters}
        await stream(FakeCall(options).as_call)

    headers = found.requests[0].headers
    timestamp = headers["X-Sipflow-Timestamp"]
    told = found.visits[0].heard[1]["start"]["customParameters"]
    expected = signature(secret, timestamp=timestamp, call_id="call-1", url=found.url)
    assert (headers["X-Sipflow-Call"], headers["X-Sipflow-Signature"]) == ("call-1", f"v1={expected}")
    assert {name: told[name] for name in parameters} == {
        "greeting": "Hello +12065550199",
        "customer": "42",
        "none": "",
        "X-Customer": "43",
    }


# Real calls on loopback


def streaming(stage: Stage, options: Mapping[str, object], **others: object) -> None:
    """Let the stage's agent be a stream with these options, beside others."""
    agents = stage.agent.runner._agents
    agents["agent"] = (AgentSpec("agent", "stream", options), stream)
    for name, agent in others.items():
        agents[name] = (AgentSpec(name, "x:y"), agent)  # type: ignore[assignment]


async def test_a_call_goes_to_a_bot_and_back() -> None:
    """The bot says back what it hears, and is told of a digit."""

    async def script(visit: Visit) -> None:
        while (message := await visit.hear())["event"] != "dtmf":
            if message["event"] == "media":
                await visit.say({"event": "media", "media": {"payload": message["media"]["payload"]}})

    heard = b""
    async with bot(script) as found, staged() as stage:
        streaming(stage, {"url": found.url, "dialect": "twilio"})
        call = await stage.call()
        async with call.playing(sine(1000, 5000, level_dbfs=-12.0)):
            async for frame in call.audio:
                heard += frame.pcm
                if len(heard) >= 16000 * 2:
                    break
        with suppress(CallEnded):  # the bot is quicker than the end of the digit
            await call.send_digits("5")
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert steady_dbfs(heard[-16000:], 1000) == pytest.approx(-12.0, abs=1.0)
    assert found.visits[0].heard[-1]["dtmf"]["digit"] == "5"
    assert (ending.status, stage.kept.records[0].agent) == (200, "agent")


async def test_a_call_that_its_bot_has_answered_goes_on_with_another_agent() -> None:
    took_over: list[tuple[bool, str]] = []

    async def desk(call: InboundCall) -> None:
        await call.ring()
        await call.answer()
        took_over.append((call.answered, call.record.agent))
        await call.play(sine(440, 200))

    async with bot(fail_after_answer) as found, staged() as stage:
        streaming(stage, {"url": found.url, "dialect": "twilio", "fallback": "desk"}, desk=desk)
        call = await stage.call()
        await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert took_over == [(True, "desk")]
    assert [record.ending.word for record in stage.kept.records if record.ending] == [Word.HUNG_UP]


async def test_a_caller_that_hangs_up_ends_the_bot_s_stream() -> None:
    async with bot(listen) as found, staged() as stage:
        streaming(stage, {"url": found.url, "dialect": "telnyx"})
        call = await stage.call()
        await asyncio.sleep(0.1)
        await call.hangup()
        await stage.quiet()
        visit = await found.visited()
        async with asyncio.timeout(10):
            await visit.socket.wait_closed()

    assert visit.heard[-1]["event"] == "stop"
    assert (visit.socket.close_code, json.dumps(visit.heard[1]["start"]["from"])) == (1000, '"caller"')
