"""Brings what the directory says to whoever acts on it: routing, agents, registrations, health checks, look-ups."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from sipflow.agents.runner import Runner
from sipflow.calls.routes import Router
from sipflow.config.configuration import Configuration
from sipflow.daemon.created import specs_of
from sipflow.daemon.outgoing import Outgoing
from sipflow.errors import AgentError
from sipflow.store.directory import Directory
from sipflow.trunks.addresses import Addresses
from sipflow.trunks.runner import HealthChecks, Registrations
from sipflow.trunks.snapshot import OFF, RegistrationSnapshot, snapshot_of
from sipflow.trunks.table import Owner, TrunkTable
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.daemon")
_REST, _LONGEST_REST_S = 4.0, 0.5  # a fifth of the time at most goes into this, however many changes come
_SOON = RegistrationSnapshot("registering", "its turn comes in a moment")


@dataclass(slots=True)
class Live:
    """What runs, and what it runs on.

    Attributes:
        directory: what there is.
        folder: of the configuration, where paths of files start.
        configuration: whose agents, limits and pools count.
    """

    directory: Directory
    folder: Path
    configuration: Configuration
    table: TrunkTable
    router: Router
    runner: Runner
    outgoing: Outgoing
    registrations: Registrations
    health: HealthChecks
    addresses: Addresses
    _trunks: Mapping[str, Trunk] | None = field(default=None, init=False)
    _timer: asyncio.Handle | None = field(default=None, init=False)
    _not_before: float = field(default=0.0, init=False)
    _brought: asyncio.Event = field(default_factory=asyncio.Event, init=False)  # another one for each that is awaited

    def changed(self) -> None:
        """Bring the next moment what has changed; when changes come fast, several at once."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._not_before, loop.time()), self._bring)

    async def settled(self) -> None:
        """Wait until whatever has changed so far is what runs: half a second at most."""
        if self._timer is not None:
            await self._brought.wait()

    def _bring(self) -> None:
        try:
            self.apply()
        except AgentError as error:  # the configuration's agents were loaded before: a file of theirs is gone now
            log.error("agents stay as they were", why=str(error))

    def apply(self) -> None:
        """Bring everything now.

        Raises:
            AgentError: an agent of the configuration cannot be loaded; then nothing has changed.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._brought.set()
            self._brought = asyncio.Event()
        directory = self.directory
        configuration = self.configuration
        declared = configuration.agents.values()
        created = specs_of(directory.agents.values(), self.folder)
        self.runner.apply(declared, created)
        self.router.numbers = directory.numbers
        self.outgoing.tolls.apply(configuration.tolls)
        self.outgoing.apply(configuration.limits, configuration.pools, [*declared, *created], directory)
        if directory.trunks != self._trunks:
            self._apply_trunks(directory.trunks)
        ended = loop.time()
        self._not_before = ended + min(_REST * (ended - began), _LONGEST_REST_S)

    def _apply_trunks(self, trunks: Mapping[str, Trunk]) -> None:
        self._trunks = trunks
        listed = list(trunks.values())
        self.table.replace(listed, owner=owner_in(self.router))
        self.registrations.apply(listed)
        self.health.apply(listed)
        self.addresses.apply(listed)

    def registration_of(self, trunk: str) -> RegistrationSnapshot:
        """Say how the registration of a trunk stands; of one that a number brought along, by the number."""
        status = self.registrations.status(trunk)
        if status is not None:
            return snapshot_of(status, now=asyncio.get_running_loop().time(), wall=datetime.now(UTC))
        wanted = self.directory.trunks.get(trunk)
        return _SOON if wanted is not None and wanted.register is not None else OFF


def owner_in(router: Router) -> Owner:
    """Return what tells a trunk by one of the router's numbers, whichever these are by then."""

    def owner(dialled: str, region: str | None) -> str | None:
        found = router.numbers.lookup(dialled, region=region).number
        return found.trunk if found is not None else None

    return owner
