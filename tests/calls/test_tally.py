from dataclasses import replace
from datetime import timedelta

from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import Attempt, CallRecord, Quality
from sipflow.calls.tally import CallTally, Histogram, Line, Names
from tests.calls.test_record import RECORD, STARTED


def tally(*, trunks: tuple[str, ...] = ("pbx",), agents: tuple[str, ...] = ("echo",)) -> CallTally:
    return CallTally(trunks=trunks.__contains__, agents=agents.__contains__, numbers=["+12065550100"].__contains__)


def over(**changes: object) -> CallRecord:
    ended = STARTED + timedelta(seconds=12)
    record = replace(RECORD, ended_at=ended, ending=Ending.of("remote", 200, "the far end hung up", word=Word.HUNG_UP))
    return replace(record, **changes)  # type: ignore[arg-type]


def test_a_value_falls_into_the_bucket_whose_bound_it_does_not_pass() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.add(value)

    assert (histogram.counts, histogram.total) == ([2, 1, 1], 12.0)


def test_names_that_are_not_there_and_more_than_so_many_count_as_other() -> None:
    names = Names(lambda name: name != "stranger", most=2)

    assert [names.label(name) for name in ("a", "stranger", "", "b", "c", "a")] == [
        "a", "other", "none", "b", "other", "a",
    ]  # fmt: skip


def test_a_call_that_is_over_is_counted_with_how_it_ended_and_how_long_things_took() -> None:
    counted = tally()
    answered = STARTED + timedelta(seconds=2)
    counted.over(over(ringing_at=STARTED + timedelta(seconds=0.4), answered_at=answered, recording="a.wav"))
    counted.over(over(ending=Ending.of("local", 486, "busy", word=Word.BUSY), agent="gone", trunk=""))

    assert dict(counted.calls) == {
        Line("inbound", "pbx", "echo", "yes", "hung_up"): 1,
        Line("inbound", "none", "other", "no", "busy"): 1,
    }
    assert dict(counted.of_numbers) == {("+12065550100", "inbound"): 2}
    assert [each["inbound"].total for each in (counted.setup, counted.answer, counted.talk)] == [0.4, 2.0, 10.0]
    assert sum(counted.answer["inbound"].counts) == 1
    assert counted.recordings == 1


def test_a_call_out_is_timed_from_its_first_invite_and_not_from_its_order() -> None:
    counted, sent = tally(), STARTED + timedelta(seconds=30)
    attempt = Attempt("pbx", "udp:10.0.0.5:5060", 200, "answered", sent)
    counted.over(over(direction="outbound", attempts=(attempt,), answered_at=sent + timedelta(seconds=3)))

    assert counted.answer["outbound"].total == 3.0


def test_audio_is_counted_by_trunk() -> None:
    counted = tally()
    counted.over(over(quality=Quality(1.5, 12.0, 80.0, 4.1)))
    counted.over(over(quality=Quality(0.0, 1.0, None, 4.4), trunk="nobody's"))

    assert {name: histogram.total for name, histogram in counted.loss.items()} == {"pbx": 0.015, "other": 0.0}
    assert {name: histogram.total for name, histogram in counted.jitter.items()} == {"pbx": 0.012, "other": 0.001}
    assert {name: histogram.total for name, histogram in counted.round_trip.items()} == {"pbx": 0.08}
    assert {name: histogram.total for name, histogram in counted.opinion.items()} == {"pbx": 4.1, "other": 4.4}


def test_combinations_are_bounded_whatever_is_configured() -> None:
    many = tuple(f"t{number}" for number in range(100))
    counted = tally(trunks=many, agents=many)
    for trunk in many:
        for agent in many:
            counted.over(over(trunk=trunk, agent=agent))

    assert len(counted.calls) <= 5_001
    assert sum(counted.calls.values()) == 10_000
