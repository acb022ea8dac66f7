"""The directory's rows as a whole: turns, revisions, and what is undone."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from sipflow.errors import Conflict
from sipflow.store import attachments
from sipflow.store.database import Database
from sipflow.store.rows import Change, Rows
from sipflow.store.stored import Stored

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = "+12065550111"


async def test_every_change_counts_and_old_knowledge_is_read_again(database: Database) -> None:
    rows = Rows(database)
    known = await rows.load()
    async with rows.changing(known) as change:
        await change.attach(ONE, "a", "inbound", AT)
    async with rows.changing(known) as change:
        seen = dict(change.stored.attached)
        await change.attach(ONE, "b", "outbound", AT)

    assert (known.attached, seen) == ({}, {ONE: (("a", "inbound"),)})
    assert (known.revision, await rows.revision()) == (1, 3)
    assert (await rows.load()).attached == {ONE: (("a", "inbound"), ("b", "outbound"))}


async def test_change_that_raises_is_undone(database: Database) -> None:
    rows = Rows(database)
    known = await rows.load()

    async def fail() -> None:
        async with rows.changing(known) as change:
            await change.attach(ONE, "a", "inbound", AT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await rows.load() == known == Stored(1)


async def test_changes_take_turns(database: Database) -> None:
    rows = Rows(database)
    known = await rows.load()

    async def attach(agent: str) -> Change:
        async with rows.changing(known) as change:
            await change.attach(ONE, agent, "outbound", AT)
            return change

    await asyncio.gather(*(attach(f"agent {index}") for index in range(10)))

    assert await rows.revision() == 11
    assert len((await rows.load()).attached[ONE]) == 10


async def test_second_inbound_agent_is_a_conflict_even_past_the_directory(database: Database) -> None:
    rows = Rows(database)
    known = await rows.load()
    async with database.write() as connection:
        await attachments.add(connection, ONE, "a", "inbound", AT)

    with pytest.raises(Conflict, match="has an agent already"):
        async with rows.changing(known) as change:
            await change.attach(ONE, "b", "inbound", AT)

    assert (await rows.load()).attached == {ONE: (("a", "inbound"),)}


async def test_a_change_asks_the_database_twice_and_nobody_else_waits_longer(database: Database) -> None:
    rows = Rows(database)
    known = await rows.load()
    said: list[str] = []
    event.listen(database._writer.sync_engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    async with rows.changing(known) as change:
        await change.attach(ONE, "a", "inbound", AT)

    assert [" ".join(text.split()[:3]) for text in said if "BEGIN" not in text] == [
        "UPDATE settings SET",
        "INSERT INTO attachments",
    ]
