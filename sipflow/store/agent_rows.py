"""Rows of agents that the API created. Their options are encrypted as a whole: handlers take keys and tokens."""

import json
from collections.abc import AsyncIterator

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.store.database import Database
from sipflow.store.entries import AgentEntry
from sipflow.store.secrets import Cipher
from sipflow.store.tables import agents as table

_COPIED = ("name", "type", "handler", "fields", "updated_at")


def _about(model_id: str) -> str:
    return f"agents.options:{model_id}"


async def read(connection: AsyncConnection, cipher: Cipher) -> AsyncIterator[AgentEntry]:
    """Give every agent, the oldest first.

    Raises:
        StoreError: its options cannot be decrypted.
    """
    for row in await connection.execute(select(table).order_by(table.c.created_at, table.c.model_id)):
        yield AgentEntry(
            model_id=row.model_id,
            options=json.loads(cipher.decrypt(row.options, about=_about(row.model_id))),
            declared=False,
            created_at=row.created_at,
            **{key: getattr(row, key) for key in _COPIED},
        )


async def put(connection: AsyncConnection, database: Database, agent: AgentEntry) -> None:
    """Insert an agent, or change it."""
    options = database.cipher.encrypt(json.dumps(dict(agent.options)), about=_about(agent.model_id))
    values = {key: getattr(agent, key) for key in _COPIED} | {"options": options}
    insert = database.insert(table).values(model_id=agent.model_id, created_at=agent.created_at, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=[table.c.model_id], set_=values))


async def remove(connection: AsyncConnection, model_id: str) -> None:
    """Delete an agent."""
    await connection.execute(delete(table).where(table.c.model_id == model_id))
