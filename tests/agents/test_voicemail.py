"""`handler: voicemail`: what is kept, how it ends, and that nothing is lost."""

import asyncio
import json
import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipflow.agents.voicemail import check, read_options, voicemail
from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import wav_header
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import AgentError
from tests.calls.middle import DBFS, hears
from tests.calls.stage import WAIT_S, Stage, staged

GREETING_HZ, BEEP_HZ, MESSAGE_HZ = 500, 800, 1300


@asynccontextmanager
async def mailbox(folder: Path, **options: Any) -> AsyncIterator[Stage]:
    async def agent(call: InboundCall) -> None:
        call.options = {"folder": str(folder), "longest_s": 5, "silence_s": 2, **options}
        await voicemail(call)

    async with staged(agent) as stage:
        yield stage


def kept(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The only message: what is said of it, and the caller's channel."""
    (note,) = folder.glob("*.json")
    said = json.loads(note.read_text(encoding="utf-8"))
    with wave.open(str(folder / said["file"])) as file:
        pcm = file.readframes(file.getnframes())
    return said, b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 4))


async def speak(call: OutboundCall, milliseconds: int) -> None:
    """Wait for the end of the beep, and say something."""
    beeped = False
    async with asyncio.timeout(WAIT_S):
        async for frame in call.audio:
            loud = measure_tone(frame.pcm, BEEP_HZ, 8000) > -20.0
            if beeped and not loud:
                break
            beeped = beeped or loud
        await asyncio.sleep(0.1)
        await call.play(sine(MESSAGE_HZ, milliseconds, level_dbfs=DBFS))


async def test_the_greeting_and_the_beep_are_heard_and_the_message_is_kept_until_the_key(tmp_path: Path) -> None:
    greeting = sine(GREETING_HZ, 600, level_dbfs=DBFS)
    (tmp_path / "greeting.wav").write_bytes(wav_header(len(greeting)) + greeting)
    folder = tmp_path / "messages"
    async with mailbox(folder, file=str(tmp_path / "greeting.wav")) as stage:
        call = await stage.call()
        greeted = await hears(call, GREETING_HZ)
        await speak(call, 1000)
        await call.send_digits("#")
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await stage.quiet()
        (record,) = stage.kept.records
    said, pcm = kept(folder)
    ours = stage.agent.calls[0]

    assert (greeted, ending.by) == (True, "remote")
    assert said == {
        "call_id": ours.id,
        "caller": "caller",
        "callee": ours.callee,
        "began_at": said["began_at"],
        "file": Path(record.recording).name,
        "complete": True,
        "seconds": said["seconds"],
        "ended_by": "#",
    }
    assert 1.0 <= said["seconds"] < 3.0
    assert sum(measure_tone(pcm[at : at + 1600], MESSAGE_HZ, 8000) > DBFS - 2 for at in range(0, len(pcm), 1600)) >= 7
    assert [each.details["ended_by"] for each in record.history if each.name == "message_kept"] == ["#"]


@pytest.mark.parametrize(
    ("options", "ended_by"), [({"silence_s": 0.6}, "silence"), ({"longest_s": 0.8}, "time"), ({"end_key": "5"}, "5")]
)
async def test_a_message_ends_by_silence_length_or_another_key(
    tmp_path: Path, options: dict[str, object], ended_by: str
) -> None:
    async with mailbox(tmp_path, **options) as stage:
        call = await stage.call()
        await speak(call, 500)
        if ended_by == "5":
            await call.send_digits("#5")
        await asyncio.wait_for(call.ended(), WAIT_S)
        await stage.quiet()

    assert kept(tmp_path)[0]["ended_by"] == ended_by


async def test_a_caller_who_hangs_up_in_the_middle_has_left_a_message(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as stage:
        call = await stage.call()
        await speak(call, 600)
        await call.hangup()
        await stage.quiet()
        await asyncio.sleep(0.1)
    said, pcm = kept(tmp_path)

    assert (said["complete"], said["ended_by"]) == (True, "hanging up")
    assert len(pcm) >= 16 * 500


async def test_while_it_is_spoken_the_file_plays_already_and_says_that_it_is_not_whole(tmp_path: Path) -> None:
    async with mailbox(tmp_path, silence_s=5) as stage:
        call = await stage.call()
        await speak(call, 1600)
        said, pcm = kept(tmp_path)
        await call.hangup()
        await stage.quiet()
        await asyncio.sleep(0.1)

    assert (said["complete"], said["seconds"]) == (False, None)
    assert len(pcm) >= 16 * 1000  # all but the last half second or so


async def test_silence_alone_is_no_message_where_that_is_wanted(tmp_path: Path) -> None:
    async with mailbox(tmp_path, shortest_s=0.5, silence_s=0.5) as stage:
        call = await stage.call()
        await asyncio.wait_for(call.ended(), WAIT_S)
        await stage.quiet()
        record = stage.kept.records[0]
        left = os.listdir(tmp_path)

    assert (left, record.recording) == ([], "")


async def test_a_folder_that_cannot_be_made_is_said_and_the_caller_hears_no_beep(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    async with mailbox(tmp_path / "taken" / "below") as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await stage.quiet()

    assert (ending.status, call.answered) == (500, False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"greeting": "a"}, "takes no option greeting"),
        ({"file": "/no/such.wav"}, "no file /no/such.wav"),
        ({"beep": "yes"}, "beep is true or false"),
        ({"end_key": "##"}, "end_key is '##'"),
        ({"format": "mp3"}, "format is 'mp3', not one of wav, ogg"),
        ({"longest_s": 0}, "longest_s"),
        ({"silence_s": True}, "silence_s"),
        ({"shortest_s": -1}, "shortest_s"),
        ({"folder": 1}, "folder must be text"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(AgentError, match=sentence):
        check(options)


def test_what_is_left_out_has_its_default() -> None:
    options = read_options({})

    assert (options.folder, options.longest_s, options.silence_s, options.end_key, options.beep) == (
        "voicemail", 180.0, 10.0, "#", True,
    )  # fmt: skip
