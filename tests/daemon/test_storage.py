"""The store as the daemon has it: records before there is a database, and what happens when there is none."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord
from sipflow.daemon.storage import Records, Storage
from sipflow.errors import StoreError
from sipflow.store.calls import CallRecords
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings

AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "a key for the tests, of many characters"


def record(call_id: str = "1") -> CallRecord:
    made = CallRecord(
        call_id, f"{call_id}@x", "inbound", "+12065550199", "+12065550100", "pbx", "+12065550100", "echo", AT
    )
    made.ending = Ending.of("remote", 200, "hung up")
    made.ended_at = AT
    return made


def storage(folder: Path, settings: Settings | None = None) -> Storage:
    return Storage(settings or Settings(encryption_keys=(KEY,)), folder, Directory())


OUT_OF_DESCRIPTORS = """
import asyncio, os, resource
from pathlib import Path
from sipflow.daemon.storage import Storage
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings

async def run():
    kept = Storage(Settings(encryption_keys=("k" * 40,)), Path.cwd(), Directory(), first_pause_s=0.05)
    await asyncio.to_thread(os.getpid)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = os.dup(0)
    os.close(top)
    resource.setrlimit(resource.RLIMIT_NOFILE, (top, limits[1]))
    opening = asyncio.create_task(kept.open())
    while not kept.trouble:
        await asyncio.sleep(0.01)
    trouble, loaded = kept.trouble, "alembic" in os.sys.modules
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    print("Too many open files" in trouble, loaded, await opening is not None, repr(kept.trouble))
    await kept.close()

asyncio.run(run())
"""


def test_a_start_without_descriptors_is_made_up_for_when_there_are_some(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_DESCRIPTORS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.splitlines()[-1:] == ["True False True ''"], done.stderr


async def test_record_from_before_the_database_is_in_it(tmp_path: Path) -> None:
    kept = storage(tmp_path)
    kept.records.started(record())
    kept.records.save(record())
    assert kept.database is None
    database = await kept.open()
    assert database is not None
    assert kept.writer is not None
    await kept.begin_writing()
    await kept.writer.flush()
    found = await CallRecords(database).find("1")
    await kept.close()

    assert found is not None
    assert (found.sip_call_id, found.ending) == ("1@x", record().ending)
    assert (kept.place, kept.trouble, kept.database) == (str(tmp_path / "sipflow.db"), "", None)


async def test_whoever_is_told_of_a_record_harms_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved: list[CallRecord] = []
    told: list[str] = []

    class Kept:
        def started(self, record: CallRecord) -> None:
            told.append(f"{record.id} began")

        def save(self, record: CallRecord) -> None:
            saved.append(record)

    def fail(record: CallRecord) -> None:
        raise RuntimeError("no time")

    records = Records(Kept())
    records.on_saved = [fail, lambda record: told.append(record.id)]
    records.started(record("2"))
    records.save(record("2"))

    assert ([each.id for each in saved], told) == (["2"], ["2 began", "2"])
    assert "somebody could not be told of a finished call" in capsys.readouterr().out


async def test_nothing_is_kept_where_nothing_is_wanted(tmp_path: Path) -> None:
    kept = storage(tmp_path, Settings(enabled=False))
    kept.records.save(record())

    assert (await kept.open(), kept.writer, kept.place) == (None, None, "none")
    await kept.close()
    assert not _anything_in(tmp_path)


def _anything_in(folder: Path) -> bool:
    return any(folder.iterdir())


async def test_journal_that_another_sipflow_has_is_trouble_and_where_the_store_is_named_the_end(tmp_path: Path) -> None:
    first = storage(tmp_path)
    second = storage(tmp_path)
    with pytest.raises(StoreError):
        storage(tmp_path, Settings(url=f"sqlite:///{tmp_path / 'sipflow.db'}", encryption_keys=(KEY,)))

    assert second.writer is None
    assert second.trouble
    assert await second.open() is None
    await first.close()


async def test_database_is_tried_until_it_opens(tmp_path: Path) -> None:
    file = tmp_path / "sipflow.db"
    file.mkdir()
    kept = Storage(Settings(encryption_keys=(KEY,)), tmp_path, Directory(), first_pause_s=0.05)
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(kept.open())
        while not kept.trouble:  # noqa: ASYNC110  (what is waited for is told nobody)
            await asyncio.sleep(0.02)
        trouble = kept.trouble
        file.rmdir()
    await kept.close()

    assert str(file) in trouble
    assert opening.result() is not None
    assert kept.trouble == ""


async def test_place_of_a_database_elsewhere_shows_no_password(tmp_path: Path) -> None:
    kept = storage(tmp_path, Settings(url="postgresql://u:hunter2@db/sipflow", encryption_keys=(KEY,)))
    place = kept.place
    await kept.close()

    assert place == "PostgreSQL"
