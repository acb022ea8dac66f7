"""The database: opened, brought up to date, read from and written to."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Table, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sipflow.errors import StoreError
from sipflow.store.keys import check_keys
from sipflow.store.migrations import REVISIONS
from sipflow.store.places import Place, place_of, sentence
from sipflow.store.secrets import Cipher, own_key
from sipflow.store.settings import Settings
from sipflow.store.tables import metadata

log = structlog.get_logger("sipflow.store")
# A connection that could not take leave is told of by us, in a sentence and not in a traceback.
logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").addFilter(
    lambda record: not str(record.msg).startswith(("Exception closing", "Exception terminating"))
)
_BUSY_S = 5.0  # how long to wait while another process writes
_READERS = 4  # of SQLite; each is a thread
_CONNECTIONS = 10  # to PostgreSQL
_IDLE_S = 5.0  # after which a connection may have been forgotten
_LEFT_AT = "left_at"
_ANSWER_S = 30.0  # a server that takes longer than that is away
_OWN_KEY = ".key"  # behind the name of the SQLite file
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers and the writer do not wait for each other
    "PRAGMA foreign_keys=ON",
)
# Of both writers: a killed process loses nothing either way; after a power cut the second one's work is still there.
_SYNCHRONOUS = ("PRAGMA synchronous=NORMAL", "PRAGMA synchronous=FULL")


class Database:
    """One open database.

    Attributes:
        place: where it is.
        settings: what it was opened with.
    """

    def __init__(self, place: Place, settings: Settings) -> None:
        self.place = place
        self.settings = settings
        self._cipher: Cipher | None = None
        self._writer, self._durable, self._reader = _engines(place)
        self._writing = asyncio.Lock()
        self._inode: tuple[int, int] | None = None  # of the file that is open; None before that, and for PostgreSQL

    @classmethod
    async def open(cls, settings: Settings, *, folder: Path, make: bool = True) -> "Database":
        """Open the database; make what is missing, bring it up to date.

        Args:
            settings: of the store.
            folder: of the configuration, where relative paths start.
            make: False to take it as it is, and to do without its key.

        Raises:
            StoreError: it cannot be used; the sentence says why and what to do.
        """
        place = place_of(settings, folder=folder)
        try:
            database = cls(place, settings)
        except ModuleNotFoundError as error:
            raise StoreError(f'{error.name} is missing for {place}: pip install "sipflow[postgresql]"') from None
        try:
            await (database._prepare() if make else database._look())
            database._inode = _inode_of(place)
        except BaseException:  # cancelled, too: no connection may stay open
            await database.close()
            raise
        return database

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite; PostgreSQL if not."""
        return self.place.sqlite

    @property
    def cipher(self) -> Cipher:
        """For the secrets in it.

        Raises:
            StoreError: it was opened without its key.
        """
        if self._cipher is None:
            raise StoreError(f"the store {self.place} was opened without its key")
        return self._cipher

    def insert(self, table: Table) -> Any:
        """Return an INSERT of the database's own kind, which knows `on_conflict_do_update` and `..._do_nothing`."""
        return sqlite.insert(table) if self.sqlite else postgresql.insert(table)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection to read with; each statement sees what is committed when it starts.

        Raises:
            StoreError: the database is away.
        """
        with _told(self.place):
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """Lend a connection in one transaction: committed when the block ends, rolled back when it raises.

        With SQLite one block runs at a time and sees everything as it is: keep them short.

        Args:
            durable: with SQLite, whether a power cut after the block loses nothing of it; PostgreSQL always sees to it.

        Raises:
            StoreError: the database is away, locked, full or read-only; or its file is not the one that was opened.
            IntegrityError: (SQLAlchemy's) a row contradicts a constraint.
        """
        with _told(self.place):
            if not self.sqlite:
                async with self._writer.begin() as connection:
                    yield connection
                return
            self._check_file()
            engine = self._durable if durable else self._writer
            async with self._writing, engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection; what is being written is waited for."""
        async with self._writing:
            for engine in (self._writer, self._durable, self._reader):
                try:
                    async with asyncio.timeout(_BUSY_S):
                        await engine.dispose()
                except TimeoutError:  # a server that stands still does not take leave; what was written is its own
                    log.warning("the database does not answer: its connections are cut off", store=str(self.place))

    def _check_file(self) -> None:
        """See that what is written will be found again: SQLite goes on writing to a file that was deleted."""
        if self._inode is not None and _inode_of(self.place) != self._inode:
            raise StoreError(
                f"the store {self.place} was deleted, moved or replaced while sipflow had it open: "
                "put it back, or restart sipflow"
            )

    # Opening

    async def _prepare(self) -> None:
        if self.place.file is not None:
            await asyncio.to_thread(_make_file, self.place)
        await self._bring_up_to_date()
        self._cipher = Cipher(await asyncio.to_thread(_keys, self.place, self.settings))
        await check_keys(self)

    async def _look(self) -> None:
        if self.place.file is not None and not await asyncio.to_thread(self.place.file.exists):
            raise StoreError(f"there is no store {self.place} yet: `sipflow run` makes it")
        version = await self._version()
        if version != REVISIONS[-1]:
            raise StoreError(
                f"the tables of the store {self.place} are version {version or 'none'}, and this sipflow's are "
                f"{REVISIONS[-1]}: start `sipflow run` once to bring them up to date"
            )

    async def _bring_up_to_date(self) -> None:
        version = await self._version()
        if version == REVISIONS[-1]:
            return
        if version and version not in REVISIONS:
            raise StoreError(
                f"the store {self.place} was made by a newer sipflow (its tables are version {version}, "
                f"this one knows {REVISIONS[-1]}): run that version, or use another database"
            )
        if not version and (theirs := await self._tables_of_ours()):
            raise StoreError(
                f"the store {self.place} has tables of another program ({', '.join(sorted(theirs))}): "
                "give sipflow a database of its own"
            )
        from sipflow.store.migrations.upgrade import upgrade  # Alembic takes a while to load

        await asyncio.to_thread(upgrade, self.place)
        log.info("the store is ready", store=str(self.place), tables=REVISIONS[-1], before=version or "none")

    async def _tables_of_ours(self) -> set[str]:
        """Name the tables that are there and are called like ours."""
        with _told(self.place):
            async with self._reader.connect() as connection:
                there = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        return metadata.tables.keys() & set(there)

    async def _version(self) -> str:
        """Return the version of the tables, "" where there are none."""
        with _told(self.place):
            async with self._reader.connect() as connection:
                there = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version"))
                found = await connection.scalar(text("SELECT version_num FROM alembic_version")) if there else ""
                return str(found or "")


class _told:  # noqa: N801  (used as a function)
    """Turns what a database says into a sentence."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError | PoolTimeout | OSError) and not isinstance(error, IntegrityError):
            raise StoreError(sentence(self._place, error)) from error


def _inode_of(place: Place) -> tuple[int, int] | None:
    """Tell the file of a SQLite database from every other one; None where there is none."""
    if place.file is None:
        return None
    try:
        found = place.file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _engines(place: Place) -> tuple[AsyncEngine, AsyncEngine, AsyncEngine]:
    """Return the engine that writes, the one that also waits for the disk, and the one that reads."""
    if not place.sqlite:
        engine = create_async_engine(
            place.url,
            pool_size=_CONNECTIONS,
            pool_timeout=_ANSWER_S,
            connect_args={"timeout": _BUSY_S, "command_timeout": _ANSWER_S},
        )
        _mind_idle(engine)
        return engine, engine, engine.execution_options(isolation_level="AUTOCOMMIT")
    arguments = {"timeout": _BUSY_S, "isolation_level": None}  # transactions are begun by us, below
    writers = [create_async_engine(place.url, pool_size=1, max_overflow=0, connect_args=arguments) for _ in range(2)]
    reader = create_async_engine(
        place.url, pool_size=_READERS, max_overflow=0, pool_reset_on_return=None, connect_args=arguments
    )
    for writer, synchronous in zip(writers, _SYNCHRONOUS, strict=True):
        event.listen(writer.sync_engine, "connect", _set_up(*_PRAGMAS, synchronous))
        event.listen(writer.sync_engine, "begin", _begin_immediate)
    event.listen(reader.sync_engine, "connect", _set_up(*_PRAGMAS, "PRAGMA query_only=ON"))
    return writers[0], writers[1], reader


def _mind_idle(engine: AsyncEngine) -> None:
    """Let a restarted server cost nobody an error, and a busy one no question more than is needed.

    A connection that the server has closed is known to be so; one that nobody used for a while is asked first, for
    what is between us and the server may have forgotten it without a word.
    """
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    def left(_connection: Any, record: Any) -> None:
        record.info[_LEFT_AT] = time.monotonic()

    def taken(connection: Any, record: Any, _proxy: object) -> None:
        idle_s = time.monotonic() - record.info.get(_LEFT_AT, time.monotonic())
        try:
            if connection.driver_connection.is_closed() or (idle_s > _IDLE_S and not dialect.do_ping(connection)):
                raise DisconnectionError("the server has closed it")
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError(str(error)) from error

    event.listen(pool, "checkin", left)
    event.listen(pool, "checkout", taken)


def _set_up(*pragmas: str) -> Any:
    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    return set_up


def _begin_immediate(connection: Any) -> None:
    """Take the right to write at once: two who read first and write then would be refused, not made to wait."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_file(place: Place) -> None:
    """Make the file of SQLite for its owner only: it holds who called whom."""
    with suppress(OSError):  # what is wrong with the place is told when it is opened
        os.close(os.open(str(place.file), os.O_RDWR | os.O_CREAT, 0o600))


def _keys(place: Place, settings: Settings) -> tuple[str, ...]:
    if settings.encryption_keys:
        return settings.encryption_keys
    if place.file is None:
        raise StoreError(
            "a key for the secrets in PostgreSQL is missing: set SIPFLOW_STORE_KEY "
            "(make one with: openssl rand -base64 32)"
        )
    return (own_key(place.file.with_name(place.file.name + _OWN_KEY)),)
