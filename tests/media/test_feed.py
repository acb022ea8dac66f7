from collections.abc import Callable

import numpy as np
import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import MediaError
from sipflow.media.feed import Feed
from sipflow.media.play_queue import PlayQueue, Samples

FRAME = 320  # 20 ms at 8 kHz


def take(queue: PlayQueue, times: int = 1) -> list[bytes | None]:
    return [queue.take(queue.sample_rate_hz // 25) for _ in range(times)]


def take_all(queue: PlayQueue) -> bytes:
    out = []
    while (pcm := queue.take(queue.sample_rate_hz // 25)) is not None:
        out.append(pcm)
    return b"".join(out)


def steepest(rate_hz: int) -> float:
    """The greatest step that a tone of 400 Hz at -10 dBFS makes, and a quarter more."""
    return 1.25 * 10_362 * 2 * np.pi * 400 / rate_hz


def loudest_step(pcm: bytes) -> int:
    """The greatest difference between two samples that follow each other: a click is a great one."""
    samples = np.frombuffer(pcm, "<i2").astype(int)
    return int(np.abs(np.diff(samples)).max())


def test_the_queues_own_rate_goes_as_it_is() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    piece = bytes(FRAME)
    feed.write(piece, 8000)

    assert take(queue)[0] is piece
    assert (feed.played_ms, feed.close()) == (20, 20)


@pytest.mark.parametrize("made", [bytearray, memoryview, lambda pcm: memoryview(pcm).cast("h")])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_samples_are_taken_from_whatever_holds_them(made: Callable[[bytes], Samples], rate_hz: int) -> None:
    tone = sine(400, 100, sample_rate_hz=rate_hz)
    queue, as_bytes = PlayQueue(), PlayQueue()
    Feed(queue).write(made(tone), rate_hz)
    Feed(as_bytes).write(tone, rate_hz)

    assert queue.queued_bytes == as_bytes.queued_bytes
    assert take_all(queue) == take_all(as_bytes)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(16000, 8000), (24000, 8000), (48000, 8000), (8000, 16000), (24000, 48000)]
)
@pytest.mark.parametrize("piece_ms", [7, 20, 1000])
def test_any_rate_is_played_to_its_last_millisecond_without_a_seam(from_hz: int, to_hz: int, piece_ms: int) -> None:
    queue = PlayQueue(sample_rate_hz=to_hz)
    feed = Feed(queue)
    tone = sine(400, 1000, level_dbfs=-10.0, sample_rate_hz=from_hz)
    size = from_hz * piece_ms // 1000 * 2
    for start in range(0, len(tone), size):
        feed.write(tone[start : start + size], from_hz)
    feed.flush()

    assert abs(queue.queued_ms - 1000) <= 1
    played = take_all(queue)
    assert measure_tone(played[to_hz // 5 : to_hz], 400, to_hz) == pytest.approx(-10.0, abs=0.5)
    assert loudest_step(played[: to_hz * 19 // 10]) < steepest(to_hz)


def test_a_live_source_of_another_rate_is_not_cut_into_packets() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    tone = sine(400, 1000, level_dbfs=-10.0, sample_rate_hz=16000)
    played = b""
    for start in range(0, len(tone), 640):
        feed.write(tone[start : start + 640], 16000)
        played += take(queue)[0] or b""

    assert loudest_step(played[640:]) < steepest(8000)


def test_the_end_of_a_live_source_comes_when_nothing_follows() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    feed.write(sine(400, 20, level_dbfs=-10.0, sample_rate_hz=16000), 16000)
    take(queue, 4)

    assert (feed.played_ms, queue.tails) == (20, [])


def test_what_ran_far_ahead_ends_without_a_gap() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    feed.write(sine(400, 200, level_dbfs=-10.0, sample_rate_hz=16000), 16000)

    assert (len(take_all(queue)) // 16, feed.played_ms) == (200, 200)


def test_one_source_is_dropped_without_the_others() -> None:
    queue = PlayQueue()
    ours, theirs = Feed(queue), Feed(queue)
    ours.write(bytes([1, 0]) * 16 * 100, 16000)
    ours.flush()
    theirs.write(bytes([2, 0]) * 160, 8000)
    take(queue)

    assert ours.drop() == 20
    assert take_all(queue) == bytes([2, 0]) * 160
    assert (theirs.close(), queue.tails) == (20, [])


def test_a_source_goes_on_after_everything_was_cleared() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    feed.write(bytes(3200), 16000)
    feed.cleared()
    queue.clear()
    feed.write(bytes(320), 8000)
    take(queue)

    assert (feed.close(), queue.tails) == (20, [])


def test_the_rate_of_the_queue_and_of_the_source_may_change_on_the_way() -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    feed.write(sine(400, 100, sample_rate_hz=24000), 24000)
    queue.retune(16000)
    feed.write(sine(400, 100, sample_rate_hz=24000), 24000)
    feed.write(sine(400, 100, sample_rate_hz=16000), 16000)
    feed.write(sine(400, 100, sample_rate_hz=8000), 8000)
    feed.flush()

    assert abs(queue.queued_ms - 400) <= 2
    take_all(queue)
    assert abs(feed.close() - 400) <= 2


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_half_a_sample_is_refused_and_the_next_piece_is_good(rate_hz: int) -> None:
    queue = PlayQueue()
    feed = Feed(queue)
    with pytest.raises(MediaError, match="3 bytes are not whole 16-bit samples"):
        feed.write(b"abc", rate_hz)
    feed.write(bytes(rate_hz // 25), rate_hz)
    feed.flush()

    assert queue.queued_ms == 20


def test_more_than_may_wait_is_refused_and_nothing_of_it_is_played() -> None:
    queue = PlayQueue(limit_s=1.0)
    feed = Feed(queue)
    with pytest.raises(MediaError, match=r"media\.play_queue_s allows no more"):
        feed.write(bytes(16000 * 2 * 2), 16000)

    assert (queue.queued_ms, queue.tails) == (0, [])
