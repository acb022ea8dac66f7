"""How calls of an agent go, whatever its handler does: over real calls between two edges."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sipflow.agents.conduct import NOTHING, Conduct
from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.audio.tones import level_dbfs, sine
from sipflow.audio.wav import read_wav
from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.recorder import Recorder, Settings
from sipflow.errors import AgentError
from tests.calls.stage import WAIT_S, Stage, answer_and_wait, staged

TONE = sine(440, 200)


def conducted(
    stage: Stage,
    conduct: Conduct,
    agent: Callable[[InboundCall], Awaitable[HandOver | None]] = answer_and_wait,
    *,
    recorder: Recorder | None = None,
) -> None:
    """Let the agent of a stage have a conduct."""
    stage.agent.runner = Runner(stage.callee.tasks, recorder=recorder)
    stage.agent.runner._agents = {"agent": (AgentSpec("agent", "x:y", conduct=conduct), agent)}


@pytest.mark.parametrize(
    ("fields", "conduct"),
    [
        ({}, NOTHING),
        ({"is_recording": True}, Conduct(is_recording=True)),
        ({"is_recording": False, "max_duration": None}, Conduct(is_recording=False)),
        ({"max_duration": 90}, Conduct(max_duration_s=90.0)),
        ({"max_duration": {"duration_seconds": 90, "is_enabled": True}}, Conduct(max_duration_s=90.0)),
        ({"max_duration": {"duration_seconds": 90}}, Conduct(max_duration_s=90.0)),
        ({"max_duration": {"duration_seconds": 90, "is_enabled": False}}, NOTHING),
        (
            {"agent": {"ring_pause_seconds": 2, "initial_pause_seconds": 0.5, "allowed_idle_time_seconds": 8}},
            Conduct(ring_pause_s=2.0, initial_pause_s=0.5, allowed_idle_s=8.0),
        ),
        ({"ring_timeout_seconds": 25}, Conduct(ring_timeout_s=25.0)),
        ({"ring_pause_seconds": 3, "agent": {"ring_pause_seconds": 2}}, Conduct(ring_pause_s=3.0)),
        ({"agent": None, "ring_pause_seconds": None}, NOTHING),
    ],
)
def test_fields_are_read_as_the_api_and_the_configuration_have_them(
    fields: dict[str, object], conduct: Conduct
) -> None:
    assert Conduct.of(fields) == conduct
    assert bool(Conduct.of(fields)) is (conduct != NOTHING)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"is_recording": "yes"}, "is_recording: it is true or false"),
        ({"max_duration": "long"}, "max_duration: it is seconds, 0 to 86400"),
        ({"max_duration": {"duration_seconds": -1}}, "max_duration: it is duration_seconds, 0 to 86400"),
        ({"max_duration": {"is_enabled": 1}}, "max_duration: is_enabled is true or false"),
        ({"ring_pause_seconds": True}, "ring_pause_seconds: it is seconds, 0 to 3600"),
        ({"agent": {"initial_pause_seconds": float("nan")}}, "initial_pause_seconds: it is seconds, 0 to 3600"),
    ],
)
def test_values_that_cannot_work_are_refused_with_the_fields_name(fields: dict[str, object], why: str) -> None:
    with pytest.raises(AgentError) as refused:
        Conduct.of(fields)

    assert str(refused.value) == why


async def test_a_call_rings_for_as_long_as_it_must_before_any_handler_answers() -> None:
    async with staged() as stage:
        conducted(stage, Conduct(ring_pause_s=0.3))
        begun = time.monotonic()
        call = await stage.caller.switchboard.place(stage.plan())
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
        took_s = time.monotonic() - begun
        await call.hangup()
        await stage.quiet()

    assert took_s >= 0.29
    assert [line.name for line in call.record.history][:3] == ["started", "ringing", "answered"]


async def test_a_caller_who_gives_up_while_it_must_ring_ends_the_agent_quietly() -> None:
    async with staged() as stage:
        conducted(stage, Conduct(ring_pause_s=30))
        rings = asyncio.Event()
        call = await stage.caller.switchboard.place(stage.plan())
        call.on_progress = lambda status, _reason: rings.set() if status == 180 else None
        async with asyncio.timeout(WAIT_S):
            await rings.wait()
        await call.hangup()
        await stage.quiet()

    ending = stage.kept.records[0].ending
    assert ending is not None
    assert (ending.status, ending.word) == (487, Word.CANCELLED)


async def test_nothing_is_said_in_the_first_pause_and_then_all_of_it() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(TONE)

    async with staged(agent) as stage:
        conducted(stage, Conduct(initial_pause_s=0.3), agent)
        call = await stage.call()
        levels = [level_dbfs(frame.pcm) async for frame in call.audio]
        await stage.quiet()

    loud = [number for number, level in enumerate(levels) if level > -30]
    assert loud[0] * 20 >= 240  # the first packets are lost to the time until we listened
    assert 7 <= len(loud) <= 11  # of ten; a machine that stalls loses some


async def test_a_call_that_lasts_too_long_is_ended_and_says_why() -> None:
    async with staged() as stage:
        conducted(stage, Conduct(max_duration_s=0.2))
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            await call.ended()
        await stage.quiet()

    record = stage.kept.records[0]
    assert record.ending is not None
    assert (record.ending.by, record.ending.word, record.ending.fault) == ("local", Word.TIMED_OUT, Fault.NOBODY)
    assert record.ending.why == "max_duration: the call has lasted 0.2 s"
    assert record.talk_s >= 0.19


async def test_a_call_on_which_nobody_says_anything_is_ended() -> None:
    async with staged() as stage:
        conducted(stage, Conduct(allowed_idle_s=0.4))
        call = await stage.call()
        begun = time.monotonic()
        async with asyncio.timeout(WAIT_S):
            await call.ended()
        took_s = time.monotonic() - begun
        await stage.quiet()

    ending = stage.kept.records[0].ending
    assert ending is not None
    assert (ending.word, ending.why) == (
        Word.TIMED_OUT,
        "allowed_idle_time_seconds: nobody has said anything for 0.4 s",
    )
    assert took_s >= 0.3


@pytest.mark.parametrize("detector", [True, False])
async def test_who_speaks_presses_keys_or_holds_is_not_idle(detector: bool) -> None:
    async def agent(call: InboundCall) -> None:
        if not detector:
            call.speech_settings = None
        await call.answer()
        await call.ended()

    async with staged(agent) as stage:
        conducted(stage, Conduct(allowed_idle_s=0.6), agent)
        call = await stage.call()
        await call.play(sine(440, 500) + bytes(1600) + sine(300, 500))
        after_speech = call.ending
        await asyncio.sleep(0.2)
        await call.send_digits("5")
        await asyncio.sleep(0.25)
        after_digit = call.ending
        await call.put_on_hold()
        await asyncio.sleep(0.8)
        on_hold = call.ending
        await call.hangup()
        await stage.quiet()

    assert (after_speech, after_digit, on_hold) == (None, None, None)


async def test_an_agent_that_speaks_is_not_idle() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(sine(440, 900))
        await call.ended()

    async with staged(agent) as stage:
        conducted(stage, Conduct(allowed_idle_s=0.4), agent)
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            await call.ended()
        await stage.quiet()

    assert stage.kept.records[0].talk_s >= 1.2


async def test_recording_is_what_the_agent_says_else_what_is_set(tmp_path: Path) -> None:
    made = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        made.append(bool(call.record.recording))

    async with staged(agent) as stage:
        for automatic in (False, True):
            for says in (None, False, True):
                settings = Settings(folder=str(tmp_path / "recordings"), automatic=automatic)
                conducted(stage, Conduct(is_recording=says), agent, recorder=Recorder(settings, stage.callee.tasks))
                await (await stage.call()).ended()

    assert made == [False, False, True, True, False, True]


async def test_a_recording_holds_the_agents_first_word_and_its_record_tells_where_it_is(tmp_path: Path) -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(TONE)

    async with staged(agent) as stage:
        recorder = Recorder(Settings(folder=str(tmp_path / "recordings")), stage.callee.tasks)
        conducted(stage, Conduct(is_recording=True), agent, recorder=recorder)
        call = await stage.call()
        await call.ended()
        await stage.quiet()
        record = stage.kept.records[0]
        assert await recorder.finished(record.id)

    path = tmp_path / "recordings" / record.started_at.strftime("%Y-%m-%d") / f"{record.id}.wav"
    heard = read_wav(path.read_bytes()).pcm  # both voices in one
    assert record.recording == str(path)
    assert record.recording_s == pytest.approx(len(heard) / 16000, abs=0.03)
    assert 0.19 <= record.recording_s <= 0.4
    assert sum(level_dbfs(heard[at : at + 320]) > -30 for at in range(0, len(heard) - 319, 320)) in (10, 11)


async def test_a_recording_that_cannot_be_made_does_not_end_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with staged() as stage:
        recorder = Recorder(Settings(folder=str(tmp_path / "file")), stage.callee.tasks)
        conducted(stage, Conduct(is_recording=True), recorder=recorder)
        call = await stage.call()
        alive = call.ending is None
        await call.hangup()
        await stage.quiet()

    assert alive
    assert stage.kept.records[0].recording == ""


async def test_another_agent_that_takes_over_brings_its_own_conduct() -> None:
    async def first(call: InboundCall) -> HandOver:
        await call.answer()
        return HandOver("second")

    async with staged() as stage:
        conducted(stage, Conduct(max_duration_s=0.1), first)
        second = AgentSpec("second", "x:y", conduct=Conduct(max_duration_s=0.5))
        stage.agent.runner._agents["second"] = (second, answer_and_wait)
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            await call.ended()
        await stage.quiet()

    ending = stage.kept.records[0].ending
    assert ending is not None
    assert ending.why == "max_duration: the call has lasted 0.5 s"
