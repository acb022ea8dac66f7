"""Rows that say which agent has which number. One agent answers a number: the database sees to it."""

from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.store.tables import attachments as table


async def read(connection: AsyncConnection) -> AsyncIterator[tuple[str, str, str]]:
    """Give number, agent and role of each, the oldest first."""
    order = (table.c.created_at, table.c.number, table.c.agent)
    for row in await connection.execute(select(table).order_by(*order)):
        yield row.number, row.agent, row.role


async def add(connection: AsyncConnection, number: str, agent: str, role: str, now: datetime) -> None:
    """Insert one.

    Raises:
        IntegrityError: another agent answers the number, or this one has it in this role.
    """
    await connection.execute(insert(table).values(number=number, agent=agent, role=role, created_at=now))


async def remove(connection: AsyncConnection, number: str, agent: str, role: str) -> None:
    """Delete one."""
    its = (table.c.number == number) & (table.c.agent == agent) & (table.c.role == role)
    await connection.execute(delete(table).where(its))


async def remove_number(connection: AsyncConnection, number: str) -> None:
    """Delete all of a number."""
    await connection.execute(delete(table).where(table.c.number == number))


async def remove_agent(connection: AsyncConnection, agent: str) -> None:
    """Delete all of an agent."""
    await connection.execute(delete(table).where(table.c.agent == agent))
