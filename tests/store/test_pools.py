"""Pools in the store, with SQLite and with PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from sipflow.errors import Conflict, NotFound
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import RestSettings
from sipflow.numbers.use import Caps
from sipflow.store.database import Database
from sipflow.store.pools import PoolEntry, PoolShelf

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHOLE = PoolSettings(
    "sales",
    ("sticky", "same_area", "same_country", "least_recently_used"),
    (Member("+12065550101", 2.5, Caps(max_calls=2)), Member("+12065550100"), Member("+1312*")),
    Caps(1, 0.5, 150),
    RestSettings(enabled=False, for_s=60.0, share=0.2),
    500,
)
DECLARED = {"house": PoolSettings("house", members=(Member("+12065550100"),))}


def shelf(database: Database, **fields: object) -> PoolShelf:
    return PoolShelf(database, declared=lambda: DECLARED, wall=lambda: AT, **fields)  # type: ignore[arg-type]


async def test_a_pool_is_read_as_it_was_written(database: Database) -> None:
    first = shelf(database)
    told: list[list[str]] = []
    first.on_change = lambda: told.append(list(first.stored))
    made = await first.add(WHOLE)
    again = shelf(database)
    await again.load()

    assert made == PoolEntry(WHOLE, False, AT)
    assert again.find("sales") == made
    assert dict(again.stored) == {"sales": WHOLE}
    assert told == [["sales"]]


async def test_a_pool_is_changed_as_a_whole(database: Database) -> None:
    first = shelf(database)
    await first.add(WHOLE)
    other = PoolSettings("sales", ("weighted",), (Member("+12065550100", 3.0),))
    changed = await first.change("sales", lambda _old: other)
    again = shelf(database)
    await again.load()

    assert again.find("sales") == changed == PoolEntry(other, False, AT, AT)


async def test_a_pool_that_is_deleted_is_gone_with_its_members(database: Database) -> None:
    first = shelf(database)
    await first.add(WHOLE)
    await first.remove("sales")
    async with database.read() as connection:
        members = await connection.scalar(text("select count(*) from pool_members"))

    assert (members, first.list()) == (0, (1, [PoolEntry(DECLARED["house"], declared=True)]))
    with pytest.raises(NotFound, match="there is no pool 'sales'"):
        first.find("sales")


async def test_names_are_taken_once(database: Database) -> None:
    first, beside = shelf(database), shelf(database)
    await first.add(WHOLE)
    for taken, whose in ((WHOLE, first), (WHOLE, beside), (DECLARED["house"], first)):  # beside: another process
        with pytest.raises(Conflict, match=r"there is a pool .* already"):
            await whose.add(taken)


async def test_what_the_configuration_declares_is_changed_there(database: Database) -> None:
    first = shelf(database)
    for change in (first.change("house", lambda old: old), first.remove("house")):
        with pytest.raises(Conflict, match="pool 'house' is declared in the configuration, and is changed there"):
            await change


async def test_a_pool_that_an_agent_calls_from_stays(database: Database) -> None:
    first = shelf(database, agents_of=lambda name: ("desk",))
    await first.add(WHOLE)
    with pytest.raises(Conflict, match="pool 'sales' cannot go: desk would have no numbers to call from"):
        await first.remove("sales")


async def test_a_pool_is_not_deleted_while_an_agent_is_told_to_call_from_it(database: Database) -> None:
    agents: list[str] = []
    first = shelf(database, agents_of=lambda _name: tuple(agents))
    await first.add(WHOLE)
    async with first.staying("sales"):
        removing = asyncio.create_task(first.remove("sales"))
        await asyncio.sleep(0)
        agents.append("desk")
    with pytest.raises(Conflict, match="pool 'sales' cannot go: desk would have no numbers to call from"):
        await removing
    with pytest.raises(NotFound, match="there is no pool 'other'"):
        async with first.staying("other"):
            pass


async def test_a_pool_that_another_process_deleted_cannot_be_changed(database: Database) -> None:
    first, beside = shelf(database), shelf(database)
    await first.add(WHOLE)
    await beside.load()
    await beside.remove("sales")
    with pytest.raises(NotFound, match="there is no pool 'sales' any more"):
        await first.change("sales", lambda old: old)


async def test_changes_at_once_each_find_what_the_others_have_left(database: Database) -> None:
    first = shelf(database)
    await first.add(PoolSettings("sales", members=(Member("+12065550100"),)))
    changes: list[dict[str, Any]] = [{"remember": 7}, {"strategy": ("weighted",)}, {"caps": Caps(calls_per_day=9)}]
    await asyncio.gather(*(first.change("sales", lambda old, its=each: replace(old, **its)) for each in changes))  # type: ignore[misc]
    again = shelf(database)
    await again.load()

    whole = PoolSettings("sales", ("weighted",), (Member("+12065550100"),), Caps(calls_per_day=9), remember=7)
    assert (first.find("sales").settings, again.find("sales").settings) == (whole, whole)


async def test_declared_pools_come_first_and_hide_those_of_their_name(database: Database) -> None:
    first = PoolShelf(database)
    await first.add(PoolSettings("house", members=(Member("+12065550199"),)))
    await first.add(WHOLE)
    first.declared = lambda: DECLARED

    assert [(entry.settings.name, entry.declared) for entry in first.list()[1]] == [("house", True), ("sales", False)]
    assert first.list(limit=1, offset=1)[1] == [first.find("sales")]
    assert first.find("house").settings == DECLARED["house"]


async def test_a_pool_that_cannot_be_used_any_more_is_left_out(database: Database) -> None:
    first = shelf(database)
    await first.add(WHOLE)
    await first.add(PoolSettings("good", members=(Member("+12065550100"),)))
    async with database.write() as connection:
        await connection.execute(text("""update pools set settings = '{"strategy": ["fair"]}' where name = 'sales'"""))
    again = shelf(database)
    await again.load()

    assert list(again.stored) == ["good"]


async def test_ten_thousand_numbers_are_kept(database: Database) -> None:
    many = PoolSettings("many", members=tuple(Member(f"+1206{index:07d}") for index in range(10_000)))
    await shelf(database).add(many)
    again = shelf(database)
    await again.load()

    assert again.find("many").settings == many
