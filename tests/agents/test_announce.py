"""`handler: announce`."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from sipflow.agents import announce
from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.inbound import InboundCall
from sipflow.errors import AgentError
from tests.calls.stage import WAIT_S, staged


def sound(file: Path, pcm: bytes) -> str:
    file.write_bytes(wav_header(len(pcm)) + pcm)
    return str(file)


def bursts(pcm: bytes) -> list[int]:
    """Lengths in ms of the stretches that are not silent."""
    steps = [any(pcm[at : at + 320]) and max(pcm[at : at + 320]) for at in range(0, len(pcm), 320)]
    loud = "".join("x" if step and step > 8 else "." for step in steps)
    return [20 * len(found) for found in re.findall("x+", loud)]


async def listened(options: dict[str, object]) -> tuple[list[int], float, str]:
    """Call an announcement: what was heard, for how long, and who hung up."""

    async def agent(call: InboundCall) -> None:
        call.options = options
        await announce.announce(call)

    heard = b""
    async with staged(agent) as stage:
        started = time.monotonic()
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            async for frame in call.audio:
                heard += frame.pcm
        ending = await call.ended()
        await stage.quiet()
    return bursts(heard), time.monotonic() - started, ending.by


async def test_plays_as_often_as_asked_with_pauses_and_hangs_up(tmp_path: Path) -> None:
    file = sound(tmp_path / "a.wav", sine(440, 300, level_dbfs=-6.0))

    heard, took_s, by = await listened({"file": file, "repeat": 3, "pause_s": 0.2})

    assert len(heard) == 3
    assert all(240 <= length <= 340 for length in heard)
    assert 1.3 <= took_s < 3.0
    assert by == "remote"


async def test_plays_once_when_nothing_is_said(tmp_path: Path) -> None:
    heard, _, by = await listened({"file": sound(tmp_path / "a.wav", sine(440, 300, level_dbfs=-6.0))})

    assert (len(heard), by) == (1, "remote")


@pytest.mark.parametrize("pause_s", [0, 0.5, 60])
@pytest.mark.parametrize("repeat", [1, 1000])
def test_good_options_pass(tmp_path: Path, repeat: int, pause_s: float) -> None:
    announce.check({"file": sound(tmp_path / "a.wav", b""), "repeat": repeat, "pause_s": pause_s})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"files": "a"}, "takes no option files: it has file, pause_s, repeat"),
        ({}, "needs `file`: the path of a sound file"),
        ({"file": ""}, "needs `file`: the path of a sound file"),
        ({"file": 3}, "needs `file`: the path of a sound file"),
        ({"file": "GOOD", "repeat": 0}, "repeat is 0, not a number from 1"),
        ({"file": "GOOD", "repeat": True}, "repeat is True, not a number from 1"),
        ({"file": "GOOD", "repeat": "2"}, "repeat is '2', not a number from 1"),
        ({"file": "GOOD", "repeat": 1.5}, "repeat is 1.5, not a number from 1"),
        ({"file": "GOOD", "pause_s": -1}, "pause_s is -1, not seconds"),
        ({"file": "GOOD", "pause_s": float("nan")}, "pause_s is nan, not seconds"),
        ({"file": "GOOD", "pause_s": float("inf")}, "pause_s is inf, not seconds"),
        ({"file": "GOOD", "pause_s": "1"}, "pause_s is '1', not seconds"),
    ],
)
def test_options_that_cannot_work_are_told(tmp_path: Path, options: dict[str, object], why: str) -> None:
    if options.get("file") == "GOOD":
        options = options | {"file": sound(tmp_path / "a.wav", b"")}
    with pytest.raises(AgentError) as error:
        announce.check(options)

    assert str(error.value).removeprefix("handler announce").lstrip(": ") == why


def test_file_that_is_none_or_no_sound_is_told_before_anybody_calls(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("hello", encoding="utf-8")
    told = []
    for file in (tmp_path / "missing.wav", tmp_path, text):
        with pytest.raises(AgentError) as error:
            announce.check({"file": str(file)})
        told.append(str(error.value).replace(str(tmp_path), "FOLDER"))

    assert told == [
        "handler announce: no file FOLDER/missing.wav",
        "handler announce: no file FOLDER",
        "handler announce: FOLDER/text.wav cannot be played: Invalid data found when processing input",
    ]
