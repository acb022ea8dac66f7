import asyncio
from pathlib import Path

from sqlalchemy import select

from sipflow.store.database import Database
from sipflow.store.kept_secret import kept_secret
from sipflow.store.settings import Settings
from sipflow.store.tables import settings as table


async def test_a_secret_is_made_once_and_is_the_same_after_a_restart(store_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(store_settings, folder=tmp_path)
    first, again, other = await asyncio.gather(*(kept_secret(database, name) for name in ("one", "one", "two")))
    async with database.read() as connection:
        stored = [bytes(value) for value in (await connection.execute(select(table.c.value))).scalars()]
    await database.close()
    reopened = await Database.open(store_settings, folder=tmp_path)
    later = await kept_secret(reopened, "one")
    await reopened.close()

    assert first == again == later
    assert len(first) == 32
    assert other != first
    assert not any(first.hex().encode() in value or first in value for value in stored)
