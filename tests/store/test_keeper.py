"""Books kept over a restart, with SQLite and with PostgreSQL."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from sipflow.errors import StoreError
from sipflow.store import tables
from sipflow.store.database import Database
from sipflow.store.keeper import Keeper, Kept, Key

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Page:
    """A book of two-column keys that remembers what it was given back."""

    def __init__(self) -> None:
        self.changed: dict[Key, Any] = {}
        self.kept: list[Kept] = []

    def take_changed(self) -> Mapping[Key, Any]:
        changed, self.changed = self.changed, {}
        return changed

    def put_back(self, keys: Iterable[Key]) -> None:
        self.changed |= dict.fromkeys(keys, "again")

    def restore(self, kept: Sequence[Kept]) -> None:
        self.kept += kept


def keeper(database: Database, page: Page, *, later_s: float = 0.0) -> Keeper:
    keep, at = timedelta(days=90), AT + timedelta(seconds=later_s)
    return Keeper(database, tables.pool_callees, page, what="a book", keep=keep, every_s=0.01, wall=lambda: at)


async def kept(database: Database, *, later_s: float = 0.0) -> list[Kept]:
    page = Page()
    await keeper(database, page, later_s=later_s).load()
    return page.kept


async def test_only_what_has_changed_is_written_and_read_with_its_age_the_latest_first(database: Database) -> None:
    page = Page()
    page.changed = {("sales", f"n{number}"): number for number in range(650)}
    await keeper(database, page).flush()
    page.changed = {("sales", "n7"): {"new": 7}, ("sales", "n8"): None, ("sales", "never"): None}
    await keeper(database, page, later_s=60.0).flush()
    await keeper(database, page, later_s=90.0).flush()
    found = await kept(database, later_s=100.0)

    assert (found[0], len(found)) == (Kept(("sales", "n7"), {"new": 7}, 40.0), 649)
    assert {each.age_s for each in found[1:]} == {100.0}
    assert {each.key[1] for each in found} == {f"n{number}" for number in range(650)} - {"n8"}


async def test_what_could_not_be_written_is_put_back(database: Database) -> None:
    page = Page()
    page.changed = {("sales", "n1"): 1, ("sales", "n2"): None}
    async with database.write() as connection:
        await connection.execute(text("alter table pool_callees rename to elsewhere"))
    with pytest.raises(StoreError):
        await keeper(database, page).flush()
    async with database.write() as connection:
        await connection.execute(text("alter table elsewhere rename to pool_callees"))

    assert page.changed == {("sales", "n1"): "again", ("sales", "n2"): "again"}


async def test_what_nobody_changes_for_long_is_forgotten(database: Database) -> None:
    page = Page()
    page.changed = {("sales", "n1"): 1}
    await keeper(database, page).flush()

    assert len(await kept(database, later_s=89 * 86_400.0)) == 1
    assert await kept(database, later_s=91 * 86_400.0) == []


async def test_what_changes_is_written_by_itself(database: Database) -> None:
    page = Page()
    page.changed = {("sales", "n1"): 1}
    running = asyncio.create_task(keeper(database, page).run())
    async with asyncio.timeout(10):
        while not await kept(database):  # noqa: ASYNC110  (a store tells nobody)
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
