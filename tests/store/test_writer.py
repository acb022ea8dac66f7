"""Records of calls on their way into the database: whatever happens meanwhile, each is there once."""

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from sipflow.calls.ending import Word
from sipflow.calls.record import CallRecord
from sipflow.errors import StoreError
from sipflow.store.calls import CallRecords
from sipflow.store.database import Database
from sipflow.store.settings import Settings, journal_file
from sipflow.store.tables import calls, settings
from sipflow.store.writer import RecordWriter
from tests.store.postgres import Postgres
from tests.store.records import BEGUN, OVER, over

QUICK_S = 0.01


async def ids_in(database: Database) -> list[str]:
    async with database.read() as connection:
        return sorted((await connection.execute(select(calls.c.id))).scalars())


@asynccontextmanager
async def writing(database: Database, journal: Path, **options: object) -> AsyncIterator[RecordWriter]:
    writer = RecordWriter(journal, **{"every_s": QUICK_S, **options})  # type: ignore[arg-type]
    await writer.open(database)
    try:
        yield writer
    finally:
        await writer.close()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "sipflow.db.calls"


async def killed(journal: Path, records: Iterable[CallRecord], *, begun: Iterable[CallRecord] = ()) -> None:
    """Leave a journal as a process leaves it that was killed before it wrote anything into the database."""
    writer = RecordWriter(journal)
    for record in begun:
        writer.started(record)
    for record in records:
        writer.save(record)
    await writer.close()  # there is no database: everything stays


async def test_a_saved_record_is_in_the_database_with_every_field(database: Database, journal: Path) -> None:
    async with writing(database, journal) as writer:
        writer.started(BEGUN)
        writer.save(OVER)
        await writer.flush()

        assert await CallRecords(database).find(OVER.id) == OVER


async def test_it_is_written_soon_without_being_asked(sqlite_settings: Settings, tmp_path: Path, journal: Path) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    written = asyncio.Event()

    async def told(_connection: AsyncConnection, _records: list[CallRecord]) -> None:
        written.set()

    async with writing(database, journal, also=told) as writer:
        writer.save(OVER)
        await asyncio.wait_for(written.wait(), 10)
    assert await ids_in(database) == [OVER.id]
    await database.close()


async def test_a_record_that_somebody_waits_for_is_not_kept_waiting(
    sqlite_settings: Settings, tmp_path: Path, journal: Path
) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    told: asyncio.Queue[list[str]] = asyncio.Queue()

    async def tell(_connection: AsyncConnection, records: list[CallRecord]) -> None:
        told.put_nowait([record.id for record in records])

    async with writing(database, journal, also=tell, every_s=3600) as writer:
        writer.also_for = lambda record: record.id == "call-2"
        for number in (1, 2, 3):
            writer.save(over(number))
        assert await asyncio.wait_for(told.get(), 10) == ["call-2"]
        writer.save(over(4))
    assert await ids_in(database) == ["call-1", "call-2", "call-3", "call-4"]
    await database.close()


async def test_a_process_that_ends_leaves_no_journal(database: Database, journal: Path) -> None:
    async with writing(database, journal) as writer:
        writer.started(BEGUN)
        writer.save(OVER)

    assert await ids_in(database) == [OVER.id]
    assert not there(journal)


async def test_what_a_killed_process_had_saved_is_written_once_by_the_next(database: Database, journal: Path) -> None:
    await killed(journal, [over(number) for number in range(1200)])

    async with writing(database, journal) as writer:
        writer.save(over(5000))
        await writer.flush()
        assert len(await ids_in(database)) == 1201
        assert octets(journal) == 0


async def test_a_call_that_was_noted_with_its_ending_keeps_that(database: Database, journal: Path) -> None:
    await killed(journal, [], begun=[BEGUN, replace(OVER, id=BEGUN.id)])

    async with writing(database, journal) as writer:
        await writer.flush()

    _, (found,) = await CallRecords(database).page()
    assert (found.ending, found.ended_at) == (OVER.ending, OVER.ended_at)
    assert [event.name for event in await CallRecords(database).events(BEGUN.id)] == ["ended"]


async def test_a_call_that_was_up_when_the_process_was_killed_has_failed(database: Database, journal: Path) -> None:
    await killed(journal, [over(2)], begun=[BEGUN, replace(BEGUN, id="call-2")])

    with capture_logs() as logs:
        async with writing(database, journal) as writer:
            await writer.flush()

    total, found = await CallRecords(database).page()
    assert (total, [record.id for record in found]) == (2, ["call-2", "call-1"])
    left = found[1]
    assert left.ending is not None
    assert left.ended_at is not None
    assert (left.ending.word, left.ending.why) == (Word.OVERLOADED, "sipflow was stopped in the middle of this call")
    assert [event.name for event in await CallRecords(database).events("call-1")] == ["ended"]
    async with database.read() as connection:
        statuses = (await connection.execute(select(calls.c.id, calls.c.status).order_by(calls.c.id))).all()
    assert [tuple(row) for row in statuses] == [("call-1", "failed"), ("call-2", "completed")]
    assert [line["calls"] for line in logs if line["log_level"] == "warning"] == [1]


async def test_what_is_known_of_a_call_when_it_is_noted_again_is_what_its_record_has(
    sqlite_settings: Settings, tmp_path: Path, journal: Path
) -> None:
    await killed(journal, [], begun=[BEGUN, replace(BEGUN, answered_at=OVER.answered_at)])
    database = await Database.open(sqlite_settings, folder=tmp_path)

    async with writing(database, journal) as writer:
        await writer.flush()

    found = await CallRecords(database).find(BEGUN.id)
    assert found is not None
    assert found.answered_at == OVER.answered_at
    await database.close()


async def test_a_record_is_saved_once_however_often_it_is_said(database: Database, journal: Path) -> None:
    async with writing(database, journal) as writer:
        writer.save(over(1))
        await writer.flush()
        writer.save(over(1, recording="later.wav"))
        writer.save(over(2))
        await writer.flush()

    assert await ids_in(database) == ["call-1", "call-2"]
    found = await CallRecords(database).find("call-1")
    assert found is not None
    assert found.recording == "later.wav"


async def test_what_goes_with_a_record_is_written_if_and_only_if_that_is(database: Database, journal: Path) -> None:
    async def also(connection: AsyncConnection, records: list[CallRecord]) -> None:
        for record in records:
            await connection.execute(settings.insert().values(name=f"told {record.id}", value=b""))

    await killed(journal, [over(1), over(2)])
    async with writing(database, journal, also=also) as writer:
        writer.save(over(3))
        await writer.flush()
    await killed(journal, [over(1), over(2), over(3), over(4)])  # as if it had died before it noted how far it was
    async with writing(database, journal, also=also) as writer:
        await writer.flush()

    async with database.read() as connection:
        names = (await connection.execute(select(settings.c.name).where(settings.c.name.like("told%")))).scalars().all()
    assert sorted(names) == [f"told call-{number}" for number in (1, 2, 3, 4)]


async def test_what_goes_with_a_record_and_fails_does_not_keep_it_or_others_out(
    database: Database, journal: Path
) -> None:
    told: list[str] = []

    async def also(connection: AsyncConnection, records: list[CallRecord]) -> None:
        if any(record.id == "call-3" for record in records):
            raise ZeroDivisionError("a bug")
        told.extend(record.id for record in records)

    with capture_logs() as logs:
        async with writing(database, journal, also=also) as writer:
            for number in range(1, 6):
                writer.save(over(number))
            await writer.flush()

    assert await ids_in(database) == [f"call-{number}" for number in range(1, 6)]
    assert sorted(told) == ["call-1", "call-2", "call-4", "call-5"]
    assert [line["call"] for line in logs if line["log_level"] == "error"] == ["call-3"]


async def test_whatever_a_stranger_sends_is_kept(database: Database, journal: Path) -> None:
    evil = "\udcff\x00'; DROP TABLE calls; --" + "9" * 500
    record = over(1, from_number=evil, to_number=evil, sip_call_id=evil, variables={"X-\x00": evil}, agent=evil)

    async with writing(database, journal) as writer:
        writer.save(record)
        writer.save(over(2))
        await writer.flush()

    assert await ids_in(database) == ["call-1", "call-2"]
    assert await CallRecords(database).find("call-1") == record


async def test_what_is_no_record_at_all_harms_nobody(database: Database, journal: Path) -> None:
    with capture_logs() as logs:
        async with writing(database, journal) as writer:
            writer.started(over(1, from_number=7))
            writer.save(over(1, from_number=7))
            writer.save(over(2))
            await writer.flush()

    assert await ids_in(database) == ["call-2"]
    assert [line["call"] for line in logs if line["log_level"] == "error"] == ["call-1", "call-1"]


# The database is away


async def test_records_wait_while_another_program_locks_the_file(
    sqlite_settings: Settings, tmp_path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.store.database._BUSY_S", 0.05)
    monkeypatch.setattr("sipflow.store.writer._FIRST_PAUSE_S", 0.05)
    database = await Database.open(sqlite_settings, folder=tmp_path)
    with capture_logs() as logs:
        async with writing(database, journal) as writer:
            with closing(sqlite3.connect(tmp_path / "sipflow.db", isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                for number in range(3):
                    writer.save(over(number))
                await until(lambda: writer.away)
                assert "another program has locked it" in writer.away
                assert [writer.unwritten(id) for id in ("call-1", "call-3")] == [over(1), None]
            await asyncio.wait_for(writer.flush(), 20)
            assert writer.unwritten("call-1") is None

    assert await ids_in(database) == ["call-0", "call-1", "call-2"]
    said = [line["event"] for line in logs if "journal" in line["event"] or "again" in line["event"]]
    assert said == [
        "records of calls wait in the journal until the database takes them",
        "the database takes records of calls again",
    ]
    await database.close()


async def test_records_wait_while_the_server_is_restarted(
    postgres: Postgres, postgres_url: str, tmp_path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.store.writer._FIRST_PAUSE_S", 0.05)
    database = await Database.open(Settings(url=postgres_url, encryption_keys=("k" * 32,)), folder=tmp_path)
    async with writing(database, journal) as writer:
        writer.save(over(1))
        await writer.flush()
        postgres.stop()
        try:
            writer.save(over(2))
            await until(lambda: writer.away)
        finally:
            postgres.start()
        writer.save(over(3))
        await asyncio.wait_for(writer.flush(), 40)

        assert await ids_in(database) == ["call-1", "call-2", "call-3"]
    await database.close()


async def test_more_than_memory_takes_waits_in_the_journal_alone(database: Database, journal: Path) -> None:
    writer = RecordWriter(journal, every_s=QUICK_S, most_waiting=10)
    for number in range(700):
        writer.save(over(number))
    assert writer.waiting == 10
    await writer.open(database)
    writer.save(over(700))
    await asyncio.wait_for(writer.flush(), 30)

    assert len(await ids_in(database)) == 701
    writer.save(over(701))
    assert writer.waiting == 1
    await writer.flush()
    assert len(await ids_in(database)) == 702
    await writer.close()
    assert not there(journal)


async def test_what_is_not_written_when_the_process_ends_waits_for_the_next(database: Database, journal: Path) -> None:
    writer = RecordWriter(journal)
    writer.save(over(1))
    await writer.close()

    async with writing(database, journal):
        pass

    assert await ids_in(database) == ["call-1"]


# The journal


async def test_a_line_that_is_half_there_costs_no_other(database: Database, journal: Path) -> None:
    await killed(journal, [over(1), over(2), over(3)], begun=[BEGUN])
    damage(journal)

    async with writing(database, journal) as writer:
        writer.save(over(9))
        await writer.flush()

    assert await ids_in(database) == ["call-1", "call-9"]


async def test_the_journal_stays_small_while_calls_are_up(
    sqlite_settings: Settings, tmp_path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.store.writer._LARGE_BYTES", 20_000)
    database = await Database.open(sqlite_settings, folder=tmp_path)
    async with writing(database, journal) as writer:
        writer.started(replace(BEGUN, id="long"))
        for number in range(200):
            writer.started(replace(BEGUN, id=f"call-{number}"))
            writer.save(over(number))
            if number % 20 == 0:
                await writer.flush()
        await writer.flush()
        assert octets(journal) < 30_000
        left = RecordWriter(copied(journal))
        await left.open(database)
        await left.flush()
        await left.close()

    assert len(await ids_in(database)) == 201  # the long one among them
    await database.close()


async def test_the_database_that_was_told_has_no_record_deleted_from_it_come_back(
    sqlite_settings: Settings, tmp_path: Path, journal: Path
) -> None:
    """What retention deleted stays deleted, although the journal had it."""
    database = await Database.open(sqlite_settings, folder=tmp_path)
    async with writing(database, journal) as writer:
        writer.started(BEGUN)
        writer.save(over(2))
        await writer.flush()
        async with database.write() as connection:
            await connection.execute(calls.delete())
        left = copied(journal)
    async with writing(database, left) as again:
        await again.flush()

    assert await ids_in(database) == ["call-1"]
    await database.close()


async def test_a_second_daemon_is_refused_in_words(tmp_path: Path, journal: Path) -> None:
    writer = RecordWriter(journal)

    with pytest.raises(StoreError, match="another sipflow runs with this store"):
        RecordWriter(journal)
    await writer.close()


# kill -9

CHILD = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from sipflow.store.database import Database
from sipflow.store.settings import Settings, journal_file
from sipflow.store.writer import RecordWriter
from tests.store.records import BEGUN, over

async def main(url, folder, early):
    settings = Settings(url=url, encryption_keys=("k" * 32,))
    writer = RecordWriter(journal_file(settings, folder=folder), every_s=0.01)
    number = 0
    async def calls():
        nonlocal number
        while True:
            for _ in range(5):
                number += 1
                writer.started(replace(BEGUN, id=f"call-{number}"))
                if number % 3:
                    writer.save(over(number))
                    print(number, flush=True)
            await asyncio.sleep(0.001)
    if not early:
        await writer.open(await Database.open(settings, folder=folder))
    await calls()

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "early"))
"""


@pytest.mark.parametrize(("when", "after"), [("early", 50), ("late", 1500)])
async def test_kill_9_under_load_loses_no_finished_call_and_leaves_none_in_progress(
    store_settings: Settings, tmp_path: Path, when: str, after: int
) -> None:
    """Early is before there is a database, late is while records are written into it."""
    said = await asyncio.to_thread(run_and_kill, [store_settings.url, str(tmp_path), when], after)
    settings = replace(store_settings, encryption_keys=("k" * 32,))
    database = await Database.open(settings, folder=tmp_path)
    async with writing(database, journal_file(settings, folder=tmp_path)) as writer:
        await asyncio.wait_for(writer.flush(), 60)

    async with database.read() as connection:
        rows = (await connection.execute(select(calls.c.id, calls.c.status))).all()
    await database.close()
    found = {row.id: row.status for row in rows}
    assert len(found) == len(rows)
    assert {f"call-{number}" for number in said} <= {name for name, status in found.items() if status == "completed"}
    begun = [number for number in range(1, max(said)) if number % 3 == 0]
    assert [found[f"call-{number}"] for number in begun] == ["failed"] * len(begun)
    assert set(found.values()) <= {"completed", "failed"}


def run_and_kill(arguments: list[str], after: int) -> list[int]:
    """Run the child until it has saved so many records, kill it; return the numbers whose `save` had returned."""
    command = [sys.executable, "-c", CHILD, *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    said: list[int] = []
    try:
        for line in child.stdout:
            said.append(int(line))
            if len(said) >= after:
                child.send_signal(signal.SIGKILL)
                break
        said += [int(line) for line in child.stdout if re.fullmatch(rb"[0-9]+\n", line)]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return said


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (it is about what others do)
            await asyncio.sleep(QUICK_S)


def there(file: Path) -> bool:
    return file.exists()


def octets(file: Path) -> int:
    return file.stat().st_size


def damage(journal: Path) -> None:
    """Spoil the third line and the last one, with what a power cut leaves between them."""
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1] + lines[2][:100] + b"\n" + b"\x00" * 50 + b"\n" + lines[3][:-20])


def copied(journal: Path) -> Path:
    """Return a copy of a journal as it is at this moment: what a kill would leave."""
    copy = journal.with_name("copy")
    copy.write_bytes(journal.read_bytes())
    return copy


def test_the_cost_of_a_call_in_the_loop_is_small(tmp_path: Path) -> None:
    """A generous bound, for machines that have more to do; see docs/store.md for the figures."""

    async def cost_us() -> float:
        writer = RecordWriter(tmp_path / "calls")
        records = [(replace(BEGUN, id=str(number)), over(number)) for number in range(2000)]
        start = time.process_time()
        for begun, finished in records:
            writer.started(begun)
            writer.save(finished)
        spent = time.process_time() - start
        await writer.close()
        return spent / len(records) * 1e6

    assert asyncio.run(cost_us()) < 150
