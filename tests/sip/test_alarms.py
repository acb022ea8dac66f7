"""The next deadline of many calls: exact, bounded, and gone with the call."""

from math import inf
from random import Random

from sipflow.sip.alarms import Alarms


class Sleeper:
    """Something that wants to be woken at `deadline`."""

    def __init__(self, name: str, deadline: float | None) -> None:
        self.name = name
        self.deadline = deadline
        self.alarm = 0
        self.alarm_at = inf


def names(sleepers: list[Sleeper]) -> list[str]:
    return [sleeper.name for sleeper in sleepers]


def test_sleepers_come_up_in_the_order_of_their_deadlines() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    for name, at in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("never", None)):
        alarms.note(Sleeper(name, at))

    assert (len(alarms), alarms.next()) == (3, 1.0)
    assert names(alarms.due(0.9)) == []
    assert names(alarms.due(2.0)) == ["a", "b"]
    assert (len(alarms), alarms.next()) == (1, 3.0)


def test_a_deadline_that_moved_back_is_seen_and_needs_no_second_entry() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleeper = Sleeper("a", 1.0)
    alarms.note(sleeper)

    sleeper.deadline = 5.0
    alarms.note(sleeper)
    alarms.note(sleeper)

    assert alarms.entries == 1
    assert alarms.next() == 5.0
    assert names(alarms.due(4.9)) == []
    assert names(alarms.due(5.0)) == ["a"]


def test_a_deadline_that_moved_forward_is_seen_once_it_is_noted() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleeper = Sleeper("a", 60.0)
    alarms.note(sleeper)

    sleeper.deadline = 0.5
    alarms.note(sleeper)

    assert alarms.next() == 0.5
    assert names(alarms.due(100.0)) == ["a"]
    assert (len(alarms), alarms.next()) == (0, None)


def test_a_deadline_that_is_no_more_is_forgotten() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    said, unsaid = Sleeper("said", 1.0), Sleeper("unsaid", 2.0)
    alarms.note(said)
    alarms.note(unsaid)

    said.deadline = unsaid.deadline = None
    alarms.note(said)
    alarms.note(said)

    assert len(alarms) == 1
    assert alarms.next() is None
    assert (len(alarms), said.alarm, unsaid.alarm) == (0, 0, 0)


def test_one_that_is_still_due_after_it_was_woken_comes_up_next_time_and_not_for_ever_now() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    sleeper = Sleeper("a", 1.0)
    alarms.note(sleeper)

    assert names(alarms.due(9.0)) == ["a"]
    alarms.note(sleeper)
    assert names(alarms.due(9.0)) == ["a"]


def test_stale_entries_are_swept_out() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    for number in range(10_000):
        sleeper = Sleeper("x", 60.0 + number)
        alarms.note(sleeper)
        sleeper.deadline = None
        alarms.note(sleeper)

    assert len(alarms) == 0
    assert alarms.entries < 100


def test_after_a_sweep_the_order_is_as_before() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    dice = Random(1)
    sleepers = [Sleeper("x", dice.random()) for _ in range(2000)]
    for sleeper in sleepers:
        alarms.note(sleeper)
    for sleeper in dice.sample(sleepers, 1500):
        sleeper.deadline = None
        alarms.note(sleeper)

    assert alarms.entries < 1500
    woken = [sleeper.deadline for sleeper in alarms.due(1.0)]
    assert woken == sorted(sleeper.deadline for sleeper in sleepers if sleeper.deadline is not None)


def test_the_soonest_moment_is_never_after_the_next_deadline_and_exact_once_that_has_been_asked_for() -> None:
    alarms: Alarms[Sleeper] = Alarms()
    assert alarms.soonest == inf

    sleeper = Sleeper("x", 1.0)
    alarms.note(sleeper)
    alarms.note(Sleeper("y", 5.0))
    sleeper.deadline = 9.0  # it moved back, and nobody looks for it until its entry comes up

    assert alarms.soonest == 1.0
    assert (alarms.next(), alarms.soonest) == (5.0, 5.0)
