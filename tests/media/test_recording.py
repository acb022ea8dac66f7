import asyncio
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError
from sipflow.media import recording as module
from sipflow.media.recording import Recording
from sipflow.media.tracks import Tracks
from tests.media.stage import until


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def pcm(value: int, samples: int = 160) -> bytes:
    return struct.pack("<h", value) * samples


def frames(path: Path) -> list[tuple[int, int]]:
    """Left and right of every 160th sample of a stereo WAV file with our header."""
    return list(struct.iter_unpack("<hh", path.read_bytes()[44:]))[::160]


async def test_a_recording_has_the_caller_left_and_the_agent_right(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    recording = await Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    for n in range(60):
        recording.put(pcm(n))
        recording.sent(pcm(-n))
    await recording.stop()

    assert frames(tmp_path / "a.wav") == [(n, -n) for n in range(60)]
    assert (recording.duration_ms, recording.lost_ms, recording.error) == (1200, 0, "")
    assert len(read_wav((tmp_path / "a.wav").read_bytes()).pcm) == 2 * 60 * 160


async def test_nothing_is_recorded_while_it_is_paused(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    recording = await Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    for n in range(9):
        if n == 3:
            recording.pause()
        if n == 6:
            recording.resume()
        recording.put(pcm(n))
        recording.sent(pcm(-n))
    await recording.stop()

    assert frames(tmp_path / "a.wav") == [(n, -n) for n in (0, 1, 2, 6, 7, 8)]


async def test_the_file_plays_while_the_call_goes_on(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    path = tmp_path / "a.wav"
    recording = await Recording.open(path, format="wav", sample_rate_hz=8000, threads=threads)
    for n in range(101):
        recording.put(pcm(n))
        recording.sent(pcm(-n))
    await asyncio.get_running_loop().run_in_executor(threads, lambda: None)  # what was handed over before is written
    for _ in range(5):
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(threads, lambda: None)

    assert len(read_wav(path.read_bytes()).pcm) >= 2 * 8000
    await recording.stop()


async def test_an_opus_recording_has_both_voices_on_their_sides(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    path = tmp_path / "a.ogg"
    recording = await Recording.open(path, format="ogg", sample_rate_hz=8000, threads=threads)
    tone = sine(440, 20)
    for _ in range(100):
        recording.put(tone)
        recording.sent(bytes(320))
    await recording.stop()

    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray() for frame in container.decode(audio=0)]
    left = max(abs(float(part[0].max())) for part in decoded)
    right = max(abs(float(part[-1].max())) for part in decoded)
    seconds = sum(part.shape[1] for part in decoded) / 48000
    assert left > 10 * right
    assert 1.9 < seconds < 2.1


async def test_stopping_twice_is_once_and_what_comes_after_is_ignored(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    told: list[str] = []
    recording = await Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    recording.when_stopped(lambda: told.append("stopped"))
    recording.sent(pcm(1))
    recording.end()
    await recording.stop()
    await recording.stop()

    assert told == ["stopped"]
    assert recording.stopped
    assert frames(tmp_path / "a.wav") == [(0, 1)]


async def test_a_place_that_cannot_be_written_to_is_an_error_at_once(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    for path in (tmp_path / "no" / "a.wav", tmp_path, tmp_path / "a\0.wav"):
        with pytest.raises(MediaError, match="cannot be recorded to"):
            await Recording.open(path, format="wav", sample_rate_hz=8000, threads=threads)
    with pytest.raises(MediaError, match="cannot be 'mp9'"):
        await Recording.open(tmp_path / "a", format="mp9", sample_rate_hz=8000, threads=threads)
    with pytest.raises(MediaError, match="cannot be recorded to"):
        await Recording.open(tmp_path / "no" / "a.ogg", format="ogg", sample_rate_hz=8000, threads=threads)


class Slow:
    """A disk that stands still until it is told to go on, or is full."""

    def __init__(self, *, full: bool = False) -> None:
        self.going = threading.Event()
        self.full = full
        self.written = 0
        self.closed = False

    def write(self, pcm: bytes) -> None:
        self.going.wait(10)
        if self.full:
            raise OSError("No space left on device")
        self.written += len(pcm)

    def close(self) -> None:
        self.closed = True


async def test_a_disk_slower_than_speech_loses_sound_and_says_how_much(threads: ThreadPoolExecutor) -> None:
    disk = Slow()
    recording = Recording(Path(__file__), disk, Tracks(8000), threads)
    for _ in range(50 * 30):
        recording.sent(pcm(1))
    disk.going.set()
    await recording.stop()

    assert recording.lost_ms == 30_000 - 41 * 500
    assert disk.written == 41 * 500 * 32
    assert disk.closed


async def test_a_full_disk_ends_the_recording_and_not_the_call(threads: ThreadPoolExecutor) -> None:
    disk = Slow(full=True)
    disk.going.set()
    recording = Recording(Path("full.wav"), disk, Tracks(8000), threads)
    for _ in range(100):
        recording.sent(pcm(1))
    with pytest.raises(MediaError, match=r"the recording full.wav is not whole: OSError: No space left"):
        await recording.stop()

    assert disk.closed


def test_a_file_whose_header_has_no_room_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "WavWriter", full)
    with pytest.raises(OSError, match="No space left"):
        module.WavFile(tmp_path / "a.wav", 8000)

    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_taken_away_meanwhile_is_told_of(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    recording = await Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    recording.put(pcm(1))
    recording.sent(pcm(1))
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")

    with pytest.raises(MediaError, match="the file was deleted or moved while it was being written"):
        await recording.stop()


async def test_what_waits_is_written_although_the_loop_does_not_run(threads: ThreadPoolExecutor) -> None:
    disk = Slow()
    recording = Recording(Path(__file__), disk, Tracks(8000), threads)
    for _ in range(50 * 5):
        recording.sent(pcm(1))
    recording.end()
    disk.going.set()
    threads.shutdown()  # this thread, and so the loop, stands still until all work is done

    assert (disk.written, disk.closed) == (50 * 5 * 640, True)
    await recording.stop()


async def test_sound_heard_ahead_of_a_pause_does_not_push_what_comes_after_it(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    recording = await Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    for n in range(6):
        recording.put(pcm(n))
        if n == 2:
            recording.pause()
            recording.pause()
        recording.sent(pcm(-n))
        if n == 2:
            recording.resume()
    await recording.stop()

    assert frames(tmp_path / "a.wav") == [(0, 0), (1, -1), (3, -3), (4, -4), (5, -5)]


async def test_a_recording_nobody_waits_for_any_more_leaves_no_open_file(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, going = Slow(), threading.Event()

    def make(path: Path, rate_hz: int) -> Slow:
        going.wait(10)
        return disk

    monkeypatch.setitem(module._WRITERS, "wav", make)
    opening = asyncio.ensure_future(
        Recording.open(tmp_path / "a.wav", format="wav", sample_rate_hz=8000, threads=threads)
    )
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    going.set()
    await until(lambda: disk.closed)

    assert opening.cancelled()


_KILLED = """
import asyncio, sys
from pathlib import Path
from sipflow.audio.tones import sine
from sipflow.media import recording as module
from sipflow.media.recording import Recording
from sipflow.media.tracks import Tracks
from tests.media.stage import until

async def main():
    recording = await Recording.open(Path(sys.argv[1]), format=sys.argv[2], sample_rate_hz=8000)
    tone = sine(440, 20)
    for _ in range(int(sys.argv[3])):
        recording.put(tone)
        recording.sent(tone)
    while recording._busy:
        await asyncio.sleep(0.01)
    print("written", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("format", ["wav", "ogg"])
@pytest.mark.parametrize("seconds", [1, 5])
def test_of_a_process_that_is_killed_the_file_plays_but_for_its_last_second(
    tmp_path: Path, format: str, seconds: int
) -> None:
    path = tmp_path / f"a.{format}"
    command = [sys.executable, "-c", _KILLED, str(path), format, str(50 * seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)

    with av.open(str(path)) as container:
        played_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert seconds - 0.5 < played_s <= seconds + 0.05
    if format == "wav":
        assert played_s == pytest.approx(seconds)
