"""Hands out media sessions: a port pair of the right address family, the common pacer, the settings."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from sipflow.media.later import Later
from sipflow.media.pacer import Pacer
from sipflow.media.ports import PortCounts, PortPool
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings

_SETTLED_S = 1.0  # a call that goes on for so long gets reports; the first is not due before (RFC 3550 §6.3.2)
_WRITERS = 2  # threads that write recordings: one slow file does not hold up all others
_ANY = {"0.0.0.0": "::", "::": "0.0.0.0"}  # noqa: S104  (each family's "every interface" stands for the other's)


class MediaDesk:
    """All media of one daemon.

    Attributes:
        settings: as configured.
        pacer: ticks every session.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pacer = Pacer()
        self._later = Later(_SETTLED_S)
        self._pools: dict[bool, PortPool] = {}
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="recorder")  # starts none before it is needed

    def open(
        self,
        *,
        ipv6: bool,
        on_digit: Callable[[str], None] | None = None,
        on_silent: Callable[[float], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> MediaSession:
        """Lend a port pair to a new session.

        Args:
            ipv6: the address family of the signalling, which the media is expected to share.
            on_digit: told each digit the peer presses, once.
            on_silent: told when the peer has sent nothing for `rtp_timeout_s` (see `MediaSession`).
            on_failed: told why no audio can pass.

        Raises:
            PortsExhausted: every pair is lent or draining.
        """
        pool = self._pool(ipv6)
        pair = pool.lend(now=monotonic())
        session = MediaSession(
            pair,
            self.pacer,
            ports=pool,
            settings=self.settings,
            on_digit=on_digit,
            on_silent=on_silent,
            on_failed=on_failed,
            threads=self._threads,
        )
        session.later = self._later
        return session

    def _pool(self, ipv6: bool) -> PortPool:
        pool = self._pools.get(ipv6)
        if pool is None:
            settings = self.settings
            host = settings.bind_host
            if (":" in host) != ipv6:
                # A daemon bound to one IPv4 address still reaches IPv6 peers by any address it has, and the reverse.
                host = _ANY.get(host, "::" if ipv6 else "0.0.0.0")  # noqa: S104
            pool = self._pools[ipv6] = PortPool(
                settings.port_low,
                settings.port_high,
                bind_host=host,
                drain_s=settings.drain_s,
                idle_pairs=settings.idle_pairs,
                dscp=settings.dscp,
            )
        return pool

    def tidy(self) -> None:
        """Let go of ports that nobody needs; to be called now and then, for while no call comes nobody else does."""
        now = monotonic()
        for pool in self._pools.values():
            pool.tidy(now=now)

    def counts(self) -> list[PortCounts]:
        """Ports lent, draining and free, for each address family in use."""
        now = monotonic()
        return [pool.counts(now=now) for pool in self._pools.values()]

    async def close(self) -> None:
        """Stop the pacer, close every socket, and wait until recordings are finished; sessions must be closed before.

        Cancelling leaves the recordings being finished.
        """
        self.pacer.close()
        self._later.close()
        for pool in self._pools.values():
            pool.close()
        await asyncio.to_thread(self._threads.shutdown)  # a disk may be slow, and what else goes down is not to wait
