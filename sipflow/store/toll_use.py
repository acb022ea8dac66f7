"""What is used of the budgets against toll fraud, over a restart: nobody gets a new day by making us start again."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import delete, select

from sipflow.calls.tolls import Tolls
from sipflow.errors import StoreError
from sipflow.store.database import Database
from sipflow.store.tables import toll_use

log = structlog.get_logger("sipflow.store")
_EVERY_S = 2.0  # so much a killed process forgets
_ROWS = 200  # in one statement; SQLite takes a bounded number of values
_KEPT = timedelta(days=3)  # budgets are of a day, wherever midnight is


class TollUseKeeper:
    """Keeps in the store what is used of budgets."""

    def __init__(
        self, database: Database, tolls: Tolls, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._tolls = tolls
        self._wall = wall

    async def load(self) -> None:
        """Count what an earlier process has used today.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._database.write() as connection:
            await connection.execute(delete(toll_use).where(toll_use.c.updated_at < self._wall() - _KEPT))
        async with self._database.read() as connection:
            rows = (await connection.execute(select(toll_use.c.name, toll_use.c.state))).all()
        self._tolls.restore({row.name: row.state for row in rows})

    async def run(self) -> None:
        """Write what has changed, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except StoreError as error:
                log.warning("the use of toll budgets could not be kept; it is tried again", why=str(error))

    async def flush(self) -> None:
        """Write what has changed.

        Raises:
            StoreError: the store cannot be written; nothing is forgotten.
        """
        changed = self._tolls.take_changed()
        if not changed:
            return
        wall = self._wall()
        rows = [{"name": name, "state": state, "updated_at": wall} for name, state in changed.items()]
        try:
            async with self._database.write() as connection:
                for start in range(0, len(rows), _ROWS):
                    insert = self._database.insert(toll_use).values(rows[start : start + _ROWS])
                    new = {"state": insert.excluded.state, "updated_at": insert.excluded.updated_at}
                    await connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=new))
        except BaseException:  # cancelling counts too
            self._tolls.put_back(changed)
            raise
