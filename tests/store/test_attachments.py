"""Rows that say who has which number."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from sipflow.store import attachments
from sipflow.store.database import Database

AT = datetime(2026, 11, 21, tzinfo=UTC)
ROWS = [("+1", "a", "inbound"), ("+1", "a", "outbound"), ("+1", "b", "outbound"), ("+2", "a", "inbound")]


async def test_attachments_are_removed_one_by_one_by_number_and_by_agent(database: Database) -> None:
    async with database.write() as connection:
        for row in ROWS:
            await attachments.add(connection, *row, AT)
        every = [each async for each in attachments.read(connection)]
        await attachments.remove(connection, *ROWS[0])
        await attachments.remove_agent(connection, "b")
        some = [each async for each in attachments.read(connection)]
        await attachments.remove_number(connection, "+1")
        one = [each async for each in attachments.read(connection)]

    assert (every, some, one) == (ROWS, [ROWS[1], ROWS[3]], [ROWS[3]])


async def test_database_lets_one_agent_answer_a_number_and_many_call_from_it(database: Database) -> None:
    async with database.write() as connection:
        await attachments.add(connection, "+1", "a", "inbound", AT)
        await attachments.add(connection, "+1", "b", "outbound", AT)
        await attachments.add(connection, "+1", "c", "outbound", AT)
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await attachments.add(connection, "+1", "b", "inbound", AT)
