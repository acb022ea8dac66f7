import asyncio
import os
from pathlib import Path

import pytest

from sipflow.audio.wav import wav_header
from sipflow.errors import MediaError
from sipflow.media.sounds import SoundCache


def write(path: Path, pcm: bytes, *, rate_hz: int = 8000) -> Path:
    path.write_bytes(wav_header(len(pcm), rate_hz) + pcm)
    return path


async def test_a_file_is_read_once(tmp_path: Path) -> None:
    sounds = SoundCache()
    file = write(tmp_path / "a.wav", b"\x01\x02" * 80)

    first = await sounds.load(file)
    second = await sounds.load(str(file))

    assert first == b"\x01\x02" * 80
    assert second is first
    assert sounds.reads == 1


async def test_calls_that_start_together_read_it_once(tmp_path: Path) -> None:
    sounds = SoundCache()
    file = write(tmp_path / "a.wav", bytes(1600))

    await asyncio.gather(*(sounds.load(file) for _ in range(20)))

    assert sounds.reads == 1


async def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    sounds = SoundCache()
    file = write(tmp_path / "a.wav", bytes(160))
    await sounds.load(file)

    write(file, b"\x01\x02" * 80)
    os.utime(file, (1, 1))

    assert await sounds.load(file) == b"\x01\x02" * 80


async def test_another_rate_becomes_8_khz(tmp_path: Path) -> None:
    assert len(await SoundCache().load(write(tmp_path / "a.wav", bytes(32000), rate_hz=16000))) == 16000


async def test_the_files_used_longest_ago_go_when_there_is_no_room(tmp_path: Path) -> None:
    sounds = SoundCache(kept_bytes=2000)
    a, b, c = (write(tmp_path / f"{name}.wav", bytes(1000)) for name in "abc")
    for file in (a, b, a, c):
        await sounds.load(file)
    assert sounds.reads == 3

    await sounds.load(a)
    assert sounds.reads == 3
    await sounds.load(b)
    assert sounds.reads == 4


async def test_a_file_larger_than_the_cache_is_played_and_not_kept(tmp_path: Path) -> None:
    sounds = SoundCache(kept_bytes=100)

    assert len(await sounds.load(write(tmp_path / "a.wav", bytes(1000)))) == 1000
    assert sounds._bytes == 0


async def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    sounds = SoundCache()
    text = tmp_path / "text.wav"
    text.write_text("hello")
    huge = tmp_path / "huge.wav"
    with huge.open("wb") as file:
        file.truncate(200 << 20)

    for path, why in (
        (tmp_path / "none.wav", "No such file or directory"),
        (tmp_path, "Is a directory"),
        ("nul\0.wav", "embedded null"),
        ("nowhere.wav", r"No such file or directory \(looked for in /"),
        (text, "Invalid data found"),
        (huge, "200 MB are more than 128"),
    ):
        with pytest.raises(MediaError, match=f"cannot be played: .*{why}"):
            await sounds.load(path)
