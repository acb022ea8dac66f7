import pytest

from sipflow.audio.codecs import CODECS, G722_CODEC, OPUS_CODEC, PCMA_CODEC, PCMU_CODEC, AudioCodec, find_codec
from sipflow.audio.tones import dominant_tone, sine
from sipflow.errors import MediaError

STEADY_MS = 200  # by then every codec has learnt what it needs


def test_codecs_are_found_by_what_sdp_says_in_any_case() -> None:
    found = [find_codec("pcmu"), find_codec("PCMA", 8000), find_codec("g722"), find_codec("OPUS", 48000, 2)]

    assert found == [PCMU_CODEC, PCMA_CODEC, G722_CODEC, OPUS_CODEC]
    assert [find_codec("L16", rate).sample_rate_hz for rate in (8000, 16000, 24000, 48000)] == [
        8000, 16000, 24000, 48000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rate", "channels"), [("G729", 8000, 1), ("PCMU", 16000, 1), ("", 8000, 1), ("opus", 48000, 1)]
)
def test_a_codec_that_is_not_there_is_named_with_those_that_are(name: str, rate: int, channels: int) -> None:
    with pytest.raises(MediaError) as caught:
        find_codec(name, rate, channels)

    assert str(caught.value) == (
        f"no codec {name}/{rate}: sipflow has PCMU/8000, PCMA/8000, G722/8000, opus/48000/2, L16/8000, L16/16000, "
        "L16/24000, L16/48000"
    )


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_every_codec_carries_a_tone_packet_by_packet(codec: AudioCodec) -> None:
    encoder, decoder = codec.new_encoder(), codec.new_decoder()
    step = codec.sample_rate_hz // 50 * 2
    pcm = sine(1000, 500, level_dbfs=-12, sample_rate_hz=codec.sample_rate_hz)

    packets = [encoder.encode(pcm[at : at + step]) for at in range(0, len(pcm), step)]
    heard = b"".join([decoder.decode(packet) for packet in packets])
    tone = dominant_tone(heard[STEADY_MS * codec.sample_rate_hz // 1000 * 2 :], codec.sample_rate_hz)

    assert (encoder.sample_rate_hz, decoder.sample_rate_hz) == (codec.sample_rate_hz, codec.sample_rate_hz)
    assert len(heard) == len(pcm)
    assert (tone.hz, tone.level_dbfs) == pytest.approx((1000, -12), abs=1.0)
    assert {codec.payload_ms(packet) for packet in packets} == {20.0}


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_silence_has_the_length_that_was_asked_for(codec: AudioCodec, ptime_ms: int) -> None:
    payload = codec.silence(ptime_ms)
    heard = codec.decode(payload)

    assert codec.payload_ms(payload) == ptime_ms
    assert len(heard) == ptime_ms * codec.sample_rate_hz // 1000 * 2
    assert max(abs(sample) for sample in memoryview(heard).cast("h")) <= 8  # A-law has no zero
    assert codec.silence(ptime_ms) is payload


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("missing_ms", [10, 20, 60, 130])
def test_what_is_missing_is_made_up_in_its_length_and_dies_away(codec: AudioCodec, missing_ms: int) -> None:
    decoder = codec.new_decoder()
    pcm = sine(200, 100, level_dbfs=-12, sample_rate_hz=codec.sample_rate_hz)
    encoder = codec.new_encoder(ptime_ms=20)
    step = len(pcm) // 5
    for at in range(0, len(pcm), step):
        decoder.decode(encoder.encode(pcm[at : at + step]))

    made_up = [decoder.conceal(missing_ms) for _ in range(20)]

    assert {len(piece) for piece in made_up} == {missing_ms * codec.sample_rate_hz // 1000 * 2}
    assert max(memoryview(made_up[0]).cast("h")) > 3000
    assert max(memoryview(made_up[-1]).cast("h"), default=0) < 300


def test_what_is_installed_misses_nothing() -> None:
    assert [codec.missing() for codec in CODECS] == [""] * len(CODECS)
