"""Sound files of every kind, and files that mean harm."""

import os
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import wav_header
from sipflow.errors import MediaError
from sipflow.media import sound_file
from sipflow.media.sound_file import check_sound, read_sound

av: Any = pytest.importorskip("av")

KINDS = {
    "mp3": ("libmp3lame", 44100, "fltp"),
    "ogg": ("libopus", 48000, "flt"),
    "flac": ("flac", 44100, "s16"),
    "m4a": ("aac", 44100, "fltp"),
    "mka": ("libopus", 48000, "flt"),
    "aiff": ("pcm_s16be", 22050, "s16"),
    "wav": ("adpcm_ms", 22050, "s16"),
    "ts": ("aac", 44100, "fltp"),
}


def write(path: Path, seconds: float = 1.0) -> Path:
    """Write a stereo tone of 440 Hz, -10 dBFS on each side, as what the name ends in."""
    codec, rate_hz, form = KINDS[path.suffix[1:]]
    tone = np.frombuffer(sine(440, int(seconds * 1000), level_dbfs=-10.0, sample_rate_hz=rate_hz), "<i2")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = rate_hz
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=form, layout="stereo", rate=rate_hz, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(piece):
                file.mux(packet)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_every_kind_of_file_is_read_at_every_rate(tmp_path: Path, kind: str, rate_hz: int) -> None:
    pcm = read_sound(str(write(tmp_path / f"tone.{kind}")), rate_hz)

    assert len(pcm) / 2 / rate_hz == pytest.approx(1.0, abs=0.08)
    assert measure_tone(pcm[rate_hz // 2 : rate_hz * 3 // 2 // 2 * 2], 440, rate_hz) == pytest.approx(-10.0, abs=1.0)


def test_the_name_says_nothing_about_the_kind(tmp_path: Path) -> None:
    file = write(tmp_path / "tone.mp3").rename(tmp_path / "tone.wav")

    assert len(read_sound(str(file), 8000)) > 15000


def test_a_wav_file_needs_no_library_and_is_exact(tmp_path: Path) -> None:
    tone = sine(440, 500)
    file = tmp_path / "tone.wav"
    file.write_bytes(wav_header(len(tone)) + tone)

    assert read_sound(str(file), 8000) == tone


def test_a_file_cut_off_in_the_middle_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    file = write(tmp_path / "tone.mp3", 4.0)
    whole = len(read_sound(str(file), 8000))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    assert whole * 0.4 < len(read_sound(str(file), 8000)) < whole * 0.6


def test_what_is_broken_in_the_middle_is_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "tone.mp3", 4.0)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = os.urandom(3000)
    file.write_bytes(data)

    assert len(read_sound(str(file), 8000)) > 40_000


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("text.mp3", b"hello", "Invalid data found"),
        ("empty.ogg", b"", "End of file|Invalid data"),
        ("header.wav", b"RIFF\xff\xff\xff\xffWAVEfmt ", "Invalid data|End of file|no sound"),
        ("noise.m4a", bytes(range(256)) * 40, "Invalid data|no sound"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n#EXT-X-ENDLIST\n", ""),
        ("list.ffconcat", b"ffconcat version 1.0\nfile other.mp3\n", ""),
        (
            "session.sdp",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n",
            "",
        ),
    ],
)
def test_what_is_no_sound_is_said_in_a_sentence_and_at_once(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    write(tmp_path / "other.mp3")
    file = tmp_path / name
    file.write_bytes(data)
    began = time.monotonic()
    with pytest.raises(MediaError, match=rf"{name} cannot be played: .*({why})"):
        read_sound(str(file), 8000)

    assert time.monotonic() - began < 5


def test_a_list_leads_to_no_other_file(tmp_path: Path) -> None:
    write(tmp_path / "other.ts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nother.ts\n#EXT-X-ENDLIST\n")
    with av.open(str(playlist)) as followed:  # others do
        assert followed.streams.audio

    with pytest.raises(MediaError, match=r"list\.m3u8 cannot be played"):
        read_sound(str(playlist), 8000)


def test_a_picture_has_no_sound_in_it(tmp_path: Path) -> None:
    file = tmp_path / "picture.mp4"
    with av.open(str(file), "w") as made:
        stream = made.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for piece in [av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8)), None]:
            for packet in stream.encode(piece):
                made.mux(packet)

    with pytest.raises(MediaError, match="there is no sound in it"):
        read_sound(str(file), 8000)


def test_a_small_file_that_is_endless_sound_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "silence.flac"
    with av.open(str(file), "w") as made:
        stream = made.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for _ in range(200):
            for packet in stream.encode(frame):
                made.mux(packet)
        for packet in stream.encode(None):
            made.mux(packet)

    assert file.stat().st_size < 30_000
    with pytest.raises(MediaError, match="it is longer than"):
        read_sound(str(file), 8000, sound_bytes=1 << 20)
    assert len(read_sound(str(file), 8000)) == 200 * 4096 * 2


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="reading it takes too long"):
        read_sound(str(write(tmp_path / "tone.mp3")), 8000, read_s=-1.0)


def test_a_pipe_would_never_end_and_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)

    with pytest.raises(MediaError, match="it is no regular file"):
        read_sound(str(pipe), 8000)


def test_without_the_library_the_sentence_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "tone.mp3")
    monkeypatch.setitem(__import__("sys").modules, "av", None)

    with pytest.raises(MediaError, match="PyAV, which reads others, is not installed"):
        read_sound(str(file), 8000)


def test_a_wav_file_of_8_bits_is_read_too(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 1600)

    assert read_sound(str(tmp_path / "a.wav"), 8000) == bytes(1600)


def test_an_operating_systems_words_stand_without_the_path() -> None:
    assert sound_file.reason(FileNotFoundError(2, "No such file", "x")) == "No such file"
    assert sound_file.reason(ValueError("embedded null byte")) == "embedded null byte"


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_at_the_beginning_says_whether_there_is_sound(tmp_path: Path, kind: str) -> None:
    check_sound(str(write(tmp_path / f"tone.{kind}")))


@pytest.mark.parametrize(
    ("name", "why"), [("text.wav", "Invalid data found"), ("none.mp3", "No such file"), (".", "Is a directory")]
)
def test_a_look_at_what_is_no_sound_says_why(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "text.wav").write_text("hello")

    with pytest.raises(MediaError, match=f"cannot be played: {why}"):
        check_sound(str(tmp_path / name))


def test_a_look_at_a_wav_file_needs_no_sample(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_header(0))

    check_sound(str(tmp_path / "a.wav"))
