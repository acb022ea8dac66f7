"""Brings the tables of a database up to date."""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from sipflow.errors import StoreError
from sipflow.store.places import Place, sentence

_LOCK = 0x5109F10  # PostgreSQL's advisory lock: one upgrades, the others wait
_PATIENCE_S = 60.0  # for another process that upgrades


def upgrade(place: Place, revision: str = "head") -> None:
    """Run every step that is missing, all of them or none. Blocks, and must not be called in a running event loop.

    Raises:
        StoreError: the database cannot be used.
    """
    try:
        asyncio.run(_upgrade(place, revision))
    except (DBAPIError, OSError, CommandError) as error:
        raise StoreError(sentence(place, error)) from error


def configuration() -> Config:
    """Return Alembic's settings: there is no file of them."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


async def _upgrade(place: Place, revision: str) -> None:
    arguments: dict[str, Any] = {"timeout": _PATIENCE_S}
    if place.sqlite:
        arguments["isolation_level"] = None
    engine = create_async_engine(place.url, poolclass=NullPool, connect_args=arguments)
    if place.sqlite:
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        async with engine.begin() as connection:
            if not place.sqlite:
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.run_sync(_run, revision)
    finally:
        await engine.dispose()


def _run(connection: Connection, revision: str) -> None:
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
