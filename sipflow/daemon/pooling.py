"""What pools of numbers keep in the store: those that the API created, and the use of numbers. Opened late."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from sipflow.api.pool_desk import PoolDesk
from sipflow.daemon.outgoing import Outgoing
from sipflow.errors import StoreError
from sipflow.numbers.pool import PoolSettings
from sipflow.store.database import Database
from sipflow.store.number_use import NumberUseKeeper
from sipflow.store.pools import PoolShelf
from sipflow.store.toll_use import TollUseKeeper

log = structlog.get_logger("sipflow.daemon")


class Pooling:
    """The stored part of one daemon's pools.

    Attributes:
        desk: for the API.
    """

    def __init__(self, outgoing: Outgoing, database: Database, declared: Callable[[], Mapping[str, PoolSettings]]):
        limits = outgoing.limits
        self._outgoing = outgoing
        self._shelf = PoolShelf(database, declared=declared, agents_of=outgoing.agents_of)
        self._keeper = NumberUseKeeper(database, limits.book, clock=lambda: limits.now)
        self._tolls = TollUseKeeper(database, outgoing.tolls)
        self._running: list[asyncio.Task[None]] = []
        self.desk = PoolDesk(
            shelf=self._shelf, pools=outgoing.pools, limits=limits, waiting=lambda: len(outgoing.admission.room)
        )

    async def open(self) -> None:
        """Read what there is, and keep it from now on.

        Raises:
            StoreError: the store cannot be read.
        """
        outgoing, limits = self._outgoing, self._outgoing.limits
        await self._keeper.load()
        await self._tolls.load()
        outgoing.pools.restart(now=limits.now, day=limits.day)
        self._shelf.on_change = lambda: outgoing.use_stored(self._shelf.stored)
        await self._shelf.load()
        self._running = [
            outgoing.tasks.spawn(self._keeper.run(), name="use of numbers"),
            outgoing.tasks.spawn(self._tolls.run(), name="use of toll budgets"),
        ]

    async def close(self) -> None:
        """Keep what is known; the calls must be over."""
        for task in self._running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        try:
            await self._keeper.flush()
            await self._tolls.flush()
        except StoreError as error:
            log.error("the use of numbers and of toll budgets is forgotten", why=str(error))
