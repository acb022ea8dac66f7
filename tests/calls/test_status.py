"""Records in the words of the API."""

from datetime import UTC, datetime, timedelta

import pytest

from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import CallRecord
from sipflow.calls.status import (
    END_REASONS,
    STATUSES,
    WEBHOOK_END_REASONS,
    Telephony,
    end_call_reason,
    error_message,
    status_of,
    telephony_of,
    webhook_end_call_reason,
)

BEGIN = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def at(seconds: float | None) -> datetime | None:
    return BEGIN + timedelta(seconds=seconds) if seconds is not None else None


def record(
    ending: Ending | None,
    *,
    direction: str = "outbound",
    rang: float | None = None,
    answered: float | None = None,
    ended: float | None = None,
    extra: dict[str, object] | None = None,
) -> CallRecord:
    return CallRecord(
        "id", "sip-id", direction, "+12065550100", "+12065550123", "pbx", "+12065550100", "front", BEGIN,
        ringing_at=at(rang), answered_at=at(answered), ended_at=at(ended), ending=ending, extra=extra,
    )  # fmt: skip


def words(of: CallRecord) -> tuple[object, ...]:
    return (status_of(of), end_call_reason(of), webhook_end_call_reason(of), error_message(of))


def disconnected(of: CallRecord) -> tuple[str | None, str | None]:
    told = telephony_of(of)
    return (told.hangup, told.disconnect_reason)


FAR_HANGS_UP = Ending.of("remote", 200, "the far end hung up")
WE_HANG_UP = Ending.of("local", 200, "the agent hung up")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (record(None), ("pending", None, "undefined", None)),
        (record(None, rang=1), ("ringing", None, "undefined", None)),
        (record(None, direction="inbound"), ("ringing", None, "undefined", None)),
        (record(None, rang=1, answered=2), ("in-progress", None, "undefined", None)),
    ],
)
def test_a_live_call_is_pending_ringing_or_in_progress(of: CallRecord, said: tuple[object, ...]) -> None:
    assert words(of) == said
    assert disconnected(of) == (None, None)


@pytest.mark.parametrize(
    ("of", "said", "hung_up"),
    [
        (
            record(FAR_HANGS_UP, answered=2, ended=60),
            ("completed", "human_ended_call", "human_goodbye", None),
            ("callee", "callee_hangup"),
        ),
        (
            record(FAR_HANGS_UP, answered=2, ended=2.5),
            ("completed", "human_pick_up_cut_off", "human_pick_up_cut_off", None),
            ("callee", "callee_hangup"),
        ),
        (
            record(FAR_HANGS_UP, direction="inbound", answered=2, ended=2.5),
            ("completed", "human_ended_call", "human_goodbye", None),
            ("caller", "caller_hangup"),
        ),
        (
            record(WE_HANG_UP, answered=2, ended=60),
            ("completed", "agent_ended_call", "agent_goodbye", None),
            ("caller", "caller_hangup"),
        ),
        (
            record(WE_HANG_UP, direction="inbound", answered=2, ended=60),
            ("completed", "agent_ended_call", "agent_goodbye", None),
            ("callee", "callee_hangup"),
        ),
        (
            record(Ending.of("local", 200, "max_duration", word=Word.TIMED_OUT), answered=2, ended=60),
            ("completed", "timeout", "max_duration", None),
            (None, "unknown"),
        ),
        (
            record(Ending.of("local", 200, "the agent raised KeyError", word=Word.AGENT_FAILED), answered=2, ended=3),
            ("failed", "error", "undefined", "Telephony - 500 - the agent raised KeyError"),
            (None, "error"),
        ),
        (
            record(Ending.of("local", 200, "no audio came for 60 s", word=Word.MEDIA_LOST), answered=2, ended=3),
            ("failed", "error", "undefined", "Telephony - 408 - no audio came for 60 s"),
            (None, "error"),
        ),
    ],
)
def test_an_answered_call_is_completed_unless_something_broke(
    of: CallRecord, said: tuple[object, ...], hung_up: tuple[str | None, str | None]
) -> None:
    assert (words(of), disconnected(of)) == (said, hung_up)


@pytest.mark.parametrize(
    ("status", "why", "said", "reason"),
    [
        (486, "Busy Here", ("busy", None, "undefined", None), "unknown"),
        (600, "Busy Everywhere", ("busy", None, "undefined", None), "unknown"),
        (480, "Temporarily Unavailable", ("no-answer", None, "undefined", None), "unknown"),
        (408, "Request Timeout", ("no-answer", None, "undefined", None), "unknown"),
        (603, "Decline", ("failed", "error", "undefined", "Telephony - 603 - Decline"), "error"),
        (607, "Unwanted", ("failed", "error", "undefined", "Telephony - 607 - Unwanted"), "error"),
        (608, "Rejected", ("failed", "error", "undefined", "Telephony - 608 - Rejected"), "error"),
        (404, "Not Found", ("failed", "error", "undefined", "Telephony - 404 - Not Found"), "error"),
        (403, "Forbidden", ("failed", "error", "undefined", "Telephony - 403 - Forbidden"), "forbidden"),
        (407, "", ("failed", "error", "undefined", "Telephony - 407 - Proxy Authentication Required"), "forbidden"),
        (503, "Service\r\nUnavailable", ("failed", "error", "undefined", "Telephony - 503 - Service Unavailable"),
         "error"),
        (487, "Request Terminated", ("failed", "error", "undefined", "Telephony - 487 - Request Terminated"), "error"),
        (302, "Moved Temporarily", ("failed", "error", "undefined", "Telephony - 302 - Moved Temporarily"), "error"),
    ],
)  # fmt: skip
def test_an_unanswered_call_says_what_the_far_end_said(
    status: int, why: str, said: tuple[object, ...], reason: str
) -> None:
    of = record(Ending.of("remote", status, why), ended=3)

    assert (words(of), disconnected(of)) == (said, (None, reason))


def test_a_ring_time_out_is_no_answer_and_nobody_hung_up() -> None:
    of = record(Ending.of("system", 487, "nobody answered in 30 s", word=Word.NO_ANSWER), rang=1, ended=31)

    assert (words(of), disconnected(of)) == (("no-answer", None, "undefined", None), (None, "unknown"))


def test_a_call_out_that_is_cancelled_is_canceled_by_the_caller() -> None:
    of = record(Ending.of("local", 487, "the call was cancelled", word=Word.CANCELLED), rang=1, ended=3)

    assert words(of) == ("canceled", "agent_ended_call", "agent_goodbye", None)
    assert disconnected(of) == ("caller", "caller_hangup")


@pytest.mark.parametrize(("ended", "status"), [(0.999, "user-canceled"), (1.0, "canceled"), (20, "canceled")])
def test_a_caller_who_is_gone_within_the_first_second_is_user_canceled(ended: float, status: str) -> None:
    of = record(Ending.of("remote", 487, "the caller gave up"), direction="inbound", ended=ended)

    assert words(of) == (status, "user_canceled", "user_canceled", None)
    assert disconnected(of) == ("caller", "caller_hangup")


def test_what_an_agent_has_found_out_counts_more() -> None:
    left = record(WE_HANG_UP, answered=2, ended=9, extra={"call_status": "left_voicemail"})
    machine = record(WE_HANG_UP, answered=2, ended=9, extra={"call_status": "hangup_on_voicemail"})
    custom = record(WE_HANG_UP, answered=2, ended=9, extra={"custom_end_call_reason": "the lead was rude"})
    nonsense = record(WE_HANG_UP, answered=2, ended=9, extra={"call_status": "in-progress", "end_call_reason": 7})

    assert words(left) == ("left_voicemail", "voicemail_message_left", "voicemail_message_left", None)
    assert words(machine) == ("hangup_on_voicemail", "voicemail", "voicemail", None)
    assert words(custom) == ("completed", "custom_end_call", "custom_end_call", None)
    assert words(nonsense) == ("completed", "agent_ended_call", "agent_goodbye", None)


def test_the_telephones_figures_are_in_milliseconds_and_add_up() -> None:
    of = record(FAR_HANGS_UP, rang=0.25, answered=4.5, ended=64.5)
    unanswered = record(Ending.of("remote", 486, "Busy Here"), rang=0.25, ended=2.0)

    assert telephony_of(of) == Telephony("callee", "callee_hangup", 64_500, 4_250, at(0), at(64.5))
    assert telephony_of(unanswered) == Telephony(None, "unknown", 2_000, 1_750, at(0), at(2.0))
    assert telephony_of(record(None, rang=1)) == Telephony(None, None, None, None, at(0), None)


@pytest.mark.parametrize("word", list(Word))
@pytest.mark.parametrize("by", ["remote", "local", "system"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize("answered", [None, 1.0])
def test_every_ending_has_a_word_in_each_vocabulary(
    word: Word, by: str, direction: str, answered: float | None
) -> None:
    of = record(Ending.of(by, 200, "it ended", word=word), direction=direction, answered=answered, ended=5)
    reason = end_call_reason(of)

    assert status_of(of) in STATUSES
    assert reason is None or reason in END_REASONS
    assert webhook_end_call_reason(of) in WEBHOOK_END_REASONS
    assert (error_message(of) is not None) == (status_of(of) == "failed")
