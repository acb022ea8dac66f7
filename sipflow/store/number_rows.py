"""Rows of numbers that the API created."""

from collections.abc import AsyncIterator

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.store.stored import StoredNumber
from sipflow.store.tables import numbers as table

_COPIED = ("friendly_name", "provider_name", "workspace_id", "trunk", "updated_at")


async def read(connection: AsyncConnection) -> AsyncIterator[StoredNumber]:
    """Give every number, the oldest first."""
    for row in await connection.execute(select(table).order_by(table.c.created_at, table.c.number)):
        yield StoredNumber(
            number=row.number,
            slug=row.slug,
            limits=row.limits or {},
            created_at=row.created_at,
            **{key: getattr(row, key) for key in _COPIED},
        )


async def add(connection: AsyncConnection, number: StoredNumber) -> None:
    """Insert a number."""
    await connection.execute(
        insert(table).values(
            number=number.number, slug=number.slug, created_at=number.created_at, **_values(number)
        )
    )  # fmt: skip


async def change(connection: AsyncConnection, number: StoredNumber) -> None:
    """Write what may change of a number."""
    await connection.execute(update(table).where(table.c.number == number.number).values(**_values(number)))


async def remove(connection: AsyncConnection, number: str) -> None:
    """Delete a number."""
    await connection.execute(delete(table).where(table.c.number == number))


def _values(number: StoredNumber) -> dict[str, object]:
    return {key: getattr(number, key) for key in _COPIED} | {"limits": dict(number.limits)}
