"""Whoever answers is asked before they get the call."""

import asyncio
import importlib

import pytest

from sipflow.audio.frame import Frame
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.transfer.outcome import TransferStatus
from tests.calls.stage import WAIT_S
from tests.calls.transfer.scene import (
    PERSON_HZ,
    WHISPER_HZ,
    Behaviour,
    Ear,
    Scene,
    is_back_with_the_agent,
    scene,
    talk,
    talks,
    tone,
    transfers,
    tried,
)
from tests.examples.stage import EXAMPLES, silence, spoken, understood


async def test_the_agent_may_ask_the_person_itself_and_says_no() -> None:
    heard: list[set[int]] = []

    async def screens(leg: OutboundCall) -> bool:
        ear = Ear(leg)
        heard.append(await ear.hears())
        await leg.play(tone(WHISPER_HZ, 0.2))
        return False

    async with scene(transfers(mode="warm", accept=screens), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert heard == [{PERSON_HZ}]
    assert outcome.status is TransferStatus.DECLINED
    assert tried(outcome) == [("INVITE", 200, "rejected_by_destination", "agent")]


async def test_a_person_takes_the_call_or_does_not_by_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken("a voice must be there")
    understood(silence(0.1), ["yes"])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    listener, words = importlib.import_module("speech").Ear(), list[str]()

    async def asks(leg: OutboundCall) -> bool:
        leg.sample_rate_hz = 16000  # the recogniser's
        await leg.play(Frame(tone(WHISPER_HZ, 0.3), 8000))
        words.append(await listener.listen(leg))
        return words[-1] == "yes"

    def says(word: str) -> Behaviour:
        async def behaviour(call: InboundCall) -> None:
            await call.answer()
            await Ear(call).comes_to_hear(WHISPER_HZ)
            await call.play(spoken(word) + silence(1.0))
            await talk(call, PERSON_HZ)

        return behaviour

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        both = [stage.uri("anna"), stage.uri("bob")]
        stage.outcomes.append(await call.transfer(both, mode="warm", accept=asks))

    async with scene(agent, anna=says("no"), bob=says("yes")) as stage:
        call = await stage.call()
        await Ear(call).comes_to_hear(PERSON_HZ)
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert words == ["no", "yes"]
    assert outcome.target == stage.uri("bob")
    assert tried(outcome) == [("INVITE", 200, "rejected_by_destination", "agent"), ("INVITE", 200, None, "agent")]


async def test_a_whisper_that_raises_is_no_fault_of_ours_and_the_key_counts_all_the_same() -> None:
    async def whispers(_leg: OutboundCall) -> None:
        raise ValueError("an agent's own function fails")

    async with scene(transfers(mode="warm", whisper=whispers, accept="digit"), bob=talks()) as stage:
        ear, bob = Ear(await stage.call()), await stage.person("bob")
        await bob.send_digits("1")
        await ear.comes_to_hear(PERSON_HZ)
        await bob.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert (outcome.status, stage.near.tasks.failures) == (TransferStatus.SUCCESS, 0)


async def test_somebody_who_answers_and_presses_nothing_does_not_get_the_call() -> None:
    async with scene(transfers(mode="warm", accept="digit", accept_s=0.3), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert outcome.status is TransferStatus.NO_ANSWER
    assert outcome.why == "whoever answered pressed nothing in 0.3 s"


@pytest.mark.parametrize(
    ("found", "status"),
    [("voicemail", TransferStatus.VOICEMAIL), ("phone_menu", TransferStatus.PHONE_MENU)],
)
async def test_a_machine_does_not_get_the_call_where_the_agent_asks_who_is_there(
    found: str, status: TransferStatus
) -> None:
    async def who(_leg: OutboundCall) -> str:
        return found

    async with scene(transfers(mode="warm", who=who), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert (outcome.status, outcome.ok) == (status, False)


async def test_a_detector_that_cannot_tell_in_time_stops_nobody() -> None:
    async def who(_leg: OutboundCall) -> str:
        await asyncio.sleep(WAIT_S)
        return "voicemail"

    async with scene(transfers(mode="warm", who=who, who_s=0.1), bob=talks()) as stage:
        ear = Ear(await stage.call())
        await ear.comes_to_hear(PERSON_HZ)
