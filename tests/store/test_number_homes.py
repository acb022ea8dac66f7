"""Homes of numbers, with SQLite and with PostgreSQL."""

from datetime import UTC, datetime

from sipflow.store.database import Database
from sipflow.store.number_homes import Home, read_home, write_homes

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_what_was_found_out_last_is_read(database: Database) -> None:
    await write_homes(database, {}, AT)
    await write_homes(database, {"+1206": Home("WA", "Seattle"), "+49": Home("", "")}, AT)
    await write_homes(database, {"+1206": Home("WA", "x" * 300)}, AT)

    assert await read_home(database, "+1206") == Home("WA", "x" * 200)
    assert await read_home(database, "+49") == Home("", "")
    assert await read_home(database, "+33") is None
