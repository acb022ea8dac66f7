import pytest

from sipflow.audio.codecs.plain import PlainCodec
from sipflow.audio.tones import level_dbfs, sine


def _upper(payload: bytes) -> bytes:
    return payload


CODEC = PlainCodec("PLAIN", 8000, 8000, 1, 16, _upper, _upper)


def test_without_losses_a_stream_is_decoded_bit_for_bit() -> None:
    decoder = CODEC.new_decoder()
    frames = [sine(300 + 100 * n, 20) for n in range(10)]

    assert [decoder.decode(frame) for frame in frames] == frames
    assert [CODEC.decode(frame) for frame in frames] == frames


def test_a_loss_is_filled_with_what_was_heard_and_the_next_frame_fades_in() -> None:
    decoder = CODEC.new_decoder()
    tone = sine(200, 200, level_dbfs=-12)
    for at in range(0, 1600, 320):
        decoder.decode(tone[at : at + 320])

    made_up = decoder.conceal(20)
    after = decoder.decode(tone[1920:2240])

    assert level_dbfs(made_up[:160]) == pytest.approx(-12, abs=1)
    assert len(after) == 320
    assert after[-160:] == tone[2080:2240]


def test_an_encoder_is_the_codec_itself() -> None:
    encoder = CODEC.new_encoder(ptime_ms=30)

    assert (encoder.sample_rate_hz, encoder.encode(b"ab"), CODEC.encode(b"ab")) == (8000, b"ab", b"ab")
