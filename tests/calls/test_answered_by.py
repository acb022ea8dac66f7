"""`call.answered_by()`: on calls that were placed, over the wire; and what an agent makes of it."""

import asyncio

import numpy as np
import pytest

from sipflow.audio.answering import AnsweringSettings, Verdict, Who
from sipflow.audio.tones import sine
from sipflow.calls.answered_by import who_answered
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError
from sipflow.testing import FakeCall, run
from tests.calls.stage import staged

QUICK = AnsweringSettings(short_wait_ms=200, middling_wait_ms=300, long_wait_ms=400)


def talk(seconds: float) -> bytes:
    """Something like a voice: a buzz with syllables."""
    at = np.arange(int(8000 * seconds)) / 8000
    buzz = sum(np.sin(2 * np.pi * 130 * n * at) for n in range(3, 20)) * 700
    return bytes(np.asarray(buzz * (1.2 + np.sin(8 * np.pi * at)) / 2).clip(-32768, 32767).astype("<i2").tobytes())


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * 8000) * 2)


BOX = silence(0.5) + talk(4) + silence(0.5) + sine(1000, 300)
MENU = silence(0.5) + (talk(2) + silence(0.5)) * 4


async def test_over_the_wire_a_person_is_told_from_a_beep_and_both_calls_go_on() -> None:
    async def person(call: InboundCall) -> None:
        await call.answer()
        await call.play(silence(0.2) + talk(0.4))
        await call.ended()

    async def box(call: InboundCall) -> None:
        await call.answer()
        await call.play(silence(0.2) + talk(0.4) + silence(0.1) + sine(1000, 300))
        await call.ended()

    told: list[tuple[Who, bool]] = []
    for agent in (person, box):
        async with staged(agent) as stage:
            call = await stage.call()
            call.answering_settings = QUICK
            verdict = await call.answered_by(timeout_s=8)
            told.append((verdict.who, call.ending is None))
            await call.hangup()
            await stage.quiet()

    assert told == [(Who.PERSON, True), (Who.VOICEMAIL, True)]


async def test_nothing_listens_before_or_after_or_where_it_was_cancelled() -> None:
    async with staged() as stage:
        call = await stage.call()
        assert call.media is not None
        playout = call.media.session._playout
        before = playout.sinks
        task = asyncio.create_task(call.answered_by())
        while playout.sinks == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        after, alive = playout.sinks, call.ending is None
        verdict = await call.answered_by(timeout_s=0.1)
        at_last = playout.sinks
        await call.hangup()
        await stage.quiet()

    assert (before, after, at_last, alive) == ((), (), (), True)
    assert verdict.who is Who.SILENCE


async def test_it_ends_with_the_call() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answered_by()

    call = FakeCall(direction="outbound", audio=talk(20))
    call.at(2.0, call.caller_hangs_up)

    async def told(call: InboundCall) -> None:
        with pytest.raises(CallEnded):
            await agent(call)

    ending = await run(told, call)
    assert (ending.by, call.clock_s) == ("remote", 2.0)


async def test_it_needs_an_answer_and_a_time_that_can_be() -> None:
    async def agent(call: InboundCall) -> None:
        with pytest.raises(LocalProtocolError, match="answer the call first"):
            await call.answered_by()
        await call.answer()
        for seconds in (0.0, -1.0, 121.0, float("nan")):
            with pytest.raises(LocalProtocolError, match="timeout_s is"):
                await call.answered_by(timeout_s=seconds)

    await run(agent, FakeCall())


async def test_a_fake_call_that_is_told_nothing_listens_and_the_history_says_what_was_heard() -> None:
    found: list[Verdict] = []

    async def agent(call: InboundCall) -> None:
        found.append(await call.answered_by())
        await call.play(talk(1.0))

    call = FakeCall(direction="outbound", audio=BOX)
    await run(agent, call)

    assert [verdict.who for verdict in found] == [Who.VOICEMAIL]
    assert [(line.name, line.details) for line in call.record.history if line.name == "answered_by"] == [
        (
            "answered_by",
            {"who": "voicemail", "reasons": list(found[0].reasons), "seconds": found[0].at_ms / 1000},
        )
    ]


async def test_time_out_counts_in_the_calls_own_time() -> None:
    found: list[Verdict] = []

    async def agent(call: InboundCall) -> None:
        found.append(await call.answered_by(timeout_s=3.0))

    call = FakeCall(direction="outbound", audio=talk(20))
    await run(agent, call)

    assert found[0].who is Who.UNSURE
    assert call.clock_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8000, 48000])
async def test_wideband_calls_are_heard_as_well(rate_hz: int) -> None:
    found: list[Verdict] = []
    wide = np.repeat(np.frombuffer(BOX, "<i2"), rate_hz // 8000).tobytes()

    async def agent(call: InboundCall) -> None:
        found.append(await call.answered_by())

    await run(agent, FakeCall(direction="outbound", audio=wide, wire_hz=rate_hz))

    assert found[0].who is Who.VOICEMAIL
    assert found[0].beep_hz == pytest.approx(1000, abs=10)


async def test_hold_stops_the_clock() -> None:
    found: list[Verdict] = []

    async def agent(call: InboundCall) -> None:
        found.append(await call.answered_by())

    call = FakeCall(direction="outbound", audio=silence(7.0) + talk(0.5))
    call.at(1.0, call.hold_agent)
    call.at(6.0, call.end_hold)
    await run(agent, call)

    assert found[0].who is Who.PERSON
    assert found[0].at_ms == pytest.approx(3500, abs=60)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (Who.PERSON, "person"),
        (Who.SILENCE, "person"),
        (Who.UNSURE, "person"),
        (Who.VOICEMAIL, "voicemail"),
        (Who.BEEP, "voicemail"),
        (Who.MACHINE, "voicemail"),
        (Who.FAX, "voicemail"),
        (Who.NOT_IN_SERVICE, "voicemail"),
        (Who.PHONE_MENU, "phone_menu"),
    ],
)
async def test_a_transfer_is_told_in_its_own_words(said: Who, word: str) -> None:
    found: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        found.append(await who_answered(call))

    await run(agent, FakeCall(answered_by=said))

    assert found == [word]


async def test_a_fake_call_gives_what_the_test_says() -> None:
    said = Verdict(Who.VOICEMAIL, ("a beep",), 5000, 4000, 1000)
    found: list[Verdict] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        found.append(await call.answered_by())

    await run(agent, FakeCall(answered_by=said))
    await run(agent, FakeCall(answered_by=Who.FAX))
    await run(agent, FakeCall(audio=MENU))

    assert found[0] == said
    assert [verdict.who for verdict in found] == [Who.VOICEMAIL, Who.FAX, Who.PHONE_MENU]
