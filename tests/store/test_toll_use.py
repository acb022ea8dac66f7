"""What is used of toll budgets over a restart, with SQLite and with PostgreSQL."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from sipflow.calls.routes import Router
from sipflow.calls.toll_rules import Budget, TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.errors import LimitReached, StoreError
from sipflow.numbers.inventory import Inventory
from sipflow.numbers.use import Day
from sipflow.store.database import Database
from sipflow.store.toll_use import TollUseKeeper
from sipflow.trunks.table import TrunkTable

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = TollSettings(each_token=Budget(calls_per_day=2))


def tolls(*, today: int = 1) -> Tolls:
    router = Router(TrunkTable(secret=b"0123456789abcdef"), Inventory())
    return Tolls(SETTINGS, router, clock=lambda: 1000.0, day=lambda: Day(today, 5000.0))


def keeper(database: Database, of: Tolls, *, later: timedelta = timedelta()) -> TollUseKeeper:
    return TollUseKeeper(database, of, wall=lambda: AT + later)


async def test_a_used_up_budget_stays_used_up_after_a_restart(database: Database) -> None:
    used = tolls()
    mine = keeper(database, used)
    for call in range(900):
        used.take(f"a{call}", "", token=f"token-{call % 450}")
        if call == 449:
            await mine.flush()
    await mine.flush()
    await mine.flush()
    again, tomorrow = tolls(), tolls(today=2)
    for each in (again, tomorrow):
        await keeper(database, each).load()

    for number in (0, 449):
        with pytest.raises(LimitReached, match="the budget of token token-"):
            again.take("one more", "", token=f"token-{number}")
        tomorrow.take(f"one more {number}", "", token=f"token-{number}")


async def test_what_could_not_be_written_is_written_the_next_time(database: Database) -> None:
    used = tolls()
    used.take("a", "", token="mine")
    mine = keeper(database, used)
    async with database.write() as connection:
        await connection.execute(text("alter table toll_use rename to elsewhere"))
    try:
        with pytest.raises(StoreError):
            await mine.flush()
    finally:
        async with database.write() as connection:
            await connection.execute(text("alter table elsewhere rename to toll_use"))
    await mine.flush()

    assert await states(database) == {"tolls.each_token.mine": {"day": 1, "calls": 1, "talked_s": 0.0}}


async def test_what_is_old_is_deleted(database: Database) -> None:
    used = tolls()
    used.take("a", "", token="mine")
    await keeper(database, used).flush()
    await keeper(database, tolls(), later=timedelta(days=2)).load()
    kept = await states(database)
    await keeper(database, tolls(), later=timedelta(days=4)).load()

    assert (list(kept), await states(database)) == (["tolls.each_token.mine"], {})


async def test_it_is_written_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipflow.store.toll_use._EVERY_S", 0.01)
    used = tolls()
    used.take("a", "", token="mine")
    running = asyncio.create_task(keeper(database, used).run())
    try:
        async with asyncio.timeout(10):
            while not await states(database):  # noqa: ASYNC110  (a store tells nobody)
                await asyncio.sleep(0.01)
    finally:
        running.cancel()


async def states(database: Database) -> Mapping[str, object]:
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT name, state FROM toll_use"))).all()
    return {row.name: json.loads(row.state) if isinstance(row.state, str) else row.state for row in rows}
