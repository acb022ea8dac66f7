import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sipflow.agents.runner import Runner
from sipflow.api.call_acts import acting, hang_up, play, recording_of
from sipflow.api.models.calls import HangUp
from sipflow.audio.tones import level_dbfs, sine
from sipflow.audio.wav import wav_header
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.errors import ApiError, CallEnded, Conflict, LocalProtocolError, MediaError
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage
from tests.calls.stage import WAIT_S


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def sounding(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    """An edge with a folder of sounds, and one beside it."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    tone = sine(440, 400)
    (folder / "tone.wav").write_bytes(wav_header(len(tone)) + tone)
    (folder / "text.wav").write_bytes(b"this is no sound")
    (tmp_path / "secret.wav").write_bytes(wav_header(len(tone)) + tone)
    async with callstage(sqlite_settings, tmp_path, sounds=str(folder)) as made:
        yield made


async def test_what_a_call_cannot_do_is_a_conflict_and_what_the_far_end_refuses_a_502(edge: CallStage) -> None:
    call_id = await edge.answered()
    with pytest.raises(Conflict, match=f"call {call_id}: answer it first"):
        async with acting(edge.desk, call_id):
            raise LocalProtocolError("answer it first")
    with pytest.raises(Conflict, match=f"call {call_id} is over: the far end hung up"):
        async with acting(edge.desk, call_id):
            raise CallEnded("the far end hung up")
    with pytest.raises(ApiError) as refused:
        async with acting(edge.desk, call_id):
            raise MediaError("the far end refused to be put on hold: 488")

    assert refused.value.status == 502


async def test_an_incoming_call_that_rings_is_refused_with_the_status_that_is_asked_for(edge: CallStage) -> None:
    runner = edge.near.switchboard.agents
    assert isinstance(runner, Runner)
    runner._agents["desk"] = (runner._agents["desk"][0], ring_only)
    rings = asyncio.Event()
    call = await edge.far.switchboard.place(edge.plan())
    call.on_progress = lambda _status, _reason: rings.set()
    async with asyncio.timeout(WAIT_S):
        await rings.wait()
    (call_id,) = edge.near.switchboard.calls
    await hang_up(edge.desk, call_id, HangUp(sip_status=486, reason="the desk is busy"))
    ending = await call.ended()

    assert (ending.status, ending.q850) == (486, 16)


async def ring_only(call: Call) -> None:
    assert isinstance(call, InboundCall)
    await call.ring()
    await call.ended()


async def test_nothing_is_played_where_no_folder_is_named(edge: CallStage) -> None:
    call_id = await edge.answered()
    with pytest.raises(ApiError) as refused:
        await play(edge.desk, call_id, "menu.wav", interrupt=False)

    assert refused.value.status == 409
    assert "calls.sounds" in refused.value.description


async def test_a_call_that_is_not_recorded_has_no_recording_to_act_on(edge: CallStage) -> None:
    call_id = await edge.answered()
    with pytest.raises(Conflict, match=f"call {call_id} is not being recorded"):
        await recording_of(edge.desk, call_id)


async def test_a_sound_of_the_folder_is_played(sounding: CallStage) -> None:
    call_id = await sounding.answered()
    heard = sounding.taken[0].audio
    await sounding.post(f"/v2/calls/{call_id}/play", {"file": "tone.wav"})
    async with asyncio.timeout(WAIT_S):
        loud = [True async for frame in until_loud_and_quiet(heard)]

    assert 18 <= len(loud) <= 22


async def until_loud_and_quiet(heard: Any) -> AsyncIterator[object]:
    """Give the loud packets up to the first quiet one behind them."""
    begun = False
    async for frame in heard:
        loud = level_dbfs(frame.pcm) > -30
        if begun and not loud:
            return
        if loud:
            begun = True
            yield frame


async def test_what_is_played_can_be_stopped_and_interrupted(sounding: CallStage) -> None:
    call_id = await sounding.answered()
    call = sounding.near.switchboard.calls[call_id]
    playing = asyncio.create_task(call.play(sine(300, 5000)))
    await asyncio.sleep(0.05)
    await sounding.post(f"/v2/calls/{call_id}/play/stop")
    stopped_ms = await playing
    playing = asyncio.create_task(call.play(sine(300, 5000)))
    await asyncio.sleep(0.05)
    await sounding.post(f"/v2/calls/{call_id}/play", {"file": "tone.wav", "interrupt": True})

    assert stopped_ms < 2000
    assert await playing < 2000


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("missing.wav", "file: there is no sound 'missing.wav' in the folder that `calls.sounds` names"),
        ("../secret.wav", "file: there is no sound '../secret.wav' in the folder that `calls.sounds` names"),
        ("/etc/passwd", "file: there is no sound '/etc/passwd' in the folder that `calls.sounds` names"),
        (".", "file: there is no sound '.' in the folder that `calls.sounds` names"),
    ],
)
async def test_nothing_outside_the_folder_is_played(sounding: CallStage, file: str, sentence: str) -> None:
    call_id = await sounding.answered()

    assert await sounding.refused("POST", f"/v2/calls/{call_id}/play", status=400, json={"file": file}) == sentence


async def test_a_file_that_is_no_sound_is_refused_without_its_path(sounding: CallStage) -> None:
    call_id = await sounding.answered()
    said = await sounding.refused("POST", f"/v2/calls/{call_id}/play", status=400, json={"file": "text.wav"})

    assert said.startswith("file: text.wav")
