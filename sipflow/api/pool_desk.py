"""What the API knows of pools: those that are kept, and how their numbers stand just now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sipflow.calls.limits import Limits
from sipflow.numbers.pool import Pool, Standing
from sipflow.numbers.pools import Pools
from sipflow.store.pools import PoolShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDesk:
    """Pools, as the routes need them.

    Attributes:
        shelf: those of the store and of the configuration.
        pools: at work.
        limits: of calls; has the clock.
        waiting: says how many calls wait for room.
        wall: UTC wall clock.
    """

    shelf: PoolShelf
    pools: Pools
    limits: Limits
    waiting: Callable[[], int] = lambda: 0
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)

    def standings(self, pool: Pool, *, limit: int, offset: int) -> list[Standing]:
        """Say how some of a pool's numbers stand."""
        return list(pool.standings(now=self.limits.now, day=self.limits.day, start=offset, stop=offset + limit))

    def of_agent(self, agent: str) -> Pool:
        """Return the pool that an agent calls from.

        Raises:
            Conflict, NotFound: it has none.
        """
        return self.pools.of_agent(agent, now=self.limits.now, day=self.limits.day)

    def at(self, monotonic_s: float) -> datetime:
        """Return the wall clock's word for a moment of ours."""
        return self.wall() + timedelta(seconds=monotonic_s - self.limits.now)

    def wake(self, number: str) -> None:
        """End the rest of a number.

        Raises:
            NotFound: it is in no pool.
        """
        self.pools.wake(number, now=self.limits.now, day=self.limits.day)
