from itertools import pairwise
from math import inf

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.audio.conceal import Concealer

Samples = npt.NDArray[np.float64]

RATES_HZ = [8000, 16000, 24000, 48000]


def voice(rate_hz: int, *, hz: float = 130.0, seconds: float = 1.0, glide: float = 0.0) -> bytes:
    """Something like a vowel: harmonics of a pitch that may glide, softer the higher they are."""
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    phase = 2 * np.pi * (hz * at + glide * at * at / 2)
    wave = sum(np.sin(n * phase) / n for n in range(1, 8))
    return np.asarray(6000 * wave).astype("<i2").tobytes()


def samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def through(pcm: bytes, rate_hz: int, lost: set[int], frame_ms: int = 20) -> bytes:
    """Send frames through a concealer; those in `lost` do not come."""
    concealer, size = Concealer(rate_hz), rate_hz * frame_ms // 1000
    frames = [pcm[at : at + 2 * size] for at in range(0, len(pcm), 2 * size)]
    out = [concealer.conceal(size) if n in lost else concealer.good(frame) for n, frame in enumerate(frames)]
    assert concealer.concealed == size * len(lost)
    return b"".join(out)


def level(pcm: Samples) -> float:
    return float(np.sqrt(np.mean(pcm * pcm)))


def largest_step(pcm: Samples) -> float:
    return float(np.abs(np.diff(pcm)).max())


def test_a_good_frame_is_given_back_as_it_is() -> None:
    concealer = Concealer(8000)
    frame = voice(8000)[:320]

    assert concealer.good(frame) is frame


def test_the_second_good_frame_after_a_loss_is_untouched_and_the_first_from_ten_ms_on() -> None:
    concealer, pcm = Concealer(8000), voice(8000)
    for n in range(5):
        concealer.good(pcm[320 * n : 320 * n + 320])
    concealer.conceal(160)
    first, second = pcm[6 * 320 : 7 * 320], pcm[7 * 320 : 8 * 320]
    merged = concealer.good(first)

    assert merged != first
    assert merged[160:] == first[160:]
    assert concealer.good(second) is second


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("hz", [80.0, 130.0, 220.0, 310.0])
def test_a_steady_voice_goes_on_as_if_nothing_were_missing(rate_hz: int, hz: float) -> None:
    pcm = voice(rate_hz, hz=hz)
    heard, said = samples(through(pcm, rate_hz, {20})), samples(pcm)
    size = rate_hz // 50
    gap = slice(20 * size, 20 * size + rate_hz // 200)  # as long as it is at full loudness

    assert level(heard[gap] - said[gap]) < 0.25 * level(said[gap])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("lost", [{20}, {20, 21}, {20, 21, 22, 23, 24}, set(range(20, 40)), {20, 22, 24, 26}])
@pytest.mark.parametrize("glide", [0.0, 60.0])
def test_nothing_clicks(rate_hz: int, lost: set[int], glide: float) -> None:
    pcm = voice(rate_hz, glide=glide)
    heard = samples(through(pcm, rate_hz, lost))

    assert largest_step(heard) <= 1.5 * largest_step(samples(pcm))


def test_what_is_made_up_fades_to_silence_and_stays_there() -> None:
    concealer, pcm = Concealer(8000), voice(8000)
    for n in range(10):
        concealer.good(pcm[320 * n : 320 * n + 320])
    levels = [level(samples(concealer.conceal(80))) for _ in range(20)]

    assert levels[0] > 0.8 * level(samples(pcm))
    assert all(later <= earlier for earlier, later in pairwise(levels))
    assert levels[6:] == [0.0] * 14


def test_any_number_of_samples_may_be_asked_for_in_any_steps() -> None:
    def made(steps: list[int]) -> bytes:
        concealer = Concealer(8000)
        for n in range(10):
            concealer.good(voice(8000)[320 * n : 320 * n + 320])
        return b"".join(concealer.conceal(step) for step in steps)

    assert made([480]) == made([160, 160, 160]) == made([1, 79, 400]) == made([170, 155, 155])


def test_before_anything_was_heard_there_is_silence() -> None:
    concealer = Concealer(8000)

    assert concealer.conceal(160) == bytes(320)
    assert concealer.good(bytes(320)) == bytes(320)


def test_silence_is_concealed_with_silence() -> None:
    assert through(bytes(16000), 8000, {5, 6, 20}) == bytes(16000)


def test_what_was_heard_can_be_forgotten() -> None:
    concealer = Concealer(8000)
    concealer.good(voice(8000))
    concealer.reset()

    assert concealer.conceal(160) == bytes(320)


def test_noise_keeps_its_loudness_over_a_lost_frame() -> None:
    noise = np.random.default_rng(1).normal(0, 2000, 8000).astype("<i2").tobytes()
    heard = samples(through(noise, 8000, {20}))

    assert 0.4 * 2000 < level(heard[20 * 160 : 21 * 160]) < 1.3 * 2000
    assert np.abs(heard[20 * 160 : 21 * 160]).max() < 4 * 2000


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 400), st.integers(0, 2**32)), max_size=30),
    st.sampled_from([8000, 16000, 48000]),
)
def test_every_request_gets_its_length_whatever_was_heard(pieces: list[tuple[bool, int, int]], rate_hz: int) -> None:
    concealer = Concealer(rate_hz)
    for came, length, seed in pieces:
        pcm = np.random.default_rng(seed).integers(-32768, 32768, length).astype("<i2").tobytes()
        out = concealer.good(pcm) if came else concealer.conceal(length)
        assert len(out) == 2 * length


def test_the_loudest_samples_do_not_overflow() -> None:
    square = np.where(np.arange(8000) // 30 % 2, 32767, -32768).astype("<i2").tobytes()
    heard = samples(through(square, 8000, {20, 30, 31}))

    assert -inf < largest_step(heard) <= 65535
    assert level(heard[19 * 160 : 22 * 160]) > 20000


def test_half_a_sample_at_the_end_of_a_frame_does_not_put_the_rest_out_of_step() -> None:
    concealer = Concealer(8000)
    concealer.good(voice(8000)[:321])

    assert len(concealer.conceal(160)) == 320
