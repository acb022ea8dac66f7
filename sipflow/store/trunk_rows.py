"""Rows of trunks that the API created. Passwords are encrypted, each for its own row."""

from collections.abc import AsyncIterator

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.store.database import Database
from sipflow.store.secrets import Cipher
from sipflow.store.stored import StoredTrunk
from sipflow.store.tables import trunks as table
from sipflow.trunks.fields import from_json, to_json


def _about(name: str) -> str:
    return f"trunks.password:{name}"


async def read(connection: AsyncConnection, cipher: Cipher) -> AsyncIterator[StoredTrunk]:
    """Give every trunk, the oldest first.

    Raises:
        StoreError: a password cannot be decrypted.
    """
    for row in await connection.execute(select(table).order_by(table.c.created_at, table.c.name)):
        password = cipher.decrypt(row.password, about=_about(row.name)) if row.password is not None else ""
        given = from_json(row.fields, password=password)
        yield StoredTrunk.revived(row.name, given, row.created_at, row.updated_at)


async def put(connection: AsyncConnection, database: Database, trunk: StoredTrunk) -> None:
    """Insert a trunk, or change it."""
    password = trunk.fields.password
    values = {
        "fields": to_json(trunk.fields),
        "password": database.cipher.encrypt(password, about=_about(trunk.name)) if password else None,
        "updated_at": trunk.updated_at,
    }
    insert = database.insert(table).values(name=trunk.name, created_at=trunk.created_at, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=[table.c.name], set_=values))


async def remove(connection: AsyncConnection, name: str) -> None:
    """Delete a trunk."""
    await connection.execute(delete(table).where(table.c.name == name))
