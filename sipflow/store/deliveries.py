"""Deliveries of webhooks: the outbox that survives a restart, and the log of what was sent and answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, or_, select, update

from sipflow.errors import Conflict, NotFound
from sipflow.store.tables import deliveries as rows
from sipflow.store.tables import delivery_attempts as tries

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.database import Database

PENDING, SUCCESS, FAILED = "pending", "success", "failed"
POST_CALL, INBOUND, EVENT = "external_webhook", "inbound_webhook", "call_event"
_PRUNED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request that is to be sent, or was.

    Attributes:
        id: unique; the same event always has the same, so that it is never there twice.
        webhook_type: `POST_CALL`, `INBOUND` or `EVENT`.
        url: where to.
        endpoint: scheme, host and port of it.
        agent, call_id: what it is about.
        payload: the body.
        created_at: UTC wall clock.
        position: those of one call to one URL are sent in this order, each when the one before is finished.
        status: `PENDING`, `SUCCESS` or `FAILED`.
        attempts: how often it was tried.
        next_at: when it is tried next; None when it is not.
        expires_at: when it is given up.
        finished_at: when it was answered, or given up.
    """

    id: str
    webhook_type: str
    url: str
    endpoint: str
    agent: str
    call_id: str
    payload: bytes
    created_at: datetime
    position: int = 0
    status: str = PENDING
    attempts: int = 0
    next_at: datetime | None = None
    expires_at: datetime | None = None
    finished_at: datetime | None = None
    http_method: str = "post"
    workspace_id: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try.

    Attributes:
        attempt_number: from 1.
        at: UTC wall clock of its beginning.
        status_code: of the answer; None when there was none.
        duration_ms, response_ttfb_ms: to the end of the answer, and to its first line.
        request_headers, response_headers: without secrets.
        response_body: its beginning.
        response_bytes: how much of it was read.
        error_message: why it is no success; "" for one.
    """

    attempt_number: int
    at: datetime
    status_code: int | None
    duration_ms: int
    response_ttfb_ms: int | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] | None = None
    response_body: str | None = None
    response_bytes: int | None = None
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a try: the delivery as it is now, and the try."""

    delivery: Delivery
    attempt: DeliveryAttempt


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which deliveries are asked for; what is None does not matter.

    Attributes:
        search: part of the id, the URL or the id of the call, in any case.
        from_at, to_at: of their making, both included.
    """

    webhook_type: str | None = None
    status: str | None = None
    http_method: str | None = None
    agent: str | None = None
    call_id: str | None = None
    search: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


class Deliveries:
    """The two tables of deliveries."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    # The outbox

    async def add(self, connection: "AsyncConnection", deliveries: Sequence[Delivery]) -> None:
        """Put deliveries into the outbox, in the caller's transaction; one that is there already stays as is."""
        if deliveries:
            statement = self._database.insert(rows).on_conflict_do_nothing()
            await connection.execute(statement, [_row_of(delivery) for delivery in deliveries])

    async def waiting(self) -> tuple[int, datetime | None]:
        """Count what is not finished, and say when the oldest of it was made."""
        statement = select(func.count(), func.min(rows.c.created_at)).where(rows.c.status == PENDING)
        async with self._database.read() as connection:
            count, oldest = (await connection.execute(statement)).one()
        return int(count), oldest

    async def due(self, now: datetime) -> list[str]:
        """Name the endpoints that something is to be sent to, whoever waits longest first."""
        statement = (
            select(rows.c.endpoint)
            .where(rows.c.status == PENDING, rows.c.next_at <= now)
            .group_by(rows.c.endpoint)
            .order_by(func.min(rows.c.next_at))
        )
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def hurry(self, now: datetime) -> None:
        """Make everything due: somebody has set the clock back, and would let it all wait as long again."""
        async with self._database.write() as connection:
            await connection.execute(
                update(rows).where(rows.c.status == PENDING, rows.c.next_at > now).values(next_at=now)
            )

    async def candidates(self, endpoint: str, *, now: datetime, most: int) -> list[str]:
        """Name what could go to an endpoint, the oldest first: of one call to one URL only the first unfinished."""
        first = rows.alias()
        earlier = (
            select(first.c.id)
            .where(
                first.c.call_id == rows.c.call_id,
                first.c.url == rows.c.url,
                first.c.status == PENDING,
                first.c.position < rows.c.position,
            )
            .exists()
        )
        statement = (
            select(rows.c.id)
            .where(rows.c.status == PENDING, rows.c.next_at <= now, rows.c.endpoint == endpoint, ~earlier)
            .order_by(rows.c.next_at, rows.c.position, rows.c.id)
            .limit(most)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def claim(
        self, connection: "AsyncConnection", ids: Sequence[str], *, now: datetime, until: datetime
    ) -> list[Delivery]:
        """Take what is still due of these until `until`: another process may have been quicker."""
        if not ids:
            return []
        statement = (
            update(rows)
            .where(rows.c.id.in_(ids), rows.c.status == PENDING, rows.c.next_at <= now)
            .values(next_at=until)
            .returning(rows)
        )
        return [_delivery_of(row) for row in (await connection.execute(statement)).mappings()]

    async def settle(self, connection: "AsyncConnection", settled: Sequence[Settled]) -> None:
        """Note what came of tries; of a delivery that somebody has deleted meanwhile nothing is noted."""
        ids = [each.delivery.id for each in settled]
        if not ids:
            return
        there = set((await connection.execute(select(rows.c.id).where(rows.c.id.in_(ids)))).scalars())
        kept = [each for each in settled if each.delivery.id in there]
        await self._add_attempts(connection, [(each.delivery.id, each.attempt) for each in kept])
        if kept:
            await connection.execute(_SETTLE, [_settled_row(each.delivery) for each in kept])

    async def log(self, delivery: Delivery, attempts: Sequence[DeliveryAttempt]) -> None:
        """Keep what was sent and answered without the outbox."""
        async with self._database.write() as connection:
            await self.add(connection, [delivery])
            await self._add_attempts(connection, [(delivery.id, attempt) for attempt in attempts])

    async def redeliver(self, delivery_id: str, *, now: datetime, expires_at: datetime) -> Delivery:
        """Send a delivery once more, whatever came of it.

        Raises:
            NotFound: there is none with this id.
            Conflict: it asked about a call that was waiting for the answer, and is over.
        """
        async with self._database.write() as connection:
            found = (await connection.execute(select(rows).where(rows.c.id == delivery_id))).mappings().first()
            if found is None:
                raise NotFound(f"there is no delivery {delivery_id!r}")
            if found["webhook_type"] == INBOUND:
                raise Conflict("the call that this request asked about waited for the answer and is over")
            values = {"status": PENDING, "next_at": now, "expires_at": expires_at, "finished_at": None}
            await connection.execute(update(rows).where(rows.c.id == delivery_id).values(**values))
            return _delivery_of({**found, **values})

    async def prune(self, before: datetime) -> int:
        """Delete what was finished before; a few at a time, so that nobody waits long. Returns how many."""
        old = select(rows.c.id).where(rows.c.finished_at < before).limit(_PRUNED_AT_ONCE)
        deleted = 0
        while True:
            async with self._database.write() as connection:
                ids = list((await connection.execute(old)).scalars())
                await connection.execute(delete(tries).where(tries.c.delivery_id.in_(ids)))
                await connection.execute(delete(rows).where(rows.c.id.in_(ids)))
            deleted += len(ids)
            if len(ids) < _PRUNED_AT_ONCE:
                return deleted

    # The log

    async def page(
        self, asked: LogFilter, *, limit: int, offset: int
    ) -> tuple[int, list[tuple[Delivery, DeliveryAttempt | None]]]:
        """List deliveries, the newest first, each with its last try; and count all that fit."""
        conditions = list(_conditions(asked))
        last = tries.c.delivery_id == rows.c.id, tries.c.attempt_number == rows.c.attempts
        statement: Select[Any] = (
            select(rows, *_prefixed())
            .outerjoin(tries, last[0] & last[1])
            .where(*conditions)
            .order_by(rows.c.created_at.desc(), rows.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(rows).where(*conditions))
            found = (await connection.execute(statement)).mappings().all()
        return int(total or 0), [(_delivery_of(row), _last_of(row)) for row in found]

    async def find(self, delivery_id: str) -> tuple[Delivery, list[DeliveryAttempt]]:
        """Return a delivery with every try, in order.

        Raises:
            NotFound: there is none with this id.
        """
        all_tries = select(tries).where(tries.c.delivery_id == delivery_id).order_by(tries.c.attempt_number)
        async with self._database.read() as connection:
            found = (await connection.execute(select(rows).where(rows.c.id == delivery_id))).mappings().first()
            attempts = (await connection.execute(all_tries)).mappings().all()
        if found is None:
            raise NotFound(f"there is no delivery {delivery_id!r}")
        return _delivery_of(found), [_attempt_of(row) for row in attempts]

    async def counts(self) -> dict[str, int]:
        """Count deliveries by status."""
        statement = select(rows.c.status, func.count()).group_by(rows.c.status)
        async with self._database.read() as connection:
            found = (await connection.execute(statement)).all()
        return {str(status): int(count) for status, count in found}

    async def _add_attempts(
        self, connection: "AsyncConnection", attempts: Sequence[tuple[str, DeliveryAttempt]]
    ) -> None:
        if attempts:
            # Two processes may have tried at once where one took too long: the first to say so is kept.
            statement = self._database.insert(tries).on_conflict_do_nothing()
            values = [{"delivery_id": delivery_id, **_row_of(attempt)} for delivery_id, attempt in attempts]
            await connection.execute(statement, values)


_SETTLE = (
    update(rows)
    .where(rows.c.id == bindparam("its_id"), rows.c.status == PENDING)
    .values({name: bindparam(f"new_{name}") for name in ("status", "attempts", "next_at", "finished_at")})
)


def _settled_row(delivery: Delivery) -> dict[str, Any]:
    return {
        "its_id": delivery.id,
        "new_status": delivery.status,
        "new_attempts": delivery.attempts,
        "new_next_at": delivery.next_at,
        "new_finished_at": delivery.finished_at,
    }


_TRY_PREFIX = "try_"


def _prefixed() -> list[ColumnElement[Any]]:
    return [column.label(_TRY_PREFIX + column.name) for column in tries.c]


def _conditions(asked: LogFilter) -> Iterable[ColumnElement[bool]]:
    for name in ("webhook_type", "status", "http_method", "agent", "call_id"):
        value = getattr(asked, name)
        if value is not None:
            yield rows.c[name] == value
    if asked.from_at is not None:
        yield rows.c.created_at >= asked.from_at
    if asked.to_at is not None:
        yield rows.c.created_at <= asked.to_at
    if asked.search:
        columns = rows.c.id, rows.c.url, rows.c.call_id
        yield or_(*(column.icontains(asked.search, autoescape=True) for column in columns))


def _row_of(value: Delivery | DeliveryAttempt) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__}


def _delivery_of(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__slots__})


def _attempt_of(row: Mapping[Any, Any]) -> DeliveryAttempt:
    return DeliveryAttempt(**{name: row[name] for name in DeliveryAttempt.__slots__})


def _last_of(row: Mapping[Any, Any]) -> DeliveryAttempt | None:
    if row[_TRY_PREFIX + "attempt_number"] is None:
        return None
    return _attempt_of({name: row[_TRY_PREFIX + name] for name in DeliveryAttempt.__slots__})
