"""Rows of trunks."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from sipflow.errors import StoreError
from sipflow.store import trunk_rows
from sipflow.store.database import Database
from sipflow.store.stored import StoredTrunk
from sipflow.store.tables import trunks
from tests.store.directories import PASSWORD, PBX, UNUSED, sqlite_database

__all__ = ["sqlite_database"]
AT = datetime(2026, 11, 21, tzinfo=UTC)


def trunk(name: str, *, more: dict[str, object] | None = None) -> StoredTrunk:
    return StoredTrunk.revived(name, replace(PBX, more=more or {"codecs": ["PCMA"]}), AT, None)


async def everything(database: Database) -> list[StoredTrunk]:
    async with database.read() as connection:
        return [each async for each in trunk_rows.read(connection, database.cipher)]


async def test_trunk_is_written_changed_and_removed(database: Database) -> None:
    first, second = trunk("a"), StoredTrunk.revived("b", UNUSED, AT, None)
    changed = replace(trunk("a", more={"codecs": ["PCMU"]}), updated_at=AT)
    async with database.write() as connection:
        await trunk_rows.put(connection, database, first)
        await trunk_rows.put(connection, database, second)
    before = await everything(database)
    async with database.write() as connection:
        await trunk_rows.put(connection, database, changed)
        await trunk_rows.remove(connection, "b")

    assert before == [first, second]
    assert await everything(database) == [changed]


async def test_password_is_encrypted_for_its_own_row(sqlite_database: Database) -> None:
    async with sqlite_database.write() as connection:
        await trunk_rows.put(connection, sqlite_database, trunk("a"))
        (row,) = await connection.execute(select(trunks))
        await connection.execute(update(trunks).values(name="b"))

    assert PASSWORD not in f"{row.fields}"
    assert PASSWORD.encode() not in row.password
    with pytest.raises(StoreError):
        await everything(sqlite_database)
