"""Puts the API together. Loaded late, for its libraries take half a second."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipflow.api.app import create_app
from sipflow.api.auth import Door
from sipflow.api.context import Context
from sipflow.api.forwarded import App, BehindProxies
from sipflow.api.homes import Homes
from sipflow.api.measures import Measures
from sipflow.api.server import ApiServer
from sipflow.api.settings import Settings
from sipflow.api.trace_desk import TraceDesk
from sipflow.config.api_section import ApiSettings
from sipflow.console.app import Console
from sipflow.daemon.desk import open_desk
from sipflow.daemon.explaining import live_explainer
from sipflow.daemon.pooling import Pooling
from sipflow.sip.addressing import join_host_port, split_host_port
from sipflow.store.database import Database
from sipflow.store.tokens import Tokens

if TYPE_CHECKING:
    from sipflow.daemon.running import Running
    from sipflow.webhooks.service import Webhooks

_ANY = ("0.0.0.0", "::")  # noqa: S104  (compared, not listened on)


async def open_api(
    daemon: "Running",
    settings: ApiSettings,
    database: Database,
    pooling: Pooling | None = None,
    webhooks: "Webhooks | None" = None,
) -> ApiServer:
    """Open the API of a daemon.

    Args:
        daemon: whose.
        settings: of the API.
        database: the open store.
        pooling: the stored part of pools.
        webhooks: sends deliveries once more.

    Raises:
        TransportError: its address cannot be had, or its certificate cannot be used.
        StoreError: the store cannot be read.
    """
    its = Settings(**{name: getattr(settings, name) for name in settings.__slots__})
    context = await _context(daemon, its, database)
    context.pools = pooling.desk if pooling is not None else None
    context.webhooks = webhooks
    context.traces = TraceDesk(ring=daemon.watching.tracers.ring, captures=daemon.watching.captures)
    context.measures = _measures(daemon, webhooks)
    context.log = daemon.log_ring
    context.quality = daemon.watching.quality
    context.homes = homes = Homes(database)
    door = Door(Tokens(database), its.tokens)
    app = create_app(context, door)
    around: App = Console(app, opens=door.open) if its.console else app
    if its.trusted_proxies:
        around = BehindProxies(around, its.trusted_proxies, its.proxy_header)
    server = ApiServer(around, its)
    calls = context.calls
    if calls is not None:
        server.on_closing = calls.events.close  # streams end by themselves

    async def close() -> None:
        await homes.close()
        if calls is not None:
            await calls.once.close()

    server.on_closed = close
    await server.start()
    return server


async def _context(daemon: "Running", settings: Settings, database: Database) -> Context:
    writer = daemon.storage.writer
    assert writer is not None  # there is a database
    desk = await open_desk(
        switchboard=daemon.edge.switchboard,
        originator=daemon.outgoing.originator,
        database=database,
        recorder=daemon.recorder,
        writer=writer,
        settled=daemon.live.settled,
        sounds=daemon.configuration.calls.sounds,
    )
    return Context(
        directory=daemon.directory,
        database=database,
        registration=daemon.live.registration_of,
        origination_uri=_origination_uri(daemon),
        calls=desk,
        settings=settings,
        explainer=live_explainer(daemon),
    )


def _measures(daemon: "Running", webhooks: "Webhooks | None") -> Measures:
    edge, outgoing, watching = daemon.edge, daemon.outgoing, daemon.watching
    return Measures(
        switchboard=edge.switchboard,
        endpoint=edge.endpoint,
        ua=edge.ua,
        media=edge.desk,
        limits=outgoing.limits,
        tally=watching.tally,
        tracers=watching.tracers,
        pulse=watching.pulse,
        started_at=watching.started_at,
        waiting=lambda: len(outgoing.admission.room),
        registrations=daemon.registrations.states,
        healths=daemon.health.states,
        writer=daemon.storage.writer,
        deliveries=webhooks.waiting if webhooks is not None else None,
        delivered=(lambda: dict(webhooks.outbox.counts)) if webhooks is not None else dict,
        place=daemon.storage.place,
        now=time.monotonic,
        wall=lambda: datetime.now(UTC),
    )


def _origination_uri(daemon: "Running") -> str:
    """Where trunks send their calls: what is advertised, or the first listener that has an address."""
    advertised = daemon.configuration.sip.advertise
    listening = daemon.edge.endpoint.listening
    if advertised:
        host, port = split_host_port(advertised)
        return f"sip:{join_host_port(host, port or (listening[0].port if listening else 5060))}"
    for address in listening:
        if address.host not in _ANY:
            return f"sip:{join_host_port(address.host, address.port)}"
    return ""
