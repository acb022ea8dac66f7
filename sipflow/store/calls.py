"""Reads records of calls: one, a page of those that a filter lets through, or all of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.calls.record import CallRecord, Happening
from sipflow.store.call_rows import fitted
from sipflow.store.database import Database
from sipflow.store.record_json import from_json, history_from
from sipflow.store.tables import calls as table

_PART = 200  # records read at a time by who wants them all
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; what is None or "" is not asked for.

    Attributes:
        agent, status, direction, trunk, word: as records and `calls.status` say them.
        number: of ours, or either party's.
        lead_number: of the person: who calls us, or whom we call.
        from_at, to_at: began then or later, and before then.
        duration_min_s, duration_max_s: seconds from answer to end, both ends included.
        text: a part of a number, an id or a SIP Call-ID.
    """

    agent: str = ""
    status: str = ""
    direction: str = ""
    trunk: str = ""
    word: str = ""
    number: str = ""
    lead_number: str = ""
    from_at: datetime | None = None
    to_at: datetime | None = None
    duration_min_s: float | None = None
    duration_max_s: float | None = None
    text: str = ""


_ALL = CallFilter()


class CallRecords:
    """The records of finished calls in a database. Each of its functions raises StoreError when that is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, id: str) -> CallRecord | None:
        """Return a record with its history, None where there is none."""
        async with self._database.read() as connection:
            found = await connection.execute(
                select(table.c.record, table.c.history).where(table.c.id == fitted(id, 80))
            )
            row = found.first()
        return None if row is None else _record(row)

    async def page(
        self, wanted: CallFilter = _ALL, *, limit: int = 20, offset: int = 0
    ) -> tuple[int, list[CallRecord]]:
        """Return how many there are and some of them, newest first, without their histories."""
        conditions = _conditions(wanted)
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(table).where(*conditions))
            found = await connection.execute(
                select(table.c.record)
                .where(*conditions)
                .order_by(table.c.started_at.desc(), table.c.id.desc())
                .limit(limit)
                .offset(offset)
            )
            return int(total or 0), [from_json(text) for (text,) in found]

    async def events(self, id: str) -> list[Happening]:
        """Return what happened in a call, in order; nothing where there is no such call."""
        async with self._database.read() as connection:
            lines = await connection.scalar(select(table.c.history).where(table.c.id == fitted(id, 80)))
        return list(history_from(lines or ()))

    async def each(self, wanted: CallFilter = _ALL) -> AsyncIterator[CallRecord]:
        """Yield all of them with their histories, newest first, however many they are.

        They are read part by part: a call that ends meanwhile may be in it or not, and no other is left out.
        """
        conditions = _conditions(wanted)
        after: list[ColumnElement[bool]] = []
        while True:
            async with self._database.read() as connection:
                rows = await _part(connection, [*conditions, *after])
            for row in rows:
                yield _record(row)
            if len(rows) < _PART:
                return
            last = rows[-1]
            after = [tuple_(table.c.started_at, table.c.id) < (last.started_at, last.id)]


async def _part(connection: AsyncConnection, conditions: Sequence[ColumnElement[bool]]) -> Sequence[Any]:
    found = await connection.execute(
        select(table.c.record, table.c.history, table.c.started_at, table.c.id)
        .where(*conditions)
        .order_by(table.c.started_at.desc(), table.c.id.desc())
        .limit(_PART)
    )
    return found.all()


def _record(row: Any) -> CallRecord:
    record = from_json(row.record)
    record.history = history_from(row.history)
    return record


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    columns = table.c
    found = [
        columns[name] == fitted(value, 200)
        for name in ("agent", "status", "direction", "trunk", "word", "lead_number")
        if (value := getattr(wanted, name))
    ]
    if wanted.number:
        number = fitted(wanted.number, 200)
        found.append(or_(columns.number == number, columns.from_number == number, columns.to_number == number))
    if wanted.from_at is not None:
        found.append(columns.started_at >= wanted.from_at)
    if wanted.to_at is not None:
        found.append(columns.started_at < wanted.to_at)
    if wanted.duration_min_s is not None:
        found.append(columns.duration_s >= wanted.duration_min_s)
    if wanted.duration_max_s is not None:
        found.append(columns.duration_s <= wanted.duration_max_s)
    if wanted.text:
        found.append(_has(fitted(wanted.text, 400)))
    return [and_(*found)] if found else []


def _has(text: str) -> ColumnElement[bool]:
    for character in (_ESCAPE, "%", "_"):
        text = text.replace(character, _ESCAPE + character)
    names = ("id", "sip_call_id", "from_number", "to_number", "number")
    return or_(*(table.c[name].ilike(f"%{text}%", escape=_ESCAPE) for name in names))
