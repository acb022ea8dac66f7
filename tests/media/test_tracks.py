import struct

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
