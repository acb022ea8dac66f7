import io
import os
import signal
import struct
import subprocess
import sys
import wave
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.codecs.g711 import encode_alaw, encode_ulaw
from sipflow.audio.frame import Frame
from sipflow.audio.tones import sine
from sipflow.audio.wav import WavWriter, read_wav, wav_header
from sipflow.errors import MediaError

TONE = sine(440, 100)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) & 1)


def wav(
    data: bytes, *, tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, before: bytes = b""
) -> bytes:
    frame = channels * bits // 8
    form = chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))
    body = b"WAVE" + form + before + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def refusal(data: bytes) -> str:
    with pytest.raises(MediaError) as caught:
        read_wav(data)
    return str(caught.value)


def test_pcm_of_16_bits_is_taken_as_it_is() -> None:
    assert read_wav(wav(TONE, rate=16000)) == Frame(TONE, 16000)


def test_pcm_of_8_bits_is_unsigned() -> None:
    assert read_wav(wav(b"\x00\x80\xff", bits=8)).pcm == struct.pack("<3h", -32768, 0, 127 * 256)


def test_pcm_of_24_and_32_bits_is_rounded_to_16() -> None:
    values = [-0x800000, -1, 0x7F, 0x80, 0x1234C0, 0x7FFFFF]
    expected = struct.pack("<6h", -32768, 0, 0, 0, 0x1235, 32767)

    assert read_wav(wav(b"".join(v.to_bytes(3, "little", signed=True) for v in values), bits=24)).pcm == expected
    assert read_wav(wav(struct.pack("<6i", *[v << 8 for v in values]), bits=32)).pcm == expected


def test_a_number_that_is_none_is_silent_however_it_is_written() -> None:
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 40, b"WAVE", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32, b"data", 4)

    assert read_wav(header + b"\x01\x00\x80\x7f").pcm == b"\0\0"


@pytest.mark.parametrize(("letter", "bits"), [("f", 32), ("d", 64)])
def test_floats_reach_from_minus_one_to_one_and_clip(letter: str, bits: int) -> None:
    data = struct.pack(f"<7{letter}", -1, 0, 0.5, 1, 7, float("nan"), float("-inf"))

    assert read_wav(wav(data, tag=3, bits=bits)).pcm == struct.pack("<7h", -32767, 0, 16384, 32767, 32767, 0, -32767)


def test_both_laws_of_g711_are_decoded() -> None:
    for tag, encode in ((7, encode_ulaw), (6, encode_alaw)):
        again = read_wav(wav(encode(TONE), tag=tag, bits=8)).pcm
        assert encode(again) == encode(TONE)


def test_channels_are_averaged() -> None:
    assert read_wav(wav(struct.pack("<4h", 100, 300, -32768, -32768), channels=2)).pcm == struct.pack(
        "<2h", 200, -32768
    )
    assert read_wav(wav(b"\x80\xff", channels=2, bits=8)).pcm == struct.pack("<h", 127 * 128)
    assert read_wav(wav(b"\xff\xff\xff\xff", tag=7, channels=2, bits=8)).pcm == bytes(4)


def test_the_extensible_form_names_its_own_tag() -> None:
    form = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 4, 1) + bytes(14)
    data = b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form) + chunk(b"data", TONE)

    assert read_wav(data) == Frame(TONE, 8000)


def test_chunks_between_format_and_data_are_skipped_with_their_padding() -> None:
    assert read_wav(wav(TONE, before=chunk(b"LIST", b"odd") + chunk(b"fact", bytes(4)))) == Frame(TONE, 8000)


def test_a_file_that_is_shorter_or_longer_than_it_says_is_read_as_far_as_it_goes() -> None:
    whole = wav(TONE)

    assert read_wav(whole[:-101]).pcm == TONE[:-102]
    for size in (0xFFFFFFFF, 0x7FFFFFFF):
        assert read_wav(whole[:40] + struct.pack("<I", size) + whole[44:]) == Frame(TONE, 8000)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a WAV file: it begins with b''"),
        (b"hello, world", "not a WAV file: it begins with b'hello, world'"),
        (b"ID3\4rest", "not a WAV file but an MP3 file: convert it to WAV, 16 bit, mono"),
        (b"OggS", "not a WAV file but an Ogg file: convert it to WAV, 16 bit, mono"),
        (wav(b"", tag=0x55), "the WAV file is MP3: convert it to PCM, 16 bit"),
        (wav(b"", tag=0x1234), "the WAV file is of form 0x1234: convert it to PCM, 16 bit"),
        (wav(b"", channels=0), "the WAV file has 0 channels, not 1 to 8"),
        (wav(b"", channels=9), "the WAV file has 9 channels, not 1 to 8"),
        (wav(b"", rate=0), "the WAV file has a rate of 0 Hz, not 1 to 384000"),
        (wav(b"", bits=12), "the WAV file has 12 bits a sample, not 8 or 16 or 24 or 32"),
        (wav(b"", bits=0), "the WAV file has 0 bits a sample, not 8 or 16 or 24 or 32"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"\0\0"), "the WAV file has no format before its data"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"\1\0"), "the WAV file's format is cut off"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"\xfe\xff" + bytes(14)), "the WAV file's extended format is cut off"),
        (wav(b"")[:36], "the WAV file has no data"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, sentence: str) -> None:
    assert refusal(data) == sentence


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda tail: wav(TONE)[:12] + tail), st.integers(12, 60))
@settings(deadline=None)
def test_no_bytes_do_more_than_being_refused(data: bytes, cut: int) -> None:
    for text in (data, wav(TONE)[:cut] + data):
        with suppress(MediaError):
            read_wav(text)


def test_what_is_written_is_read_by_others_and_by_us() -> None:
    file = io.BytesIO()
    writer = WavWriter(file, 16000)
    writer.write(TONE)
    writer.write(TONE)
    writer.finish()

    with wave.open(io.BytesIO(file.getvalue())) as other:
        assert other.getparams()[:4] == (1, 2, 16000, len(TONE))
        assert other.readframes(99999) == TONE + TONE
    assert read_wav(file.getvalue()) == Frame(TONE + TONE, 16000)


def test_writing_may_go_on_after_the_header_was_brought_up_to_date() -> None:
    file = io.BytesIO()
    writer = WavWriter(file, channels=2)
    writer.write(bytes(8))
    writer.finish()
    writer.write(b"\1\0\1\0")
    writer.finish()

    assert file.getvalue() == wav_header(12, channels=2) + bytes(8) + b"\1\0\1\0"


def test_the_header_is_at_most_a_second_behind() -> None:
    file = io.BytesIO()
    writer = WavWriter(file)
    for _ in range(149):
        writer.write(bytes(320))

    with wave.open(io.BytesIO(file.getvalue())) as other:
        assert other.getnframes() == 100 * 160


def test_a_header_cannot_declare_more_than_four_gigabytes() -> None:
    assert wav_header(2**33)[40:] == struct.pack("<I", 0xFFFFFFFF - 44)


def test_samples_that_are_not_whole_are_refused_and_nothing_is_written() -> None:
    file = io.BytesIO()
    with pytest.raises(MediaError):
        WavWriter(file, channels=2).write(bytes(6))

    assert len(file.getvalue()) == 44


def test_a_file_whose_writer_was_killed_plays_but_for_its_last_second(tmp_path: Path) -> None:
    path = tmp_path / "killed.wav"
    script = (
        "import os, sys\n"
        "from sipflow.audio.wav import WavWriter\n"
        "writer = WavWriter(open(sys.argv[1], 'wb'))\n"
        "for _ in range(275): writer.write(b'\\1\\0' * 160)\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], env={**os.environ, "PYTHONWARNINGS": ""}, check=False
    )

    assert ended.returncode == -signal.SIGKILL
    with wave.open(str(path)) as other:
        assert other.readframes(99999) == b"\1\0" * 160 * 250
