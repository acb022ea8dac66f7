from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

from sipflow.calls.call import Call
from sipflow.calls.quality_tracks import BEATS_A_ROUND, QualityPoint, QualityTracks
from sipflow.media.statistics import MediaStatistics

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Talk:
    """A call, as far as its quality goes."""

    def __init__(self, *, answered: bool = True) -> None:
        self.answered = answered
        self.statistics: MediaStatistics | None = MediaStatistics()

    def hear(self, received: int, lost: int, *, mos: float | None = 4.2) -> None:
        self.statistics = MediaStatistics(
            packets_received=received, lost=lost, jitter_ms=1.234, opinion=mos, round_trip_ms=20.0
        )


class Watch:
    """Tracks, the calls that they look at, and a clock."""

    def __init__(self, calls: Iterable[str] = ("c1",)) -> None:
        self.calls = {call_id: Talk() for call_id in calls}
        self.now = NOON
        self.tracks = QualityTracks(cast(dict[str, Call], self.calls), wall=lambda: self.now)

    def beat(self, times: int = BEATS_A_ROUND) -> None:
        for _ in range(times):
            self.tracks.beat()
            self.now += timedelta(seconds=0.1)


def test_each_point_is_what_came_since_the_one_before() -> None:
    watch = Watch()
    for received, lost, mos in ((250, 0, 4.3), (475, 25, 4.0), (475, 25, 4.0), (725, 20, None)):
        watch.calls["c1"].hear(received, lost, mos=mos)
        watch.beat()

    at = [NOON + timedelta(seconds=5 * number) for number in range(4)]
    assert list(watch.tracks.of("c1")) == [
        QualityPoint(at[0], 250, 0.0, 1.23, 20.0, 4.3),
        QualityPoint(at[1], 225, 10.0, 1.23, 20.0, 4.0),
        QualityPoint(at[2], 0, None, 1.23, 20.0, 4.0),
        QualityPoint(at[3], 250, 0.0, 1.23, 20.0, None),  # what was late came after all
    ]


def test_calls_take_turns_and_each_has_one_in_a_round() -> None:
    watch = Watch(f"c{number}" for number in range(120))
    looked = []
    for _ in range(BEATS_A_ROUND):
        before = sum(len(watch.tracks.of(call_id)) for call_id in watch.calls)
        watch.beat(1)
        looked.append(sum(len(watch.tracks.of(call_id)) for call_id in watch.calls) - before)

    assert looked == [3] * 40 + [0] * 10
    assert {len(watch.tracks.of(call_id)) for call_id in watch.calls} == {1}


def test_a_call_that_is_not_answered_or_has_no_audio_has_no_points() -> None:
    watch = Watch(["ringing", "silent"])
    watch.calls["ringing"].answered = False
    watch.calls["silent"].statistics = None
    watch.beat()

    assert [list(watch.tracks.of(call_id)) for call_id in ("ringing", "silent", "unknown")] == [[], [], []]


def test_a_long_call_is_remembered_in_fewer_points_and_whole() -> None:
    watch = Watch()
    for number in range(1, 1001):
        watch.calls["c1"].hear(250 * number, 0)
        watch.beat()
    points = watch.tracks.of("c1")

    assert 120 <= len(points) <= 240
    assert sum(point.packets for point in points) >= 250 * 990
    assert len({later.at - one.at for one, later in pairwise(points)}) == 1


def test_the_oldest_calls_that_are_over_are_forgotten_and_no_live_one() -> None:
    watch = Watch([f"c{number}" for number in range(300)])
    watch.beat()
    live: dict[str, Any] = {"c0": watch.calls["c0"], "c299": watch.calls["c299"]}
    watch.calls.clear()
    watch.calls.update(live)
    watch.beat()
    known = [number for number in range(300) if watch.tracks.of(f"c{number}")]

    assert known == [0, *range(99, 300)]
