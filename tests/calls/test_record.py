"""The record of one call."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import time

from sipflow.calls.record import CallRecord, record_id

STARTED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
RECORD = CallRecord(
    id="1",
    sip_call_id="a@b",
    direction="inbound",
    from_number="+12065550111",
    to_number="+12065550100",
    trunk="pbx",
    number="+12065550100",
    agent="echo",
    started_at=STARTED,
)


def test_talk_counts_from_answer_to_end() -> None:
    answered, ended = STARTED + timedelta(seconds=4), STARTED + timedelta(seconds=6.5)

    assert replace(RECORD, answered_at=answered, ended_at=ended).talk_s == 2.5


def test_call_that_was_never_answered_has_no_talk() -> None:
    assert replace(RECORD, ended_at=STARTED + timedelta(seconds=9)).talk_s == 0.0


def test_call_that_still_lives_has_no_talk_yet() -> None:
    assert replace(RECORD, answered_at=STARTED).talk_s == 0.0


def test_an_id_begins_with_the_second_it_was_made_in() -> None:
    before, made, after = int(time()), record_id("0f" * 8), int(time())

    assert before <= int(made[:8], 16) <= after
    assert made[8:] == "0f" * 8
