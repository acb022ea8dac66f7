"""What pools of numbers keep in the store: those that the API created, the use of numbers, callees. Opened late."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from sipflow.api.pool_desk import PoolDesk
from sipflow.daemon.outgoing import Outgoing
from sipflow.errors import StoreError
from sipflow.numbers.pool_settings import PoolSettings
from sipflow.store import callees, number_use, tables, toll_use
from sipflow.store.database import Database
from sipflow.store.keeper import Keeper
from sipflow.store.pools import PoolShelf

log = structlog.get_logger("sipflow.daemon")
_CLOSING_S = 5.0  # for all that is kept; a database that does not answer would hold the end up for half a minute


class Pooling:
    """The stored part of one daemon's pools.

    Attributes:
        desk: for the API.
    """

    def __init__(self, outgoing: Outgoing, database: Database, declared: Callable[[], Mapping[str, PoolSettings]]):
        limits = outgoing.limits
        self._outgoing = outgoing
        self._shelf = PoolShelf(database, declared=declared, agents_of=outgoing.agents_of)
        use, tolls = number_use.NumberUse(limits.book, clock=lambda: limits.now), toll_use.TollUse(outgoing.tolls)
        remembered = callees.PoolCallees(outgoing.pools)
        self._use = Keeper(database, tables.number_use, use, what="the use of numbers", keep=number_use.KEEP)
        self._tolls = Keeper(database, tables.toll_use, tolls, what="the use of toll budgets", keep=toll_use.KEEP)
        self._callees = Keeper(
            database, tables.pool_callees, remembered, what="what pools know of callees",
            keep=callees.kept_for(database.settings), forget=remembered.forget,
        )  # fmt: skip
        self._running: list[asyncio.Task[None]] = []
        self.desk = PoolDesk(
            shelf=self._shelf, pools=outgoing.pools, limits=limits, waiting=lambda: len(outgoing.admission.room)
        )

    @property
    def _keepers(self) -> tuple[Keeper, ...]:
        return self._use, self._tolls, self._callees

    async def open(self) -> None:
        """Read what there is, and keep it from now on.

        Raises:
            StoreError: the store cannot be read.
        """
        outgoing, limits = self._outgoing, self._outgoing.limits
        await self._use.load()
        await self._tolls.load()
        outgoing.pools.restart(now=limits.now, day=limits.day)
        self._shelf.on_change = lambda: outgoing.use_stored(self._shelf.stored)
        await self._shelf.load()
        await self._callees.load()  # once every pool is there
        self._running = [outgoing.tasks.spawn(keeper.run(), name=keeper.what) for keeper in self._keepers]

    async def close(self) -> None:
        """Keep what is known; the calls must be over."""
        for task in self._running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        until = asyncio.get_running_loop().time() + _CLOSING_S
        for keeper in self._keepers:
            try:
                async with asyncio.timeout_at(until):
                    await keeper.flush()
            except StoreError as error:
                log.error(f"{keeper.what} is forgotten", why=str(error))
            except TimeoutError:
                log.error(f"{keeper.what} is forgotten", why=f"the database did not answer in {_CLOSING_S:g} s")
