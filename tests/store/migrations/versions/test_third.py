"""A store that the version before has made."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from sipflow.store.database import Database
from sipflow.store.migrations import REVISIONS
from sipflow.store.migrations.upgrade import upgrade
from sipflow.store.migrations.versions import third
from sipflow.store.places import place_of
from sipflow.store.settings import Settings


def test_a_store_of_the_version_before_gets_tables_and_an_index_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    settings = Settings(encryption_keys=("a key for the tests, of many characters",))
    upgrade(place_of(settings, folder=tmp_path), third.down_revision)
    with closing(sqlite3.connect(tmp_path / "sipflow.db")) as connection, connection:
        before = _names(connection)
        connection.execute("INSERT INTO toll_use VALUES ('tolls', '{}', '2026-11-21 12:00:00.000000')")
    asyncio.run(_open(settings, tmp_path))
    with closing(sqlite3.connect(tmp_path / "sipflow.db")) as connection:
        kept = connection.execute("SELECT name FROM toll_use").fetchall()
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        after = _names(connection)

    assert after - before == {"pool_callees", "number_places", "ix_deliveries_call_id_status_position"}
    assert before - after == {"ix_deliveries_call_id", "ix_calls_sip_call_id"}
    assert kept == [("tolls",)]
    assert version == [(REVISIONS[-1],)]


async def _open(settings: Settings, folder: Path) -> None:
    await (await Database.open(settings, folder=folder)).close()


def _names(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name for (name,) in found}
