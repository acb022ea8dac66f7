"""Keeps the trunk table told which IP addresses the trunks' far ends have: registrars call from more than one."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import structlog

from sipflow.errors import SipflowError
from sipflow.net.literal import family_of
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri
from sipflow.tasks import Tasks
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk

_log = structlog.get_logger("sipflow.trunks")
_EVERY_S = 60.0  # the resolver keeps answers as long as DNS says, so asking more often than that costs nothing
_AT_ONCE = 32  # names looked up side by side


class Resolver(Protocol):
    """Whoever finds the hops of a URI (RFC 3263); `Endpoint` does."""

    async def resolve(self, uri: SipUri) -> tuple[Hop, ...]:
        """Return the hops, or raise TransportError with a sentence."""


class Addresses:
    """Looks the names of all trunks up, now and every minute, and tells the table.

    A name that cannot be looked up keeps the addresses it had. Addresses that disappear stay for one more round, for
    providers that answer with a few of many in turn.
    """

    def __init__(self, resolver: Resolver, table: TrunkTable, *, every_s: float = _EVERY_S) -> None:
        self._resolver = resolver
        self._table = table
        self._every_s = every_s
        self._tasks = Tasks()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._last: dict[str, tuple[str, ...]] = {}
        self._failed: set[tuple[str, SipUri]] = set()
        self._changed = asyncio.Event()
        self._names: dict[str, tuple[SipUri, ...]] = {}
        self._destinations: dict[str, SipUri | None] = {}

    def start(self) -> None:
        """Begin to look names up; `apply` says whose."""
        self._tasks.spawn(self._run(), name="addresses of trunks")

    def apply(self, trunks: Iterable[Trunk]) -> None:
        """Look up the names of exactly these trunks from now on, beginning at once."""
        listed = list(trunks)
        names = {trunk.name: uris for trunk in listed if (uris := _names(trunk))}
        for name in [name for name in self._last if names.get(name) != self._names.get(name)]:
            del self._last[name]
        self._names = names
        self._destinations = {trunk.name: trunk.destination for trunk in listed}
        self._failed.clear()
        self._changed.set()

    async def stop(self) -> None:
        """Look nothing up any more."""
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await asyncio.gather(*[self._look(name, uris) for name, uris in self._names.items()])
            try:
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look(self, name: str, uris: tuple[SipUri, ...]) -> None:
        found = dict.fromkeys([host for uri in uris for host in await self._hosts(name, uri)])
        if not found or self._names.get(name) != uris:
            return  # what is known stays; or the trunk was replaced meanwhile
        self._table.set_addresses(name, dict.fromkeys([*found, *self._last.get(name, ())]))
        self._last[name] = tuple(found)

    async def _hosts(self, name: str, uri: SipUri) -> list[str]:
        try:
            async with self._turn:
                hops = await self._resolver.resolve(uri)
        except SipflowError as error:
            self._say_failed(name, uri, str(error))
            return []
        self._failed.discard((name, uri))
        return [hop.host for hop in hops]

    def _say_failed(self, name: str, uri: SipUri, why: str) -> None:
        """Say it once. A domain behind an outbound proxy often has no address, and needs none."""
        if (name, uri) not in self._failed:
            self._failed.add((name, uri))
            log = _log.warning if uri == self._destinations.get(name) else _log.debug
            log(f"trunk {name}: {why}: calls from {uri.host} may be refused meanwhile", trunk=name)


def _names(trunk: Trunk) -> tuple[SipUri, ...]:
    """What has to be looked up: destination and domain, unless they are IP addresses, which the table knows."""
    uris = dict.fromkeys(uri for uri in (trunk.destination, trunk.domain) if uri is not None)
    return tuple(uri for uri in uris if not family_of(uri.host))
