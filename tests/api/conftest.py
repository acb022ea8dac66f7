"""The API that the tests of this folder talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sipflow.store.settings import Settings
from tests.api.stage import Stage, stage
from tests.store.databases import sqlite_settings, sqlite_template, store_settings
from tests.store.postgres import postgres, postgres_url, template

__all__ = ["api", "postgres", "postgres_url", "sqlite_settings", "sqlite_template", "store_settings", "template"]


@pytest_asyncio.fixture
async def api(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[Stage]:
    """An API on a new SQLite store."""
    async with stage(sqlite_settings, tmp_path) as made:
        yield made
