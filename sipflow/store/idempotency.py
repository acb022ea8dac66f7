"""What was answered under an Idempotency-Key, so that a request that is sent twice is carried out once.

Keys are taken before anything is done for them, and are in the database by then. Those that are asked for at about the
same time share a transaction, and so do the answers, which follow: a key whose answer a crash has lost is answered for
by the call that was made under it.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, and_, bindparam, delete, select, update

from sipflow.store.tables import idempotency as table
from sipflow.tasks import Tasks

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.store")
KEPT = timedelta(hours=24)
_SWEPT_EVERY = timedelta(minutes=1)
_GAP_S = 0.04  # from the beginning of one transaction to that of the next
_CLOSING_S = 5.0
_BATCH = 200  # rows in one statement; SQLite takes a bounded number of values


class Slot(NamedTuple):
    """A key of a client's."""

    token_id: str
    key: str


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


@dataclass(eq=False, slots=True)
class _Claim:
    """A key that is asked for; the future tells whether it was had, and nobody `wanted` it if that was cancelled."""

    slot: Slot
    answer: Answer
    had: "asyncio.Future[bool]"
    wanted: bool = True


class _Batch(NamedTuple):
    """What goes into one transaction."""

    claims: dict[Slot, _Claim]
    releases: "list[tuple[Slot, asyncio.Future[None]]]"
    answered: dict[Slot, Answer]


class IdempotencyKeys:
    """Keys of clients, each kept for a day; every client has its own. Close it before the database."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._swept_at: datetime | None = None
        self._claims: list[_Claim] = []
        self._releases: list[tuple[Slot, asyncio.Future[None]]] = []
        self._mine: dict[Slot, Answer] = {}  # had by us, and neither answered nor released
        self._answered: dict[Slot, Answer] = {}  # and not written yet
        self._began = 0.0  # the last transaction
        self._writing: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._insert = database.insert(table).on_conflict_do_nothing().returning(table.c.token_id, table.c.key)

    async def claim(self, token_id: str, key: str, request_hash: str, *, call_id: str, now: datetime) -> Answer | None:
        """Take a key for a request; of several that ask at once, also in different processes, one gets it.

        Args:
            token_id: the client's.
            key: the client's word for the request.
            request_hash: of the request, so that another one under the same key is known for one.
            call_id: of the call that the request is to make: after a crash it tells whether there was one.
            now: UTC wall clock; keys older than a day are forgotten.

        Returns:
            None for who may go on, once that is in the database; else what is known of the request that came before.

        Raises:
            StoreError: the database is away; the key was not taken, or will be forgotten.

        Cancelling gives the key back.
        """
        slot, wanted = Slot(token_id, key), Answer(request_hash, call_id, None, None, now)
        while True:
            if (known := self._answered.get(slot)) is not None and known.created_at > now - KEPT:
                return known
            if await self._have(slot, wanted):
                return None
            known = await self.find(token_id, key)
            if known is not None and known.created_at > now - KEPT:
                return known
            if known is not None:  # or else whoever had it has released it meanwhile
                self._swept_at = None

    async def find(self, token_id: str, key: str) -> Answer | None:
        """Give what is known of a key.

        Raises:
            StoreError: the database is away.
        """
        slot = Slot(token_id, key)
        if (known := self._answered.get(slot)) is not None:
            return known
        columns = (table.c.request_hash, table.c.status, table.c.response, table.c.created_at)
        async with self._database.read() as connection:
            row = (await connection.execute(select(*columns).where(_is(slot)))).first()
        if row is None:
            return None
        request_hash, status, kept, created_at = row
        return Answer(request_hash, kept["call_id"], status, kept.get("response"), created_at)

    def settle(self, token_id: str, key: str, *, status: int, response: Mapping[str, object]) -> None:
        """Keep what was answered under a key that was taken here; it is known at once, and written a moment later."""
        slot = Slot(token_id, key)
        taken = self._mine.pop(slot, None)
        if taken is not None:
            self._answered[slot] = replace(taken, status=status, response=response)
            self._write_soon()

    async def release(self, token_id: str, key: str) -> None:
        """Forget a key whose request was refused: it did nothing, and may be sent again.

        Raises:
            StoreError: the database is away.
        """
        slot = Slot(token_id, key)
        self._mine.pop(slot, None)
        self._answered.pop(slot, None)
        await self._give_back(slot)

    async def close(self) -> None:
        """Write what waits; for answers that the database does not take within seconds their calls answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while self._writing is not None and not self._writing.done():
                    await asyncio.wait([self._writing])
        await self._tasks.close()

    # Together

    async def _have(self, slot: Slot, wanted: Answer) -> bool:
        """Take a key if it is free."""
        claim = _Claim(slot, wanted, asyncio.get_running_loop().create_future())
        self._claims.append(claim)
        self._write_soon()
        try:
            return await claim.had
        except asyncio.CancelledError:
            if claim in self._claims:
                self._claims.remove(claim)
            else:  # it may be had already
                claim.wanted = False
                if self._mine.pop(slot, None) is not None:
                    self._give_back(slot)
            raise

    def _give_back(self, slot: Slot) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._releases.append((slot, done))
        self._write_soon()
        return done

    def _write_soon(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.spawn(self._write(), name="writing of idempotency keys")

    async def _write(self) -> None:
        while self._claims or self._releases or self._answered:
            await asyncio.sleep(max(0.0, self._began + _GAP_S - self._clock()))
            self._began = self._clock()
            batch = self._next()
            try:
                async with self._database.write() as connection:
                    had = await self._transaction(connection, batch)
            except Exception as error:  # noqa: BLE001  (whatever it was, those who wait must hear of it)
                self._failed(batch, error)
            else:
                self._done(batch, had)

    def _next(self) -> _Batch:
        """Take what goes into one transaction; of those who ask for one key only the first."""
        claims: dict[Slot, _Claim] = {}
        later: list[_Claim] = []
        for claim in self._claims:
            if claim.slot in claims or len(claims) == _BATCH:
                later.append(claim)
            else:
                claims[claim.slot] = claim
        self._claims = later
        releases, self._releases = self._releases[:_BATCH], self._releases[_BATCH:]
        return _Batch(claims, releases, dict(islice(self._answered.items(), _BATCH)))

    async def _transaction(self, connection: "AsyncConnection", batch: _Batch) -> set[Slot]:
        """Write a batch; return the keys that were had."""
        if batch.releases:
            await connection.execute(_RELEASE, [_named(slot) for slot, _ in batch.releases])
        if batch.answered:
            rows = [
                {**_named(slot), "status": each.status, "response": _kept(each)}
                for slot, each in batch.answered.items()
            ]
            await connection.execute(_SETTLE, rows)
        if not batch.claims:
            return set()
        now = max(each.answer.created_at for each in batch.claims.values())
        if self._swept_at is None or abs(now - self._swept_at) >= _SWEPT_EVERY:
            await connection.execute(delete(table).where(table.c.created_at <= now - KEPT))
            self._swept_at = now
        rows = [
            {
                "token_id": slot.token_id,
                "key": slot.key,
                "request_hash": claim.answer.request_hash,
                "response": _kept(claim.answer),
                "created_at": claim.answer.created_at,
            }
            for slot, claim in batch.claims.items()
        ]
        return {Slot(*row) for row in await connection.execute(self._insert, rows)}

    def _done(self, batch: _Batch, had: set[Slot]) -> None:
        for slot, answer in batch.answered.items():
            if self._answered.get(slot) is answer:
                del self._answered[slot]
        for _, done in batch.releases:
            if not done.done():
                done.set_result(None)
        for slot, claim in batch.claims.items():
            if slot in had and not claim.wanted:
                self._give_back(slot)
            elif slot in had:
                self._mine[slot] = claim.answer
            if not claim.had.done():
                claim.had.set_result(slot in had)

    def _failed(self, batch: _Batch, error: Exception) -> None:
        self._swept_at = None
        if batch.answered:
            log.warning(
                "answers under Idempotency-Keys could not be kept; their calls answer for them",
                answers=len(batch.answered),
                why=str(error),
            )
        for slot in batch.answered:
            self._answered.pop(slot, None)
        waiting: list[asyncio.Future[Any]] = [claim.had for claim in batch.claims.values()]
        for future in (*waiting, *(done for _, done in batch.releases)):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever gave up waiting needs no warning


_WHICH = and_(table.c.token_id == bindparam("token"), table.c.key == bindparam("named"))
_SETTLE = update(table).where(_WHICH).values(status=bindparam("status"), response=bindparam("response"))
_RELEASE = delete(table).where(_WHICH)


def _named(slot: Slot) -> dict[str, object]:
    return {"token": slot.token_id, "named": slot.key}


def _kept(answer: Answer) -> dict[str, object]:
    said = {"response": dict(answer.response)} if answer.response is not None else {}
    return {"call_id": answer.call_id, **said}


def _is(slot: Slot) -> ColumnElement[bool]:
    return and_(table.c.token_id == slot.token_id, table.c.key == slot.key)
