"""Records of calls as lines for people, as lines of CSV, and as JSON values."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from sipflow.calls.record import CallRecord
from sipflow.calls.status import status_of
from sipflow.store.record_json import history_json, to_json

_HEADINGS = ("STARTED", "", "FROM", "TO", "AGENT", "STATUS", "TALK", "ID")
_WIDEST = 24
_NUMBER = re.compile(r"[+-]?[0-9.,]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell that a stranger wrote

CSV_COLUMNS: tuple[str, ...] = (
    "id", "started_at", "direction", "status", "from_number", "to_number", "number", "trunk", "agent", "name",
    "ringing_at", "answered_at", "ended_at", "talk_s", "ended_by", "sip_status", "q850", "word", "fault", "ended_why",
    "why", "codec", "loss_percent", "jitter_ms", "round_trip_ms", "mos", "attempts", "sip_call_id", "external_id",
    "diversion", "recording", "recording_s", "variables",
)  # fmt: skip
_ENDING = ("ended_by", "sip_status", "q850", "word", "fault", "ended_why")
_QUALITY = ("loss_percent", "jitter_ms", "round_trip_ms", "mos")


def as_object(record: CallRecord) -> dict[str, object]:
    """Return a record as JSON values with names; what there is nothing to say of is left out."""
    values: dict[str, object] = json.loads(to_json(record))
    values["status"] = status_of(record)
    values["talk_s"] = record.talk_s
    if record.ending is not None:
        del values["ending"]
        values |= dict(zip(_ENDING, json.loads(json.dumps(record.ending)), strict=True))
    if record.quality is not None:
        del values["quality"]
        values |= dict(zip(_QUALITY, record.quality, strict=True))
    if record.attempts:
        names = ("trunk", "target", "status", "why", "started_at", "ended_at")
        attempts = values["attempts"]
        assert isinstance(attempts, list)
        values["attempts"] = [dict(zip(names, each, strict=True)) for each in attempts]
    if record.history:
        lines = json.loads(history_json(record))
        values["history"] = [{"at": at, "name": name, "details": details} for at, name, details in lines]
    return values


def csv_line(values: Iterable[object]) -> str:
    """Return one line of CSV (RFC 4180) that no spreadsheet takes for a formula."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return line.getvalue()


def csv_values(values: dict[str, object]) -> list[object]:
    """Return what `as_object` gave in the order of `CSV_COLUMNS`."""
    return [values.get(name, "") for name in CSV_COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return f"'{text}" if text.startswith(_FORMULA) and _NUMBER.fullmatch(text) is None else text


def table(records: Sequence[CallRecord]) -> list[str]:
    """Return a list of calls for people, times in the zone of this machine."""
    rows = [_HEADINGS, *(_row(record) for record in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(record: CallRecord) -> tuple[str, ...]:
    return (
        _local(record.started_at),
        "in" if record.direction == "inbound" else "out",
        _short(record.from_number),
        _short(record.to_number),
        _short(record.agent),
        status_of(record),
        _duration(record.talk_s) if record.answered_at is not None else "-",
        record.id,
    )


def details(record: CallRecord) -> list[str]:
    """Return everything that is known of a call, for people."""
    ending, quality = record.ending, record.quality
    facts: list[tuple[str, object]] = [
        ("call", record.id),
        ("status", status_of(record)),
        ("direction", record.direction),
        ("from", record.from_number),
        ("to", record.to_number),
        ("name", record.name),
        ("number", record.number),
        ("trunk", record.trunk),
        ("agent", record.agent),
        ("started", _local(record.started_at)),
        ("ringing", _local(record.ringing_at)),
        ("answered", _local(record.answered_at)),
        ("ended", _local(record.ended_at)),
        ("talk", _duration(record.talk_s) if record.answered_at is not None else ""),
        ("ended by", f"{ending.by}: {ending.why}" if ending else ""),
        ("ending", f"{ending.word}, SIP {ending.status}, Q.850 {ending.q850}, fault: {ending.fault}" if ending else ""),
        ("codec", record.codec),
        (
            "quality",
            f"MOS {quality.mos}, loss {quality.loss_percent} %, jitter {quality.jitter_ms} ms" if quality else "",
        ),
        ("recording", f"{record.recording} ({_duration(record.recording_s)})" if record.recording else ""),
        ("external id", record.external_id),
        ("diversion", record.diversion),
        ("SIP Call-ID", record.sip_call_id),
    ]
    lines = [f"{name:<12} {_clean(str(value))}" for name, value in facts if value]
    lines += [f"{'why' if index == 0 else '':<12} {_clean(why)}" for index, why in enumerate(record.why)]
    lines += [f"{'variable':<12} {_clean(f'{name} = {value}')}" for name, value in (record.variables or {}).items()]
    for each in record.attempts:
        where, how = each.target or "no address", each.status or "under way"
        lines.append(f"{'attempt':<12} {_clean(f'{each.trunk} {where}: {how} {each.why}'.rstrip())}")
    for at, name, more in record.history:
        said = " ".join(f"{key}={value}" for key, value in more.items())
        lines.append(f"{_local(at)} {_clean(f'{name} {said}'.rstrip())}")
    return lines


def _local(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _short(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _clean(text: str) -> str:
    """Return text that does nothing to a terminal: a stranger may have written it."""
    return "".join("?" if unicodedata.category(each)[0] == "C" else each for each in text)
