"""One page of calls out of two lists: the live ones in memory and the finished ones in the store, newest first."""

from collections.abc import Sequence
from datetime import datetime

from sipflow.api.models.call_records import talk_s
from sipflow.calls.record import CallRecord
from sipflow.calls.status import status_of
from sipflow.store.calls import CallFilter


def order_of(record: CallRecord) -> tuple[datetime, str]:
    """What calls are listed by, descending; the id settles what began at the same moment."""
    return record.started_at, record.id


def stored_range(live: int, limit: int, offset: int) -> tuple[int, int]:
    """Return limit and offset of the finished calls that can be on a page, where so many live ones are listed too."""
    first = max(0, offset - live)
    return offset + limit - first, first


def merge(live: Sequence[CallRecord], stored: Sequence[CallRecord], *, limit: int, offset: int) -> list[CallRecord]:
    """Return the page of both lists together; `stored` is what `stored_range` asks for.

    Of the calls before `stored`, however many are live, none is on the page: so counting can begin there.
    """
    first = max(0, offset - len(live))
    known = {record.id for record in stored}  # a call may end between two looks
    both = [record for record in live if record.id not in known]
    both += stored
    both.sort(key=order_of, reverse=True)
    return both[offset - first : offset - first + limit]


def lets_through(wanted: CallFilter, record: CallRecord, *, now: datetime, status: str = "") -> bool:
    """Whether a live call is one of those that are wanted; of finished ones the store knows."""
    outbound = record.direction == "outbound"
    asked = (
        (wanted.agent, record.agent),
        (wanted.status, status or status_of(record)),
        (wanted.direction, record.direction),
        (wanted.trunk, record.trunk),
        (wanted.word, ""),
        (wanted.lead_number, record.to_number if outbound else record.from_number),
    )
    if any(value and value != found for value, found in asked):
        return False
    numbers = (record.number, record.from_number, record.to_number)
    if wanted.number and wanted.number not in numbers:
        return False
    text = wanted.text.casefold()
    if text and not any(text in found.casefold() for found in (*numbers, record.id, record.sip_call_id)):
        return False
    return _in_time(wanted, record) and _as_long(wanted, talk_s(record, now))


def _in_time(wanted: CallFilter, record: CallRecord) -> bool:
    after = wanted.from_at is None or record.started_at >= wanted.from_at
    return after and (wanted.to_at is None or record.started_at < wanted.to_at)


def _as_long(wanted: CallFilter, seconds: float) -> bool:
    longer = wanted.duration_min_s is None or seconds >= wanted.duration_min_s
    return longer and (wanted.duration_max_s is None or seconds <= wanted.duration_max_s)
