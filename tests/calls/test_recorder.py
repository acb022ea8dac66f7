"""Recordings of whole calls, over real calls between two edges."""

import asyncio
from pathlib import Path

import pytest

from sipflow.audio.wav import read_wav
from sipflow.calls.inbound import InboundCall
from sipflow.calls.recorder import Recorder, Settings
from sipflow.errors import CallEnded, Conflict, LocalProtocolError
from tests.calls.stage import Stage, staged


def recorder_of(stage: Stage, folder: Path, **settings: object) -> Recorder:
    return Recorder(Settings(folder=str(folder), **settings), stage.callee.tasks)  # type: ignore[arg-type]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.*"))


async def live(stage: Stage) -> InboundCall:
    """Place a call, and give the called edge's side of it."""
    await stage.call()
    return stage.agent.calls[-1]


async def test_a_call_is_recorded_below_the_day_it_began_on_and_the_file_is_whole_once_it_is_over(
    tmp_path: Path,
) -> None:
    async with staged() as stage:
        recorder = recorder_of(stage, tmp_path)
        call = await live(stage)
        recording = await recorder.start(call)
        under_way = (recorder.being_made(call.id) is recording, await recorder.finished(call.id))
        await call.play(bytes(3200))
        await call.hangup()
        await stage.quiet()
        over = await recorder.finished(call.id)

    path = tmp_path / call.record.started_at.strftime("%Y-%m-%d") / f"{call.id}.wav"
    assert under_way == (True, False)
    assert over
    assert call.record.recording == str(path)
    assert len(read_wav(path.read_bytes()).pcm) / 16000 == pytest.approx(call.record.recording_s, abs=0.001)
    assert [line.name for line in call.record.history] == [
        "started",
        "answered",
        "recording_started",
        "recording_stopped",
        "ended",
    ]


async def test_a_call_is_recorded_once_at_a_time_even_if_two_ask_at_once(tmp_path: Path) -> None:
    async with staged() as stage:
        recorder = recorder_of(stage, tmp_path)
        call = await live(stage)
        tried = await asyncio.gather(*(recorder.start(call) for _ in range(3)), return_exceptions=True)
        await call.hangup()
        await stage.quiet()
        await recorder.finished(call.id)

    assert [type(each) for each in tried].count(Conflict) == 2
    assert names_in(tmp_path) == [f"{call.id}.wav"]


async def test_a_second_recording_of_a_call_gets_a_name_of_its_own(tmp_path: Path) -> None:
    async with staged() as stage:
        recorder = recorder_of(stage, tmp_path, format="ogg")
        call = await live(stage)
        await (await recorder.start(call)).stop()
        await (await recorder.start(call)).stop()
        await call.hangup()
        await stage.quiet()
        await recorder.finished(call.id)

    assert names_in(tmp_path) == sorted([f"{call.id}.ogg", f"{call.id}-2.ogg"])
    assert call.record.recording.endswith(f"{call.id}-2.ogg")


async def test_a_call_that_is_over_is_not_recorded(tmp_path: Path) -> None:
    async with staged() as stage:
        call = await live(stage)
        await call.hangup()
        with pytest.raises(CallEnded):
            await recorder_of(stage, tmp_path).start(call)
        await stage.quiet()


def test_agents_that_say_nothing_are_recorded_where_that_is_set() -> None:
    settings = [Settings(automatic=automatic) for automatic in (False, True)]

    assert [[says if says is not None else each.automatic for says in (None, False, True)] for each in settings] == [
        [False, False, True],
        [True, False, True],
    ]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"link_hours": 0}, "link_hours: it is more than 0, and at most 8760"),
        ({"link_secret": "short"}, "link_secret: it has at least 16 characters; make one with: openssl rand -hex 32"),
        ({"public_url": "sip.example.com"}, "public_url: write it as in https://sip.example.com, without / at the end"),
        ({"public_url": "https://x/"}, "public_url: write it as in https://sip.example.com, without / at the end"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        Settings(**settings)  # type: ignore[arg-type]

    assert str(refused.value) == why


def test_the_secret_of_links_is_in_no_repr() -> None:
    assert "a secret of links" not in repr(Settings(link_secret="a secret of links"))
