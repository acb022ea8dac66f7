"""What a call's row says about its recording."""

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from sipflow.store.tables import calls as table

if TYPE_CHECKING:
    from sipflow.store.database import Database

_FIELDS = ("recording", "recording_s")  # of the record as JSON


async def forget_recording(database: "Database", call_id: str) -> None:
    """Let a call have no recording any more; whoever calls this deletes the file. No error if there is none."""
    async with database.write() as connection:
        record = (await connection.execute(select(table.c.record).where(table.c.id == call_id))).scalar()
        if isinstance(record, dict):
            kept = {name: value for name, value in record.items() if name not in _FIELDS}
            change = update(table).where(table.c.id == call_id).values(recording=None, record=kept)
            await connection.execute(change)
