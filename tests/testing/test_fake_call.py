"""The fake call is the call: same surface, same counts; its time is virtual and exact."""

import asyncio
import inspect
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sipflow.agents.echo import echo
from sipflow.agents.spec import HandOver
from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.call import Call
from sipflow.calls.events import DigitPressed, HoldChanged
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.testing import FakeCall, run

SECOND = sine(440, 1000, level_dbfs=-10.0)
SWITCHBOARDS = {
    "prepare",
    "early_answered",
    "confirmed",
}  # what the switchboard tells a call of its SIP, which a fake one has not


def public(owner: type) -> dict[str, object]:
    return {name: thing for name, thing in vars(owner).items() if not name.startswith("_")}


def test_a_fake_call_has_the_surface_of_a_call_signature_by_signature() -> None:
    for name in {name for name in dir(InboundCall) if not name.startswith("_")}:
        real, fake = inspect.getattr_static(InboundCall, name), inspect.getattr_static(FakeCall, name)
        assert type(real) is type(fake), name
        if callable(real):
            assert inspect.signature(real) == inspect.signature(fake), name


def test_whatever_an_inbound_call_does_by_sip_a_fake_call_does_without() -> None:
    assert [name for name in public(InboundCall) if name not in SWITCHBOARDS and name not in public(FakeCall)] == []


def test_what_is_played_is_kept_and_takes_no_time() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        assert await call.play(SECOND * 60) == 60_000
        assert call.played_ms == 60_000

    call = FakeCall(patience_s=100)
    began = time.monotonic()
    ending = asyncio.run(run(agent, call))

    assert (call.played, call.clock_s, ending.by) == (SECOND * 60, 60.0, "local")
    assert time.monotonic() - began < 5


async def test_the_first_digit_stops_the_prompt_at_its_very_moment(tmp_path: Path) -> None:
    prompt = tmp_path / "menu.wav"
    prompt.write_bytes(wav_header(len(SECOND) * 5) + SECOND * 5)
    heard: list[str | None] = []

    async def menu(call: InboundCall) -> None:
        await call.answer()
        async with call.playing(prompt):
            heard.append(await call.read_digit(timeout=8.0))

    call = FakeCall(digits="1")
    await run(menu, call)

    assert (heard, len(call.played) // 16) == (["1"], 1000)


async def test_a_digit_that_nobody_presses_times_out_in_virtual_time() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        assert await call.read_digit(timeout=20.0) is None

    call = FakeCall()
    await run(agent, call)

    assert call.clock_s == 20.0


def test_a_fake_call_has_every_attribute_of_a_call() -> None:
    given = {
        name
        for part in InboundCall.__mro__[:-1]
        for name in re.findall(r"\bself\.([a-z]\w*)(?:: [^=\n]+)? = ", inspect.getsource(part))
    }
    call = FakeCall()

    assert {"id", "options", "media"} <= given
    assert [name for name in sorted(given) if not hasattr(call, name)] == []


async def test_early_media_begins_the_script_before_the_answer() -> None:
    async def agent(call: InboundCall) -> None:
        await call.progress()
        assert await call.play(SECOND) == 1000
        await call.reject(404)

    call = FakeCall()
    await run(agent, call)

    assert (call.provisionals, call.rejected, call.played) == ([183], 404, SECOND)


async def test_a_second_agent_may_answer_what_the_first_has_answered() -> None:
    call = FakeCall()
    await call.answer()
    call.handed_over = True
    await call.ring()
    await call.progress()
    await call.answer()

    assert call.provisionals == []


async def test_a_caller_on_hold_is_not_heard() -> None:
    heard: list[bool] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        reader = call.audio
        for hold in (call.put_on_hold, call.take_off_hold):
            await hold()
            heard.append(any((await anext(reader)).pcm))
            assert call.holding is (len(heard) == 1)

    await run(agent, FakeCall(audio=SECOND))

    assert heard == [False, True]


async def test_what_the_caller_says_is_heard_and_echoed() -> None:
    call = FakeCall(audio=SECOND * 3, patience_s=1.0)

    ending = await run(echo, call)

    assert (call.played, ending.by) == (SECOND * 3 + bytes(len(call.played) - len(SECOND) * 3), "remote")


async def test_audio_may_be_pieces_of_any_length_from_an_async_iterator() -> None:
    async def speech() -> AsyncIterator[bytes]:
        for start in range(0, len(SECOND), 1000):
            yield SECOND[start : start + 1000]

    got = b""

    async def agent(call: InboundCall) -> None:
        nonlocal got
        await call.answer()
        async for frame in call.audio:
            got += frame.pcm

    await run(agent, FakeCall(audio=speech(), patience_s=0.1))

    assert got.startswith(SECOND)
    assert not any(got[len(SECOND) :])


async def test_clear_is_exact_and_what_was_cleared_is_not_played() -> None:
    cleared: list[int] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        call.write(SECOND)
        async for number, _ in enumerated(call):
            if number == 24:
                cleared.append(call.clear())
                return

    call = FakeCall()
    await run(agent, call)

    assert (cleared, call.played) == ([500], SECOND[:8000])


async def enumerated(call: InboundCall) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for frame in call.audio:
        yield number, frame.pcm
        number += 1


async def test_the_caller_hanging_up_ends_the_agent_quietly() -> None:
    reached: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(SECOND * 10)
        reached.append("the end")

    call = FakeCall()
    call.at(2.0, call.caller_hangs_up)
    ending = await run(agent, call)

    assert (reached, ending.by, len(call.played) // 16) == ([], "remote", 2000)


async def test_an_agent_that_raises_fails_the_test_and_the_call_has_ended() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        raise KeyError("broken")

    call = FakeCall()
    with pytest.raises(KeyError, match="broken"):
        await run(agent, call)

    assert call.ending is not None


async def test_refusals_and_headers_are_kept() -> None:
    async def agent(call: InboundCall) -> None:
        assert call.variables["X-Customer"] == "7"
        await call.ring(183)
        await call.reject(302, headers={"Contact": "<sip:elsewhere@example.com>"})

    call = FakeCall(headers={"X-Customer": "7"})
    ending = await run(agent, call)

    assert (call.provisionals, call.rejected, call.answered) == ([183], 302, False)
    assert call.sent_headers == {"Contact": "<sip:elsewhere@example.com>"}
    assert ending.status == 302


async def test_headers_of_the_hang_up_are_kept() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.send_digits("12#")
        await call.hangup(headers={"X-Result": "done"})
        with pytest.raises(CallEnded):
            await call.play(SECOND)

    call = FakeCall()
    await run(agent, call)

    assert (call.sent_headers, call.digits_sent) == ({"X-Result": "done"}, "12#")


async def test_an_agent_that_never_answers_is_refused_with_480() -> None:
    async def agent(call: InboundCall) -> None:
        with pytest.raises(LocalProtocolError, match="there is no audio yet"):
            await call.play(SECOND)

    call = FakeCall()
    await run(agent, call)

    assert call.rejected == 480


@pytest.mark.parametrize("status", [200, 700])
async def test_statuses_that_a_call_refuses_a_fake_one_refuses(status: int) -> None:
    call = FakeCall()
    for attempt in (call.ring(status), call.reject(status)):
        with pytest.raises(LocalProtocolError):
            await attempt
    await call.answer()
    for attempt in (call.ring(), call.answer(), call.reject()):
        with pytest.raises(LocalProtocolError, match="already answered"):
            await attempt
    with pytest.raises(LocalProtocolError):
        await call.send_digits("x")


async def test_hold_stands_still_and_is_told() -> None:
    told: list[object] = []

    async def agent(call: InboundCall) -> None:
        events = call.events
        await call.answer()
        await call.play(SECOND * 2)
        await call.hangup()
        told.extend([event async for event in events])

    call = FakeCall(digits="5")
    call.speech_settings = None
    call.at(0.5, call.hold_agent)
    call.at(3.5, call.end_hold)
    await run(agent, call)

    assert told == [HoldChanged(True), DigitPressed("5"), HoldChanged(False)]
    assert (call.clock_s, call.played) == (5.0, SECOND * 2)


async def test_a_file_that_is_not_there_is_a_media_error() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        with pytest.raises(MediaError, match="No such file"):
            await call.play("nowhere.wav")

    await run(agent, FakeCall())


async def test_a_test_may_run_the_agent_itself_and_let_time_pass() -> None:
    call = FakeCall()
    await call.answer()
    playing = asyncio.create_task(call.play(SECOND))
    await call.elapse(0.4)

    assert (call.played_ms, playing.done()) == (400, False)
    await call.elapse(1.0)
    assert await playing == 1000
    assert call.stats.packets_sent == 70


async def test_real_time_is_real() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(SECOND[:1600])

    began = time.monotonic()
    await run(agent, FakeCall(speed=1.0))

    assert time.monotonic() - began >= 0.1


async def test_cancelling_a_run_cancels_the_agent() -> None:
    ended: list[str] = []

    async def agent(call: InboundCall) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    running = asyncio.create_task(run(agent, FakeCall()))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert ended == ["cancelled"]


def test_a_call_has_nothing_public_that_is_not_documented() -> None:
    assert [name for name in dir(Call) if not name.startswith("_") and not inspect.getdoc(getattr(Call, name))] == []


async def test_to_whom_a_call_is_handed_over_can_be_asked() -> None:
    async def agent(call: InboundCall) -> HandOver | None:
        await call.answer()
        return HandOver("sales") if await call.read_digit(timeout=8.0) == "1" else None

    handed, kept = FakeCall(digits="1"), FakeCall(digits="2")
    await run(agent, handed)
    await run(agent, kept)

    assert (handed.handed_to, kept.handed_to) == ("sales", "")


async def test_the_end_of_the_call_is_quiet_in_a_task_group_too() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        call.note("two at once", name="any detail")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.play(SECOND * 60))
            tasks.create_task(call.read_digit(timeout=60.0))

    call = FakeCall()
    call.at(2.5, call.caller_hangs_up)

    assert (await run(agent, call)).by == "remote"
    assert [(name, details) for _, name, details in call.record.history] == [
        ("answered", {}),
        ("two at once", {"name": "any detail"}),
    ]


async def test_a_fake_call_out_is_answered_from_the_start_and_says_what_it_was_ordered_with() -> None:
    seen: list[object] = []

    async def agent(call: InboundCall) -> None:
        await call.ring()
        await call.progress()
        await call.answer()
        seen.extend((call.answered, call.record.direction, call.record.number, call.caller, call.callee))
        seen.append(dict(call.variables))
        await call.play(SECOND)
        await call.reject(486, "wrong number")

    call = FakeCall(direction="outbound", caller="+12065550100", callee="+12065550123", variables={"plan": "gold"})
    ending = await run(agent, call)

    assert seen == [True, "outbound", "+12065550100", "+12065550100", "+12065550123", {"plan": "gold"}]
    assert (call.played, ending.by, ending.status, ending.why) == (SECOND, "local", 200, "wrong number")
    assert call.provisionals == []
    assert [line.name for line in call.record.history] == ["answered"]
