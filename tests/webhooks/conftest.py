"""The stores that the tests of this folder ask for; tests/store/databases.py has them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.store.databases import sqlite_settings, sqlite_template
from tests.webhooks.receiver import Receiver

__all__ = ["receiver", "sqlite_settings", "sqlite_template", "store"]


@pytest_asyncio.fixture
async def store(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[Database]:
    """An open store on SQLite."""
    opened = await Database.open(sqlite_settings, folder=tmp_path)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server of the other side."""
    async with Receiver() as opened:
        yield opened
