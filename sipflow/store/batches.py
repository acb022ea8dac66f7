"""Puts batches of records into the database, each in one transaction, and finds the one that spoils a batch."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.calls.record import CallRecord
from sipflow.errors import StoreError
from sipflow.store.call_rows import Rows
from sipflow.store.database import Database
from sipflow.store.journal_lines import Saved
from sipflow.store.places import blames_values

log = structlog.get_logger("sipflow.store")
Also = Callable[[AsyncConnection, list[CallRecord]], Awaitable[None]]


class Batches:
    """Writes batches into one database.

    Attributes:
        rows: what it writes with.

    Args:
        also_for: whether `also` has anything to write for a record; where not, it is not given it.
    """

    def __init__(self, database: Database, also_for: Callable[[CallRecord], bool] = lambda _record: True) -> None:
        self._database = database
        self.also_for = also_for
        self.rows = Rows(sqlite=database.sqlite)

    async def write(self, batch: Sequence[Saved], also: Also | None) -> None:
        """Write records; those that the database refuses are logged whole and left out.

        Raises:
            StoreError: the database is away; nothing of the batch is kept, or nobody knows.
        """
        try:
            await self._transaction(batch, also)
        except StoreError as error:
            if not blames_values(error.__cause__):
                raise
            why = str(error)
        except Exception as error:  # noqa: BLE001  (of `also`, which is not ours, or of a value no database takes)
            why = f"{type(error).__name__}: {error}"
        else:
            return
        if len(batch) > 1:
            half = len(batch) // 2
            await self.write(batch[:half], also)
            await self.write(batch[half:], also)
        elif also is not None:
            log.error("what belongs to the record of a call cannot be written", call=batch[0].record.id, why=why)
            await self.write(batch, None)
        else:
            log.error(
                "the database refuses the record of a call", call=batch[0].record.id, why=why, record=batch[0].text
            )

    async def _transaction(self, batch: Sequence[Saved], also: Also | None) -> None:
        async with self._database.write(durable=True) as connection:
            fresh = [each.record for each in batch if also is not None and self.also_for(each.record)]
            if fresh:
                known = await self.rows.known(connection, [record.id for record in fresh])
                fresh = [record for record in fresh if record.id not in known]
            await self.rows.write(connection, batch)
            if also is not None and fresh:
                await also(connection, fresh)
