"""Puts together what calls out need: limits, pools of numbers, the line of those who wait, and who places them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from sipflow.agents.spec import AgentSpec
from sipflow.calls.admission import Admission
from sipflow.calls.answered_by import who_answered
from sipflow.calls.limits import Limit, Limits, LimitSettings
from sipflow.calls.originator import Originator
from sipflow.calls.switchboard import Switchboard
from sipflow.calls.toll_rules import TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.errors import LocalProtocolError
from sipflow.numbers.pool_settings import PoolSettings
from sipflow.numbers.pools import Pools, Source
from sipflow.numbers.use import Book, Caps
from sipflow.store.directory import Directory
from sipflow.tasks import Tasks
from sipflow.trunks.runner import HealthChecks

log = structlog.get_logger("sipflow.daemon")


class Outgoing:
    """Calls out of one daemon, and the limits of all its calls.

    Attributes:
        limits, pools, admission: see their rooms.
        originator, tolls: places calls, and says which may be; there once `open` was called.
        tasks: owner of what runs beside them.
    """

    def __init__(self, settings: LimitSettings, tolls: TollSettings | None = None) -> None:
        book = Book()
        self.limits = Limits(settings, book=book, clock=asyncio.get_running_loop().time)
        self.pools = Pools(book)
        self.admission = Admission(self.pools, self.limits)
        self.admission.on_rest = _say_rest
        self.originator: Originator
        self.tolls: Tolls
        self._toll_settings = tolls or TollSettings()
        self.tasks = Tasks()
        self._stored: Mapping[str, PoolSettings] = {}
        self._applied: tuple[LimitSettings, Mapping[str, PoolSettings], list[AgentSpec], Directory] | None = None

    def open(self, switchboard: Switchboard, health: HealthChecks) -> None:
        """Begin to take orders."""
        self.tolls = Tolls(
            self._toll_settings,
            switchboard.doorkeeper.router,
            clock=lambda: self.limits.now,
            day=lambda: self.limits.day,
        )
        switchboard.tolls = self.tolls
        self.originator = Originator(switchboard, numbers=self.admission)
        self.originator.is_down = health.is_down
        self.originator.enter = self.admission.move
        brake = switchboard.endpoint.brake
        if brake is not None:
            self.originator.busy_s = lambda: brake.left_s(now=switchboard.now)
        switchboard.transfers.numbers = self.admission
        switchboard.transfers.enter = self.admission.move
        switchboard.transfers.who = who_answered

    def apply(
        self,
        settings: LimitSettings,
        declared: Mapping[str, PoolSettings],
        specs: Iterable[AgentSpec],
        directory: Directory,
    ) -> None:
        """Work on something else from now on; calls that are up stay, and count.

        Args:
            settings: the limits of the configuration.
            declared: the pools of the configuration.
            specs: every agent.
            directory: has the numbers, with the limits of those that the API created.
        """
        listed = list(specs)
        self._applied = (settings, declared, listed, directory)
        caps = {**_caps_of(directory), **settings.numbers}
        agents = {spec.name: Limit(spec.max_calls) for spec in listed if spec.max_calls is not None}
        self.limits.apply(replace(settings, numbers=caps, agents={**agents, **settings.agents}))
        source = Source(
            numbers=tuple(directory.numbers),
            pools={**self._stored, **declared},
            agents={spec.name: spec.pool for spec in listed if spec.pool},
            caps=caps,
            each=settings.each_number,
        )
        self.pools.apply(source, now=self.limits.now, day=self.limits.day)

    def use_stored(self, pools: Mapping[str, PoolSettings]) -> None:
        """Take the pools that the API created, beside those of the configuration."""
        self._stored = pools
        if self._applied is not None:
            self.apply(*self._applied)

    def agents_of(self, pool: str) -> tuple[str, ...]:
        """Name the agents that call from a pool, as the directory has them by now."""
        if self._applied is None:
            return ()
        _, _, specs, directory = self._applied
        created = {name: agent for name, agent in directory.agents.items() if not agent.declared}
        declared = [spec.name for spec in specs if spec.pool == pool and spec.name not in created]
        declared = [name for name in declared if name in directory.agents]
        return (*declared, *(name for name, agent in created.items() if agent.fields.get("pool") == pool))

    async def close(self) -> None:
        """Send away those who wait, and stop what runs beside; the calls must be over."""
        self.admission.room.close()
        await self.tasks.close()


def _caps_of(directory: Directory) -> dict[str, Caps]:
    """Return the limits of the numbers that the API created."""
    found = {}
    for number, limits in directory.limits.items():
        try:
            found[number] = Caps(
                _whole(limits.get("max_calls")), limits.get("calls_per_second"), _whole(limits.get("calls_per_day"))
            )
        except LocalProtocolError as error:
            log.error("the limits of a number in the store cannot be used", number=number, why=str(error))
    return found


def _whole(value: float | None) -> int | None:
    return None if value is None else max(1, int(value))


def _say_rest(number: str, why: str) -> None:
    log.warning("a number rests", number=number, why=why)
