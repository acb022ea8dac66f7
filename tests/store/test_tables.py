"""The tables."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from sipflow.store.database import Database
from sipflow.store.tables import metadata, number_use

MOMENT = datetime(2024, 5, 1, 12, 0, 0, 250, tzinfo=UTC)


async def test_a_time_of_any_zone_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    tokyo = MOMENT.astimezone(timezone(timedelta(hours=9)))
    async with database.write() as connection:
        await connection.execute(insert(number_use).values(number="1", state={}, updated_at=tokyo))

    async with database.read() as connection:
        found = (await connection.execute(select(number_use.c.updated_at))).scalar_one()
        later = await connection.execute(select(number_use).where(number_use.c.updated_at > tokyo))
    assert (found, found.tzinfo) == (MOMENT, UTC)
    assert later.all() == []


async def test_a_time_without_zone_is_refused(database: Database) -> None:
    statement = insert(number_use).values(number="1", state={}, updated_at=MOMENT.replace(tzinfo=None))

    async with database.read() as connection:
        with pytest.raises(StatementError, match="has no time zone"):
            await connection.execute(statement)


def test_every_table_has_a_key() -> None:
    assert [table.name for table in metadata.tables.values() if not table.primary_key.columns] == []
