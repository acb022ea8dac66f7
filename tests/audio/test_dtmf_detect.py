"""Digits heard as tones: found when they should be (ITU-T Q.24), and not found in speech."""

import math
import subprocess
import time

import numpy as np
import numpy.typing as npt
import pytest

from sipflow.audio.dtmf_detect import DtmfDetector
from sipflow.audio.tones import DTMF_KEYS, dtmf_pcm, dtmf_tone, sine, to_pcm
from sipflow.errors import MediaError
from tests.scenario.programs import needs

KEYS = "0123456789*#ABCD"
RATES = [8000, 16000, 24000, 48000]
DBM0 = -3.17  # what 0 dBm0 is in dBFS (ITU-T G.711 table 5)
QUIET = -20.0 + DBM0
FRAME_MS = 20
Sound = npt.NDArray[np.float64]


def heard(pcm: bytes, rate: int = 8000, *, frame_bytes: int = 0) -> str:
    detector = DtmfDetector(rate)
    step = frame_bytes or rate * FRAME_MS // 1000 * 2
    return "".join(digit for at in range(0, len(pcm), step) for digit in detector.feed(pcm[at : at + step]))


def dialled(
    digits: str,
    *,
    level_dbfs: float = -13.0,
    on_ms: int = 100,
    off_ms: int = 100,
    rate: int = 8000,
    twist_db: float = 0.0,
    off_by: float = 0.0,
    lead_ms: float = 0.0,
) -> Sound:
    """Digits as somebody else sends them: `twist_db` is how much louder the column is."""
    amplitude = 32767 * 10 ** (level_dbfs / 20)
    at = np.arange(on_ms * rate // 1000) * (2 * math.pi / rate)
    pieces = [np.zeros(int(lead_ms * rate / 1000))]
    for digit in digits:
        row, column = dtmf_tone(digit).frequencies_hz
        tone = np.sin(at * row * (1 + off_by)) + 10 ** (twist_db / 20) * np.sin(at * column * (1 + off_by) + 1.0)
        pieces += [amplitude * tone, np.zeros(off_ms * rate // 1000)]
    return np.concatenate([*pieces, np.zeros(rate // 10)])


def noise(like: Sound, level_dbfs: float, snr_db: float) -> Sound:
    power = (32767 * 10 ** (level_dbfs / 20)) ** 2  # of both sines
    sigma = math.sqrt(power / 10 ** (snr_db / 10))
    return np.asarray(np.random.default_rng(4).normal(0.0, sigma, len(like)))


@pytest.mark.parametrize("rate", RATES)
def test_every_key_is_heard_once_at_every_rate(rate: int) -> None:
    assert heard(dtmf_pcm(KEYS, sample_rate_hz=rate), rate) == KEYS


@pytest.mark.parametrize("lead_ms", [0.0, 2.5, 5.0, 7.5, 11.1, 17.3])
def test_a_tone_and_a_pause_of_40_ms_are_enough_wherever_they_begin_q24(lead_ms: float) -> None:
    assert heard(to_pcm(dialled(KEYS * 2, on_ms=40, off_ms=40, lead_ms=lead_ms))) == KEYS * 2


@pytest.mark.parametrize("rate", RATES)
def test_digits_at_minus_20_dbm0_are_heard_through_noise_15_db_below(rate: int) -> None:
    sound = dialled(KEYS, level_dbfs=QUIET, rate=rate)

    assert heard(to_pcm(sound + noise(sound, QUIET, 15.0)), rate) == KEYS


def test_digits_are_heard_from_minus_28_dbm0_to_the_loudest_and_not_below_minus_32() -> None:
    for level in (-28.0, -25.0, -10.0, -3.0):
        assert heard(to_pcm(dialled(KEYS, level_dbfs=level + DBM0))) == KEYS
    assert heard(to_pcm(dialled(KEYS, level_dbfs=-33.0 + DBM0))) == ""


@pytest.mark.parametrize("twist_db", [-8.0, -4.0, 4.0])
def test_a_column_4_db_louder_or_a_row_8_db_louder_is_taken_q24(twist_db: float) -> None:
    assert heard(to_pcm(dialled(KEYS, level_dbfs=-18.0, twist_db=twist_db))) == KEYS


@pytest.mark.parametrize("twist_db", [-11.0, 7.0])
def test_one_sine_far_above_the_other_is_no_digit(twist_db: float) -> None:
    assert heard(to_pcm(dialled(KEYS, level_dbfs=-18.0, twist_db=twist_db))) == ""


def test_a_key_is_taken_1_5_percent_off_and_not_3_5_percent_q24() -> None:
    for off_by, expected in ((0.015, KEYS), (-0.015, KEYS), (0.035, ""), (-0.035, "")):
        assert heard(to_pcm(dialled(KEYS, off_by=off_by))) == expected


@pytest.mark.parametrize("on_ms", [10, 20, 23])
def test_a_tone_of_23_ms_is_none_q24(on_ms: int) -> None:
    assert heard(to_pcm(dialled(KEYS, on_ms=on_ms, off_ms=80))) == ""


def test_a_gap_of_10_ms_does_not_make_two_digits_of_one() -> None:
    whole = dialled("5", on_ms=200)
    whole[8 * 100 : 8 * 110] = 0.0

    assert heard(to_pcm(whole)) == "5"


def test_a_digit_follows_another_without_a_pause() -> None:
    assert heard(to_pcm(dialled("1593", on_ms=60, off_ms=0))) == "1593"


def test_a_digit_held_for_ten_seconds_is_one() -> None:
    assert heard(to_pcm(dialled("#", on_ms=10_000))) == "#"


def test_the_pieces_may_have_any_size() -> None:
    pcm = dtmf_pcm(KEYS)
    for frame_bytes in (2, 34, 160, 480, 960, 100_000):
        assert heard(pcm, frame_bytes=frame_bytes) == KEYS
    assert DtmfDetector().feed(b"") == []
    assert heard(pcm, frame_bytes=333) == KEYS  # half samples at the edges are put together


def test_silence_noise_and_single_tones_are_no_digits() -> None:
    dice = np.random.default_rng(1)
    loud = to_pcm(dice.normal(0.0, 8000.0, 8000 * 20))
    ringing = b"".join(sine(hz, 300, level_dbfs=-10.0) for hz in (425, 440, 480, 620, 697, 941, 1209, 1400, 1633, 2100))

    assert (heard(bytes(16000)), heard(loud), heard(ringing)) == ("", "", "")


@pytest.mark.parametrize("rate", [0, 4000, 7999, 11025, 22050])
def test_a_rate_that_does_not_suit_is_refused(rate: int) -> None:
    with pytest.raises(MediaError):
        DtmfDetector(rate)


def test_our_own_tones_are_loud_as_they_should_be() -> None:
    samples = np.frombuffer(dtmf_pcm("D", on_ms=100, off_ms=100), "<i2").astype(float)

    assert len(samples) == 1600
    both = 10 * math.log10(2 * float(np.mean(samples[:800] ** 2)) / 32767**2) - DBM0
    assert both == pytest.approx(-6.8, abs=0.1)  # dBm0; each sine has 3 dB less
    assert not samples[800:].any()
    assert set(DTMF_KEYS) == set(KEYS)


SENTENCES = (
    "Good morning, this is the front desk. Your call may be recorded. Please hold the line while I look that up. "
    "She sells sea shells by the sea shore, and the shells she sells are sea shells, I am sure. "
    "For sales say one, for service say two, or tell me in a few words what you need today. "
    "Peter Piper picked a peck of pickled peppers. How much wood would a woodchuck chuck? We were away a year ago. "
)


@pytest.mark.parametrize(
    ("voice", "pitch"), [("en", 50), ("en+f4", 99), ("en+f5", 95), ("de+m3", 30), ("fr+f2", 70), ("it", 85)]
)
def test_nothing_is_heard_in_speech(voice: str, pitch: int) -> None:
    needs("espeak-ng")
    said = subprocess.run(
        ["espeak-ng", "-v", voice, "-p", str(pitch), "--stdout", SENTENCES * 2], capture_output=True, check=True
    )
    sound = np.frombuffer(said.stdout[44 : len(said.stdout) // 2 * 2], "<i2").astype(float)
    samples = len(sound) * 8000 // 22050
    narrow = np.fft.irfft(np.fft.rfft(sound)[: samples // 2 + 1], samples) * samples / len(sound)

    assert samples > 8000 * 30
    assert heard(to_pcm(narrow)) == ""


def test_a_frame_costs_30_us_at_most() -> None:
    pcm = dtmf_pcm(KEYS)
    frames = [pcm[at : at + 320] for at in range(0, len(pcm), 320)]
    detector, best = DtmfDetector(), math.inf
    for _ in range(7):
        begun = time.thread_time()
        for frame in frames:
            detector.feed(frame)
        best = min(best, (time.thread_time() - begun) / len(frames))

    assert best < 30e-6
