"""Calls as clients see them, in the shapes of the reference: in lists, alone, and line by line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from sipflow.api.envelope import Answer, Pagination
from sipflow.calls.record import CallRecord
from sipflow.calls.status import end_call_reason, error_message, status_of, telephony_of, timezone_of
from sipflow.calls.transfer.ledger import executed_actions, human_connected_at
from sipflow.store.record_json import as_kept


class EndingShown(Answer):
    """How it ended, more exactly than the reference says it."""

    by: str = Field(description="`remote`, `local` (agent or operator) or `system`.")
    why: str = Field(description="One sentence.")
    word: str = Field(description="Our one word, such as `hung_up` or `no_answer`.")
    fault: str = Field(description="Who must act if it was not wanted: `nobody`, `remote`, `local`, `network`.")
    sip_status: int
    q850: int = Field(description="ISDN cause.")


class QualityShown(Answer):
    """How the audio was, as we heard it."""

    loss_percent: float
    jitter_ms: float
    round_trip_ms: float | None
    mos: float = Field(description="1 to 4.5, by the E-model.")


class AttemptShown(Answer):
    """One INVITE of a call out."""

    trunk: str
    target: str
    sip_status: int
    why: str
    started_at: datetime
    ended_at: datetime | None


class Ours(Answer):
    """What sipflow knows of a call beside the reference's fields. Times are UTC."""

    live: bool = Field(description="Whether it goes on; then all figures are of now.")
    trunk: str
    number: str = Field(description="The number of ours that it led to, or is placed from; as listed.")
    sip_call_id: str
    external_id: str = Field(description="The client's own id of the call (X-EI `E.`).")
    diversion: str
    codec: str
    why: list[str] = Field(description="How trunk, number and agent were chosen, one sentence each.")
    started_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    ending: EndingShown | None
    quality: QualityShown | None
    attempts: list[AttemptShown]
    human_connected_at: str | None = Field(description="When a person took over, ISO 8601.")
    recording: bool = Field(description="Whether there is a recording to fetch, or one is being made.")


class _Call(Answer):
    """What calls have in lists and alone."""

    call_id: str
    model_id: str
    duration: int = Field(description="Seconds from the answer to the end; of a live call, so far.")
    end_call_reason: str | None
    judge_results: None = None
    lead_phone_number: str = Field(description="Of the person: who called us, or whom we called.")
    agents_used: list[str]
    executed_actions: dict[str, Any] = Field(description="What the agent did; its transfers, with a line per attempt.")
    recording_url: str | None = Field(description="Where the recording is; needs a token.")
    type_of_call: str = Field(description="`inbound` or `outbound`.")
    recording_duration: float | None = Field(description="Seconds.")
    transcript: str | None = Field(description="As the agent left it with the call; null for none.")
    error_message: str | None = Field(description="`Telephony - <code> - <text>` of a call that failed.")
    start_time: str = Field(description="Milliseconds since 1970, as text.")
    lead_name: str
    name: str
    labels: list[str]
    agent_phone_number: str
    deployment_type: str = "sip"
    timezone: str
    telephony_hangup: str | None = Field(description="`caller` or `callee`.")
    telephony_disconnect_reason: str | None
    telephony_duration: int | None = Field(description="Milliseconds.")
    telephony_start: str | None = Field(description="ISO 8601.")
    telephony_end: str | None = Field(description="ISO 8601.")
    campaign_type: None = None
    phone_number_from: str
    phone_number_to: str
    collected_variables: dict[str, Any]
    sipflow: Ours


class CallItem(_Call):
    """A call in a list."""

    call_status: str


class CallShown(_Call):
    """A call alone: the field of its status has another name, as in the reference."""

    status: str
    custom_end_call_reason: str | None
    prompt_variables: dict[str, str]
    telephony_ringing_duration: int | None = Field(description="Milliseconds.")


class CallList(Answer):
    """A page of calls."""

    pagination: Pagination
    calls: list[CallItem]


class OneCall(Answer):
    """A call: an array of one, as in the reference."""

    pagination: Pagination
    calls: list[CallShown]


def item(record: CallRecord, *, now: datetime, base_url: str, status: str = "") -> CallItem:
    """Write a record for a list; `status` where it is not that of the record."""
    return CallItem(call_status=status or status_of(record), **_fields(record, now, base_url))


def shown(record: CallRecord, *, now: datetime, base_url: str, status: str = "", error: str = "") -> CallShown:
    """Write a record alone; `status` and `error` where they are not those of the record."""
    extra = record.extra or {}
    custom = extra.get("custom_end_call_reason")
    fields = _fields(record, now, base_url)
    return CallShown(
        status=status or status_of(record),
        custom_end_call_reason=str(custom) if custom else None,
        prompt_variables=dict(record.variables or {}),
        telephony_ringing_duration=telephony_of(record).ringing_duration_ms,
        **(fields | ({"error_message": error} if error else {})),
    )


def _fields(record: CallRecord, now: datetime, base_url: str) -> dict[str, Any]:
    extra = record.extra or {}
    outbound = record.direction == "outbound"
    telephony = telephony_of(record)
    labels, transcript = extra.get("labels"), extra.get("transcript")
    return {
        "call_id": record.id,
        "model_id": record.agent,
        "duration": round(talk_s(record, now)),
        "end_call_reason": end_call_reason(record),
        "lead_phone_number": record.to_number if outbound else record.from_number,
        "agents_used": [record.agent] if record.agent else [],
        "executed_actions": {**_left(extra, "executed_actions"), **executed_actions(record)},
        "recording_url": f"{base_url}/v2/calls/{record.id}/recording" if record.recording else None,
        "type_of_call": record.direction,
        "recording_duration": record.recording_s if record.recording else None,
        "transcript": transcript if isinstance(transcript, str) else None,
        "error_message": error_message(record),
        "start_time": str(int(record.started_at.timestamp() * 1000)),
        "lead_name": record.name,
        "name": record.name,
        "labels": [str(label) for label in labels] if isinstance(labels, list | tuple) else [],
        "agent_phone_number": record.from_number if outbound else record.number or record.to_number,
        "timezone": timezone_of(record),
        "telephony_hangup": telephony.hangup,
        "telephony_disconnect_reason": telephony.disconnect_reason,
        "telephony_duration": telephony.duration_ms,
        "telephony_start": telephony.start.isoformat() if telephony.start is not None else None,
        "telephony_end": telephony.end.isoformat() if telephony.end is not None else None,
        "phone_number_from": record.from_number,
        "phone_number_to": record.to_number,
        "collected_variables": _left(extra, "collected_variables"),
        "sipflow": _ours(record),
    }


def _left(extra: Mapping[str, object], name: str) -> dict[str, Any]:
    """Return what the agent has left with a call under a name: of a live one anything, which must not harm lists."""
    value = extra.get(name)
    return as_kept(value) if isinstance(value, dict) else {}


def talk_s(record: CallRecord, now: datetime) -> float:
    """Seconds from the answer to the end, or to now."""
    if record.answered_at is None:
        return 0.0
    return max(0.0, ((record.ended_at or now) - record.answered_at).total_seconds())


def _ours(record: CallRecord) -> Ours:
    ending, quality = record.ending, record.quality
    return Ours(
        live=ending is None,
        trunk=record.trunk,
        number=record.number,
        sip_call_id=record.sip_call_id,
        external_id=record.external_id,
        diversion=record.diversion,
        codec=record.codec,
        why=list(record.why),
        started_at=record.started_at,
        ringing_at=record.ringing_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        ending=EndingShown(
            by=ending.by,
            why=ending.why,
            word=ending.word,
            fault=ending.fault,
            sip_status=ending.status,
            q850=ending.q850,
        )
        if ending is not None
        else None,
        quality=QualityShown(**quality._asdict()) if quality is not None else None,
        attempts=[
            AttemptShown(
                trunk=each.trunk,
                target=each.target,
                sip_status=each.status,
                why=each.why,
                started_at=each.started_at,
                ended_at=each.ended_at,
            )
            for each in record.attempts
        ],
        human_connected_at=human_connected_at(record),
        recording=bool(record.recording),
    )


class Event(Answer):
    """One line of a call's history."""

    position: int = Field(description="From 1.")
    name: str = Field(description="Such as `ringing`, `answered`, `digit`, `hold`, `ended`.")
    at: datetime = Field(description="UTC.")
    details: dict[str, Any]


class EventList(Answer):
    """What happened in a call, in order."""

    call_id: str
    events: list[Event]
