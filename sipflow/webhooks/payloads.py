"""What webhooks say: the bodies that we send, and the one answer that we read.

Names and shapes are those of the reference that clients know; what a body has beyond them stands beside, never instead.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sipflow.calls.record import CallRecord, Happening
from sipflow.calls.status import error_message, status_of, timezone_of, webhook_end_call_reason
from sipflow.calls.transfer.ledger import executed_actions
from sipflow.errors import RemoteProtocolError

CALL_INBOUND, POST_CALL, CALL_EVENT = "call_inbound", "post_call", "call_event"
_MOST_VARIABLES = 200
_MOST_VALUES, _DEEPEST = 5000, 20
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_NAME_CHARACTERS, _VALUE_CHARACTERS = 200, 8192

# Fields of the reference that come from the agent, where it has something to say (`CallRecord.extra`).
_NOT_OURS = ("executed_actions", "analysis")


@dataclass(frozen=True, slots=True)
class Steer:
    """What an inbound-call webhook answered.

    Attributes:
        declined: the call is to be ended.
        agent: who takes it instead; "" for the one that the number has.
        variables: what the agent is given beside the caller's headers.
        metadata: kept with the call, and sent with its post-call webhook.
    """

    declined: bool = False
    agent: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def call_inbound(record: CallRecord, *, variables: Mapping[str, str]) -> bytes:
    """Make the request of the inbound-call webhook."""
    return _json(
        {
            "event": CALL_INBOUND,
            "call_inbound": {
                "model_id": record.agent,
                "from_number": record.from_number,
                "to_number": _dialled(record),
                "call_id": record.id,
                "started_at": _iso(record.started_at),
                "trunk": record.trunk,
                "diversion": record.diversion,
                "external_id": record.external_id,
                "custom_variables": dict(variables),
            },
        }
    )


def _dialled(record: CallRecord) -> str:
    """Return the number that was called: as listed, which is E.164; for a range, as the caller's side wrote it."""
    return record.number if record.number.startswith("+") and not record.number.endswith("*") else record.to_number


def read_call_inbound(body: bytes) -> Steer:
    """Read the answer to the inbound-call webhook.

    Raises:
        RemoteProtocolError: it is none; the sentence says what is wrong with it.
    """
    try:
        answer = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the answer is not JSON" if body.strip() else "the answer is empty") from None
    if not isinstance(answer, dict):
        raise RemoteProtocolError("the answer is no JSON object")
    inbound = answer.get(CALL_INBOUND, {})
    if not isinstance(inbound, dict):
        raise RemoteProtocolError("call_inbound: it is no object")
    _check(inbound)
    agent = inbound.get("override_model_id")
    if agent is None:
        return Steer(declined=True)  # the reference: an object without an agent ends the call
    if not isinstance(agent, str):
        raise RemoteProtocolError("call_inbound.override_model_id: it is no text")
    metadata = inbound.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise RemoteProtocolError("call_inbound.metadata: it is no object")
    return Steer(agent=agent.strip(), variables=_variables(inbound.get("custom_variables")), metadata=metadata)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _check(value: object) -> None:
    """Refuse what could not be kept with the call: values too deep or too many, NUL, halves of characters."""
    rest, count = [(value, 0)], 0
    while rest:
        each, depth = rest.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            raise RemoteProtocolError(f"call_inbound: more than {_DEEPEST} levels or {_MOST_VALUES} values")
        if isinstance(each, dict):
            rest.extend((part, depth + 1) for pair in each.items() for part in pair)
        elif isinstance(each, list):
            rest.extend((part, depth + 1) for part in each)
        elif isinstance(each, str) and _UNKEEPABLE.search(each):
            raise RemoteProtocolError("call_inbound: a text holds a NUL, or half of a character")


def _variables(given: object) -> dict[str, str]:
    """Read variables: an object, or, as another call of the reference has them, a list of key and value."""
    where = "call_inbound.custom_variables"
    if isinstance(given, list) and all(isinstance(pair, dict) and "key" in pair for pair in given):
        given = {str(pair["key"]): pair.get("value") for pair in given}
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RemoteProtocolError(f"{where}: it is no object")
    if len(given) > _MOST_VARIABLES:
        raise RemoteProtocolError(f"{where}: more than {_MOST_VARIABLES} of them")
    found = {}
    for name, value in given.items():
        text = _text(value)
        if not name or len(name) > _NAME_CHARACTERS or not name.isprintable():
            raise RemoteProtocolError(f"{where}: a name is empty, too long, or not printable")
        if len(text) > _VALUE_CHARACTERS:
            raise RemoteProtocolError(f"{where}.{name}: it is longer than {_VALUE_CHARACTERS} characters")
        found[name] = text
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def post_call(record: CallRecord, *, recording_url: str = "") -> bytes:
    """Make the body of the post-call webhook of a finished call."""
    extra = record.extra or {}
    incoming = record.direction == "inbound"
    lead = record.from_number if incoming else record.to_number
    status = status_of(record)
    body: dict[str, object] = {
        "event": POST_CALL,
        "status": status,
        "error_message": error_message(record),
        "lead": {
            "name": record.name,
            "phone_number": lead,
            "email": extra.get("lead_email"),
            "prompt_variables": dict(record.variables or {}),
        },
        "call": {
            "status": status,
            "end_call_reason": webhook_end_call_reason(record),
            "model_id": record.agent,
            "timezone": timezone_of(record),
            "call_id": record.id,
            "duration": round(record.talk_s),
            "start_time": _iso(record.started_at),
            "transcript": extra.get("transcript"),
            "recording_url": recording_url or None,
            "diversion": record.diversion or None,
            "external_id": record.external_id or None,
            **_beyond(record),
        },
        **{name: extra.get(name) or {} for name in _NOT_OURS},
        "executed_actions": {**_mapping(extra.get("executed_actions")), **executed_actions(record)},
        "metadata": extra.get("metadata") or {},
    }
    if "custom_end_call_reason" in extra:
        body["call"] = {**_mapping(body["call"]), "custom_end_call_reason": extra["custom_end_call_reason"]}
    if "collected_variables" in extra:
        body["collected_variables"] = extra["collected_variables"]
    return _json(body)


def _beyond(record: CallRecord) -> dict[str, object]:
    """Say of a call what the reference does not."""
    ending, quality = record.ending, record.quality
    return {
        "type_of_call": record.direction,
        "phone_number_from": record.from_number,
        "phone_number_to": record.to_number,
        "agent_phone_number": record.number or None,
        "trunk": record.trunk or None,
        "sip_call_id": record.sip_call_id,
        "answered_at": _iso(record.answered_at),
        "end_time": _iso(record.ended_at),
        "ending": None
        if ending is None
        else {
            "by": ending.by,
            "word": str(ending.word),
            "fault": str(ending.fault),
            "sip_status": ending.status,
            "q850": ending.q850,
            "why": ending.why,
        },
        "quality": None if quality is None else quality._asdict(),
    }


def call_event(record: CallRecord, happening: Happening, *, event_id: str) -> bytes:
    """Make the body of one event of a call."""
    return _json(
        {
            "event": CALL_EVENT,
            "event_id": event_id,
            "call_event": {
                "name": happening.name,
                "at": _iso(happening.at),
                "details": dict(happening.details),
                "call_id": record.id,
                "model_id": record.agent,
                "type_of_call": record.direction,
                "phone_number_from": record.from_number,
                "phone_number_to": record.to_number,
                "external_id": record.external_id or None,
            },
        }
    )


def _json(value: object) -> bytes:
    """Write JSON; what is no JSON value becomes text, for a strange detail must not hold up a whole record."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
