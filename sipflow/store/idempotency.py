"""What was answered under an Idempotency-Key, so that a request that is sent twice is carried out once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sipflow.store.tables import idempotency as table

if TYPE_CHECKING:
    from sipflow.store.database import Database

KEPT = timedelta(hours=24)
_SWEPT_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a key.

    Attributes:
        request_hash: of the request that came with it first.
        call_id: of the call that the request was to make.
        status: what was answered; None while the first request is at work, or if it was cut off.
        response: the body of the answer.
        created_at: when the first request came.
    """

    request_hash: str
    call_id: str
    status: int | None
    response: Mapping[str, object] | None
    created_at: datetime


class IdempotencyKeys:
    """Keys of clients, each kept for a day; every client has its own."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._swept_at: datetime | None = None

    async def claim(self, token_id: str, key: str, request_hash: str, *, call_id: str, now: datetime) -> Answer | None:
        """Take a key for a request; of several that ask at once, also in different processes, one gets it.

        Args:
            token_id: the client's.
            key: the client's word for the request.
            request_hash: of the request, so that another one under the same key is known for one.
            call_id: of the call that the request is to make: after a crash it tells whether there was one.
            now: UTC wall clock; keys older than a day are forgotten.

        Returns:
            None for who may go on; else what is known of the request that came before.
        """
        row = {
            "token_id": token_id,
            "key": key,
            "request_hash": request_hash,
            "response": {"call_id": call_id},
            "created_at": now,
        }
        sweep = self._swept_at is None or abs(now - self._swept_at) >= _SWEPT_EVERY
        while True:
            try:
                async with self._database.write() as connection:
                    if sweep:
                        await connection.execute(delete(table).where(table.c.created_at <= now - KEPT))
                    await connection.execute(insert(table).values(row))
            except IntegrityError:
                known = await self.find(token_id, key)
                if known is not None and known.created_at > now - KEPT:
                    return known
                sweep = known is not None  # or else whoever had it has released it meanwhile
            else:
                self._swept_at = now if sweep else self._swept_at
                return None

    async def find(self, token_id: str, key: str) -> Answer | None:
        """Give what is known of a key."""
        columns = (table.c.request_hash, table.c.status, table.c.response, table.c.created_at)
        async with self._database.read() as connection:
            row = (await connection.execute(select(*columns).where(_is(token_id, key)))).first()
        if row is None:
            return None
        request_hash, status, kept, created_at = row
        return Answer(request_hash, kept["call_id"], status, kept.get("response"), created_at)

    async def settle(
        self, token_id: str, key: str, *, call_id: str, status: int, response: Mapping[str, object]
    ) -> None:
        """Keep what was answered."""
        kept = {"call_id": call_id, "response": dict(response)}
        async with self._database.write() as connection:
            await connection.execute(update(table).where(_is(token_id, key)).values(status=status, response=kept))

    async def release(self, token_id: str, key: str) -> None:
        """Forget a key whose request was refused: it did nothing, and may be sent again."""
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(_is(token_id, key)))


def _is(token_id: str, key: str) -> ColumnElement[bool]:
    return and_(table.c.token_id == token_id, table.c.key == key)
