"""What a caller hears while somebody is asked."""

import asyncio
import contextlib

import pytest

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded
from sipflow.media.reader import FrameReader
from tests.calls.outstage import rings_on
from tests.calls.transfer.scene import (
    AGENT_HZ,
    MUSIC_HZ,
    PERSON_HZ,
    WHISPER_HZ,
    Ear,
    Scene,
    both,
    is_back_with_the_agent,
    scene,
    talk,
    talks,
    tone,
    transfers,
    tried,
)


async def test_music_is_heard_by_the_caller_alone_and_the_agent_is_not_heard_over_it() -> None:
    music = tone(MUSIC_HZ, 0.3)  # again and again
    async with scene(transfers(mode="warm", music=music, accept="digit"), bob=talks()) as stage:
        call = await stage.call()
        ear, bob = Ear(call), await stage.person("bob")
        agents_ear, bobs_ear = Ear(stage.agent.calls[-1]), Ear(bob)
        waiting = await both(ear, bobs_ear, 800)
        agent_heard = len(agents_ear.pcm)
        with contextlib.suppress(CallEnded):
            await bob.send_digits("2")
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert waiting == [{MUSIC_HZ}, set()]
    assert agent_heard == 0
    assert (outcome.status.value, str(outcome.failed_reason)) == ("transfer-failed-declined", "rejected_by_destination")
    assert tried(outcome) == [("INVITE", 200, "rejected_by_destination", "destination")]


async def test_early_media_of_the_target_is_heard_in_a_blind_transfer_and_ringing_before_it() -> None:
    async def announces(call: InboundCall) -> None:
        await call.ring()
        await asyncio.sleep(0.6)
        await call.progress()
        await call.play(tone(WHISPER_HZ, 0.8))
        await call.answer()
        await talk(call, PERSON_HZ)

    async with scene(transfers(), bob=announces) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(WHISPER_HZ)
        before = bytes(ear.pcm)
        await ear.comes_to_hear(PERSON_HZ)
        await call.hangup()
        await stage.quiet()

    assert ringing_in(before)


async def test_a_caller_to_whom_no_agent_talks_or_listens_while_a_target_is_asked_hears_music_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._IDLE_S", 0.2)
    monkeypatch.setattr("sipflow.calls.transfer.transfer._LOOK_S", 0.05)

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.music = tone(MUSIC_HZ)
        await call.answer()
        listens.append(call.frames())
        stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm"))
        await talk(call, AGENT_HZ)

    listens: list[FrameReader] = []
    async with scene(agent, bob=rings_on) as stage:
        ear = Ear(await stage.call())
        await stage.person("bob", answered=False)
        while_it_listens = await ear.hears(800)
        listens[0].close()
        await ear.comes_to_hear(MUSIC_HZ)
        stage.agent.calls[-1].take_back()
        await ear.comes_to_hear(AGENT_HZ)
        stage.home.switchboard.hang_up_all()
        await stage.quiet()

    assert while_it_listens == set()


def ringing_in(pcm: bytes) -> bool:
    """Whether the ringing of North America, 440 and 480 Hz, is heard somewhere."""
    from sipflow.audio.tones import measure_tone

    pieces = [pcm[at : at + 3200] for at in range(0, len(pcm) - 3200, 1600)]
    return any(min(measure_tone(piece, hz, 8000) for hz in (440, 480)) > -25 for piece in pieces)
