from collections import Counter
from itertools import pairwise
from math import inf

import pytest

from sipflow.media.schedule import Paced, Schedule


class Stream:
    """Remembers nothing: the schedule only hands it out."""

    def tick(self, at: float) -> None: ...
    def skip(self, ticks: int) -> None: ...


def play(schedule: Schedule, until: float) -> list[tuple[float, Paced]]:
    """Fire at each deadline, never late; give when each stream ticked."""
    ticked = []
    while (deadline := schedule.deadline) <= until:
        for due in schedule.due(now=deadline):
            assert (due.skipped, due.ticks) == (0, 1)
            ticked += [(round(due.at, 6), member) for member in due.members]
    return ticked


def test_a_stream_ticks_every_packet_time_and_never_drifts() -> None:
    schedule = Schedule()
    stream = Stream()
    schedule.add(stream, 20, now=100.0)

    ticked = play(schedule, 100.0 + 3600)

    assert len(ticked) == 180_000
    assert [at for at, _ in ticked[:3]] == [100.02, 100.04, 100.06]
    assert ticked[-1][0] == pytest.approx(3700.0, abs=1e-6)


def test_firing_late_moves_no_later_tick() -> None:
    schedule = Schedule()
    schedule.add(Stream(), 20, now=0.0)
    deadlines = []
    for _ in range(1000):
        deadline = schedule.deadline
        deadlines.append(round(deadline, 6))
        schedule.due(now=deadline + 0.007)

    assert deadlines == [round(0.02 * n, 6) for n in range(1, 1001)]


def test_streams_are_spread_evenly_over_phases_of_two_milliseconds() -> None:
    schedule = Schedule(phase_ms=2)
    for _ in range(500):
        schedule.add(Stream(), 20, now=0.0)

    counts = Counter(at for at, _ in play(schedule, 0.0399999))

    times = sorted(counts)
    assert len(schedule) == 500
    assert set(counts.values()) == {50}
    assert all(round(later - earlier, 6) == 0.002 for earlier, later in pairwise(times))


def test_a_stream_that_leaves_makes_room_for_the_next() -> None:
    schedule = Schedule()
    streams = [Stream() for _ in range(20)]
    for stream in streams:
        schedule.add(stream, 20, now=0.0)
    schedule.remove(streams[3])
    schedule.add(late := Stream(), 20, now=5.0)

    counts = Counter(at for at, _ in play(schedule, 5.02))

    assert late in schedule.members
    assert streams[3] not in schedule.members
    assert set(counts.values()) == {2}


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 50, 60])
def test_every_packet_time_has_its_own_rhythm(ptime_ms: int) -> None:
    schedule = Schedule()
    stream = Stream()
    for _ in range(30):
        schedule.add(Stream(), 20, now=0.0)
    schedule.add(stream, ptime_ms, now=0.013)

    times = [at for at, member in play(schedule, 3.0) if member is stream]

    assert times[0] <= 0.013 + ptime_ms / 1000 + 1e-9
    assert len(times) in (2987 // ptime_ms, 2987 // ptime_ms + 1)
    assert {round(later - earlier, 6) for earlier, later in pairwise(times)} == {ptime_ms / 1000}


def test_a_short_stall_is_caught_up() -> None:
    schedule = Schedule(catch_up=3)
    stream = Stream()
    schedule.add(stream, 20, now=0.0)

    (due,) = schedule.due(now=0.065)

    assert (due.at, due.skipped, due.ticks, due.members) == (0.02, 0, 3, [stream])
    assert schedule.deadline == pytest.approx(0.08)


def test_after_a_long_stall_the_newest_ticks_are_made_and_the_others_skipped() -> None:
    schedule = Schedule(catch_up=3)
    schedule.add(Stream(), 20, now=0.0)

    (due,) = schedule.due(now=1.0)

    assert (round(due.at, 6), due.skipped, due.ticks) == (0.96, 47, 3)
    assert schedule.deadline == pytest.approx(1.02)


def test_nothing_is_due_before_its_time() -> None:
    schedule = Schedule()
    schedule.add(Stream(), 20, now=0.0)

    assert schedule.due(now=0.0199) == []


def test_without_streams_there_is_no_deadline() -> None:
    schedule = Schedule()
    assert schedule.deadline == inf

    stream = Stream()
    schedule.add(stream, 20, now=0.0)
    schedule.remove(stream)
    schedule.remove(stream)

    assert schedule.deadline == inf
    assert schedule.due(now=60.0) == []


def test_a_phase_that_was_empty_for_long_begins_now_and_not_where_it_stopped() -> None:
    schedule = Schedule()
    schedule.add(first := Stream(), 20, now=0.0)
    schedule.remove(first)

    schedule.add(Stream(), 20, now=60.005)

    assert schedule.deadline == pytest.approx(60.02)


def test_a_stream_added_twice_is_there_once_with_the_later_packet_time() -> None:
    schedule = Schedule()
    stream = Stream()
    schedule.add(stream, 20, now=0.0)

    schedule.add(stream, 40, now=0.0)

    assert len(schedule) == 1
    assert [at for at, _ in play(schedule, 0.1)] == [0.04, 0.08]


def test_ticks_follow_a_moment_by_six_to_twelve_milliseconds_where_that_is_asked_for() -> None:
    for arrived_ms in range(0, 200, 7):
        schedule = Schedule(origin=0.0)
        stream = Stream()
        schedule.add(stream, 20, now=1.0, after=arrived_ms / 1000)
        (at, _) = play(schedule, 1.02)[0]

        assert 0.006 <= round((at - arrived_ms / 1000) % 0.02, 6) <= 0.012


def test_streams_that_all_come_at_one_moment_are_spread_when_they_become_many() -> None:
    schedule = Schedule(origin=0.0)
    for _ in range(500):
        schedule.add(Stream(), 20, now=1.0, after=1.0)

    counts = Counter(at for at, _ in play(schedule, 1.0199))

    assert max(counts.values()) <= 2 * 50 + 9
