"""Ten seconds of calls as they come in life, between SIPps; `make load` lets it last for five minutes."""

from pathlib import Path

from tests.bench.programs import MissingProgram
from tests.bench.storm import Load, weather
from tests.interop.programs import missing


def test_of_calls_that_are_transferred_held_and_cancelled_nothing_is_left_and_both_records_agree(
    tmp_path: Path,
) -> None:
    try:
        found = weather(tmp_path, Load(rate=20, seconds=10, let_go_s=2.0))
    except MissingProgram as error:
        missing(f"{error} (Debian package sip-tester)")
        return

    assert found.wanted == {"plain": 160, "transferred": 20, "held": 10, "cancelled": 10}
    assert found.failed == dict.fromkeys(found.wanted, 0)
    assert (found.stories, found.agreeing) == ([], 200)
    del found.left["transactions"]  # they are kept for half a minute, to answer repetitions (RFC 3261 §17.2)
    assert found.left == {"calls": 0, "dialogs": 0, "lent": 0, "tasks": 0, "faults": 0}
