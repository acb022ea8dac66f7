import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.tones import (
    BUSY_EU,
    FLOOR_DBFS,
    RINGBACK_US,
    Measured,
    Tone,
    ToneSource,
    dominant_tone,
    dtmf_tone,
    level_dbfs,
    measure_tone,
    sine,
)
from sipflow.errors import MediaError


def test_a_sine_measures_the_level_it_was_made_with() -> None:
    assert measure_tone(sine(1000, 200, level_dbfs=-20), 1000) == pytest.approx(-20, abs=0.01)
    assert measure_tone(sine(1000, 200, level_dbfs=0), 1000) == pytest.approx(0, abs=0.01)


def test_a_tone_between_two_cycles_of_the_piece_measures_the_same() -> None:
    assert measure_tone(sine(1003.7, 100), 1003.7) == pytest.approx(-16, abs=0.05)


def test_other_frequencies_measure_nearly_nothing() -> None:
    pcm = sine(1000, 200, level_dbfs=-6)

    assert [measure_tone(pcm, hz) < -60 for hz in (400, 900, 1100, 2000)] == [True] * 4


def test_silence_measures_the_floor() -> None:
    assert (measure_tone(bytes(320), 1000), level_dbfs(bytes(320))) == (FLOOR_DBFS, FLOOR_DBFS)
    assert (measure_tone(b"", 1000), level_dbfs(b"")) == (FLOOR_DBFS, FLOOR_DBFS)


@pytest.mark.parametrize("hz", [300.0, 440.0, 999.5, 1004.3, 3000.0])
def test_the_dominant_tone_is_found_to_a_hertz(hz: float) -> None:
    found = dominant_tone(sine(hz, 100, level_dbfs=-12))

    assert found.hz == pytest.approx(hz, abs=1)
    assert found.level_dbfs == pytest.approx(-12, abs=0.1)


def test_the_louder_of_two_tones_is_dominant() -> None:
    soft, loud = sine(500, 100, level_dbfs=-30), sine(1500, 100, level_dbfs=-20)
    both = [a + b for a, b in zip(struct.unpack("<800h", soft), struct.unpack("<800h", loud), strict=True)]

    assert dominant_tone(struct.pack("<800h", *both)).hz == pytest.approx(1500, abs=2)


def test_silence_and_direct_current_have_no_dominant_tone() -> None:
    assert dominant_tone(bytes(1600)) == Measured(0.0, FLOOR_DBFS)
    assert dominant_tone(b"") == Measured(0.0, FLOOR_DBFS)
    assert dominant_tone(struct.pack("<800h", *[1000] * 800)).level_dbfs < -60


def test_a_tone_read_in_frames_is_the_tone_read_at_once() -> None:
    whole = ToneSource(Tone((440.0, 613.0))).read(1600)
    frames = ToneSource(Tone((440.0, 613.0)))

    assert b"".join(frames.read(160) for _ in range(10)) == whole
    assert frames.position_samples == 1600


def test_a_burst_ends_and_begins_at_its_sample() -> None:
    source = ToneSource(BUSY_EU)
    heard = [level_dbfs(source.read(800)) > -60 for _ in range(20)]

    assert heard == ([True] * 5 + [False] * 5) * 2


def test_ringback_is_two_seconds_of_two_tones_and_four_of_silence() -> None:
    source = ToneSource(RINGBACK_US)
    ring, pause = source.read(16000), source.read(32000)

    assert [measure_tone(ring, hz) for hz in (440, 480)] == pytest.approx([-19, -19], abs=0.05)
    assert pause == bytes(64000)


@pytest.mark.parametrize(
    ("digit", "pair"),
    [("1", (697, 1209)), ("0", (941, 1336)), ("#", (941, 1477)), ("d", (941, 1633)), ("9", (852, 1477))],
)
def test_a_key_is_its_row_and_its_column(digit: str, pair: tuple[int, int]) -> None:
    pcm = ToneSource(dtmf_tone(digit)).read(800)

    assert [measure_tone(pcm, hz) for hz in pair] == pytest.approx([-13, -13], abs=0.05)
    assert [measure_tone(pcm, hz) < -40 for hz in (770, 1029)] == [True, True]


@pytest.mark.parametrize("digit", ["", "E", "11"])
def test_other_keys_have_no_tone(digit: str) -> None:
    with pytest.raises(MediaError):
        dtmf_tone(digit)


def test_sines_that_add_up_too_loud_clip() -> None:
    pcm = ToneSource(Tone((1000.0, 1000.0), 0.0)).read(80)

    assert max(struct.unpack("<80h", pcm)) == 32767


def test_half_a_sample_cannot_be_measured() -> None:
    with pytest.raises(MediaError):
        measure_tone(b"\0", 1000)


@given(st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2]))
@settings(deadline=None)
def test_any_sound_has_levels_between_the_floor_and_full_scale(pcm: bytes) -> None:
    for level in (level_dbfs(pcm), measure_tone(pcm, 1000), dominant_tone(pcm).level_dbfs):
        assert FLOOR_DBFS <= level <= 6.1  # direct current at full scale measures 6 above a sine
        assert math.isfinite(level)
