"""All that is told of calls: what the daemon opens and closes, and what it hands to the store and to the API."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.history import History
from sipflow.calls.record import CallRecord
from sipflow.errors import StoreError
from sipflow.net.settings import DnsSettings
from sipflow.store.deliveries import Deliveries, Delivery
from sipflow.tasks import Tasks
from sipflow.webhooks.addresses import Guard, Resolve, resolver_with, resolving
from sipflow.webhooks.asking import Asking
from sipflow.webhooks.exchange import Exchange
from sipflow.webhooks.feed import Feed
from sipflow.webhooks.hooks import HooksOf
from sipflow.webhooks.inbound import Steering
from sipflow.webhooks.outbox import Outbox
from sipflow.webhooks.settings import Settings
from sipflow.webhooks.sounds import WebSounds

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.webhooks")
_PRUNE_EVERY_S = 3600.0


class Webhooks:
    """Outbox, feed and inbound-call webhook together.

    Args:
        settings: of webhooks.
        database: the store.
        hooks: the URLs of an agent.
        resolve: finds addresses of names; None asks DNS as SIP does, with `dns`.
        dns: see `resolve`.
        recording_url: of a call that has a recording.
        user_agent: what we call ourselves.
        poll_s, lease_s: see `Outbox`.
        wall: UTC wall clock.

    Attributes:
        outbox: what is sent, and how much came through since the start.
        sounds: fetches the music that API clients name by URL.
    """

    def __init__(
        self,
        settings: Settings,
        database: "Database",
        *,
        hooks: HooksOf,
        resolve: Resolve | None = None,
        dns: DnsSettings | None = None,
        recording_url: Callable[[CallRecord], str] = lambda _record: "",
        user_agent: str = "sipflow",
        poll_s: float = 1.0,
        lease_s: float = 5.0,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._wall = wall
        self._tasks = Tasks()
        self._resolver = resolver_with(dns or DnsSettings())
        guard = Guard(
            allowed=settings.allowed, allow_http=settings.allow_http, resolve=resolve or resolving(self._resolver)
        )
        self._exchange = Exchange(guard, ca_file=settings.ca_file)
        self.sounds = WebSounds(guard, self._exchange, user_agent=user_agent)
        self._asking = Asking(settings, guard, user_agent=user_agent, wall=wall)
        self._deliveries = self._asking.deliveries = Deliveries(database)
        self.outbox = Outbox(
            self._deliveries,
            database,
            self._exchange,
            settings,
            user_agent=user_agent,
            poll_s=poll_s,
            lease_s=lease_s,
            wall=wall,
        )
        self._feed = Feed(settings, hooks=hooks, recording_url=recording_url, on_added=self.outbox.wake, wall=wall)

    def open(self, history: History, steering: Steering | None = None) -> None:
        """Begin to send what waits, to listen to calls, and to ask about those that come in."""
        self.outbox.start()
        self._feed.start(self._deliveries, self._database, history)
        self._tasks.spawn(self._prune(), name="old deliveries of webhooks")
        if steering is not None:
            steering.open(self._asking)

    async def close(self) -> None:
        """Stop. What is under way has a moment; what is not sent waits in the store for the next start."""
        await self._feed.close()
        await self._tasks.close()
        await self.outbox.close()
        await self._exchange.close()
        await self._asking.close()
        await self._resolver.close()

    async def also(self, connection: "AsyncConnection", records: list[CallRecord]) -> None:
        """Put what finished calls have to tell into the outbox; `RecordWriter.also`."""
        await self._feed.add(self._deliveries, connection, records)

    def wants(self, record: CallRecord) -> bool:
        """Whether anybody is to be told of a finished call; `RecordWriter.also_for`."""
        return self._feed.wants(record)

    async def redeliver(self, delivery_id: str) -> Delivery:
        """Send a delivery once more, now, and again for as long as a new one would be.

        Raises:
            NotFound: there is none with this id.
            Conflict: it cannot be sent again.
        """
        now = self._wall()
        until = now + timedelta(seconds=self._settings.give_up_s)
        delivery = await self._deliveries.redeliver(delivery_id, now=now, expires_at=until)
        self.outbox.wake()
        return delivery

    async def waiting(self) -> tuple[int, float]:
        """Count the deliveries that wait, and say how old the oldest is, in seconds.

        Raises:
            StoreError: the store is away.
        """
        count, oldest = await self._deliveries.waiting()
        return count, max(0.0, (self._wall() - oldest).total_seconds()) if oldest is not None else 0.0

    # Retention

    async def _prune(self) -> None:
        """Delete what has been in the log for long enough, now and every hour."""
        days = self._settings.keep_logs_days
        while days is not None:
            try:
                deleted = await self._deliveries.prune(self._wall() - timedelta(days=days))
                if deleted:
                    log.info("old deliveries of webhooks deleted", deliveries=deleted)
            except StoreError as error:
                log.warning("old deliveries of webhooks stay for now", why=str(error))
            await asyncio.sleep(_PRUNE_EVERY_S)
