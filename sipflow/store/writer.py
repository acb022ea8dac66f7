"""Writes records of calls: into the journal at once, into the database in batches.

What the database does not take waits in the journal, for as long as that takes; beyond a number of records it waits
there only, so that a long outage fills the disk and not the memory.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import CallRecord, Happening
from sipflow.errors import StoreError
from sipflow.store.journal import Journal
from sipflow.store.journal_lines import (
    Saved,
    begun,
    begun_line,
    line_of,
    lines,
    read_before,
    saved,
    written_line,
)
from sipflow.store.record_json import history_json, to_json
from sipflow.tasks import Tasks

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.batches import Batches
    from sipflow.store.database import Database

    Also = Callable[[AsyncConnection, list[CallRecord]], Awaitable[None]]

log = structlog.get_logger("sipflow.store")
_EVERY_S = 1.0
_SOON_S = 0.25  # where somebody waits for what is written with a record
_BATCH = 500  # records in a transaction
_MOST_WAITING = 10_000  # records in memory, a few thousand octets each
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_CLOSING_S = 5.0  # for the last batch; what is not written by then is written after the next start
_LARGE_BYTES = 4 * 1024 * 1024
_OLD_S = 3600.0  # what the database has is nothing to keep in a file beside it
_STOPPED = "sipflow was stopped in the middle of this call"


class RecordWriter:
    """Keeps records of calls (calls.record.RecordStore). Works before there is a database, and while it is away.

    Attributes:
        also: run in the transaction of each batch with the records that are new in it, so that what it writes is there
            if and only if they are.
        also_for: whether it has anything to write for a record; asked when that is saved and when it is written.
        away: why the database takes nothing at the moment, "" when it does.
        lost: records that neither journal nor memory had room for.
    """

    def __init__(
        self,
        journal: Path,
        *,
        also: "Also | None" = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        every_s: float = _EVERY_S,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        """Open the journal. Must be called in a running loop.

        Args:
            journal: its file, see `settings.journal_file`.
            also: see the attribute.
            wall: UTC.
            every_s: how long a batch is collected.
            most_waiting: records in memory.

        Raises:
            StoreError: it cannot be written, or another sipflow writes to it.
        """
        self.also = also
        self.also_for: Callable[[CallRecord], bool] = lambda _record: True
        self.away = ""
        self.lost = 0
        self._journal = Journal(journal)
        self._before = self._journal.size  # what an earlier process wrote ends here
        self._wall, self._every_s, self._most_waiting = wall, every_s, most_waiting
        self._clock = asyncio.get_running_loop().time
        self._fresh_at = self._clock()
        self._live: dict[str, bytes] = {}  # lines of calls without an end, for a new journal
        self._waiting: deque[Saved] = deque()
        self._unread: deque[list[int]] = deque()  # from and up to which octet the journal has what memory has not
        self._overflowing = False  # the last of these goes up to the end
        self._batches: Batches | None = None
        self._tasks = Tasks()
        self._soon: asyncio.TimerHandle | None = None
        self._work, self._hurry, self._done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @property
    def waiting(self) -> int:
        """Records in memory that the database does not have."""
        return len(self._waiting)

    @property
    def journal_bytes(self) -> int:
        """How long the journal is."""
        return self._journal.size

    def unwritten(self, call_id: str) -> CallRecord | None:
        """Give the record of a finished call that the database does not have yet; None where memory has none."""
        return next((each.record for each in reversed(self._waiting) if each.record.id == call_id), None)

    # What calls do

    def started(self, record: CallRecord) -> None:
        """Note that a call has begun; once more, with what is known by then, replaces what was noted.

        One that is noted with its ending is kept so, if its end is never saved.
        """
        try:
            line = self._live[record.id] = begun_line(record)
        except Exception:  # whatever is wrong with a record must not end the call
            log.exception("the beginning of a call cannot be noted", call=record.id)
            return
        self._journal.append(line)

    def save(self, record: CallRecord) -> None:
        """Keep the record of a finished call."""
        self._live.pop(record.id, None)
        try:
            text, history = to_json(record), history_json(record)
            line = line_of(record.id, text, history)
        except Exception:  # whatever is wrong with a record must not harm the calls beside it
            log.exception("the record of a call cannot be kept", call=record.id)
            return
        journal = self._journal
        offset = journal.size
        kept = journal.append(line)
        if self._overflowing and kept:
            return
        if len(self._waiting) >= self._most_waiting:
            self._overflow(record, offset, kept=kept)
            return
        self._waiting.append(Saved(record, line, offset, self._row(record, text, history)))
        self._work.set()
        if self.also is not None and self._soon is None and self.also_for(record):
            self._soon = asyncio.get_running_loop().call_later(_SOON_S, self._hurry.set)

    def _row(self, record: CallRecord, text: str, history: str) -> tuple[Any, ...] | None:
        """Make the row now, while the processor still has all of the record at hand; a second later it has not."""
        if self._batches is None:
            return None
        try:
            return self._batches.rows.row(record, text, history)
        except Exception:  # noqa: BLE001  (it is tried again when it is written, and found out what is wrong with it)
            return None

    def _overflow(self, record: CallRecord, offset: int, *, kept: bool) -> None:
        """Leave a record to the journal alone."""
        if not kept:
            self.lost += 1
            log.error("the record of a call is lost: the database is away and the disk is full", call=record.id)
            return
        self._overflowing = True
        self._unread.append([offset, 0])
        self._work.set()

    # The life of a writer

    async def open(self, database: "Database") -> None:
        """Begin to write into the database, with what the journal has from before."""
        from sipflow.store.batches import Batches

        self._batches = Batches(database, lambda record: self.also_for(record))  # noqa: PLW0108  (it may be set later)
        if self._before:
            await self._take_over()
        self._tasks.spawn(self._run(), name="writing of call records")

    async def flush(self) -> None:
        """Wait until everything saved so far is in the database; waits for as long as that is away."""
        self._done.clear()
        self._hurry.set()
        self._work.set()
        await self._done.wait()

    async def close(self) -> None:
        """Write what waits; what the database does not take within seconds stays in the journal for the next start."""
        if self._batches is not None and not self.away:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_S):
                    await self.flush()
        await self._tasks.close()
        self._forget_soon()
        untaken = self._before if self._batches is None else 0
        self._journal.close(remove=not (self._waiting or self._unread or self._live or untaken))

    async def _take_over(self) -> None:
        """Read what an earlier process left: finished calls are written, calls without an end are ended."""
        before = await read_before(self._journal, self._before)
        if before.written < self._before:
            self._unread.appendleft([before.written, self._before])
        stopped_at = self._journal.written_at
        for offset in before.begun.values():
            async for _, line in lines(self._journal, offset, self._before):
                record = begun(line)
                if record is not None:
                    self.save(_stopped(record, stopped_at))
                break
        if before.begun or before.torn:
            log.warning(
                "sipflow was killed the last time: calls without an end are recorded as failed",
                calls=len(before.begun),
                torn_lines=before.torn,
            )
        self._work.set()

    # Into the database

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._hurry.wait()
            self._work.clear()
            self._hurry.clear()
            self._forget_soon()
            try:
                await self._write_everything()
            except OSError as error:
                log.error("the journal of calls cannot be read; it is tried again", why=str(error))
                self._work.set()
                await asyncio.sleep(_LONGEST_PAUSE_S)
            else:
                self._done.set()

    def _forget_soon(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    async def _write_everything(self) -> None:
        while self._unread or self._waiting:
            if self._unread and not (self._waiting and self._waiting[0].offset < self._unread[0][0]):
                await self._write_unread(self._unread[0])
            else:
                await self._write_waiting()
        self._tidy()

    async def _write_waiting(self) -> None:
        batch = list(islice(self._waiting, _BATCH))
        await self._write(batch)
        for _ in batch:
            self._waiting.popleft()
        self._mark()

    async def _write_unread(self, part: list[int]) -> None:
        """Write what only the journal has, one batch of it."""
        open_ended = self._overflowing and part is self._unread[-1]
        end = self._journal.size if open_ended else part[1]
        batch: list[Saved] = []
        upto = end
        async for offset, line in lines(self._journal, part[0], end):
            if len(batch) == _BATCH:
                upto = offset
                break
            found = saved(line, offset)
            if found is not None:
                batch.append(found)
        if batch:
            await self._write(batch)
        part[0] = upto
        if open_ended and upto == self._journal.size:
            self._overflowing, open_ended = False, False
        if upto >= end and not open_ended:
            self._unread.remove(part)
        self._mark()

    async def _write(self, batch: list[Saved]) -> None:
        """Write a batch; return when the database has it."""
        assert self._batches is not None
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._batches.write(batch, self.also)
            except StoreError as error:
                if not self.away:
                    log.error("records of calls wait in the journal until the database takes them", why=str(error))
                self.away = str(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if self.away:
                    self.away = ""
                    log.info("the database takes records of calls again", waiting=len(self._waiting))
                return

    # The journal

    def _mark(self) -> None:
        """Note how much the database has, for a process that comes after us."""
        if not self._unread and not self._waiting:
            return  # `_tidy` sees to it
        upto = min([*(part[0] for part in self._unread), *(first.offset for first in islice(self._waiting, 1))])
        self._journal.append(written_line(upto))

    def _tidy(self) -> None:
        """Let go of what the database has."""
        journal = self._journal
        if not journal.size:
            return
        large = journal.size > _LARGE_BYTES + 4 * sum(map(len, self._live.values()))
        if self._live and not large and self._clock() - self._fresh_at < _OLD_S:
            journal.append(written_line(journal.size))
        elif journal.replace(self._live.values()):
            self._fresh_at = self._clock()


def _stopped(record: CallRecord, at: datetime) -> CallRecord:
    """Return the record of a call that a killed process left, with an end: its own, where that was noted."""
    if record.ending is None:
        record.ended_at = max(at, record.started_at)
        record.ending = Ending.of("system", 503, _STOPPED, word=Word.OVERLOADED)
    ending = record.ending
    ended = {"by": ending.by, "status": ending.status, "why": ending.why}
    record.history = (*record.history, Happening(record.ended_at or at, "ended", ended))
    return record
