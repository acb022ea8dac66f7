from datetime import timedelta
from pathlib import Path

import pytest

from sipflow.errors import Conflict, NotFound
from sipflow.numbers.inventory import Number
from sipflow.numbers.resting import Rest
from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.api.pooled import NOON, Pooled

A = "+12065550100"


async def test_the_desk_speaks_of_moments_in_wall_clock_and_of_agents_by_their_pool(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    pooled = Pooled([Number(A, outbound_agents=("sales",))])
    desk = await pooled.desk(database)
    own = desk.of_agent("sales")
    (found,) = desk.standings(own, limit=10, offset=0)
    none = desk.standings(own, limit=10, offset=1)
    with pytest.raises(Conflict):
        desk.of_agent("nobody")
    await database.close()

    assert (own.settings.name, found.number, none) == ("of agent sales", A, [])
    assert desk.at(1060.0) - NOON == timedelta(seconds=60)


async def test_a_number_is_woken_by_hand(sqlite_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    pooled = Pooled([Number(A)])
    desk = await pooled.desk(database)
    pooled.limits.book.use(A).health.rest(Rest(60.0, "because"), now=pooled.now)
    before = pooled.pools.named["house"].block_of(A, now=pooled.now, day=pooled.limits.day)
    desk.wake(A)
    with pytest.raises(NotFound):
        desk.wake("+12065550199")
    await database.close()

    assert before is not None
    assert pooled.pools.named["house"].block_of(A, now=pooled.now, day=pooled.limits.day) is None
