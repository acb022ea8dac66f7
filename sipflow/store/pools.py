"""Pools of numbers that the API created."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.errors import Conflict, NotFound, SipflowError
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import RestSettings
from sipflow.numbers.use import Caps
from sipflow.store.database import Database
from sipflow.store.tables import pool_members, pools

log = structlog.get_logger("sipflow.store")


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A pool, whoever brought it.

    Attributes:
        settings: what it is.
        declared: whether the configuration declares it, so that the API cannot change it.
        created_at, updated_at: UTC wall clock; None for a declared one.
    """

    settings: PoolSettings
    declared: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None


class PoolShelf:
    """All pools of one edge; those of the store are in memory too.

    Attributes:
        declared: gives those of the configuration.
        agents_of: names the agents that call from a pool, which must stay for them.
        on_change: called after each change.
    """

    def __init__(
        self,
        database: Database,
        *,
        declared: Callable[[], Mapping[str, PoolSettings]] = dict,
        agents_of: Callable[[str], tuple[str, ...]] = lambda _name: (),
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._wall = wall
        self._stored: dict[str, PoolEntry] = {}
        self._changing = asyncio.Lock()  # one change sees what the one before it has left
        self.declared = declared
        self.agents_of = agents_of
        self.on_change: Callable[[], None] = lambda: None

    @property
    def stored(self) -> Mapping[str, PoolSettings]:
        """What the API created, also where the configuration declares a pool of the same name."""
        return MappingProxyType({name: entry.settings for name, entry in self._stored.items()})

    async def load(self) -> None:
        """Read what the API created before; what cannot be used any more is left out, which the log says.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select(pools).order_by(pools.c.created_at, pools.c.name))).all()
            order = select(pool_members).order_by(pool_members.c.pool, pool_members.c.position)
            members: dict[str, list[Any]] = {}
            for each in await connection.execute(order):
                members.setdefault(each.pool, []).append(each)
        found = {}
        for row in rows:
            try:
                settings = _read(row, members.get(row.name, []))
            except (SipflowError, KeyError, TypeError, ValueError) as error:
                log.error("a pool in the store cannot be used", pool=row.name, why=str(error))
                continue
            found[row.name] = PoolEntry(settings, False, row.created_at, row.updated_at)
        self._stored = found
        self.on_change()

    def list(self, *, limit: int | None = None, offset: int = 0) -> tuple[int, list[PoolEntry]]:
        """Return how many there are, and a page of them: declared ones first, then by age."""
        declared = self.declared()
        found = [PoolEntry(settings, declared=True) for settings in declared.values()]
        found += [entry for name, entry in self._stored.items() if name not in declared]
        return len(found), found[offset : None if limit is None else offset + limit]

    def find(self, name: str) -> PoolEntry:
        """Return a pool.

        Raises:
            NotFound: there is no such pool.
        """
        declared = self.declared().get(name)
        if declared is not None:
            return PoolEntry(declared, declared=True)
        if name not in self._stored:
            raise NotFound(f"there is no pool {name[:80]!r}")
        return self._stored[name]

    @asynccontextmanager
    async def staying(self, name: str) -> AsyncIterator[None]:
        """Keep a pool from being changed or deleted while the block runs, as long as an agent is told to call from it.

        Raises:
            NotFound: there is no such pool.
        """
        async with self._changing:
            self.find(name)
            yield

    async def add(self, settings: PoolSettings) -> PoolEntry:
        """Create a pool.

        Raises:
            Conflict: there is one of this name.
            StoreError: the store cannot be written.
        """
        name = settings.name
        if name in self.declared() or name in self._stored:
            raise Conflict(f"there is a pool {name!r} already")
        entry = PoolEntry(settings, False, self._wall())
        try:
            async with self._changing:
                async with self._database.write() as connection:
                    await connection.execute(insert(pools).values(created_at=entry.created_at, **_row(settings)))
                    await _put_members(connection, settings)
                self._stored[name] = entry
        except IntegrityError:
            raise Conflict(f"there is a pool {name!r} already") from None
        self.on_change()
        return entry

    async def change(self, name: str, changed: Callable[[PoolSettings], PoolSettings]) -> PoolEntry:
        """Let a pool be another one from now on.

        Args:
            changed: what becomes of the pool as it is when this change has its turn.

        Raises:
            NotFound: there is no such pool.
            Conflict: the configuration declares it.
            StoreError: the store cannot be written.
        """
        async with self._changing:
            old = self._ours(name)
            settings = changed(old.settings)
            entry = replace(old, settings=settings, updated_at=self._wall())
            async with self._database.write() as connection:
                mine = update(pools).where(pools.c.name == name)
                done = await connection.execute(mine.values(updated_at=entry.updated_at, **_row(settings)))
                if not done.rowcount:
                    raise NotFound(f"there is no pool {name!r} any more")
                await connection.execute(delete(pool_members).where(pool_members.c.pool == name))
                await _put_members(connection, settings)
            self._stored[name] = entry
        self.on_change()
        return entry

    async def remove(self, name: str) -> None:
        """Delete a pool; its numbers stay.

        Raises:
            NotFound: there is no such pool.
            Conflict: the configuration declares it, or an agent calls from it.
            StoreError: the store cannot be written.
        """
        async with self._changing:
            self._ours(name)
            agents = self.agents_of(name)
            if agents:
                raise Conflict(f"pool {name!r} cannot go: {', '.join(agents[:5])} would have no numbers to call from")
            async with self._database.write() as connection:
                await connection.execute(delete(pools).where(pools.c.name == name))
            self._stored.pop(name, None)
        self.on_change()

    def _ours(self, name: str) -> PoolEntry:
        entry = self.find(name)
        if entry.declared:
            raise Conflict(f"pool {name!r} is declared in the configuration, and is changed there")
        return entry


def _row(settings: PoolSettings) -> dict[str, Any]:
    rest = settings.rest
    kept = {
        "strategy": list(settings.strategy),
        "caps": _caps_row(settings.caps),
        "rest": {name: getattr(rest, name) for name in RestSettings.__slots__},
        "remember": settings.remember,
    }
    return {"name": settings.name, "strategy": settings.order, "settings": kept}


def _caps_row(caps: Caps) -> dict[str, Any]:
    return {name: getattr(caps, name) for name in Caps.__slots__ if getattr(caps, name) is not None}


async def _put_members(connection: AsyncConnection, settings: PoolSettings) -> None:
    rows = [
        {
            "pool": settings.name,
            "number": member.number,
            "position": position,
            "settings": {"weight": member.weight, **_caps_row(member.caps)},
        }
        for position, member in enumerate(settings.members)
    ]
    if rows:
        await connection.execute(insert(pool_members), rows)


def _read(row: Any, members: list[Any]) -> PoolSettings:
    kept = row.settings
    return PoolSettings(
        row.name,
        tuple(kept["strategy"]),
        tuple(_member(each) for each in members),
        Caps(**kept["caps"]),
        RestSettings(**kept["rest"]),
        kept["remember"],
    )


def _member(row: Any) -> Member:
    kept = dict(row.settings)
    return Member(row.number, kept.pop("weight"), Caps(**kept))
