"""Records of calls as rows, and the statements that write them: many at a time, past everything that costs time."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from sipflow.calls.record import CallRecord
from sipflow.calls.status import status_of
from sipflow.store.journal_lines import Saved
from sipflow.store.record_json import in_utc, time_text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_CALLS = (
    "id", "direction", "status", "agent", "trunk", "number", "from_number", "to_number", "lead_number", "sip_call_id",
    "word", "sip_status", "started_at", "answered_at", "ended_at", "duration_s", "recording", "record", "history",
)  # fmt: skip
_TEXTS = ("id", "agent", "trunk", "number", "from_number", "to_number", "sip_call_id", "recording")
_NAME, _LONGEST = 200, 4000  # characters
_MOST_IDS = 500  # in one statement; SQLite has a limit
_ROWS_AT_A_TIME = 50  # half a millisecond
# In one statement of SQLite, which is carried out without Python's lock: that is let go of and taken again for each
# statement. Times columns, less than the 999 values that any SQLite takes.
_TOGETHER = 50


class Rows:
    """Writes rows of one kind of database."""

    def __init__(self, *, sqlite: bool) -> None:
        self._time: Callable[[datetime], object] = _sqlite_time if sqlite else in_utc
        self._mark = "?" if sqlite else "$"
        update = ", ".join(f"{name} = excluded.{name}" for name in _CALLS[1:])
        insert = f"INSERT INTO calls ({', '.join(_CALLS)}) VALUES "  # noqa: S608  (our names)
        marks, update = f"({self._marks(_CALLS)})", f" ON CONFLICT (id) DO UPDATE SET {update}"
        self._insert = insert + marks + update
        self._insert_many = insert + ", ".join([marks] * _TOGETHER) + update

    async def write(self, connection: "AsyncConnection", batch: Sequence[Saved]) -> None:
        """Write records; one that is there already is replaced."""
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(batch), _ROWS_AT_A_TIME):
            if start:
                await asyncio.sleep(0)  # calls and their audio go first
            rows += [each.row or self._row(each) for each in batch[start : start + _ROWS_AT_A_TIME]]
        if self._mark == "?" and len(rows) >= _TOGETHER:
            whole = len(rows) - len(rows) % _TOGETHER
            parts = [
                tuple(chain.from_iterable(rows[start : start + _TOGETHER])) for start in range(0, whole, _TOGETHER)
            ]
            await connection.exec_driver_sql(self._insert_many, parts)
            rows = rows[whole:]
        if rows:
            await connection.exec_driver_sql(self._insert, rows)

    async def known(self, connection: "AsyncConnection", ids: Sequence[str]) -> set[str]:
        """Return those of these calls that the database has."""
        found: set[str] = set()
        for start in range(0, len(ids), _MOST_IDS):
            part = tuple(ids[start : start + _MOST_IDS])
            statement = f"SELECT id FROM calls WHERE id IN ({self._marks(part)})"  # noqa: S608  (marks only)
            rows = await connection.exec_driver_sql(statement, part)
            found.update(row[0] for row in rows)
        return found

    def _marks(self, values: Iterable[object]) -> str:
        if self._mark == "?":
            return ", ".join("?" for _ in values)
        return ", ".join(f"${number}" for number, _ in enumerate(values, 1))

    def _row(self, saved: Saved) -> tuple[Any, ...]:
        _, text, history = saved.line.decode("ascii").split("\t")
        return self.row(saved.record, text, history)

    def row(self, record: CallRecord, text: str, history: str) -> tuple[Any, ...]:
        """Return the row of a record.

        Args:
            text, history: of it, as JSON.
        """
        time = self._time
        if "\\u" in text:  # as JSON has what no ASCII is
            record = _plain(record)
        ending, answered_at, ended_at = record.ending, record.answered_at, record.ended_at
        from_number, to_number = record.from_number[:_NAME], record.to_number[:_NAME]
        return (
            record.id[:80],
            record.direction,
            status_of(record),
            record.agent[:80],
            record.trunk[:80],
            record.number[:40],
            from_number,
            to_number,
            to_number if record.direction == "outbound" else from_number,
            record.sip_call_id[:400],
            ending.word.value if ending is not None else None,
            ending.status if ending is not None else None,
            time(record.started_at),
            time(answered_at) if answered_at is not None else None,
            time(ended_at) if ended_at is not None else None,
            record.talk_s if answered_at is not None else 0.0,
            record.recording[:4000] or None,
            text,
            history,
        )


def _plain(record: CallRecord) -> CallRecord:
    """Return a record whose texts every database takes."""
    plain = copy(record)
    for name in _TEXTS:
        setattr(plain, name, fitted(getattr(record, name), _LONGEST))
    return plain


def fitted(text: str, length: int) -> str:
    """Return a text that every database takes: not longer than its column, without NUL and broken characters."""
    if len(text) > length:
        text = text[:length]
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _sqlite_time(at: datetime) -> str:
    """Return a time as SQLAlchemy keeps it in SQLite, which has no type for it."""
    text = time_text(at)
    return f"{text[:10]} {text[11:26] if at.microsecond else f'{text[11:19]}.000000'}"
