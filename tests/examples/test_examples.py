"""Each example of docs/examples is run and called, by a caller who presses keys or speaks."""

import re
from pathlib import Path

import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import read_wav
from sipflow.config.load import load
from tests.examples.stage import EXAMPLES, RATE_HZ, Example, loud, silence, spoken, understood
from tests.interop.free_ports import free_sip_port
from tests.interop.phone import steady_dbfs
from tests.interop.programs import ROOT, Program, missing

PAGE = ROOT / "docs" / "examples.md"
PIPECAT = ROOT / ".venv" / "pipecat" / "bin" / "python"
WORDS = ["yes", "no", "one", "two", "three", "four", "five"]
_PIECE_BYTES = 2 * RATE_HZ // 10


def heard_s(pcm: bytes, hz: int) -> list[float]:
    """When a tone is there: seconds, in steps of 100 ms."""
    starts = range(0, len(pcm) - _PIECE_BYTES + 1, _PIECE_BYTES)
    return [at / 2 / RATE_HZ for at in starts if measure_tone(pcm[at : at + _PIECE_BYTES], hz, RATE_HZ) > -25.0]


def test_every_example_is_on_the_page_and_its_configuration_is_good() -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = sorted(EXAMPLES.glob("*.yaml"))

    assert [file.name for file in files if f"docs/examples/{file.name}" not in page] == []
    assert [file.name for file in files if not file.with_suffix(".py").exists()] == []
    for file in files:
        load(file)


async def test_echo(tmp_path: Path) -> None:
    with Example("echo", tmp_path) as example:
        async with example.called() as talk, talk.call.playing(sine(700, 5000, level_dbfs=-12.0)):
            await talk.until(lambda: len(talk.heard) > 2 * RATE_HZ * 1.5)

    assert steady_dbfs(talk.heard[RATE_HZ:], 700) == pytest.approx(-12.0, abs=0.5)


async def test_menu_is_interrupted_by_a_key_and_does_what_it_says(tmp_path: Path) -> None:
    spoken("a voice must be there")
    with Example("menu", tmp_path) as example:
        async with example.called() as talk:
            await talk.until(lambda: loud(talk.heard))
            await talk.call.send_digits("1")
            await talk.until(lambda: len(heard_s(talk.heard, 440)) >= 25)  # of the 30 tenths of a second that it lasts

    offer_s = len(spoken("For music, press one. To hear yourself, press two. To leave, press zero.")) / 2 / RATE_HZ
    assert heard_s(talk.heard, 440)[0] < offer_s - 1.0  # in the middle of the offer


async def test_menu_says_goodbye_to_whoever_leaves(tmp_path: Path) -> None:
    spoken("a voice must be there")
    with Example("menu", tmp_path) as example:
        async with example.called() as talk:
            await talk.call.send_digits("0")
            await talk.until(lambda: talk.call.ending is not None)

    assert talk.call.ending is not None
    assert talk.call.ending.by == "remote"
    assert understood(talk.heard[-int(1.5 * RATE_HZ) * 2 :], ["goodbye", "hello", "seven"]) == "goodbye"


@pytest.mark.parametrize("ended_by", ["#", "silence", "time", "hanging up"])
async def test_voicemail_keeps_the_message_in_a_file(ended_by: str, tmp_path: Path) -> None:
    shorter = {"longest_s: 120": "longest_s: 3"} if ended_by == "time" else {}
    message = sine(500, 5000 if ended_by == "time" else 2500, level_dbfs=-12.0)
    with Example("voicemail", tmp_path, **{"silence_s: 4": "silence_s: 1"}, **shorter) as example:
        async with example.called() as talk:
            await talk.said(pause_s=0.5)  # the beep
            if ended_by == "time":
                async with talk.call.playing(message):
                    await talk.until(lambda: talk.call.ending is not None)
            else:
                await talk.call.play(message)
            if ended_by == "#":
                await talk.call.send_digits("#")
            if ended_by != "hanging up":
                await talk.until(lambda: talk.call.ending is not None)
        kept = example.said("message kept")
        (file,) = (tmp_path / "voicemail").iterdir()

    assert (kept["ended_by"], kept["file"]) == (ended_by, str(file.relative_to(tmp_path)))
    assert len(heard_s(talk.heard, 800)) >= 3
    pcm = read_wav(file.read_bytes()).pcm  # both channels in one: half as loud
    assert len(pcm) / 2 / RATE_HZ == pytest.approx(kept["seconds"], abs=0.1)
    assert len(heard_s(pcm, 500)) >= (20 if ended_by == "time" else 10)  # tenths of a second


async def test_speech_answers_by_what_it_has_heard(tmp_path: Path) -> None:
    sentences = [f"you said {word}" for word in WORDS]
    understood(silence(0.1), WORDS)
    with Example("speech", tmp_path) as example:
        async with example.called() as talk:
            await talk.said()  # the question
            for word in ("three", "no"):
                await talk.call.play(spoken(word))
                answer = await talk.said()
                assert understood(answer, sentences) == f"you said {word}"
        words = re.findall(r'"word": "([a-z]+)"', example.program.output)

    assert words == ["three", "no"]
    assert talk.call.ending is not None
    assert talk.call.ending.by == "remote"  # after a no it hangs up


async def test_pipecat_bot_greets_and_says_back_what_it_hears(tmp_path: Path) -> None:
    if not PIPECAT.with_name("uvicorn").exists():
        missing("Pipecat is not installed (make pipecat)")
    port = str(free_sip_port())
    with Example("pipecat_bot", tmp_path, **{":8765": f":{port}"}) as example:
        source = tmp_path / "examples" / "pipecat_bot.py"
        source.write_text(source.read_text(encoding="utf-8").replace("8765", port), encoding="utf-8")
        with Program("the Pipecat bot", [str(PIPECAT), str(source)], tmp_path / "bot.log") as bot:
            bot.wait_for("Uvicorn running")
            async with example.called() as talk, talk.call.playing(sine(1000, 8000, level_dbfs=-12.0)):
                await talk.until(lambda: len(heard_s(talk.heard, 600)) >= 3)  # the greeting
                await talk.until(lambda: len(heard_s(talk.heard, 1000)) >= 15)

    assert steady_dbfs(talk.heard[-RATE_HZ * 2 :], 1000) == pytest.approx(-12.0, abs=1.0)
