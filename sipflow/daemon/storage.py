"""The store as the daemon has it: records from the first call on, everything else once its libraries are loaded.

Loading the database's libraries takes half a second of CPU and more. Calls need not wait for it: they are taken with
what the configuration declares, and what they leave is in the journal of records at once.
"""

import asyncio
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.record import CallRecord, RecordStore
from sipflow.daemon.build import NoRecords
from sipflow.errors import StoreError
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings, journal_file, sqlite_file
from sipflow.store.writer import RecordWriter

if TYPE_CHECKING:
    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.daemon")
_SLOW = ("sipflow.store.database", "sipflow.store.rows", "sipflow.store.batches")  # with all that they load
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Records:
    """Where records go, and whoever else is told of each.

    Attributes:
        on_saved: told each finished record once it is kept.
    """

    def __init__(self, store: RecordStore) -> None:
        self.on_saved: list[Callable[[CallRecord], None]] = []
        self._store = store

    def started(self, record: CallRecord) -> None:
        """Note that a call has begun."""
        self._store.started(record)

    def save(self, record: CallRecord) -> None:
        """Keep the record of a finished call, then tell it."""
        self._store.save(record)
        for told in self.on_saved:
            try:
                told(record)
            except Exception:  # whoever is told must not harm the next one, nor the call
                log.exception("somebody could not be told of a finished call", call=record.id)


class Storage:
    """Journal, database and directory of one daemon.

    Attributes:
        records: what the switchboard writes to.
        writer: of records; None where nothing is kept.
        database: None until it is open.
        trouble: why it is not, "" while it is being opened and once it is.
    """

    def __init__(
        self, settings: Settings, folder: Path, directory: Directory, *, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        """Open the journal. Must be called in a running loop.

        Args:
            settings: of the store.
            folder: of the configuration.
            directory: read once the database is open.
            first_pause_s: before the database is tried again; it doubles each time.

        Raises:
            StoreError: it cannot be written, and the operator asked for it by name. Where nobody did, nothing is kept,
                which the log says.
        """
        self.database: Database | None = None
        self.trouble = ""
        self._settings, self._folder, self._directory = settings, folder, directory
        self._first_pause_s = first_pause_s
        self._writing = False
        self.writer = self._journal() if settings.enabled else None
        self.records = Records(self.writer or NoRecords())

    def _journal(self) -> RecordWriter | None:
        try:
            return RecordWriter(journal_file(self._settings, folder=self._folder))
        except StoreError as error:
            if self._settings.url:
                raise
            self.trouble = str(error)
            log.error("there is no store: nothing is kept, and the API stays closed", why=str(error))
            return None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if not self._settings.enabled:
            return "none"
        file = sqlite_file(self._settings, folder=self._folder)
        return str(file) if file is not None else "PostgreSQL"

    async def open(self) -> "Database | None":
        """Load what it takes, open the database, read the directory; tried again until that is done.

        Returns None where nothing is kept.
        """
        if self.writer is None:
            return None
        pause_s = self._first_pause_s
        while self.database is None:
            try:
                await asyncio.to_thread(_load, _SLOW)
                await self._open()
            except (StoreError, OSError) as error:  # no file can be opened, not even what is to be loaded
                if self.trouble != str(error):
                    log.error("the store cannot be opened; it is tried again", why=str(error))
                self.trouble = str(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return self.database

    async def begin_writing(self) -> None:
        """Write records into the database from now on; by then it is known what goes with them."""
        if self.writer is not None and self.database is not None and not self._writing:
            self._writing = True
            await self.writer.open(self.database)

    async def _open(self) -> None:
        from sipflow.store.database import Database

        database = await Database.open(self._settings, folder=self._folder)
        try:
            await self._directory.load(database)
        except BaseException:  # whatever it was, nobody else would close it
            await database.close()
            raise
        self.database, self.trouble = database, ""
        directory = self._directory
        counts = {"trunks": len(directory.trunks), "numbers": len(directory.numbers), "agents": len(directory.agents)}
        log.info("the store is open", store=self.place, **counts)

    async def close(self) -> None:
        """Write what waits, and close the database; the calls must be over."""
        if self.writer is not None:
            await self.writer.close()
        if self.database is not None:
            await self.database.close()
            self.database = None


def _load(modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)
