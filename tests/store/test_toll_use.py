"""What is used of toll budgets over a restart, with SQLite and with PostgreSQL."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from sipflow.calls.routes import Router
from sipflow.calls.toll_rules import Budget, TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.errors import LimitReached
from sipflow.numbers.inventory import Inventory
from sipflow.numbers.use import Day
from sipflow.store.database import Database
from sipflow.store.keeper import Keeper
from sipflow.store.tables import toll_use
from sipflow.store.toll_use import KEEP, TollUse
from sipflow.trunks.table import TrunkTable

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = TollSettings(each_token=Budget(calls_per_day=2))


def tolls(*, today: int = 1) -> Tolls:
    router = Router(TrunkTable(secret=b"0123456789abcdef"), Inventory())
    return Tolls(SETTINGS, router, clock=lambda: 1000.0, day=lambda: Day(today, 5000.0))


def keeper(database: Database, of: Tolls, *, later: timedelta = timedelta()) -> Keeper:
    budgets = "the use of toll budgets"
    return Keeper(database, toll_use, TollUse(of), what=budgets, keep=KEEP, wall=lambda: AT + later)


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


async def test_what_is_old_is_deleted(database: Database) -> None:
    used = tolls()
    used.take("a", "", token="mine")
    await keeper(database, used).flush()
    await keeper(database, tolls(), later=timedelta(days=2)).load()
    kept = await states(database)
    await keeper(database, tolls(), later=timedelta(days=4)).load()

    assert (list(kept), await states(database)) == (["tolls.each_token.mine"], {})


async def states(database: Database) -> Mapping[str, object]:
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT name, state FROM toll_use"))).all()
    return {row.name: json.loads(row.state) if isinstance(row.state, str) else row.state for row in rows}
