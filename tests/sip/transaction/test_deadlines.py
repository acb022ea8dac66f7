from math import inf

from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.deadlines import Deadlines
from sipflow.sip.transaction.records import ClientTransaction
from tests.sip.transaction.playing import UDP, request, response


def options(at: float) -> ClientTransaction:
    """An OPTIONS sent at that moment: it is due half a second later."""
    record = ClientTransaction(request("OPTIONS"), UDP, ("z9hG4bK-1", "OPTIONS"), DEFAULT_TIMERS)
    record.machine.start(now=at)
    return record


def test_there_is_no_deadline_without_transactions() -> None:
    deadlines = Deadlines()

    assert (deadlines.next(), deadlines.pop_due(1e9), len(deadlines)) == (None, [], 0)


def test_the_earliest_deadline_comes_first_and_is_taken_out_when_due() -> None:
    deadlines = Deadlines()
    late, early = options(at=2.0), options(at=1.0)
    deadlines.note(late)
    deadlines.note(early)

    assert deadlines.next() == 1.5
    assert deadlines.pop_due(1.4) == []
    assert deadlines.pop_due(1.5) == [early]
    assert (deadlines.next(), len(deadlines)) == (2.5, 1)
    assert deadlines.pop_due(99.0) == [late]
    assert (deadlines.next(), deadlines.entries) == (None, 0)


def test_a_deadline_that_moved_back_is_right_when_it_is_read() -> None:
    deadlines = Deadlines()
    record = options(at=0.0)
    deadlines.note(record)

    record.machine.receive(response(record.request, 200), now=0.1)  # timer K
    deadlines.note(record)

    assert (deadlines.next(), deadlines.entries) == (5.1, 1)
    assert deadlines.pop_due(5.0) == []
    assert deadlines.pop_due(5.1) == [record]


def test_a_deadline_that_moved_forward_counts_at_once() -> None:
    deadlines = Deadlines()
    record = options(at=50.0)
    deadlines.note(record)

    record.machine.start(now=1.0)
    deadlines.note(record)

    assert (deadlines.next(), len(deadlines)) == (1.5, 1)
    assert deadlines.pop_due(1.5) == [record]
    assert (deadlines.next(), deadlines.entries) == (None, 0)


def test_a_transaction_without_a_deadline_loses_its_entry() -> None:
    deadlines = Deadlines()
    record = options(at=0.0)
    deadlines.note(record)

    record.machine.terminate()

    assert (deadlines.next(), len(deadlines)) == (None, 0)


def test_a_transaction_that_had_no_deadline_for_a_while_gets_an_entry_again() -> None:
    deadlines = Deadlines()
    invite = ClientTransaction(request(), UDP, ("z9hG4bK-1", "INVITE"), DEFAULT_TIMERS)
    invite.machine.start(now=0.0)
    deadlines.note(invite)
    invite.machine.receive(response(invite.request, 180), now=0.1)
    assert deadlines.next() is None

    invite.machine.receive(response(invite.request, 200), now=1.0)  # timer M
    deadlines.note(invite)

    assert deadlines.next() == 33.0


def test_a_dropped_transaction_is_forgotten_at_once_and_may_be_dropped_again() -> None:
    deadlines = Deadlines()
    record = options(at=0.0)
    deadlines.note(record)

    deadlines.drop(record)
    deadlines.drop(record)

    assert (len(deadlines), deadlines.next(), record.ticket) == (0, None, 0)


def test_noting_the_same_deadline_again_makes_no_second_entry() -> None:
    deadlines = Deadlines()
    record = options(at=0.0)

    for _ in range(10):
        deadlines.note(record)

    assert deadlines.entries == 1


def test_stale_entries_are_swept_out_before_they_outgrow_the_live_ones() -> None:
    deadlines = Deadlines()
    kept = [options(at=1000.0 + number) for number in range(100)]
    for record in kept:
        deadlines.note(record)

    highest = 0
    for number in range(10_000):
        record = options(at=float(number))
        deadlines.note(record)
        deadlines.drop(record)
        highest = max(highest, deadlines.entries)

    assert highest <= 2 * 101 + 64
    assert [deadlines.next(), len(deadlines)] == [1000.5, 100]
    assert deadlines.pop_due(5000.0) == kept


def test_one_reading_passes_over_any_number_of_stale_entries() -> None:
    deadlines = Deadlines()
    records = [options(at=float(number)) for number in range(300)]
    for record in records:
        deadlines.note(record)
    for record in records[:299]:
        record.machine.terminate()

    assert (deadlines.next(), len(deadlines)) == (299.5, 1)
    assert deadlines.pop_due(299.5) == records[299:]


def test_the_soonest_moment_is_never_after_the_next_deadline_and_exact_once_that_has_been_asked_for() -> None:
    deadlines = Deadlines()
    assert deadlines.soonest == inf

    record = options(at=0.0)
    deadlines.note(record)
    record.machine.receive(response(record.request, 200), now=0.1)  # timer K
    deadlines.note(record)

    assert deadlines.soonest == 0.5
    assert deadlines.next() == deadlines.soonest == 5.1
