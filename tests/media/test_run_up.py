import numpy as np
import pytest

from sipflow.audio.tones import sine
from sipflow.media.run_up import run_up


def samples(pcm: bytes) -> list[int]:
    return [int(sample) for sample in np.frombuffer(pcm, "<i2")]


def test_it_leads_to_the_first_sample_as_smoothly_as_the_sound_goes_on_from_it() -> None:
    pcm = np.array([100, 130, 90, 70], "<i2").tobytes()

    assert samples(run_up(pcm, 8000)) == [130, 110, 70]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_it_is_ten_milliseconds_long_and_has_no_step(rate_hz: int) -> None:
    tone = sine(400, 100, level_dbfs=-10.0, sample_rate_hz=rate_hz)
    joined = np.array(samples(run_up(tone, rate_hz) + tone))

    assert len(joined) == rate_hz // 100 + rate_hz // 10
    assert np.abs(np.diff(joined)).max() <= np.abs(np.diff(samples(tone))).max()


@pytest.mark.parametrize("pcm", [b"", b"\x01\x02"])
def test_nothing_comes_before_nothing(pcm: bytes) -> None:
    assert run_up(pcm, 8000) == b""


def test_the_loudest_sound_does_not_wrap() -> None:
    assert samples(run_up(np.array([32767, -32768], "<i2").tobytes(), 8000)) == [32767]
