import struct

import numpy as np

from sipflow.audio.resample import resample
from sipflow.audio.tones import sine
from sipflow.media.tracks import Tracks


def pcm(value: int, samples: int = 160) -> bytes:
    return struct.pack("<h", value) * samples


def pairs(stereo: bytes) -> list[tuple[int, int]]:
    """Left and right of every 160th sample."""
    return list(struct.iter_unpack("<hh", stereo))[::160]


def test_the_caller_is_left_and_the_agent_right() -> None:
    tracks = Tracks(8000)
    for n in range(3):
        tracks.heard(pcm(10 + n))
        tracks.said(pcm(20 + n))

    assert tracks.duration_ms == 60
    assert pairs(tracks.take()) == [(10, 20), (11, 21), (12, 22)]
    assert (tracks.take(), tracks.duration_ms) == (b"", 60)


def test_what_is_heard_late_stands_where_it_was_heard() -> None:
    tracks = Tracks(8000)
    tracks.said(pcm(20))
    tracks.said(pcm(21))
    tracks.heard(pcm(10))
    tracks.said(pcm(22))

    assert pairs(tracks.take()) == [(0, 20), (0, 21), (10, 22)]


def test_a_caller_who_stopped_is_silent_and_not_cut() -> None:
    tracks = Tracks(8000)
    tracks.heard(pcm(10))
    for n in range(3):
        tracks.said(pcm(20 + n))
    first = tracks.take()
    tracks.heard(pcm(11))
    tracks.said(pcm(23))

    assert pairs(first + tracks.take()) == [(10, 20), (0, 21), (0, 22), (11, 23)]


def test_what_is_heard_ahead_waits_for_its_time() -> None:
    tracks = Tracks(8000)
    tracks.heard(pcm(10))
    tracks.heard(pcm(11))
    tracks.said(pcm(20))

    assert pairs(tracks.take()) == [(10, 20)]
    tracks.said(pcm(21))
    assert pairs(tracks.take()) == [(11, 21)]


def test_a_voice_of_another_rate_is_resampled_to_the_files() -> None:
    tracks = Tracks(8000)
    tracks.left.comes_at(16000)
    for _ in range(50):
        tracks.heard(pcm(1000, 320))
        tracks.said(pcm(5))

    left = [left for left, _ in struct.iter_unpack("<hh", tracks.take(last=True))]

    assert len(left) == 8000
    assert all(abs(sample - 1000) < 20 for sample in left[1000:7000])


def test_a_voice_that_is_resampled_stays_whole_and_in_its_place() -> None:
    voice = sine(440, 1000)
    tracks = Tracks(16000)
    tracks.left.comes_at(8000)
    stereo = b""
    for n in range(50):
        tracks.heard(voice[320 * n : 320 * n + 320])
        tracks.said(pcm(5, 320))
        if n % 7 == 6:
            stereo += tracks.take()
    stereo += tracks.take(last=True)

    left = np.frombuffer(stereo, "<i2").reshape(-1, 2)[:, 0].astype(float)
    whole = np.frombuffer(resample(voice, 8000, 16000), "<i2").astype(float)
    assert len(left) == len(whole) == 16000
    assert np.abs(left - whole)[100:-100].max() < 100


def test_when_its_rate_changes_a_voice_stays_in_its_place() -> None:
    tracks = Tracks(8000)
    for rate_hz, value in ((8000, 1000), (16000, 2000), (48000, 3000), (8000, 4000)):
        tracks.left.comes_at(rate_hz)
        for _ in range(10):
            tracks.heard(pcm(value, rate_hz // 50))
            tracks.said(pcm(value))

    left, right = zip(*struct.iter_unpack("<hh", tracks.take(last=True)), strict=True)
    apart = [n for n, (a, b) in enumerate(zip(left, right, strict=True)) if abs(a - b) > 100]
    assert len(left) == 4 * 1600
    assert all(min(abs(n - edge) for edge in (0, 1600, 3200, 4800)) <= 20 for n in apart)


def test_of_a_resampled_caller_who_stopped_silence_follows_without_a_shift() -> None:
    tracks = Tracks(8000)
    tracks.left.comes_at(16000)
    tracks.heard(pcm(1000, 320))
    for _ in range(3):
        tracks.said(pcm(1))
    tracks.heard(pcm(1000, 320))
    tracks.said(pcm(1))

    left = [left for left, _ in struct.iter_unpack("<hh", tracks.take(last=True))]
    assert [left[n] > 900 for n in (80, 240, 400, 560)] == [True, False, False, True]
    assert len(left) == 640
