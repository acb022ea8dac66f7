"""A record of a call as text and back, without loss; and what may be written as JSON at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any

from sipflow.calls.ending import Ending, Fault, Word
from sipflow.calls.record import Attempt, CallRecord, Happening, Quality

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_quoted: Callable[[Any], str] = encode_basestring_ascii
_TEXTS = (
    "id", "sip_call_id", "direction", "from_number", "to_number", "trunk", "number", "agent", "name", "external_id",
    "diversion", "codec", "recording",
)  # fmt: skip
_DEEPEST = 20  # levels of what passes through us
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THREE = [f"{number:03d}" for number in range(1000)]
_second: list[tuple[datetime, str]] = [(_EPOCH, "1970-01-01T00:00:00")]  # of the last moment, and how it is written


def to_json(record: CallRecord) -> str:
    """Return a record without its history as one line of ASCII; what is not set is left out."""
    text = (
        f'{{"id":{_quoted(record.id)},"sip_call_id":{_quoted(record.sip_call_id)},"direction":"{record.direction}",'
        f'"from_number":{_quoted(record.from_number)},"to_number":{_quoted(record.to_number)},'
        f'"trunk":{_quoted(record.trunk)},"number":{_quoted(record.number)},"agent":{_quoted(record.agent)},'
        f'"started_at":"{time_text(record.started_at)}"'
    )
    if record.ringing_at is not None:
        text += f',"ringing_at":"{time_text(record.ringing_at)}"'
    if record.answered_at is not None:
        text += f',"answered_at":"{time_text(record.answered_at)}"'
    if record.ended_at is not None:
        text += f',"ended_at":"{time_text(record.ended_at)}"'
    if record.ending is not None:
        by, status, q850, word, fault, why = record.ending
        text += f',"ending":["{by}",{status},{q850},"{word}","{fault}",{_quoted(why)}]'
    return text + _rest(record) + "}"


def _rest(record: CallRecord) -> str:
    """Return what many calls do not have."""
    text = ""
    if record.codec:
        text += f',"codec":{_quoted(record.codec)}'
    if record.name or record.external_id or record.diversion or record.recording:
        for name in ("name", "external_id", "diversion", "recording"):
            if value := getattr(record, name):
                text += f',"{name}":{_quoted(value)}'
    if record.variables:
        text += f',"variables":{_flat(record.variables)}'
    elif record.variables is not None:
        text += ',"variables":{}'
    if record.why:
        text += f',"why":[{",".join([_quoted(each) for each in record.why])}]'
    if record.quality is not None:
        text += f',"quality":{_numbers(record.quality)}'
    if record.recording_s:
        text += f',"recording_s":{_dump(record.recording_s)}'
    if record.extra is not None:
        text += f',"extra":{_dump(record.extra)}'
    if record.attempts:
        text += f',"attempts":[{",".join([_attempt_text(each) for each in record.attempts])}]'
    return text


def _attempt_text(attempt: Attempt) -> str:
    trunk, target, status, why, started_at, ended_at = attempt
    ended = f'"{time_text(ended_at)}"' if ended_at is not None else "null"
    return f'[{_quoted(trunk)},{_quoted(target)},{status},{_quoted(why)},"{time_text(started_at)}",{ended}]'


def history_json(record: CallRecord) -> str:
    """Return the history of a record as one line of ASCII."""
    return _dump([(time_text(at), name, details) for at, name, details in record.history])


def from_json(text: str | bytes | Mapping[str, Any], history: str | bytes = "") -> CallRecord:
    """Return the record that `to_json` wrote, with the history that `history_json` wrote.

    Raises:
        ValueError: it is not what these functions wrote.
    """
    values = text if isinstance(text, Mapping) else json.loads(text)
    try:
        texts: Any = {name: values[name] for name in _TEXTS if name in values}
        return CallRecord(
            **texts,
            ringing_at=_time(values.get("ringing_at")),
            answered_at=_time(values.get("answered_at")),
            ended_at=_time(values.get("ended_at")),
            started_at=datetime.fromisoformat(values["started_at"]),
            ending=_ending(values.get("ending")),
            variables=values.get("variables"),
            extra=values.get("extra"),
            quality=Quality(*values["quality"]) if "quality" in values else None,
            why=tuple(values.get("why", ())),
            attempts=tuple(_attempt(each) for each in values.get("attempts", ())),
            recording_s=float(values.get("recording_s", 0.0)),
            history=history_from(json.loads(history)) if history else (),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the record of a call: {error}") from None


def history_from(lines: Sequence[Sequence[Any]]) -> tuple[Happening, ...]:
    """Return the history that was written, from its JSON."""
    return tuple(Happening(datetime.fromisoformat(at), name, details) for at, name, details in lines)


def as_kept(value: object) -> Any:
    """Return anything that an agent left with a call as it will be read from its record: as JSON, whatever it was."""
    return json.loads(_dump(value).replace("\\u0000", "\\ufffd")) if value else value


def time_text(at: datetime) -> str:
    """Return a point in time in ISO 8601, UTC; one without zone is taken for UTC.

    A call has a dozen moments within a few seconds, and `isoformat` takes ten times as long.
    """
    if at.tzinfo is not UTC:
        at = in_utc(at)
    second, text = _second[0]
    since = at - second
    microseconds = since.microseconds
    if since.seconds or since.days:
        text = at.isoformat(timespec="seconds")[:19]
        _second[0] = (at.replace(microsecond=0), text)  # as one, for whichever thread reads it
    if not microseconds:
        return f"{text}+00:00"
    return f"{text}.{_THREE[microseconds // 1000]}{_THREE[microseconds % 1000]}+00:00"


def in_utc(at: datetime) -> datetime:
    """Return the same moment in UTC; one without zone is taken for UTC."""
    if at.tzinfo is UTC:
        return at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _ending(values: Sequence[Any] | None) -> Ending | None:
    if values is None:
        return None
    by, status, q850, word, fault, why = values
    return Ending(by, status, q850, Word(word), Fault(fault), why)


def _attempt(values: Sequence[Any]) -> Attempt:
    trunk, target, status, why, started_at, ended_at = values
    return Attempt(trunk, target, status, why, datetime.fromisoformat(started_at), _time(ended_at))


def _flat(values: Mapping[str, object]) -> str:
    """Return a mapping as JSON, quickly where it has texts, whole numbers and yes or no only, as most have."""
    parts = []
    for key, value in values.items():
        if isinstance(value, str):
            parts.append(f"{_quoted(key)}:{_quoted(value)}")
        elif type(value) is int:
            parts.append(f"{_quoted(key)}:{value}")
        elif value is True or value is False:
            parts.append(f"{_quoted(key)}:{'true' if value else 'false'}")
        else:
            return _dump(dict(values))
    return f"{{{','.join(parts)}}}"


def _numbers(quality: Quality) -> str:
    loss_percent, jitter_ms, round_trip_ms, mos = quality
    total = loss_percent + jitter_ms + mos + (round_trip_ms or 0.0)
    if total - total != 0:  # JSON has no infinity and no NaN
        return _dump(quality)
    return f"[{loss_percent},{jitter_ms},{'null' if round_trip_ms is None else round_trip_ms},{mos}]"


def _dump(values: object) -> str:
    """Return JSON of anything: a record must not be lost because something in it is not JSON."""
    try:
        return _encode(values)
    except (TypeError, ValueError, RecursionError):
        return _encode(_plain(values, _DEEPEST))


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # JSON has no infinity and no NaN
    if depth == 0:
        return "..."
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in value]
    return time_text(value) if isinstance(value, datetime) else str(value)
