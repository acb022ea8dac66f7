"""The keys of a store: whether it is the right one, and what happens when there is a new one."""

from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Table, select, update

from sipflow.errors import StoreError
from sipflow.store.secrets import Cipher
from sipflow.store.tables import agents, settings, trunks

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.store")
_CHECK = "key check"
_CHECK_ABOUT = f"settings:{_CHECK}"
# Every column with secrets: its table, its name, the name of the rows, what `about` begins with.
ENCRYPTED: tuple[tuple[Table, str, str, str], ...] = (
    (trunks, "password", "name", "trunks.password:"),
    (agents, "options", "model_id", "agents.options:"),
    (settings, "value", "name", "settings:"),
)


async def check_keys(database: "Database") -> None:
    """See that the keys are those of the store; encrypt everything with the newest one where that is new.

    Raises:
        StoreError: the store was written with another key.
    """
    query = select(settings.c.value).where(settings.c.name == _CHECK)
    async with database.read() as connection:
        found = await connection.scalar(query)
    if found is None:
        async with database.write(durable=True) as connection:
            made = database.cipher.encrypt("sipflow", about=_CHECK_ABOUT)
            await connection.execute(database.insert(settings).values(name=_CHECK, value=made).on_conflict_do_nothing())
            found = await connection.scalar(query)
    check = bytes(found or b"")
    try:
        database.cipher.decrypt(check, about=_CHECK_ABOUT)
    except StoreError:
        raise StoreError(
            f"the secrets in the store {database.place} were encrypted with another key than the one that is given: "
            "give the right one (SIPFLOW_STORE_KEY, store.encryption_key or the .key file beside the database); "
            "to change keys give the new one and the old one, see docs/store.md"
        ) from None
    if database.cipher.key_of(check) != database.cipher.newest:
        await _rotate(database)


async def _rotate(database: "Database") -> None:
    async with database.write(durable=True) as connection:
        changed = [await _rotate_column(connection, database.cipher, *each) for each in ENCRYPTED]
    log.info("the secrets in the store were encrypted with the new key: the old one may go", secrets=sum(changed))


async def _rotate_column(
    connection: "AsyncConnection", cipher: Cipher, table: Table, column: str, name: str, about: str
) -> int:
    """Encrypt what an older key encrypted once more; return how much that was."""
    rows: Any = (await connection.execute(select(table.c[name], table.c[column]))).all()
    changed = 0
    for key, value in rows:
        if value is None or not cipher.is_old(bytes(value)):
            continue
        text = cipher.decrypt(bytes(value), about=about + key)
        fresh = cipher.encrypt(text, about=about + key)
        await connection.execute(update(table).where(table.c[name] == key).values({column: fresh}))
        changed += 1
    return changed
