"""Rows of numbers."""

from dataclasses import replace
from datetime import UTC, datetime

from sipflow.store import number_rows
from sipflow.store.database import Database
from sipflow.store.stored import StoredNumber

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = StoredNumber("+12065550111", "12065550111", "Line 4", "custom", "w1", "pbx", {"max_calls": 2}, AT)
TWO = StoredNumber("4711", "4711", "", "zoom", "", None, {}, AT)


async def test_number_is_written_changed_and_removed(database: Database) -> None:
    changed = replace(ONE, friendly_name="Line 5", trunk=None, limits={}, updated_at=AT)
    async with database.write() as connection:
        await number_rows.add(connection, TWO)
        await number_rows.add(connection, ONE)
        before = [each async for each in number_rows.read(connection)]
        await number_rows.change(connection, changed)
        await number_rows.remove(connection, TWO.number)
    async with database.read() as connection:
        after = [each async for each in number_rows.read(connection)]

    assert (before, after) == ([ONE, TWO], [changed])
