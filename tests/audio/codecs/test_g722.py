import random
import sys

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.codecs.g722 import G722_CODEC
from sipflow.errors import MediaError

PACKET_SAMPLES = 320


def voice(packets: int = 50) -> bytes:
    """Make something that uses both bands: chords that change, and noise."""
    noise = np.random.default_rng(7).normal(0, 1, packets * PACKET_SAMPLES)
    at = np.arange(packets * PACKET_SAMPLES) / 16000
    chord = sum(np.sin(2 * np.pi * hz * at * (1 + at / 5)) for hz in (180, 700, 2100, 5200))
    loudness = 1500 * (1 + np.sin(2 * np.pi * 3 * at))
    return bytes(np.rint(loudness * (chord + 0.3 * noise)).astype("<i2").tobytes())


def encoded(pcm: bytes) -> list[bytes]:
    encoder = G722_CODEC.new_encoder()
    step = 2 * PACKET_SAMPLES
    return [encoder.encode(pcm[at : at + step]) for at in range(0, len(pcm), step)]


def test_packets_are_what_ffmpeg_writes() -> None:
    pcm = voice()
    context = av.CodecContext.create("g722", "w")
    context.sample_rate, context.layout, context.format = 16000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 16000
    whole = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])

    packets = encoded(pcm)

    assert {len(packet) for packet in packets} == {160}
    assert b"".join(packets) == whole


def test_packets_are_heard_as_ffmpeg_hears_them() -> None:
    packets = encoded(voice())
    context = av.CodecContext.create("g722", "r")
    context.sample_rate, context.layout = 16000, "mono"
    whole = b"".join(frame.to_ndarray().tobytes() for frame in context.decode(av.Packet(b"".join(packets))))

    decoder = G722_CODEC.new_decoder()

    assert b"".join(decoder.decode(packet) for packet in packets) == whole


def test_the_clock_has_half_the_ticks_of_the_samples() -> None:
    assert (G722_CODEC.sample_rate_hz, G722_CODEC.clock_rate_hz, G722_CODEC.payload_ms(bytes(160))) == (
        16000, 8000, 20.0,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 638])
def test_half_an_octets_worth_of_samples_cannot_be_encoded(size: int) -> None:
    with pytest.raises(MediaError, match=f"{size} bytes are not whole pairs of 16-bit samples"):
        G722_CODEC.new_encoder().encode(bytes(size))


@given(st.lists(st.binary(max_size=400), max_size=5))
@settings(deadline=None)
def test_any_octets_can_be_heard(payloads: list[bytes]) -> None:
    decoder = G722_CODEC.new_decoder()

    assert [len(decoder.decode(payload)) for payload in payloads] == [4 * len(payload) for payload in payloads]


def test_the_loudest_noise_is_carried_without_an_upset() -> None:
    decoder = G722_CODEC.new_decoder()
    chance = random.Random(3)
    heard = [decoder.decode(packet) for packet in encoded(chance.randbytes(64_000))]

    assert sum(map(len, heard)) == 64_000


def test_without_its_package_g722_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "G722", None)

    with pytest.raises(MediaError, match=r"G\.722 needs its package: pip install g722"):
        G722_CODEC.new_decoder()
