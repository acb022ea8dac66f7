import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.frame import Frame
from sipflow.audio.resample import Resampler, resample, to_rate
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


USUAL = [(a, b) for a in (8000, 16000, 24000, 44100, 48000) for b in (8000, 16000, 24000, 44100, 48000)]


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-20000, 20000, samples).astype("<i2").tobytes()


def streamed(pcm: bytes, from_hz: int, to_hz: int, piece_bytes: int) -> list[bytes]:
    """Give what comes of each piece, and then of the end."""
    stream = Resampler(from_hz, to_hz)
    pieces = [stream.process(pcm[at : at + piece_bytes]) for at in range(0, len(pcm), piece_bytes)]
    return [*pieces, stream.process(b"", last=True)]


@pytest.mark.parametrize(("from_hz", "to_hz"), USUAL)
def test_a_stream_has_the_samples_of_the_whole_piece_but_for_its_softer_edge(from_hz: int, to_hz: int) -> None:
    lower = min(from_hz, to_hz)
    pcm = b"".join([sine(hz * lower // 8000, 200, level_dbfs=-9, sample_rate_hz=from_hz) for hz in (300, 1500, 3300)])

    stream = np.frombuffer(b"".join(streamed(pcm, from_hz, to_hz, from_hz // 50 * 2)), "<i2").astype(float)
    whole = np.frombuffer(resample(pcm, from_hz, to_hz), "<i2").astype(float)
    middle = slice(to_hz // 20, -to_hz // 20)

    assert len(stream) == len(whole)
    for start in (0, 200, 400):  # between two tones there are frequencies that the longer filter stops
        part = slice(to_hz * (start + 10) // 1000, to_hz * (start + 190) // 1000)
        error = ((stream[part] - whole[part]) ** 2).mean() / (whole[part] ** 2).mean()
        assert 10 * np.log10(error + 1e-12) < -50
    assert len(stream[middle]) > 0


@pytest.mark.parametrize(("from_hz", "to_hz"), [(a, b) for a, b in USUAL if a != b and 44100 not in (a, b)])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_a_stream_gives_a_packet_time_for_a_packet_time(from_hz: int, to_hz: int, ptime_ms: int) -> None:
    pieces = streamed(noise(from_hz), from_hz, to_hz, from_hz * ptime_ms // 1000 * 2)
    full = to_hz * ptime_ms // 1000 * 2
    held_back = full - len(pieces[0])

    assert {len(piece) for piece in pieces[1:-2]} == {full}
    assert 0 < held_back / 2 / to_hz <= 20 / min(from_hz, to_hz)  # 2.5 ms where one of them is 8 kHz
    assert sum(map(len, pieces)) == 2 * to_hz


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 8000), (44100, 48000), (22050, 16000), (8000, 44100)])
def test_a_stream_of_44100_hz_settles_at_packet_times_too(from_hz: int, to_hz: int) -> None:
    pieces = streamed(noise(from_hz), from_hz, to_hz, from_hz // 50 * 2)

    assert {len(piece) for piece in pieces[2:-2]} == {to_hz // 50 * 2}
    assert sum(map(len, pieces)) == 2 * to_hz


@pytest.mark.parametrize(("from_hz", "hz"), [(16000, 5000), (16000, 7000), (48000, 4700), (24000, 6000), (44100, 9000)])
def test_a_stream_lets_no_alias_through(from_hz: int, hz: int) -> None:
    heard = b"".join(streamed(sine(hz, 500, level_dbfs=-1, sample_rate_hz=from_hz), from_hz, 8000, 640))

    assert level_dbfs(heard[EDGE_BYTES:-EDGE_BYTES]) < -60


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
@pytest.mark.parametrize("to_hz", [16000, 24000, 48000])
def test_a_stream_makes_no_images_of_what_a_telephone_carries(hz: int, to_hz: int) -> None:
    heard = b"".join(streamed(sine(hz, 500, level_dbfs=-6), 8000, to_hz, 320))[to_hz // 10 : -to_hz // 10]

    assert measure_tone(heard, hz, to_hz) == pytest.approx(-6, abs=0.1)
    assert measure_tone(heard, 8000 - hz, to_hz) < -60


@given(
    st.sampled_from([(8000, 16000), (16000, 8000), (24000, 16000), (44100, 8000), (11025, 8000), (12345, 8000)]),
    st.lists(st.integers(0, 700), max_size=12),
)
@settings(deadline=None, max_examples=60)
def test_pieces_of_any_length_make_the_same_stream(rates: tuple[int, int], lengths: list[int]) -> None:
    from_hz, to_hz = rates
    pcm = noise(sum(lengths))
    bounds = [0]
    for length in lengths:
        bounds.append(bounds[-1] + 2 * length)
    stream, once = Resampler(from_hz, to_hz), Resampler(from_hz, to_hz)

    pieces = [stream.process(pcm[start:end]) for start, end in pairwise(bounds)]
    heard = np.frombuffer(b"".join([*pieces, stream.process(b"", last=True)]), "<i2").astype(int)
    whole = np.frombuffer(once.process(pcm, last=True), "<i2")

    assert len(heard) == len(whole) == -(-sum(lengths) * to_hz // from_hz)
    assert np.abs(heard - whole).max(initial=0) <= 1  # sums of other lengths are rounded otherwise


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(8000, 16000), (48000, 8000), (44100, 8000), (12345, 8000), (8000, 8000)]
)
def test_after_its_end_a_stream_begins_anew(from_hz: int, to_hz: int) -> None:
    stream, pcm = Resampler(from_hz, to_hz), noise(3000)
    first = stream.process(pcm, last=True)

    assert stream.process(b"", last=True) == b""
    assert stream.process(pcm, last=True) == first


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (24000, 8000), (44100, 16000), (12345, 8000)])
def test_silence_in_a_stream_stays_silence(from_hz: int, to_hz: int) -> None:
    assert set(b"".join(streamed(bytes(2 * from_hz), from_hz, to_hz, 640))) == {0}


def test_a_loud_stream_is_clipped_and_does_not_turn_over() -> None:
    square = struct.pack("<80h", *[32767] * 40, *[-32768] * 40) * 20
    heard = np.frombuffer(b"".join(streamed(square, 8000, 16000, 320)), "<i2").astype(int)
    settled = heard[200:-200]

    assert (settled.max(), settled.min()) == (32767, -32768)
    assert np.abs(np.diff(settled)).max() < 40000


def test_a_click_in_a_stream_is_heard_where_it_was() -> None:
    click = struct.pack("<480h", *[0] * 240, 30000, *[0] * 239)
    heard = struct.unpack("<960h", b"".join(streamed(click, 8000, 16000, 160)))

    assert heard.index(max(heard)) == 480


def test_the_same_rate_passes_as_it_is() -> None:
    assert [Resampler(8000, 8000).process(b"ab"), Resampler(8000, 8000).process(b"ab", last=True)] == [b"ab", b"ab"]


def test_half_a_sample_and_impossible_rates_are_refused_in_streams_too() -> None:
    for rates in ((8000, 16000), (12345, 8000)):
        with pytest.raises(MediaError, match="1 bytes are not whole 16-bit samples"):
            Resampler(*rates).process(b"a")
    with pytest.raises(MediaError, match="cannot be converted"):
        Resampler(8000, 0)
