"""Deletes what has been kept for long enough: records of calls and recordings, each by its own age."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, delete, select

from sipflow.store.database import Database
from sipflow.store.recording_rows import forget_recording
from sipflow.store.tables import calls as table

log = structlog.get_logger("sipflow.store")
_PART = 200  # calls in a transaction: nobody else waits long


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep has deleted.

    Attributes:
        records: of calls.
        recordings: files.
        undeletable: recordings whose files could not be deleted; they are tried again.
    """

    records: int = 0
    recordings: int = 0
    undeletable: int = 0


class Retention:
    """Applies `store.keep_records_days` and `store.keep_recordings_days`; an age counts from the beginning of the call.

    A record that goes takes its recording along.
    """

    def __init__(self, database: Database, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._wall = wall

    async def sweep(self) -> Swept:
        """Delete everything that is older than the settings say; once an hour is often enough.

        Raises:
            StoreError: the database is away; what was deleted is, and the rest is for the next sweep.
        """
        settings, now = self._database.settings, self._wall()
        records = recordings = undeletable = 0
        if settings.keep_recordings_days is not None:
            before = now - timedelta(days=settings.keep_recordings_days)
            recordings, undeletable = await self._recordings(before)
        if settings.keep_records_days is not None:
            before = now - timedelta(days=settings.keep_records_days)
            done, failed = await self._recordings(before)
            recordings, undeletable = recordings + done, undeletable + failed
            records = await self._records(before)
        swept = Swept(records, recordings, undeletable)
        if swept != Swept():
            log.info("what was kept for long enough is deleted", records=records, recordings=recordings)
        if undeletable:
            log.error("recordings that are old enough cannot be deleted", recordings=undeletable)
        return swept

    async def _recordings(self, before: datetime) -> tuple[int, int]:
        """Delete recordings of calls that began before then; return how many, and how many could not be."""
        done, failed, after = 0, 0, ""
        while True:
            old = (table.c.recording.is_not(None), table.c.started_at < before, table.c.id > after)
            async with self._database.read() as connection:
                found = await connection.execute(
                    select(table.c.id, table.c.recording).where(*old).order_by(table.c.id).limit(_PART)
                )
                rows = found.all()
            for call_id, file in rows:
                if await asyncio.to_thread(_unlink, Path(file)):
                    await forget_recording(self._database, call_id)
                    done += 1
                else:
                    failed += 1
            if len(rows) < _PART:
                return done, failed
            after = rows[-1].id

    async def _records(self, before: datetime) -> int:
        """Delete records of calls that began before then, but for those whose recording could not be deleted."""
        old: tuple[ColumnElement[bool], ...] = (table.c.recording.is_(None), table.c.started_at < before)
        done = 0
        while True:
            async with self._database.write() as connection:
                some = select(table.c.id).where(*old).limit(_PART)
                count = (await connection.execute(delete(table).where(table.c.id.in_(some)))).rowcount
            done += count
            if count < _PART:
                return done
            await asyncio.sleep(0)


def _unlink(file: Path) -> bool:
    """Delete a file; one that is gone already counts as deleted."""
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return False
    return True
