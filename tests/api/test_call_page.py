from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.api.call_page import lets_through, merge, order_of, stored_range
from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord
from sipflow.store.calls import CallFilter

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def call(call_id: str, *, at_s: float = 0.0, direction: str = "inbound", answered_s: float | None = None) -> CallRecord:
    record = CallRecord(
        call_id, f"sip-{call_id}", direction, "+12065550199", "+12065550100", "pbx", "+12065550100", "desk",
        NOON + timedelta(seconds=at_s),
    )  # fmt: skip
    if answered_s is not None:
        record.answered_at = record.started_at + timedelta(seconds=answered_s)
    return record


@settings(max_examples=200, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=25),
    limit=st.integers(1, 10),
    offset=st.integers(0, 30),
)
def test_a_page_is_what_the_two_lists_as_one_would_give(kinds: list[tuple[int, bool]], limit: int, offset: int) -> None:
    calls = [(call(f"c{number:02}", at_s=at_s), live) for number, (at_s, live) in enumerate(kinds)]
    stored = sorted((each for each, live in calls if not live), key=order_of, reverse=True)
    live = [each for each, is_live in calls if is_live]
    everything = sorted((each for each, _ in calls), key=order_of, reverse=True)
    most, first = stored_range(len(live), limit, offset)

    page = merge(live, stored[first : first + most], limit=limit, offset=offset)

    assert page == everything[offset : offset + limit]


def test_a_call_that_ends_between_two_looks_stands_once_in_the_page() -> None:
    live, over = call("c1"), call("c1")
    over.ending = Ending.of("remote", 200, "the far end hung up")

    assert merge([live], [over], limit=10, offset=0) == [over]


@pytest.mark.parametrize(
    ("wanted", "through"),
    [
        (CallFilter(), True),
        (CallFilter(agent="desk", trunk="pbx", direction="inbound"), True),
        (CallFilter(agent="other"), False),
        (CallFilter(status="in-progress"), True),
        (CallFilter(status="completed"), False),
        (CallFilter(word="hung_up"), False),
        (CallFilter(lead_number="+12065550199"), True),
        (CallFilter(lead_number="+12065550100"), False),
        (CallFilter(number="+12065550100"), True),
        (CallFilter(number="+12065550999"), False),
        (CallFilter(text="sip-c"), True),
        (CallFilter(text="SIP-C"), True),  # as the store finds it
        (CallFilter(text="nothing"), False),
        (CallFilter(from_at=NOON), True),
        (CallFilter(from_at=NOON + timedelta(seconds=1)), False),
        (CallFilter(to_at=NOON), False),
        (CallFilter(to_at=NOON + timedelta(seconds=1)), True),
        (CallFilter(duration_min_s=58, duration_max_s=58), True),
        (CallFilter(duration_min_s=59), False),
        (CallFilter(duration_max_s=57), False),
    ],
)
def test_filters_mean_the_same_for_live_calls(wanted: CallFilter, through: bool) -> None:
    record = call("c1", answered_s=2)

    assert lets_through(wanted, record, now=NOON + timedelta(seconds=60)) is through


def test_the_lead_of_a_call_out_is_who_is_called_and_a_status_may_be_given() -> None:
    record = call("c1", direction="outbound")

    assert lets_through(CallFilter(lead_number="+12065550100"), record, now=NOON)
    assert lets_through(CallFilter(status="registered"), record, now=NOON, status="registered")
