"""Databases to test with: a new one for each test, with SQLite and with PostgreSQL."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.store.database import Database
from sipflow.store.migrations.upgrade import upgrade
from sipflow.store.places import place_of
from sipflow.store.settings import Settings
from tests.store.postgres import KEY

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables, to be copied: making them takes a while."""
    file = tmp_path_factory.mktemp("store") / "template.db"
    upgrade(place_of(Settings(url=f"sqlite:///{file}"), folder=file.parent))
    return file


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A new file with our tables and nothing in them."""
    file = tmp_path / "sipflow.db"
    shutil.copyfile(sqlite_template, file)
    return Settings(url=f"sqlite:///{file}", encryption_keys=(KEY,))


@pytest.fixture(params=KINDS)
def store_settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of a new store, once with SQLite and once with PostgreSQL."""
    if request.param == "sqlite":
        settings = request.getfixturevalue("sqlite_settings")
        assert isinstance(settings, Settings)
        return settings
    return Settings(url=request.getfixturevalue("postgres_url"), encryption_keys=(KEY,))


@pytest_asyncio.fixture
async def database(store_settings: Settings, tmp_path: Path) -> AsyncIterator[Database]:
    """An open store, once with SQLite and once with PostgreSQL."""
    opened = await Database.open(store_settings, folder=tmp_path)
    yield opened
    await opened.close()
