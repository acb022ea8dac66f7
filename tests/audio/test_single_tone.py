"""One sine, measured in 20 ms and followed while it lasts; and nothing else taken for it."""

import numpy as np
import pytest

from sipflow.audio.single_tone import WINDOW_SAMPLES, ToneRun, ToneTracker, tone_of
from sipflow.audio.tones import sine


def windows(pcm: bytes) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    sound = np.frombuffer(pcm, "<i2").astype(np.float32)
    return [sound[at : at + WINDOW_SAMPLES] for at in range(0, len(sound) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)]


def measured(pcm: bytes) -> list[float]:
    return [tone_of(window, float(window.dot(window))) for window in windows(pcm)]


@pytest.mark.parametrize("hz", [400, 425, 440, 620, 950, 1000, 1400, 1500, 1776, 2100])
@pytest.mark.parametrize("level_dbfs", [-3.0, -20.0, -40.0])
def test_a_sine_is_measured_to_ten_hertz(hz: float, level_dbfs: float) -> None:
    assert measured(sine(hz, 100, level_dbfs=level_dbfs)) == pytest.approx([hz] * 5, abs=10)


def test_noise_and_two_sines_are_no_tone() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 8000).astype("<i2").tobytes()
    keys = np.frombuffer(sine(770, 500), "<i2") + np.frombuffer(sine(1336, 500), "<i2")
    below, above = sine(200, 200), sine(2600, 200)

    assert set(measured(noise)) == set(measured(keys.astype("<i2").tobytes())) == {0.0}
    assert set(measured(below)) == set(measured(above)) == {0.0}


def test_a_window_without_any_sound_is_no_tone() -> None:
    assert tone_of(np.zeros(WINDOW_SAMPLES, dtype=np.float32), 1.0) == 0.0


def test_a_tone_runs_until_three_windows_have_failed() -> None:
    tracker = ToneTracker()
    given = [tracker.judge(hz, -20.0, 20 * at) for at, hz in enumerate([0, 1000, 1004, 0, 996, 0, 0, 0, 0])]

    assert given == [None] * 7 + [ToneRun(1000.0, 20, 100, True), None]
    assert tracker.running_ms == 0


def test_another_frequency_ends_it_and_begins_the_next() -> None:
    tracker = ToneTracker()
    given = [tracker.judge(hz, -20.0, 20 * at) for at, hz in enumerate([950, 950, 1400, 1400])]

    assert given == [None, None, ToneRun(950.0, 0, 40, True), None]
    assert (tracker.run.hz, tracker.running_ms) == (1400.0, 40)


def test_what_swells_is_not_steady_but_its_edges_do_not_count() -> None:
    def run(levels: list[float]) -> bool:
        tracker = ToneTracker()
        for at, level in enumerate(levels):
            tracker.judge(1000.0, level, 20 * at)
        return tracker.run.steady

    assert run([-30, -20, -20, -20, -35]) is True
    assert run([-30, -25, -20, -15, -10]) is False
