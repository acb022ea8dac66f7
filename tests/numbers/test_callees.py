from sipflow.numbers.callees import Callees


def test_the_last_number_counts_and_the_oldest_callees_are_forgotten() -> None:
    callees = Callees()
    for callee, number in (("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")):
        callees.called(callee, number, most=2)

    assert [callees.number_of(callee) for callee in "abc"] == ["3", None, "4"]


def test_what_changed_is_told_once_with_none_for_the_forgotten() -> None:
    callees = Callees()
    for callee in "abc":
        callees.called(callee, "1", most=2)
    changed = callees.take_changed()
    again = callees.take_changed()
    callees.put_back("b")

    assert (changed, again, callees.take_changed()) == ({"a": None, "b": "1", "c": "1"}, {}, {"b": "1"})


def test_while_nobody_asks_what_changed_memory_stays_bounded() -> None:
    callees = Callees()
    for number in range(1000):
        callees.called(f"callee {number}", "1", most=10)

    assert len(callees.take_changed()) <= 20


def test_what_was_kept_is_older_than_what_is_known_and_has_the_room_that_is_left() -> None:
    callees = Callees()
    callees.called("known", "new", most=3)
    callees.take_changed()
    for callee in ("known", "late", "early", "earliest"):  # the latest first, as it is read
        callees.restore(callee, "kept", most=3)
    changed = callees.take_changed()
    callees.called("one more", "1", most=3)

    assert [callees.number_of(each) for each in ("known", "late", "early", "one more")] == ["new", "kept", None, "1"]
    assert changed == {"earliest": None}
