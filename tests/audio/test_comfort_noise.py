import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.audio.comfort_noise import ComfortNoise, Noise, read_noise
from sipflow.errors import RemoteProtocolError


def new_noise(rate_hz: int = 8000, seed: int = 1) -> ComfortNoise:
    return ComfortNoise(rate_hz, np.random.default_rng(seed))


def dbov(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(20 * np.log10(np.sqrt(np.mean(samples * samples)) / 32768))


def test_a_payload_is_a_level_and_coefficients_rfc3389_3() -> None:
    assert read_noise(bytes([40])) == Noise(-40)
    assert read_noise(bytes([0, 127, 0, 254])) == Noise(0, (0.0, -127 * 258 / 32768, 127 * 258 / 32768))


def test_the_reserved_bit_and_index_are_harmless_and_long_payloads_cut_short() -> None:
    assert read_noise(bytes([0x80 | 40, 255])) == Noise(-40, (127 * 258 / 32768,))
    assert len(read_noise(bytes(1500)).reflections) == 16


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_noise(b"")


def test_before_a_description_there_is_silence() -> None:
    assert new_noise().read(160) == bytes(320)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("level_dbov", [-30, -45, -60])
def test_the_noise_is_as_loud_as_described(rate_hz: int, level_dbov: int) -> None:
    noise = new_noise(rate_hz)
    noise.describe(Noise(level_dbov))
    noise.read(rate_hz // 50)
    pcm = b"".join(noise.read(rate_hz // 50) for _ in range(100))

    assert len(pcm) == 4 * rate_hz
    assert dbov(pcm) == pytest.approx(level_dbov, abs=0.3)


def test_coefficients_colour_the_noise() -> None:
    def low_share(reflection: float) -> float:
        noise = new_noise()
        noise.describe(Noise(-40, (reflection,)))
        power = np.abs(np.fft.rfft(np.frombuffer(noise.read(8000), "<i2").astype(float))) ** 2
        return float(power[:2000].sum() / power.sum())

    assert low_share(-0.9) > 0.9  # 1 / (1 - 0.9 / z): the low half of the band
    assert low_share(0.0) == pytest.approx(0.5, abs=0.05)
    assert low_share(0.9) < 0.1


def test_the_spectrum_is_that_of_the_all_pole_model() -> None:
    noise = new_noise()
    noise.describe(Noise(-30, (-0.6, 0.5)))
    polynomial = np.array([1.0, -0.6 + 0.5 * -0.6, 0.5])
    noise.read(80)
    power = np.abs(np.fft.rfft(np.frombuffer(noise.read(8000), "<i2").astype(float))) ** 2
    model = 1 / np.abs(np.fft.rfft(polynomial, 8000)) ** 2
    bands = [slice(at, at + 400) for at in range(0, 4000, 400)]
    shares = [power[band].sum() / power.sum() for band in bands]

    assert shares == pytest.approx([model[band].sum() / model.sum() for band in bands], rel=0.25)


def test_one_noise_goes_over_into_the_next_without_a_step() -> None:
    noise = new_noise()
    noise.describe(Noise(-70))
    quiet = np.frombuffer(noise.read(800), "<i2")
    noise.describe(Noise(-30))
    louder = np.frombuffer(noise.read(60) + noise.read(100), "<i2")

    assert abs(int(louder[0]) - int(quiet[-1])) < 100
    assert np.abs(louder[:8]).max() < np.abs(louder[80:]).max()


def test_the_same_description_again_changes_nothing_and_the_same_seed_gives_the_same_noise() -> None:
    first, second = new_noise(), new_noise()
    first.describe(Noise(-40))
    second.describe(Noise(-40))
    start = first.read(160)
    first.describe(Noise(-40))

    assert start + first.read(160) == second.read(320)


def test_a_description_that_is_replaced_before_it_was_heard_leaves_no_trace() -> None:
    first, second = new_noise(), new_noise()
    for level_dbov in range(-20, -60, -1):
        first.describe(Noise(level_dbov))
    first.describe(Noise(-60))
    second.describe(Noise(-60))

    assert first.read(320) == second.read(320)


def test_a_noise_on_the_edge_of_stability_is_as_loud_as_described() -> None:
    noise = new_noise()
    noise.describe(read_noise(bytes([40, *[0] * 16])))

    assert abs(dbov(noise.read(8000)) + 40) < 1


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(0, 20_000), max_size=5))
def test_any_description_gives_as_many_samples_as_asked_for(payload: bytes, requests: list[int]) -> None:
    noise = new_noise()
    noise.describe(read_noise(payload))

    assert [len(noise.read(samples)) for samples in requests] == [2 * samples for samples in requests]
