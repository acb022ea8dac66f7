"""Keeps a book that changes all the time, over a restart: what has changed is written every few seconds."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import structlog
from sqlalchemy import Table, bindparam, delete, select

from sipflow.errors import StoreError
from sipflow.store.database import Database

log = structlog.get_logger("sipflow.store")
_EVERY_S = 2.0  # so much a killed process forgets
_SWEEP_EVERY_S = 3600.0
_ROWS = 200  # in one statement; SQLite takes a bounded number of values
_READ = 500  # rows taken in before calls and their audio have their turn

Key = tuple[str, ...]


class Kept(NamedTuple):
    """What was kept under a key.

    Attributes:
        key: values of the primary key's columns.
        state: JSON values.
        age_s: seconds since it was written.
    """

    key: Key
    state: Any
    age_s: float


class Book(Protocol):
    """What is kept."""

    def take_changed(self) -> Mapping[Key, Any]:
        """Return the state of whatever has changed since this was last asked; None for what is there no more."""

    def put_back(self, keys: Iterable[Key]) -> None:
        """Count these as changed again: they could not be kept."""

    def restore(self, kept: Sequence[Kept]) -> None:
        """Take in a part of what an earlier process kept, the latest first; what cannot be read is left out."""


class Keeper:
    """Keeps a book in a table with the columns of its key, `state` and `updated_at`.

    Args:
        what: it is, for the log.
        keep: how long what nobody changes stays.
        forget: told the key of what has gone because nobody changed it for that long.
        every_s: how often what has changed is written.
        wall: UTC wall clock.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        book: Book,
        *,
        what: str,
        keep: timedelta,
        forget: Callable[[Key], None] = lambda _key: None,
        every_s: float = _EVERY_S,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.what = what
        self._database = database
        self._table = table
        self._book = book
        self._keep = keep
        self._forget = forget
        self._every_s = every_s
        self._wall = wall
        self._key = tuple(column.name for column in table.primary_key)
        its = [table.c[name] == bindparam(f"its_{name}") for name in self._key]
        self._delete = delete(table).where(*its)

    async def load(self) -> None:
        """Read into the book what an earlier process knew.

        Raises:
            StoreError: the store cannot be read.
        """
        table, wall = self._table, self._wall()
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.updated_at < wall - self._keep))
        async with self._database.read() as connection:
            rows = await connection.execute(select(table).order_by(table.c.updated_at.desc(), *table.primary_key))
        for part in rows.mappings().partitions(_READ):
            kept = [
                Kept(tuple(row[name] for name in self._key), row["state"], (wall - row["updated_at"]).total_seconds())
                for row in part
            ]
            self._book.restore(kept)
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Write what has changed, every few seconds, and let go of what is old, until cancelled."""
        clock = asyncio.get_running_loop().time
        swept_at = clock()
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.flush()
                if clock() - swept_at >= _SWEEP_EVERY_S:
                    swept_at = clock()
                    await self.sweep()
            except StoreError as error:
                log.warning(f"{self.what} could not be kept; it is tried again", why=str(error))

    async def sweep(self) -> None:
        """Delete what nobody has changed for long enough, and have it forgotten.

        Raises:
            StoreError: the store cannot be used.
        """
        table = self._table
        old = table.c.updated_at < self._wall() - self._keep
        async with self._database.read() as connection:
            keys = [tuple(row) for row in await connection.execute(select(*table.primary_key).where(old))]
        if not keys:
            return
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(old))
        for key in keys:
            self._forget(key)

    async def flush(self) -> None:
        """Write what has changed.

        Raises:
            StoreError: the store cannot be written; nothing is forgotten.
        """
        changed = self._book.take_changed()
        if not changed:
            return
        wall = self._wall()
        names = dict.fromkeys(self._key)
        rows = [
            dict(zip(names, key, strict=True)) | {"state": state, "updated_at": wall}
            for key, state in changed.items()
            if state is not None
        ]
        gone = [
            {f"its_{name}": value for name, value in zip(names, key, strict=True)}
            for key, state in changed.items()
            if state is None
        ]
        try:
            async with self._database.write() as connection:
                for start in range(0, len(rows), _ROWS):
                    await connection.execute(self._upsert(rows[start : start + _ROWS]))
                if gone:
                    await connection.execute(self._delete, gone)
        except BaseException:  # cancelling counts too
            self._book.put_back(changed)
            raise

    def _upsert(self, rows: list[dict[str, Any]]) -> Any:
        insert = self._database.insert(self._table).values(rows)
        new = {"state": insert.excluded.state, "updated_at": insert.excluded.updated_at}
        return insert.on_conflict_do_update(index_elements=list(self._key), set_=new)
