"""A call's record in the words of the API: status, end reason, error message and the telephone's own figures."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import CallRecord
from sipflow.sip.status import reason_phrase

STATUSES = (
    "pending", "ringing", "in-progress", "completed", "no-answer", "busy", "failed", "canceled", "user-canceled",
    "hangup_on_voicemail", "left_voicemail", "spam", "paused", "registered",
)  # fmt: skip
END_REASONS = (
    "human_pick_up_cut_off", "voicemail", "voicemail_cut_off", "voicemail_message_left", "agent_ended_call",
    "human_ended_call", "custom_end_call", "user_canceled", "timeout", "error",
)  # fmt: skip
WEBHOOK_END_REASONS = (
    "voicemail", "voicemail_message_left", "human_goodbye", "agent_goodbye", "human_pick_up_cut_off", "max_duration",
    "custom_end_call", "user_canceled", "undefined",
)  # fmt: skip

_BY_AGENT = frozenset({"hangup_on_voicemail", "left_voicemail", "spam"})  # what only an agent can know of a call
_HASTY = timedelta(seconds=1)  # a caller who was gone that soon, or a callee who had hardly picked up
_ANSWERED_WELL = frozenset({Word.HUNG_UP, Word.TIMED_OUT})
_UNANSWERED = {
    Word.BUSY: "busy",
    Word.NO_ANSWER: "no-answer",
    Word.CANCELLED: "canceled",
}
_OUTCOME_REASONS = {"hangup_on_voicemail": "voicemail", "left_voicemail": "voicemail_message_left"}
_FOR_THE_WEBHOOK = {
    "agent_ended_call": "agent_goodbye",
    "human_ended_call": "human_goodbye",
    "timeout": "max_duration",
    "voicemail_cut_off": "voicemail",
    "error": "undefined",
}
_CODES = {  # of endings whose own status, that of a BYE, tells nothing
    Word.AGENT_FAILED: 500,
    Word.MEDIA_FAILED: 488,
    Word.MEDIA_LOST: 408,
    Word.LOST: 408,
    Word.NO_ACK: 408,
    Word.OVERLOADED: 503,
    Word.UNREACHABLE: 503,
}
_FORBIDDEN = frozenset({401, 403, 407})
_LONGEST_TEXT = 200
DEFAULT_TIMEZONE = "Europe/Berlin"  # what the reference says where nobody says otherwise


class Telephony(NamedTuple):
    """What the `telephony_*` fields say.

    Attributes:
        hangup: "caller" or "callee": who hung up; None while nobody has, or where neither did.
        disconnect_reason: "caller_hangup", "callee_hangup", "forbidden", "error" or "unknown"; None while it lives.
        duration_ms: from `start` to `end`, ringing and all; None while it lives. (The API's `duration` is the talk.)
        ringing_duration_ms: from the first sign of ringing to the answer, or to the end; None if it never rang, or
            still does.
        start, end: UTC wall clock; when the call came in or was begun, and when it was over.
    """

    hangup: str | None
    disconnect_reason: str | None
    duration_ms: int | None
    ringing_duration_ms: int | None
    start: datetime | None
    end: datetime | None


def status_of(record: CallRecord) -> str:
    """One of `STATUSES`.

    What an agent has found out (`record.extra["call_status"]`: voicemail, spam) counts more than how the call ended.
    """
    ending = record.ending
    if ending is None:
        return _live_status(record)
    told = (record.extra or {}).get("call_status")
    if isinstance(told, str) and told in _BY_AGENT:
        return told
    if record.answered_at is not None:
        return "completed" if ending.word in _ANSWERED_WELL else "failed"
    if _gave_up_at_once(record, ending):
        return "user-canceled"
    if _cleared(record, ending):
        return "failed"
    return _UNANSWERED.get(ending.word, "failed")


def _live_status(record: CallRecord) -> str:
    if record.answered_at is not None:
        return "in-progress"
    if record.direction == "inbound" or record.ringing_at is not None:
        return "ringing"
    return "pending"


def _gave_up_at_once(record: CallRecord, ending: Ending) -> bool:
    """Whether a caller was gone within a second, before the agent had answered."""
    if record.direction != "inbound" or ending.word is not Word.CANCELLED or ending.by != "remote":
        return False
    return record.ended_at is not None and record.ended_at - record.started_at < _HASTY


def _cleared(record: CallRecord, ending: Ending) -> bool:
    """Whether the far end of a call out ended it before anybody answered, without our asking (487)."""
    return record.direction == "outbound" and ending.word is Word.CANCELLED and ending.by == "remote"


def end_call_reason(record: CallRecord) -> str | None:
    """Why it ended: one of `END_REASONS`, the vocabulary of the calls API.

    Returns:
        None while the call lives, and where none of the words fits: nobody answered, or the line was busy.
    """
    ending = record.ending
    if ending is None:
        return None
    extra = record.extra or {}
    if extra.get("custom_end_call_reason"):
        return "custom_end_call"
    told = extra.get("end_call_reason")
    if isinstance(told, str) and told in END_REASONS:
        return told
    status = status_of(record)
    if status in _OUTCOME_REASONS:
        return _OUTCOME_REASONS[status]
    if record.answered_at is None:
        return _unanswered_reason(ending, status)
    if ending.word is Word.TIMED_OUT:
        return "timeout"
    if ending.word is not Word.HUNG_UP:
        return "error"
    if ending.by != "remote":
        return "agent_ended_call"
    cut_off = record.direction == "outbound" and record.talk_s < _HASTY.total_seconds()
    return "human_pick_up_cut_off" if cut_off else "human_ended_call"


def _unanswered_reason(ending: Ending, status: str) -> str | None:
    if ending.word is Word.CANCELLED and status != "failed":
        return "user_canceled" if ending.by == "remote" else "agent_ended_call"
    return "error" if status == "failed" else None


def webhook_end_call_reason(record: CallRecord) -> str:
    """Why it ended: one of `WEBHOOK_END_REASONS`, the vocabulary of the post-call webhook."""
    reason = end_call_reason(record)
    return _FOR_THE_WEBHOOK.get(reason, reason) if reason is not None else "undefined"


def error_message(record: CallRecord) -> str | None:
    """`Telephony - <code> - <text>` of a call that failed; None of any other."""
    ending = record.ending
    if ending is None or status_of(record) != "failed":
        return None
    code = ending.status if ending.status >= 300 else _CODES.get(ending.word, 500)
    text = " ".join(ending.why.split())[:_LONGEST_TEXT] or reason_phrase(code)
    return f"Telephony - {code} - {text}"


def telephony_of(record: CallRecord) -> Telephony:
    """What the `telephony_*` fields say."""
    hangup = _hung_up_by(record)
    return Telephony(
        hangup=hangup,
        disconnect_reason=_disconnect_reason(record, hangup),
        duration_ms=_ms(record.started_at, record.ended_at),
        ringing_duration_ms=_ms(record.ringing_at, record.answered_at or record.ended_at),
        start=record.started_at,
        end=record.ended_at,
    )


def _hung_up_by(record: CallRecord) -> str | None:
    """Say which person ended the call: the far end, or on our side the agent or whoever told it to."""
    ending = record.ending
    if ending is None or ending.by == "system" or ending.word not in (Word.HUNG_UP, Word.CANCELLED):
        return None
    if _cleared(record, ending):
        return None
    we_called = record.direction == "outbound"
    return "caller" if (ending.by == "local") is we_called else "callee"


def _disconnect_reason(record: CallRecord, hangup: str | None) -> str | None:
    ending = record.ending
    if ending is None:
        return None
    if hangup is not None:
        return f"{hangup}_hangup"
    if ending.status in _FORBIDDEN:
        return "forbidden"
    return "error" if status_of(record) == "failed" else "unknown"


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    return round((end - start).total_seconds() * 1000) if start is not None and end is not None else None


def timezone_of(record: CallRecord) -> str:
    """Name the time zone of a call: the person's, as ordered, else what its agent has set."""
    extra = record.extra or {}
    return str(extra.get("lead_timezone") or extra.get("timezone") or DEFAULT_TIMEZONE)
