"""Secrets that sipflow makes for itself once, and keeps in the store, encrypted."""

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select

from sipflow.store.tables import settings as table

if TYPE_CHECKING:
    from sipflow.store.database import Database

_BYTES = 32


async def kept_secret(database: "Database", name: str) -> bytes:
    """Return the secret with this name; it is made when it is first asked for. All processes of a store get the same.

    Raises:
        StoreError: the store cannot be used, or its key is another one.
    """
    about = f"settings:{name}"
    query = select(table.c.value).where(table.c.name == name)
    async with database.read() as connection:
        found = (await connection.execute(query)).scalar()
    if found is None:
        made = database.cipher.encrypt(secrets.token_hex(_BYTES), about=about)
        async with database.write(durable=True) as connection:
            await connection.execute(database.insert(table).values(name=name, value=made).on_conflict_do_nothing())
            found = (await connection.execute(query)).scalar_one()
    return bytes.fromhex(database.cipher.decrypt(bytes(found), about=about))
