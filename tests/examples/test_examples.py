"""Each example of docs/examples is run and called, by a caller who presses keys or speaks."""

import re
from pathlib import Path

import pytest

from sipflow.audio.tones import level_dbfs, measure_tone, sine
from sipflow.audio.wav import read_wav
from sipflow.config.load import load
from tests.examples.stage import EXAMPLES, RATE_HZ, Example, seconds, silence, spoken, understood, wav
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


def test_echo(tmp_path: Path) -> None:
    with Example("echo", tmp_path) as example:
        report, _ = example.call("--seconds", "1.5", "--tone", "700")

    assert report.tone_dbfs == pytest.approx(-12.0, abs=0.5)


def test_menu_is_interrupted_by_a_key_and_does_what_it_says(tmp_path: Path) -> None:
    spoken("a voice must be there")
    with Example("menu", tmp_path) as example:
        _, heard = example.call("--seconds", "4", "--play", wav(tmp_path, silence(5)), "--digits", "1")

    offer = len(spoken("For music, press one. To hear yourself, press two. To leave, press zero.")) / 2 / RATE_HZ
    music = heard_s(heard, 440)
    assert 0.0 < music[0] < offer - 1.0  # in the middle of the offer
    assert len(music) >= 25  # of the 30 tenths of a second that it lasts
    before = heard[: int(music[0] * RATE_HZ) * 2]
    assert before == b"" or level_dbfs(before) > -60.0  # the offer had begun


def test_menu_says_goodbye_to_whoever_leaves(tmp_path: Path) -> None:
    spoken("a voice must be there")
    with Example("menu", tmp_path) as example:
        report, heard = example.call("--seconds", "8", "--play", wav(tmp_path, silence(9)), "--digits", "0")

    assert report.why == "the far end hung up"
    assert understood(heard[-int(2.0 * RATE_HZ) * 2 :], ["goodbye", "hello", "seven"]) == "goodbye"


@pytest.mark.parametrize("ended_by", ["#", "silence", "time", "hanging up"])
def test_voicemail_keeps_the_message_in_a_file(ended_by: str, tmp_path: Path) -> None:
    tone = sine(500, 1500, level_dbfs=-12.0)
    shorter = {"longest_s: 120": "longest_s: 2"} if ended_by == "time" else {}
    endless = ended_by in ("time", "hanging up")
    says = silence(0.8) + (tone * 4 if endless else tone + silence(8))
    keys = ("--digits", "#") if ended_by == "#" else ()
    with Example("voicemail", tmp_path, **{"silence_s: 4": "silence_s: 1"}, **shorter) as example:
        _, heard = example.call("--seconds", "2.5" if endless else "5", "--play", wav(tmp_path, says), *keys)
        kept = example.said("message kept")
        files = list((tmp_path / "voicemail").iterdir())

    assert kept["ended_by"] == ended_by
    assert [str(file.relative_to(tmp_path)) for file in files] == [kept["file"]]
    assert len(heard_s(heard, 800)) >= 3  # the beep
    message = read_wav(files[0].read_bytes()).pcm  # both channels in one: half as loud
    assert seconds(message) == pytest.approx(kept["seconds"], abs=0.1)
    if ended_by != "#":
        assert steady_dbfs(message[: int(2 * RATE_HZ * 1.0)], 500) > -20.0


def test_speech_answers_by_what_it_has_heard(tmp_path: Path) -> None:
    question = seconds(spoken("Say yes, no, or a number from one to five."))
    understood(silence(0.1), WORDS)
    says = silence(question + 1.8) + spoken("two") + silence(3.5) + spoken("no") + silence(8)
    with Example("speech", tmp_path) as example:
        report, heard = example.call("--seconds", "14", "--play", wav(tmp_path, says))
        words = re.findall(r'"word": "([a-z]+)"', example.program.output)

    answers = heard[int((question + 2.5) * RATE_HZ) * 2 :]
    middle = int(3.8 * RATE_HZ) * 2
    sentences = [f"you said {word}" for word in WORDS]
    assert words[:2] == ["two", "no"]
    assert understood(answers[:middle], sentences) == "you said two"
    assert understood(answers[middle:], sentences) == "you said no"
    assert report.why == "the far end hung up"


def test_pipecat_bot_greets_and_says_back_what_it_hears(tmp_path: Path) -> None:
    if not PIPECAT.with_name("uvicorn").exists():
        missing("Pipecat is not installed (make pipecat)")
    port = str(free_sip_port())
    with Example("pipecat_bot", tmp_path, **{":8765": f":{port}"}) as example:
        source = tmp_path / "examples" / "pipecat_bot.py"
        source.write_text(source.read_text(encoding="utf-8").replace("8765", port), encoding="utf-8")
        with Program("the Pipecat bot", [str(PIPECAT), str(source)], tmp_path / "bot.log") as bot:
            bot.wait_for("Uvicorn running")
            _, heard = example.call("--seconds", "4", "--tone", "1000")

    assert len(heard_s(heard, 600)) >= 3  # the greeting
    assert steady_dbfs(heard[-RATE_HZ * 2 :], 1000) == pytest.approx(-12.0, abs=1.0)
