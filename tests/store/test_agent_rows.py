"""Rows of agents."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import select

from sipflow.store import agent_rows
from sipflow.store.database import Database
from sipflow.store.entries import AgentEntry
from sipflow.store.tables import agents

AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "key-of-the-agent-17"
FIELDS = {"agent": {"timezone": "Europe/Berlin"}, "external_webhook_url": None}
ONE = AgentEntry("1", "Desk", "inbound", "stream", {"api_key": KEY, "headers": {"X": [1, None]}}, FIELDS, False, AT)


async def test_agent_is_written_changed_and_removed_and_its_options_are_encrypted(database: Database) -> None:
    changed = replace(ONE, name="Reception", options={}, updated_at=AT)
    async with database.write() as connection:
        await agent_rows.put(connection, database, ONE)
        (row,) = await connection.execute(select(agents))
        before = [each async for each in agent_rows.read(connection, database.cipher)]
        await agent_rows.put(connection, database, changed)
        after = [each async for each in agent_rows.read(connection, database.cipher)]
        await agent_rows.remove(connection, "1")
        gone = [each async for each in agent_rows.read(connection, database.cipher)]

    assert (before, after, gone) == ([ONE], [changed], [])
    assert KEY.encode() not in row.options
