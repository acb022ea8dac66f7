import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.frame import Frame
from sipflow.audio.resample import resample, to_rate
from sipflow.audio.tones import dominant_tone, level_dbfs, measure_tone, sine
from sipflow.errors import MediaError

RATES = [11025, 16000, 22050, 32000, 44100, 48000]
EDGE_BYTES = 800  # 50 ms, where a tone that begins at once has all frequencies


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_level_and_length(rate: int) -> None:
    pcm = resample(sine(1000, 1000, level_dbfs=-12, sample_rate_hz=rate), rate)
    found = dominant_tone(pcm)

    assert len(pcm) == 16000
    assert (found.hz, found.level_dbfs) == pytest.approx((1000, -12), abs=0.05)


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_what_a_telephone_carries_passes_within_a_tenth_of_a_decibel(hz: int) -> None:
    pcm = resample(sine(hz, 500, level_dbfs=-6, sample_rate_hz=48000), 48000)

    assert level_dbfs(pcm[EDGE_BYTES:-EDGE_BYTES]) == pytest.approx(-6, abs=0.1)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("hz", [4100, 4500, 5000, 6000, 7000])
def test_what_would_come_back_as_an_alias_is_75_db_down(rate: int, hz: int) -> None:
    pcm = resample(sine(hz, 500, level_dbfs=-1, sample_rate_hz=rate), rate)

    assert level_dbfs(pcm[EDGE_BYTES:-EDGE_BYTES]) < -76
    assert measure_tone(pcm[EDGE_BYTES:-EDGE_BYTES], 8000 - hz) < -76


def test_a_higher_rate_has_no_images() -> None:
    pcm = resample(sine(3000, 500, level_dbfs=-6), 8000, 16000)

    assert len(pcm) == 16000
    assert measure_tone(pcm, 3000, 16000) == pytest.approx(-6, abs=0.1)
    assert measure_tone(pcm, 5000, 16000) < -80


def test_there_is_no_delay() -> None:
    click = struct.pack("<4800h", *[0] * 2400, 30000, *[0] * 2399)
    heard = struct.unpack("<800h", resample(click, 48000))

    assert heard.index(max(heard)) == 400


def test_the_same_rate_changes_nothing() -> None:
    assert to_rate(Frame(b"\1\2\3\4")) == Frame(b"\1\2\3\4")


def test_a_frame_takes_its_new_rate() -> None:
    assert to_rate(Frame(bytes(640), 16000)) == Frame(bytes(320), 8000)


@pytest.mark.parametrize("rate", [0, -8000, 384_001])
def test_a_rate_that_no_equipment_has_is_refused(rate: int) -> None:
    with pytest.raises(MediaError, match="cannot be converted"):
        resample(b"\0\0", rate)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(MediaError):
        resample(b"\0", 16000)


@given(
    st.sampled_from([1, 7, 4000, 8001, 11025, 16001, 44100, 96000]), st.integers(0, 40), st.sampled_from([8000, 16000])
)
@settings(deadline=None, max_examples=25)
def test_silence_of_any_rate_and_length_is_silence_of_the_right_length(rate: int, samples: int, target: int) -> None:
    expected = -(-samples * target // rate)

    if expected < 10_000:
        assert resample(bytes(2 * samples), rate, target) == bytes(2 * expected)
