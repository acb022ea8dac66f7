"""Programs that speak, and such as do not: Python scripts in their place."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from sipflow.audio.frame import Frame
from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.errors import MediaError
from sipflow.media.voice import Voice

SOUND = sine(440, 200, sample_rate_hz=16000)


def script(folder: Path, code: str) -> tuple[str, ...]:
    """A program of Python: `text` is what it was given."""
    file = folder / "speaks.py"
    file.write_text(f"import os, sys, time\n{code}\n", encoding="utf-8")
    return sys.executable, "-S", str(file)


def speaks(folder: Path, sound: bytes = SOUND) -> tuple[str, ...]:
    """A program that writes down what it is to say, and gives a tone."""
    (folder / "sound.wav").write_bytes(wav_header(len(sound), sample_rate_hz=16000) + sound)
    return script(
        folder,
        f"open({str(folder / 'said')!r}, 'wb').write(sys.stdin.buffer.read())\n"
        f"sys.stdout.buffer.write(open({str(folder / 'sound.wav')!r}, 'rb').read())",
    )


async def test_a_text_is_given_to_the_program_as_it_is_and_its_sound_comes_back(tmp_path: Path) -> None:
    text = "Müller's $(touch x) `call`; 2 > 1\n" * 5000

    frame = await Voice(speaks(tmp_path)).say(text)

    assert frame == Frame(SOUND, 16000)
    assert (tmp_path / "said").read_text(encoding="utf-8") == text


async def test_several_texts_are_spoken_side_by_side(tmp_path: Path) -> None:
    voice = Voice(speaks(tmp_path))
    assert await asyncio.gather(*(voice.say("one") for _ in range(3))) == [Frame(SOUND, 16000)] * 3


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("sys.exit('no such voice')", "ended with status 1: no such voice"),
        ("sys.exit(3)", "ended with status 3: it says nothing more"),
        ("print('hello')", "not a WAV file: it begins with b'hello"),
        ("sys.stderr.write('x' * 10**6); sys.exit(1)", "ended with status 1: " + "x" * 200),
        ("time.sleep(60)", "has not spoken a text in 0.5 s"),
        ("while True: sys.stdout.buffer.write(bytes(65536))", "gave more than 16 MiB"),
    ],
)
async def test_a_program_that_does_not_speak_is_told_with_its_own_words(tmp_path: Path, code: str, why: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(MediaError) as refused:
        await Voice(script(tmp_path, code), patience_s=0.5 if "0.5" in why else 30.0).say("hello")

    assert why in str(refused.value)
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0


async def test_a_program_that_is_not_there_and_silence_are_told(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^/no/such/voice cannot be run: No such file or directory$"):
        await Voice(["/no/such/voice"]).say("hello")
    with pytest.raises(MediaError, match=r"gave a WAV file without sound$"):
        await Voice(speaks(tmp_path, b"")).say("hello")


async def test_cancelling_kills_the_program(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    saying = asyncio.ensure_future(Voice(script(tmp_path, code)).say("hello"))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="utf-8"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    saying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saying

    process = Path("/proc") / (tmp_path / "pid").read_text(encoding="utf-8")
    async with asyncio.timeout(10):
        while process.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_espeak_speaks() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    frame = await Voice(["espeak-ng", "--stdin", "--stdout"]).say("The caller is on the line.")

    assert frame.sample_rate_hz == 22050
    assert 800 < frame.duration_ms < 4000
