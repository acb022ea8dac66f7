"""What runs beside the calls once the store is open: the API, the webhooks, and what tidies up."""

import asyncio
import importlib
from dataclasses import fields
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.record import CallRecord
from sipflow.errors import StoreError
from sipflow.tasks import Tasks

if TYPE_CHECKING:
    from sipflow.api.server import ApiServer
    from sipflow.daemon.pooling import Pooling
    from sipflow.daemon.running import Running
    from sipflow.store.database import Database
    from sipflow.webhooks.service import Webhooks

log = structlog.get_logger("sipflow.daemon")
_SWEEP_EVERY_S = 3600.0
_SLOW = ("sipflow.daemon.pooling", "sipflow.store.retention", "sipflow.webhooks.service")
_SLOW_API = ("sipflow.daemon.serving",)


class Services:
    """The late parts of one daemon."""

    def __init__(self, daemon: "Running", database: "Database") -> None:
        self._daemon = daemon
        self._database = database
        self._tasks = Tasks()
        self._pooling: Pooling | None = None
        self._webhooks: Webhooks | None = None
        self._api: ApiServer | None = None

    @property
    def url(self) -> str:
        """Where the API is, "" while it is not open."""
        return self._api.url if self._api is not None else ""

    async def open(self) -> None:
        """Open everything.

        Raises:
            TransportError: the API's address cannot be had, or its certificate cannot be used.
            StoreError: the store cannot be read; close what is open, and try again.
        """
        settings = self._daemon.configuration.api
        await asyncio.to_thread(_load, (*_SLOW, *(_SLOW_API if settings is not None else ())))
        await self._open_pools()
        self._open_phone_books()
        self._open_webhooks()
        await self._daemon.storage.begin_writing()
        self._tasks.spawn(self._sweep(), name="deletion of old records")
        if settings is not None:
            from sipflow.daemon.serving import open_api

            self._api = await open_api(self._daemon, settings, self._database, self._pooling, self._webhooks)

    def reload_certificate(self) -> None:
        """Let the API show renewed files.

        Raises:
            TransportError: they cannot be used; the old ones stay in use.
        """
        if self._api is not None:
            self._api.reload_certificate()

    async def _open_pools(self) -> None:
        from sipflow.daemon.pooling import Pooling

        daemon = self._daemon
        pooling = Pooling(daemon.outgoing, self._database, lambda: daemon.configuration.pools)
        await pooling.open()
        self._pooling = pooling

    def _open_phone_books(self) -> None:
        from sipflow.store.phone_books import PhoneBooks

        self._daemon.edge.switchboard.transfers.phone_book = PhoneBooks(self._database)

    def _open_webhooks(self) -> None:
        from sipflow.webhooks.service import Webhooks
        from sipflow.webhooks.settings import Settings

        daemon, writer = self._daemon, self._daemon.storage.writer
        configuration = daemon.configuration
        its = configuration.webhooks
        self._webhooks = webhooks = Webhooks(
            Settings(**{each.name: getattr(its, each.name) for each in fields(its)}),
            self._database,
            hooks=daemon.hooks_of,
            dns=configuration.sip.dns,
            recording_url=self._recording_url,
            user_agent=configuration.calls.user_agent,
        )
        daemon.edge.switchboard.transfers.fetcher = webhooks.sounds
        if writer is not None:
            writer.also, writer.also_for = webhooks.also, webhooks.wants
        webhooks.open(daemon.edge.switchboard.history, daemon.steering)

    def _recording_url(self, record: CallRecord) -> str:
        base = self._daemon.configuration.recordings.public_url or self.url
        return f"{base}/v2/calls/{record.id}/recording" if record.recording and base else ""

    async def close(self) -> None:
        """Close everything, the API first; the calls must be over."""
        if self._api is not None:
            await self._api.close()
        await self._tasks.close()
        if self._webhooks is not None:
            await self._webhooks.close()
        if self._pooling is not None:
            await self._pooling.close()

    async def _sweep(self) -> None:
        """Delete what has been kept for long enough, now and every hour."""
        from sipflow.store.retention import Retention

        retention, writer = Retention(self._database), self._daemon.storage.writer
        if writer is not None:
            await writer.flush()  # what an earlier process left in the journal may be old, too
        while True:
            try:
                await retention.sweep()
            except StoreError as error:
                log.warning("old records and recordings stay for now", why=str(error))
            await asyncio.sleep(_SWEEP_EVERY_S)


def _load(modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)
