import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.audio.tones import sine
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
    queue.enqueue(samples)
    samples[:] = bytes(len(samples))

    assert take_all(queue) == [sound(20)]


def test_a_paused_queue_gives_nothing_and_goes_on_at_the_very_sample() -> None:
    queue = PlayQueue()
    told: list[bool] = []
    queue.enqueue(sound(20, 1) + sound(20, 2) + sound(20, 3))
    queue.mark(told.append)
    first = queue.take(FRAME)

    queue.pause()
    queue.pause()
    during = [queue.take(FRAME) for _ in range(50)]
    standing = (queue.paused, queue.played_ms, queue.queued_ms, list(told))
    queue.resume()
    rest = take_all(queue)

    assert (first, set(during), rest) == (sound(20, 1), {None}, [sound(20, 2), sound(20, 3)])
    assert standing == (True, 20, 40, [])
    assert (queue.paused, told, queue.run_ms) == (False, [True], 60)


def test_a_queue_paused_while_empty_keeps_what_comes() -> None:
    queue = PlayQueue()
    queue.pause()
    queue.enqueue(sound(20))
    assert queue.take(FRAME) is None

    queue.resume()
    queue.resume()

    assert take_all(queue) == [sound(20)]


def test_clear_does_not_resume() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(100))
    queue.pause()
    assert queue.clear() == 0
    queue.enqueue(sound(20))

    assert (queue.paused, queue.take(FRAME)) == (True, None)


def test_a_live_source_that_is_paused_loses_its_oldest_audio_and_it_is_counted() -> None:
    queue = PlayQueue()
    for value in range(1, 3):
        queue.enqueue(sound(20, value), cushion_ms=40)
    assert queue.take(FRAME) == sound(20, 1)
    queue.pause()
    for value in range(3, 50):
        queue.enqueue(sound(20, value), cushion_ms=40)
    queue.resume()

    waiting = queue.queued_ms
    assert waiting <= 120
    assert queue.skipped_ms == 48 * 20 - waiting
    assert take_all(queue)[-1] == sound(20, 49)


def test_a_paused_live_source_fills_no_cushion_by_being_resumed() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(20), cushion_ms=40)
    queue.pause()
    queue.resume()
    assert queue.take(FRAME) is None

    queue.enqueue(sound(20), cushion_ms=40)
    assert queue.take(FRAME) == sound(20)


def test_dropping_one_source_leaves_the_others_and_moves_them_up() -> None:
    queue = PlayQueue()
    ours, theirs = queue.part(), queue.part()
    told: list[tuple[str, bool]] = []
    queue.enqueue(sound(30, 1), part=ours)
    queue.enqueue(sound(25, 2), part=theirs)
    queue.enqueue(sound(10, 3), part=ours)
    queue.mark(lambda sent: told.append(("ours", sent)))
    queue.enqueue(sound(15, 4), part=theirs)
    queue.mark(lambda sent: told.append(("theirs", sent)))
    assert queue.take(FRAME) == sound(20, 1)

    assert queue.drop(ours) == 20
    assert (told, queue.queued_ms) == ([("ours", False)], 40)
    assert take_all(queue) == [sound(20, 2), sound(5, 2) + sound(15, 4)]
    assert told == [("ours", False), ("theirs", True)]
    assert (queue.played_ms_of(theirs), queue.played_ms, queue.clears) == (40, 60, 0)


def test_dropping_the_only_source_ends_the_run() -> None:
    queue = PlayQueue()
    part = queue.part()
    queue.enqueue(sound(100), part=part)
    queue.take(FRAME)

    assert (queue.drop(part), queue.drop(part)) == (20, 20)
    assert (queue.queued_ms, queue.take(FRAME)) == (0, None)
    queue.enqueue(sound(40))
    queue.take(FRAME)
    assert queue.clear() == 20


def test_a_source_dropped_before_its_turn_was_not_played() -> None:
    queue = PlayQueue()
    queue.enqueue(sound(50, 1))
    part = queue.part()
    queue.enqueue(sound(50, 2), part=part)
    queue.take(FRAME)

    assert queue.drop(part) == 0
    assert b"".join(take_all(queue)) == sound(30, 1) + bytes(10 * MS)


def test_what_a_source_had_played_survives_clear_and_skipping() -> None:
    queue = PlayQueue()
    part = queue.part()
    queue.enqueue(sound(100), part=part)
    queue.take(FRAME)
    queue.clear()
    queue.enqueue(sound(40), part=part)
    queue.take(FRAME)
    assert queue.played_ms_of(part) == 40

    live = queue.part()
    queue.clear()
    for _ in range(10):
        queue.enqueue(sound(20), cushion_ms=40, part=live)
    take_all(queue)
    assert (queue.played_ms_of(live) + queue.skipped_ms, queue.played_ms_of(part)) == (200, 40)


def test_a_share_that_is_forgotten_is_played_all_the_same() -> None:
    queue = PlayQueue()
    part = queue.part()
    queue.enqueue(sound(40), part=part)
    queue.forget(part)

    assert len(take_all(queue)) == 2


@pytest.mark.parametrize(("before", "after"), [(8000, 16000), (16000, 8000), (8000, 48000), (48000, 8000)])
def test_another_rate_leaves_every_millisecond_where_it_was(before: int, after: int) -> None:
    def tone(hz: int) -> bytes:
        return sine(400, 1000, level_dbfs=-10.0, sample_rate_hz=hz)

    queue = PlayQueue(sample_rate_hz=before)
    told: list[str] = []
    part = queue.part()
    queue.enqueue(tone(before)[: before // 5], part=part)  # 100 ms
    queue.mark(lambda _: told.append("100 ms"))
    queue.enqueue(tone(before)[before // 5 :], part=part)
    queue.mark(lambda _: told.append("1000 ms"))
    for _ in range(2):
        queue.take(before // 25)

    queue.retune(after)
    counts = (queue.sample_rate_hz, queue.queued_ms, queue.played_ms, queue.run_ms, queue.played_ms_of(part))
    played = []
    for number in range(48):
        pcm = queue.take(after // 25)
        assert pcm is not None
        played.append(pcm)
        queue.settle()
        if number == 2:
            assert told == ["100 ms"]

    assert counts == (after, 960, 40, 40, 40)
    assert (told, queue.queued_ms, queue.clear()) == (["100 ms", "1000 ms"], 0, 1000)
    expected, got = tone(after)[after // 25 * 2 :], b"".join(played)
    error = np.frombuffer(got, "<i2").astype(float) - np.frombuffer(expected, "<i2")
    assert np.abs(error[: after // 1000 * 900]).max() < 400  # of 10,000: no click where the rate changed
    queue.retune(after)


def test_half_a_millisecond_at_48_khz_is_never_more_at_8() -> None:
    queue = PlayQueue(sample_rate_hz=48000)
    queue.enqueue(bytes(2 * 50))
    queue.take(2 * 49)
    queue.retune(8000)

    assert (queue.played_ms, queue.queued_bytes % 2) == (1, 0)
    queue.retune(48000)
    assert queue.played_ms == 1


def test_a_source_that_holds_back_its_end_is_asked_for_it_when_less_than_a_packet_is_left() -> None:
    queue = PlayQueue()
    asked: list[bool] = []

    def tail(must: bool) -> None:
        asked.append(must)
        queue.tails.remove(tail)
        queue.enqueue(sound(10, 2), continues=True)

    queue.tails.append(tail)
    queue.enqueue(sound(30, 1))

    assert take_all(queue) == [sound(20, 1), sound(10, 1) + sound(10, 2)]
    assert asked == [False]
    queue.tails.append(tail)
    queue.retune(16000)
    assert asked == [False, True]


STEPS = st.one_of(
    st.tuples(st.just("enqueue"), st.integers(0, 2), st.integers(1, 30)),
    st.tuples(st.just("take"), st.just(0), st.integers(1, 12)),
    st.tuples(st.just("drop"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("mark"), st.just(0), st.integers(0, 20)),
    st.tuples(st.just("clear"), st.just(0), st.just(0)),
)


@given(st.lists(STEPS, max_size=40))
def test_three_sources_that_come_and_go_are_played_measured_and_marked_as_a_plain_list_would(
    steps: list[tuple[str, int, int]],
) -> None:
    queue = PlayQueue(sample_rate_hz=1000)  # a sample is a millisecond
    parts = [queue.part() for _ in range(3)]
    waiting: list[tuple[int, int]] = []  # number of the sample, and whose it is
    played = [0, 0, 0]
    due: list[tuple[int, list[bool]]] = []  # the sample after which a mark is to be told, and what it was told
    count = run_ms = 0
    for what, owner, size in steps:
        if what == "enqueue":
            new = [(count + n, owner) for n in range(1, size + 1)]
            count += size
            run_ms = run_ms if waiting else 0
            waiting += new
            queue.enqueue(b"".join(number.to_bytes(2, "little") for number, _ in new), part=parts[owner])
        elif what == "take":
            pcm = queue.take(2 * size)
            taken, waiting = waiting[:size], waiting[size:]
            run_ms += len(taken)
            for _, whose in taken:
                played[whose] += 1
            numbers = [number for number, _ in taken] + [0] * (size - len(taken))
            assert pcm == (b"".join(number.to_bytes(2, "little") for number in numbers) if taken else None)
            queue.settle()
            assert all(told == [True] for number, told in due if taken and number <= taken[-1][0])
            due = [(number, told) for number, told in due if not taken or number > taken[-1][0]]
        elif what == "drop":
            gone = {number for number, whose in waiting if whose == owner}
            waiting = [(number, whose) for number, whose in waiting if whose != owner]
            assert queue.drop(parts[owner]) == played[owner]
            assert all(told == [False] for number, told in due if number in gone)
            due = [(number, told) for number, told in due if number not in gone]
            parts[owner], played[owner] = queue.part(), 0
        elif what == "mark":
            told: list[bool] = []
            queue.mark(told.append, before_ms=size)
            if size < len(waiting):
                due.append((waiting[len(waiting) - size - 1][0], told))
            else:
                assert told == [True]
        else:
            assert queue.clear() == run_ms
            assert all(told == [False] for _, told in due)
            waiting, due, run_ms = [], [], 0
        assert all(told == [] for _, told in due)
        assert [queue.played_ms_of(part) for part in parts] == played
        assert queue.queued_ms == len(waiting)


RETUNED = st.one_of(
    st.tuples(st.just("enqueue"), st.integers(0, 1), st.integers(1, 900)),
    st.tuples(st.just("retune"), st.sampled_from([8000, 16000, 48000]), st.just(0)),
    st.tuples(st.just("take"), st.just(0), st.integers(1, 9)),
    st.tuples(st.just("drop"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("clear"), st.just(0), st.just(0)),
)


@given(st.lists(RETUNED, max_size=25))
def test_whatever_the_codec_does_every_sample_is_accounted_for(steps: list[tuple[str, int, int]]) -> None:
    queue = PlayQueue()
    parts = [queue.part(), queue.part()]
    enqueued = [0.0, 0.0]
    for what, which, size in steps:
        packet = queue.sample_rate_hz // 25
        if what == "enqueue":
            queue.enqueue(bytes(queue.sample_rate_hz // 1000 * 2 * size), part=parts[which])
            enqueued[which] += size
        elif what == "retune":
            before = (queue.queued_ms, queue.played_ms, queue.run_ms)
            queue.retune(which)
            after = (queue.queued_ms, queue.played_ms, queue.run_ms)
            assert [abs(one - other) <= 1 for one, other in zip(before, after, strict=True)] == [True] * 3
        elif what == "take":
            for _ in range(size):
                waiting = queue.queued_bytes
                pcm = queue.take(packet)
                assert (pcm is None) == (waiting == 0)
                assert pcm is None or len(pcm) == packet
                assert queue.queued_bytes == max(waiting - packet, 0)
        elif what == "drop":
            other = 1 - which
            left = queue.queued_ms
            queue.drop(parts[which])
            assert queue.queued_ms <= left
            assert abs(queue.queued_ms - (enqueued[other] - queue.played_ms_of(parts[other]))) <= 2 * len(steps)
            parts[which], enqueued[which] = queue.part(), 0.0
        else:
            queue.clear()
            enqueued = [float(queue.played_ms_of(part)) for part in parts]
    while queue.queued_bytes:
        assert queue.take(queue.sample_rate_hz // 25) is not None
    assert (queue._backlog, list(queue._pieces)) == (None, [])


def test_half_an_hour_that_waits_holds_nobody_up_when_the_codec_changes() -> None:
    queue = PlayQueue()
    queue.enqueue(bytes(16_000 * 1800))
    began = time.process_time()
    for rate_hz in (16000, 8000, 48000, 16000) * 5:
        queue.retune(rate_hz)
        assert queue.take(rate_hz // 25) is not None

    assert time.process_time() - began < 2.0
    assert queue.queued_ms == 1800_000 - 20 * 20


def test_sound_that_waits_for_its_conversion_can_be_dropped_and_followed() -> None:
    queue = PlayQueue()
    first, second = queue.part(), queue.part()
    queue.enqueue(bytes([1, 0]) * 8000 * 10, part=first)
    queue.retune(16000)
    queue.enqueue(bytes([2, 0]) * 3200, part=second)
    queue.take(640)
    assert queue.drop(first) == 20
    assert queue.queued_ms == 200
    pcm = queue.take(640)

    assert pcm == bytes([2, 0]) * 320
    queue.retune(8000)
    assert (queue.drop(second), queue.queued_ms, queue.take(320)) == (20, 0, None)
