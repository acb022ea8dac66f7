"""An agent that is kept out of its call while somebody else has it."""

import asyncio

from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.aside import Aside
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.testing import FakeCall, run
from tests.calls.stage import WAIT_S, staged

TONE = sine(500, 20_000, level_dbfs=-10.0)


def test_every_call_can_be_taken_from_its_agent() -> None:
    assert issubclass(Call, Aside)


async def test_what_an_agent_does_meanwhile_reaches_nobody_and_it_is_heard_again_afterwards() -> None:
    steps: list[object] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        reader = call.audio
        call.write(TONE[:16000])
        call.step_aside()
        call.step_aside()
        steps.append((call.aside, call.queued_ms, call.write(TONE), call.clear(), await call.mark()))
        call.pause()
        call.resume()
        async with call.playing(TONE):
            steps.append(call.queued_ms)
        waiting = asyncio.create_task(call.play(TONE[:1600]))
        heard = asyncio.create_task(anext(reader))
        await call.elapse(1.0)  # type: ignore[attr-defined]
        steps.append((waiting.done(), heard.done(), call.queued_ms))
        call.step_back()
        call.step_back()
        await call.elapse(0.5)  # type: ignore[attr-defined]
        steps.append((call.aside, await waiting, heard.done()))

    call = FakeCall(audio=TONE)
    await run(agent, call)

    assert steps == [(True, 0, 0, 0, True), 0, (False, False, 0), (False, 100, True)]


async def test_digits_of_that_time_are_not_for_the_agent_and_others_hear_them() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        mine = call.dtmf
        call.step_aside()
        theirs = call.dtmf
        call.digit_pressed("7")
        call.step_back()
        call.digit_pressed("8")
        seen.extend([await anext(mine), await anext(theirs), await call.read_digit()])

    seen: list[object] = []
    await run(agent, FakeCall())

    assert seen == ["8", "7", "8"]


async def test_on_the_wire_the_next_packet_is_without_the_agent_and_a_pause_is_kept_for_it() -> None:
    paused: list[bool] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        call.write(TONE)
        await asyncio.sleep(0.4)
        call.pause()
        call.step_aside()
        paused.append(call.paused)
        call.step_back()
        paused.append(call.paused)
        await call.ended()

    async with staged(agent) as stage:
        call = await stage.call()
        heard = b""
        async with asyncio.timeout(WAIT_S):
            async for frame in call.audio:
                heard += frame.pcm
                if len(heard) >= 16 * 1200:
                    break
        await call.hangup()
        await stage.quiet()

    assert paused == [False, True]
    assert measure_tone(heard[1600:4800], 500, 8000) > -12
    assert measure_tone(heard[-4800:], 500, 8000) < -60
