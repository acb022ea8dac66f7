"""Pools behind an API to talk to, on a clock that is played by hand."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sipflow.api.pool_desk import PoolDesk
from sipflow.calls.limits import Limits, LimitSettings
from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.pools import Pools, Source
from sipflow.store.database import Database
from sipflow.store.pools import PoolShelf

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DECLARED_POOL = PoolSettings("house", members=(Member("+12065550100"),))


@dataclass
class Pooled:
    """Pools, limits and what the agents call from."""

    numbers: Iterable[Number]
    now: float = 1000.0
    agents: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits = Limits(LimitSettings(), clock=lambda: self.now, wall=self.wall)
        self.pools = Pools(self.limits.book)

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.now - 1000.0)

    async def desk(self, database: Database) -> PoolDesk:
        shelf = PoolShelf(
            database,
            declared=lambda: {"house": DECLARED_POOL},
            agents_of=lambda pool: tuple(agent for agent, its in self.agents.items() if its == pool),
            wall=self.wall,
        )

        def apply() -> None:
            pools = {**shelf.stored, "house": DECLARED_POOL}
            source = Source(tuple(self.numbers), pools, self.agents)
            self.pools.apply(source, now=self.limits.now, day=self.limits.day)

        shelf.on_change = apply
        await shelf.load()
        return PoolDesk(shelf=shelf, pools=self.pools, limits=self.limits, waiting=lambda: 3, wall=self.wall)
