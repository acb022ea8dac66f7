"""Puts the rooms together: sockets, user agent, media and calls, for the daemon and for one call from a terminal."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.limits import Limits
from sipflow.calls.record import CallRecord, RecordStore
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.strangers import Strangers
from sipflow.calls.switchboard import Agents, Switchboard
from sipflow.errors import TransportError
from sipflow.media.desk import MediaDesk
from sipflow.media.settings import Settings as MediaSettings
from sipflow.media.voice import Voice
from sipflow.net.endpoint import Endpoint
from sipflow.net.local import has_address
from sipflow.net.resolver import Resolver
from sipflow.net.settings import Settings as NetSettings
from sipflow.net.tracers import Tracers
from sipflow.sip.addressing import Addressing
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request
from sipflow.sip.stack import Settings as SipSettings
from sipflow.sip.transaction.overload import Busy
from sipflow.sip.user_agent import UserAgent
from sipflow.tasks import Tasks


class NoRecords:
    """Keeps nothing: the log line of each ending is all there is."""

    def started(self, record: CallRecord) -> None:
        """Let the record go."""

    def save(self, record: CallRecord) -> None:
        """Let the record go."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One running SIP edge.

    Attributes:
        ua, endpoint, desk, switchboard: see their rooms.
        tasks: owner of all that runs beside them; closed last but for the sockets.
    """

    ua: UserAgent
    endpoint: Endpoint
    desk: MediaDesk
    switchboard: Switchboard
    tasks: Tasks

    async def open(self) -> None:
        """Open every listener.

        Raises:
            TransportError: one cannot be opened; the sentence names it.
        """
        host = self.desk.settings.bind_host
        if not has_address(host):
            raise TransportError(
                f"media.bind is {host}, and this host does not have that address: no call could be heard; behind NAT "
                "bind 0.0.0.0 or ::, and write the public address into media.advertise"
            )
        await self.endpoint.start()
        self.ua.listening(self.endpoint.ports)

    async def close(self) -> None:
        """Close everything; the calls must be over."""
        await self.tasks.close()
        self.switchboard.saving.keep_all()
        await self.endpoint.close()
        await self.desk.close()


def build(
    *,
    router: Router,
    agents: Callable[[Tasks], Agents],
    net: NetSettings,
    media: MediaSettings,
    calls: CallSettings,
    records: RecordStore | None = None,
    limits: Limits | None = None,
    on_flow_lost: Callable[[Hop, str], None] | None = None,
    tracers: Tracers | None = None,
) -> Edge:
    """Make an edge of its settings; nothing is opened yet. Must be called in a running loop."""
    loop = asyncio.get_running_loop()
    tasks = Tasks()
    doorkeeper = Doorkeeper(router, calls, secret=os.urandom(32), clock=loop.time)
    strangers = Strangers(calls.strangers, router, clock=loop.time, silent=calls.unknown_source == "silent")
    brake = Brake(net.overload)
    guard = _Guard(strangers, brake)
    ua = UserAgent(
        SipSettings(
            user_agent=calls.user_agent,
            addressing=Addressing(net.advertise, dict(net.advertise_by_transport)),
            message=True,
            refer=True,
            replaces=True,
        ),
        Ids(os.urandom),
        gate=doorkeeper,
        guard=guard,
    )
    endpoint = Endpoint(
        ua,
        net,
        Resolver(net, clock=loop.time),
        on_event=lambda event: switchboard.on_event(event),  # noqa: PLW0108  (made below)
        on_flow_lost=on_flow_lost,
        tracer=tracers,
        admit=strangers.admit,
        brake=brake,
    )
    desk = MediaDesk(media)
    switchboard = Switchboard(
        ua=ua,
        endpoint=endpoint,
        desk=desk,
        doorkeeper=doorkeeper,
        agents=agents(tasks),
        records=records or NoRecords(),
        settings=calls,
        tasks=tasks,
        limits=limits,
        strangers=strangers,
    )
    guard.on_busy = switchboard.turning_away.busy
    switchboard.transfers.voice = Voice(calls.speak) if calls.speak else None
    switchboard.trace = tracers.ring if tracers is not None else None
    return Edge(ua, endpoint, desk, switchboard, tasks)


class _Guard:
    """Asks who knows the strangers, then the brake.

    Attributes:
        on_busy: told what the brake refuses, and why.
    """

    def __init__(self, strangers: Strangers, brake: Brake) -> None:
        self.on_busy: Callable[[Request, Hop, str], None] | None = None
        self._strangers = strangers
        self._brake = brake

    def __call__(self, request: Request, hop: Hop) -> Busy | None:
        """Judge a new request; see `sip.transaction.overload.Guard`."""
        busy = self._strangers.guard(request, hop)
        if busy is None and (busy := self._brake.judge(request)) is not None and self.on_busy is not None:
            self.on_busy(request, hop, busy.why)
        return busy
