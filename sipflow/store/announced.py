"""Announced calls on disk, so that a restart between `prepare_inbound` and the INVITE loses none."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Row, delete, insert, select

from sipflow.calls.announced import Announced
from sipflow.store.tables import announced_calls as table

if TYPE_CHECKING:
    from sipflow.store.database import Database

_KEPT = timedelta(days=1)  # after it expired: whoever asks is told that the call never came


class AnnouncedStore:
    """Keeps announcements until their call has come, and a day longer if it has not."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def keep(self, call: Announced) -> None:
        """Write one, and forget those that expired long ago."""
        row = {
            "id": call.id,
            "agent": call.agent,
            "from_number": call.from_number,
            "to_number": call.to_number,
            "workspace_id": call.workspace_id,
            "variables": dict(call.variables),
            "created_at": call.created_at,
            "expires_at": call.expires_at,
        }
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.expires_at < call.created_at - _KEPT))
            await connection.execute(insert(table).values(row))

    async def forget(self, call_id: str) -> None:
        """Delete one: its call has come. No error if there is none."""
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.id == call_id))

    async def find(self, call_id: str) -> Announced | None:
        """Give one, expired or not."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(table.c.id == call_id))).first()
        return _read(row) if row is not None else None

    async def waiting(self, now: datetime) -> list[Announced]:
        """Give all that are still good, the oldest first."""
        query = select(table).where(table.c.expires_at > now).order_by(table.c.created_at, table.c.id)
        async with self._database.read() as connection:
            return [_read(row) for row in await connection.execute(query)]


def _read(row: Row[tuple[object, ...]]) -> Announced:
    values = dict(row._mapping)
    return Announced(**values)
