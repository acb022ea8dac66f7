"""Batches in transactions."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from sipflow.calls.record import CallRecord
from sipflow.errors import StoreError
from sipflow.store.batches import Batches
from sipflow.store.database import Database
from sipflow.store.journal_lines import Saved, over_line
from sipflow.store.tables import calls
from tests.store.records import over


def batch(*numbers: int) -> list[Saved]:
    return [Saved(over(number), over_line(over(number)), 0) for number in numbers]


async def ids(database: Database) -> list[str]:
    async with database.read() as connection:
        return sorted((await connection.execute(select(calls.c.id))).scalars())


async def test_what_goes_along_is_told_of_new_records_only(database: Database) -> None:
    told: list[list[str]] = []

    async def also(_connection: AsyncConnection, records: list[CallRecord]) -> None:
        told.append([record.id for record in records])

    batches = Batches(database)
    await batches.write(batch(1, 2), also)
    await batches.write(batch(2, 3), also)
    await batches.write(batch(3), also)

    assert told == [["call-1", "call-2"], ["call-3"]]
    assert await ids(database) == ["call-1", "call-2", "call-3"]


async def test_records_that_nothing_goes_along_with_are_written_without_asking(database: Database) -> None:
    told: list[list[str]] = []

    async def also(_connection: AsyncConnection, records: list[CallRecord]) -> None:
        told.append([record.id for record in records])

    batches = Batches(database, lambda record: record.id == "call-2")
    await batches.write(batch(1, 2, 3), also)
    await batches.write(batch(4), also)

    assert told == [["call-2"]]
    assert await ids(database) == ["call-1", "call-2", "call-3", "call-4"]


async def test_the_one_that_the_database_refuses_is_logged_whole_and_the_others_are_kept(database: Database) -> None:
    spoilt = batch(1, 2, 3, 4, 5)
    spoilt[3].record.direction = None  # type: ignore[assignment]  # NOT NULL

    with capture_logs() as logs:
        await Batches(database).write(spoilt, None)

    assert await ids(database) == ["call-1", "call-2", "call-3", "call-5"]
    assert [(line["call"], line["record"][:15]) for line in logs] == [("call-4", '{"id":"call-4",')]


async def test_a_database_that_is_not_as_it_should_be_refuses_no_record(database: Database) -> None:
    """A missing table or right is cured by somebody, and then everything is written."""
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE calls RENAME TO hidden"))
    try:
        with pytest.raises(StoreError):
            await Batches(database).write(batch(1), None)
    finally:
        async with database.write() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO calls"))
