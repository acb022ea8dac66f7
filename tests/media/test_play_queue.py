from itertools import pairwise

import pytest

from sipflow.errors import MediaError
from sipflow.media.play_queue import PlayQueue

MS = 16  # bytes of a millisecond at 8 kHz
FRAME = 20 * MS


def sound(ms: int, value: int = 1) -> bytes:
    return bytes([value, 0]) * (8 * ms)


def take_all(queue: PlayQueue) -> list[bytes]:
    out = []
    while (pcm := queue.take(FRAME)) is not None:
        out.append(pcm)
        queue.settle()
    return out


def test_samples_come_out_as_they_went_in_whatever_the_pieces() -> None:
    queue = PlayQueue()
    everything = bytes(range(256)) * 25  # 400 ms
    cuts = [0, 2, 322, 330, 970, 976, 4000, 4002, 6400]
    for start, end in pairwise(cuts):
        queue.enqueue(everything[start:end])

    assert queue.queued_ms == 400
    assert b"".join(take_all(queue)) == everything
    assert (queue.queued_ms, queue.played_ms) == (0, 400)


def test_a_piece_of_just_one_packet_is_not_copied() -> None:
    queue = PlayQueue()
    piece = sound(20)
    queue.enqueue(piece)

    assert queue.take(FRAME) is piece


def test_the_last_packet_is_filled_with_silence_which_does_not_count_as_played() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(25))

    assert take_all(queue) == [sound(20), sound(5) + bytes(15 * MS)]
    assert queue.played_ms == 25


def test_clear_gives_the_milliseconds_really_played_of_the_run() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(1000))
    for _ in range(17):
        queue.take(FRAME)

    assert queue.clear() == 340
    assert (queue.queued_ms, queue.take(FRAME)) == (0, None)
    assert queue.clear() == 0


def test_a_run_begins_when_something_is_enqueued_into_an_empty_queue() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(100))
    take_all(queue)
    queue.enqueue(sound(100))
    queue.enqueue(sound(100))
    for _ in range(7):
        queue.take(FRAME)

    assert queue.clear() == 140


def test_a_run_goes_on_over_a_gap_if_told_so() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(100))
    take_all(queue)
    queue.enqueue(sound(100), continues=True)
    queue.take(FRAME)

    assert queue.clear() == 120


def test_a_mark_is_told_when_its_last_sample_has_left() -> None:
    queue = PlayQueue()
    told: list[tuple[str, bool]] = []
    queue.enqueue(sound(30))
    queue.mark(lambda played: told.append(("first", played)))
    queue.enqueue(sound(30))
    queue.mark(lambda played: told.append(("second", played)))

    when = []
    for _ in range(3):
        queue.take(FRAME)
        queue.settle()
        when.append(list(told))

    assert when == [[], [("first", True)], [("first", True), ("second", True)]]


def test_a_mark_may_come_some_milliseconds_before_the_end() -> None:
    queue = PlayQueue()
    told: list[str] = []
    queue.enqueue(sound(100))
    queue.mark(lambda _: told.append("end"))
    queue.mark(lambda _: told.append("60 ms before"), before_ms=60)
    queue.mark(lambda _: told.append("long past"), before_ms=100)
    assert told == ["long past"]

    queue.take(FRAME)
    queue.take(FRAME)
    queue.settle()

    assert told == ["long past", "60 ms before"]
    assert len(queue.marks) == 1


def test_a_mark_on_nothing_is_told_at_once() -> None:
    told: list[bool] = []

    PlayQueue().mark(told.append)

    assert told == [True]


def test_clear_tells_the_marks_that_their_audio_was_dropped() -> None:
    queue = PlayQueue()
    told: list[bool] = []
    queue.enqueue(sound(100))
    queue.mark(told.append)

    queue.clear()
    queue.enqueue(sound(20))
    take_all(queue)

    assert told == [False]


def test_a_live_source_starts_when_its_cushion_is_there() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(20, 1), cushion_ms=40)
    assert queue.take(FRAME) is None

    queue.enqueue(sound(20, 2), cushion_ms=40)

    assert [queue.take(FRAME), queue.take(FRAME)] == [sound(20, 1), sound(20, 2)]


def test_a_live_source_that_ran_dry_fills_its_cushion_again() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(40), cushion_ms=40)
    assert len(take_all(queue)) == 2
    assert queue.dry == 1

    queue.enqueue(sound(20), cushion_ms=40)
    assert queue.take(FRAME) is None
    queue.enqueue(sound(20), cushion_ms=40)

    assert len(take_all(queue)) == 2


def test_a_source_of_steady_jitter_below_the_cushion_is_not_broken_up() -> None:
    queue = PlayQueue()
    played = []
    for n in range(100):  # packets come in twos, 40 ms apart
        if n % 2 == 0:
            queue.enqueue(sound(20, 1), cushion_ms=40)
            queue.enqueue(sound(20, 2), cushion_ms=40)
        played.append(queue.take(FRAME))

    assert None not in played


def test_a_live_source_that_stops_short_of_its_cushion_is_played_out() -> None:
    queue = PlayQueue()
    told: list[bool] = []
    queue.enqueue(sound(15), cushion_ms=40)
    queue.mark(told.append)

    taken = []
    for _ in range(10):
        taken.append(queue.take(FRAME))
        queue.settle()

    assert [pcm for pcm in taken if pcm] == [sound(15) + bytes(5 * MS)]
    assert told == [True]


def test_a_live_source_that_runs_ahead_loses_its_oldest_audio() -> None:
    queue = PlayQueue()
    for value in range(1, 8):  # 140 ms at once; 40 + 80 may wait
        queue.enqueue(sound(20, value), cushion_ms=40)

    assert (queue.queued_ms, queue.skipped_ms) == (40, 100)
    assert take_all(queue) == [sound(20, 6), sound(20, 7)]
    assert queue.played_ms == 40


def test_an_ordinary_source_never_loses_anything() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(60_000))

    assert (queue.queued_ms, queue.skipped_ms) == (60_000, 0)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(MediaError, match="3 bytes are not whole 16-bit samples"):
        PlayQueue().enqueue(b"abc")


def test_what_may_wait_is_bounded() -> None:
    queue = PlayQueue(limit_s=1.0)
    queue.enqueue(sound(1000))

    with pytest.raises(MediaError, match=r"1 s of audio wait.*media\.play_queue_s"):
        queue.enqueue(sound(1))

    assert queue.queued_ms == 1000


def test_nothing_enqueued_is_nothing_queued() -> None:
    queue = PlayQueue()
    queue.enqueue(b"", cushion_ms=40)

    assert (queue.queued_ms, queue.take(FRAME), queue.run_ms) == (0, None, 0)


def test_samples_that_change_afterwards_are_played_as_they_were() -> None:
    queue = PlayQueue()
    samples = bytearray(sound(20))
    queue.enqueue(samples)  # type: ignore[arg-type]
    samples[:] = bytes(len(samples))

    assert take_all(queue) == [sound(20)]
