"""What is known of numbers' use, over a restart: when they were called from, how often today, whether they rest."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, select

from sipflow.errors import StoreError
from sipflow.numbers.use import Book
from sipflow.store.database import Database
from sipflow.store.tables import number_use

log = structlog.get_logger("sipflow.store")
_EVERY_S = 2.0  # so much a killed process forgets
_ROWS = 200  # in one statement; SQLite takes a bounded number of values
_KEPT = timedelta(days=90)  # of numbers that nobody calls from any more


class NumberUseKeeper:
    """Keeps the book of numbers in the store.

    Args:
        clock: monotonic seconds, those of the book.
    """

    def __init__(
        self,
        database: Database,
        book: Book,
        *,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._book = book
        self._clock = clock
        self._wall = wall

    async def load(self) -> None:
        """Read into the book what an earlier process knew.

        Raises:
            StoreError: the store cannot be read.
        """
        wall = self._wall()
        async with self._database.write() as connection:
            await connection.execute(delete(number_use).where(number_use.c.updated_at < wall - _KEPT))
        async with self._database.read() as connection:
            rows = (await connection.execute(select(number_use))).all()
        states = {row.number: _aged(row.state, (wall - row.updated_at).total_seconds()) for row in rows}
        self._book.restore(states, self._clock())

    async def run(self) -> None:
        """Write what has changed, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except StoreError as error:
                log.warning("the use of numbers could not be kept; it is tried again", why=str(error))

    async def flush(self) -> None:
        """Write what has changed.

        Raises:
            StoreError: the store cannot be written; nothing is forgotten.
        """
        changed = self._book.take_changed()
        if not changed:
            return
        now, wall = self._clock(), self._wall()
        rows = [{"number": use.number, "state": use.state(now), "updated_at": wall} for use in changed]
        try:
            async with self._database.write() as connection:
                for start in range(0, len(rows), _ROWS):
                    await connection.execute(self._upsert(rows[start : start + _ROWS]))
        except BaseException:  # cancelling counts too
            self._book.put_back(changed)
            raise

    def _upsert(self, rows: list[dict[str, Any]]) -> Any:
        insert = self._database.insert(number_use).values(rows)
        return insert.on_conflict_do_update(
            index_elements=["number"],
            set_={"state": insert.excluded.state, "updated_at": insert.excluded.updated_at},
        )


def _aged(state: dict[str, Any], age_s: float) -> dict[str, Any]:
    """Return a state as it is by now; one that cannot be read is the book's to leave out."""
    try:
        used_s_ago = state["used_s_ago"]
        return {
            **state,
            "used_s_ago": None if used_s_ago is None else used_s_ago + age_s,
            "rests_for_s": max(0.0, state["rests_for_s"] - age_s),
        }
    except (KeyError, TypeError):
        return {}
