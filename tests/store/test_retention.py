"""What is kept for long enough goes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sipflow.store.calls import CallRecords
from sipflow.store.database import Database
from sipflow.store.retention import Retention, Swept
from sipflow.store.settings import Settings
from tests.store.records import STARTED, keep, over

NOW = STARTED + timedelta(days=10)
OLD, NEW = STARTED, STARTED + timedelta(days=9)


async def swept(database: Database) -> Swept:
    return await Retention(database, wall=lambda: NOW).sweep()


async def opened(settings: Settings, folder: Path, **days: float) -> Database:
    return await Database.open(replace(settings, **days), folder=folder)  # type: ignore[arg-type]


async def kept(database: Database) -> dict[str, str]:
    _, found = await CallRecords(database).page(limit=10_000)
    return {record.id: record.recording for record in found}


def wav(folder: Path, name: str) -> str:
    (folder / name).write_bytes(b"RIFF")
    return str(folder / name)


async def test_nothing_goes_when_nothing_is_said(store_settings: Settings, tmp_path: Path) -> None:
    database = await opened(store_settings, tmp_path)
    await keep(database, [over(1, started_at=STARTED - timedelta(days=9000))])

    assert await swept(database) == Swept()
    assert await kept(database) == {"call-1": ""}
    await database.close()


async def test_records_and_recordings_go_each_at_their_age(store_settings: Settings, tmp_path: Path) -> None:
    database = await opened(store_settings, tmp_path, keep_records_days=20, keep_recordings_days=5)
    await keep(
        database,
        [
            over(1, started_at=OLD, recording=wav(tmp_path, "old.wav"), recording_s=3.0),
            over(2, started_at=NEW, recording=wav(tmp_path, "new.wav"), recording_s=3.0),
            over(3, started_at=OLD, recording=str(tmp_path / "gone.wav")),
            over(4, started_at=NOW - timedelta(days=21), recording=wav(tmp_path, "older.wav")),
            over(5, started_at=NOW - timedelta(days=21)),
        ],
    )

    assert await swept(database) == Swept(records=2, recordings=3)

    assert await kept(database) == {"call-1": "", "call-2": str(tmp_path / "new.wav"), "call-3": ""}
    found = await CallRecords(database).find("call-1")
    assert found is not None
    assert (found.recording, found.recording_s) == ("", 0.0)
    assert names(tmp_path, "*.wav") == ["new.wav"]
    assert await swept(database) == Swept()
    await database.close()


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


async def test_a_record_takes_its_recording_along(store_settings: Settings, tmp_path: Path) -> None:
    database = await opened(store_settings, tmp_path, keep_records_days=5)
    await keep(database, [over(1, started_at=OLD, recording=wav(tmp_path, "old.wav"))])

    assert await swept(database) == Swept(records=1, recordings=1)
    assert (await kept(database), names(tmp_path, "*.wav")) == ({}, [])
    await database.close()


async def test_a_recording_that_cannot_be_deleted_keeps_its_record_and_is_told(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    database = await opened(sqlite_settings, tmp_path, keep_records_days=5)
    await keep(database, [over(1, started_at=OLD, recording=str(tmp_path)), over(2, started_at=OLD)])

    with capture_logs() as logs:
        assert await swept(database) == Swept(records=1, undeletable=1)

    assert list(await kept(database)) == ["call-1"]
    assert [line["recordings"] for line in logs if line["log_level"] == "error"] == [1]
    await database.close()


@pytest.mark.parametrize("many", [199, 200, 1001])
async def test_many_go_in_small_parts(sqlite_settings: Settings, tmp_path: Path, many: int) -> None:
    database = await opened(sqlite_settings, tmp_path, keep_records_days=5)
    await keep(database, [over(number, started_at=OLD) for number in range(many)] + [over(5000, started_at=NEW)])

    assert await swept(database) == Swept(records=many)
    assert list(await kept(database)) == ["call-5000"]
    await database.close()
