"""Opening, reading and writing."""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from sipflow.errors import StoreError
from sipflow.store import database as module
from sipflow.store.database import Database
from sipflow.store.migrations import REVISIONS
from sipflow.store.settings import Settings
from sipflow.store.tables import metadata, settings
from tests.store.postgres import KEY, Postgres


async def values_in(database: Database) -> dict[str, bytes]:
    async with database.read() as connection:
        rows = await connection.execute(select(settings.c.name, settings.c.value))
        return {row.name: bytes(row.value) for row in rows if row.name != "key check"}


async def test_what_is_written_is_read(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="a", value=b"1"))

    assert await values_in(database) == {"a": b"1"}


async def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(insert(settings).values(name="a", value=b"1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await values_in(database) == {}


async def test_a_row_that_contradicts_another_is_for_the_caller_to_explain(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="a", value=b"1"))

    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.execute(insert(settings).values(name="a", value=b"2"))

    assert await values_in(database) == {"a": b"1"}


async def test_an_insert_knows_what_to_do_about_one_that_is_there(database: Database) -> None:
    for value in (b"1", b"2"):
        statement = database.insert(settings).values(name="a", value=value)
        async with database.write() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    assert await values_in(database) == {"a": b"2"}


async def test_two_hundred_at_once_count_to_two_hundred(sqlite_settings: Settings, tmp_path: Path) -> None:
    """Whoever reads and then writes in one block, with SQLite, sees what all before it wrote."""
    database = await Database.open(sqlite_settings, folder=tmp_path)
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="n", value=b"0"))

    async def count() -> None:
        async with database.write() as connection:
            value = (await connection.execute(select(settings.c.value).where(settings.c.name == "n"))).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(
                update(settings).values(value=b"%d" % (int(value) + 1)).where(settings.c.name == "n")
            )

    await asyncio.gather(*(count() for _ in range(200)))

    assert await values_in(database) == {"n": b"200"}
    await database.close()


async def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="a", value=b"1"))
        assert await asyncio.wait_for(values_in(database), 5) == {}


async def test_readers_of_sqlite_cannot_write(sqlite_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)

    with pytest.raises(StoreError, match="sipflow may not write to it"):
        async with database.read() as connection:
            await connection.execute(insert(settings).values(name="a", value=b"1"))
    await database.close()


async def test_sqlite_is_set_up_for_many_readers_and_kept_rules(sqlite_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    found = []
    for durable in (False, True, False):
        async with database.write(durable=durable) as connection:
            names = ("journal_mode", "synchronous", "foreign_keys")
            found.append([(await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in names])

    assert found == [["wal", 1, 1], ["wal", 2, 1], ["wal", 1, 1]]
    await database.close()


# Opening


async def test_the_first_start_makes_the_file_and_its_key_for_their_owner_only(tmp_path: Path) -> None:
    database = await Database.open(Settings(), folder=tmp_path)
    async with database.read() as connection:
        names = await connection.run_sync(lambda sync: sync.dialect.get_table_names(sync))
    await database.close()

    assert set(names) == {*metadata.tables, "alembic_version"}
    assert modes(tmp_path) == {"sipflow.db": 0o600, "sipflow.db.key": 0o600}


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_an_empty_postgresql_database_gets_its_tables(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    both = [Database.open(Settings(url=url, encryption_keys=(KEY,)), folder=tmp_path) for _ in range(2)]
    for database in await asyncio.gather(*both):  # two that start together do not hinder each other
        assert await values_in(database) == {}
        await database.close()


async def test_postgresql_wants_a_key(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="key for the secrets in PostgreSQL is missing: set SIPFLOW_STORE_KEY"):
        await Database.open(Settings(url=postgres_url), folder=tmp_path)
    assert os.listdir(tmp_path) == []


async def test_a_postgresql_that_is_not_there_is_told(postgres: Postgres, tmp_path: Path) -> None:
    for url, words in (
        (postgres.url("nowhere"), "there is no database of this name; make it with createdb"),
        ("postgresql://sipflow:secret@127.0.0.1:9/sipflow", "Connect call failed"),
        ("postgresql://sipflow:secret@no.such.host.invalid/sipflow", "cannot be used: "),
    ):
        with pytest.raises(StoreError, match=words) as told:
            await Database.open(Settings(url=url, encryption_keys=(KEY,)), folder=tmp_path)
        assert "secret" not in str(told.value)


async def test_a_postgresql_that_was_restarted_costs_nobody_an_error(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    database = await Database.open(Settings(url=postgres_url, encryption_keys=(KEY,)), folder=tmp_path)
    assert await values_in(database) == {}
    postgres.stop()
    with pytest.raises(StoreError, match="cannot be used"):
        await values_in(database)
    postgres.start()

    assert await values_in(database) == {}
    await database.close()


async def test_a_postgresql_that_stands_still_does_not_hold_up_the_end(
    postgres: Postgres, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(Settings(url=postgres_url, encryption_keys=(KEY,)), folder=tmp_path)
    async with database.read() as connection:
        await connection.scalar(text("SELECT 1"))
    monkeypatch.setattr(module, "_BUSY_S", 0.3)
    with postgres.standing_still():
        async with asyncio.timeout(20):  # its driver waits for 30 s
            await database.close()


async def test_a_store_of_a_newer_sipflow_is_left_alone(store_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(store_settings, folder=tmp_path)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(
            StoreError, match=r"made by a newer sipflow \(its tables are version 9999, this one knows 0"
        ):
            await Database.open(store_settings, folder=tmp_path)
    finally:
        async with database.write() as connection:
            await connection.execute(text(f"UPDATE alembic_version SET version_num = '{REVISIONS[-1]}'"))
        await database.close()


async def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    make_noise(tmp_path / "noise.db")

    with pytest.raises(StoreError, match=r"noise\.db cannot be used: the file is no SQLite database"):
        await Database.open(Settings(url="sqlite:///noise.db"), folder=tmp_path)


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "sipflow.db"
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE calls (what TEXT)")
        theirs.commit()
    with pytest.raises(StoreError, match=r"has tables of another program \(calls\): give sipflow a database"):
        await Database.open(Settings(url=f"sqlite:///{file}"), folder=tmp_path)
    with closing(sqlite3.connect(file)) as theirs:
        assert [name for (name,) in theirs.execute("SELECT name FROM sqlite_master")] == ["calls"]


def make_noise(file: Path) -> None:
    file.write_bytes(b"this is no database, but a text of some length\n" * 50)


async def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist, or sipflow may not write there"):
        await Database.open(Settings(url="sqlite:///nowhere/sipflow.db"), folder=tmp_path)


async def test_a_file_that_somebody_holds_for_too_long_is_told(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.store.database._BUSY_S", 0.05)
    database = await Database.open(sqlite_settings, folder=tmp_path)
    with closing(sqlite3.connect(tmp_path / "sipflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another program has locked it for too long"):
            async with database.write() as connection:
                await connection.execute(insert(settings).values(name="a", value=b"1"))
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="b", value=b"1"))

    assert await values_in(database) == {"b": b"1"}
    await database.close()


async def test_a_file_that_is_deleted_or_replaced_is_told_and_forgiven_once_it_is_back(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    file, away = tmp_path / "sipflow.db", tmp_path / "elsewhere.db"
    file.rename(away)
    for there in (False, True):
        if there:
            file.write_bytes(b"")
        with pytest.raises(StoreError, match="was deleted, moved or replaced while sipflow had it open: put it back"):
            async with database.write() as connection:
                await connection.execute(insert(settings).values(name="a", value=b"1"))
    away.rename(file)
    async with database.write() as connection:
        await connection.execute(insert(settings).values(name="b", value=b"1"))

    assert list(await values_in(database)) == ["b"]
    await database.close()


async def test_a_full_disk_is_told_and_forgiven(sqlite_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    async with database.write() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="the disk is full"):
        async with database.write() as connection:
            await connection.execute(insert(settings).values(name="a", value=b"1" * 100_000))
    async with database.write() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
        await connection.execute(insert(settings).values(name="b", value=b"1" * 100_000))

    assert list(await values_in(database)) == ["b"]
    await database.close()


async def test_a_backup_by_sqlite_itself_hinders_nobody(sqlite_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    with (
        closing(sqlite3.connect(tmp_path / "sipflow.db")) as source,
        closing(sqlite3.connect(tmp_path / "copy")) as copy,
    ):
        async with database.write() as connection:
            await connection.execute(insert(settings).values(name="a", value=b"1"))
        source.backup(copy)
        async with database.write() as connection:
            await connection.execute(insert(settings).values(name="b", value=b"1"))
    await database.close()

    restored = await Database.open(replace(sqlite_settings, url="sqlite:///copy"), folder=tmp_path)
    assert await values_in(restored) == {"a": b"1"}
    await restored.close()


async def test_an_open_database_says_that_it_is_ready_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            await (await Database.open(Settings(encryption_keys=(KEY,)), folder=tmp_path)).close()

    assert [line["event"] for line in logs] == ["the store is ready"]
