"""The sockets of one user agent: what comes is handed to the core, and what the core returns is carried out."""

import asyncio
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Protocol

import structlog

from sipflow.errors import TransportError
from sipflow.net.braked import Braked
from sipflow.net.connections import Connections, StreamEvents
from sipflow.net.keepalive import PING, KeepAlives
from sipflow.net.listeners import Listeners
from sipflow.net.literal import family_of
from sipflow.net.local import LocalAddresses, has_address
from sipflow.net.netlink import Netlink
from sipflow.net.rarely import Rarely
from sipflow.net.resolver import Resolver
from sipflow.net.settings import ListenAddress, Settings
from sipflow.net.timer import DeadlineTimer
from sipflow.net.tls import ContextChooser, TlsContexts
from sipflow.net.trace import Tracer, log_tracer
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Resolve
from sipflow.sip.parser import KeepAlive, Malformed, Parsed, parse_datagram
from sipflow.sip.transaction.outputs import Transmit
from sipflow.sip.uri import SipUri
from sipflow.tasks import Tasks

_TICK_S = 1.0  # idle connections, pings: whole seconds will do
_ROUTES_S = 60.0
_REMEMBERED_FAILURES = 1024
_REST_AFTER_FAULT_S = 1.0  # a timer that failed is due again at once

_log = structlog.get_logger("sipflow.net")


class Core(Protocol):
    """What an endpoint drives: it decides, and never waits."""

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`, in the loop's seconds; None for never."""

    @property
    def soonest(self) -> float:
        """A moment that is not after `deadline`, infinite for never; asked after every message, so without a search."""

    def receive(self, parsed: Parsed, hop: Hop, *, now: float) -> Sequence[object]:
        """Handle one message."""

    def handle_timer(self, *, now: float) -> Sequence[object]:
        """Do what is due."""

    def hop_failed(self, hop: Hop, *, now: float) -> Sequence[object]:
        """Handle the end of a connection, or (connection 0) the news that an address cannot be reached."""

    def transport_failed(self, transaction: object, *, now: float) -> Sequence[object]:
        """Handle a message of `transaction` that could not be sent."""

    def resolved(self, key: object, hops: tuple[Hop, ...], *, now: float) -> Sequence[object]:
        """Take the answer to a `Resolve`: at least one hop, near end filled in."""

    def unresolved(self, key: object, reason: str, *, now: float) -> Sequence[object]:
        """Take the failure of a `Resolve`, in a sentence."""


class Endpoint:
    """Opens the listeners of `settings`, feeds `core` and carries out what it returns.

    Args:
        core: decides.
        settings: what to listen on, limits, TLS, DNS.
        resolver: for `Resolve`; closed together with the endpoint.
        on_event: gets every output that is neither `Transmit` nor `Resolve`, in order. It may call the core and
            `perform`; what that brings is carried out after everything that was returned before.
        tracer: sees every message; None logs them if debug lines are written at all (asked at `start`).
        tls_context: gives the TLS context of one hop; without it, or where it gives None, that of `settings` serves.
        on_flow_lost: told when a path that `keep_alive` asked for is gone, and why: its connection ended, or a ping
            found nobody there. Whoever registered over it should do so again at once (RFC 5626 §4.5).
        admit: asked about the source address of every datagram and every new connection; False drops it unread.
        brake: told how long what is read has waited; None where nobody minds.

    Attributes:
        tasks: owner of everything that waits: connecting, shaking hands, looking up.
        dropped: datagrams and connections that `admit` turned away.
        brake: as it was handed in.
        on_network_changed: told when addresses or routes of this machine have changed; None where nobody minds.
    """

    def __init__(
        self,
        core: Core,
        settings: Settings,
        resolver: Resolver,
        *,
        on_event: Callable[[object], None],
        tracer: Tracer | None = None,
        tls_context: ContextChooser | None = None,
        on_flow_lost: Callable[[Hop, str], None] | None = None,
        admit: Callable[[str], bool] | None = None,
        brake: Brake | None = None,
    ) -> None:
        self.tasks = Tasks()
        self.dropped = 0
        self._core = core
        self._limits = settings.messages
        self._resolver = resolver
        self._on_event = on_event
        self._tracer = tracer
        self._on_flow_lost = on_flow_lost
        self._admit = admit
        self.brake = brake
        self._braked = Braked()
        self._rarely = Rarely(time.monotonic)
        self._local = LocalAddresses(time.monotonic)
        self._contexts = TlsContexts(settings.tls, tls_context)
        self._keepalives = KeepAlives(settings.keepalive_s)
        self._streams = Connections(
            settings,
            StreamEvents(self._stream_message, self._undelivered, self._connection_lost),
            tasks=self.tasks,
            contexts=self._contexts,
            local=self._local,
            keepalives=self._keepalives,
            rarely=self._rarely,
            clock=time.monotonic,
            brake=brake,
        )
        self._listeners = Listeners(
            settings,
            self._local,
            self._contexts,
            on_datagram=self._datagram,
            on_unreachable=self._unreachable,
            on_accepted=self._accepted,
            on_exhausted=self._exhausted,
            brake=brake,
        )
        self._netlink = Netlink(self._network_changed)
        self._lost: set[str] = set()  # addresses of listeners that this machine no longer has
        self.on_network_changed: Callable[[], None] | None = None
        self._failures: OrderedDict[tuple[str, str, int], str] = OrderedDict()
        self._queue: deque[object] = deque()
        self._busy = False
        self._closed = False
        self._timer: DeadlineTimer | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._routes_at = 0.0
        self._now: Callable[[], float] = time.monotonic

    # Life

    async def start(self) -> None:
        """Open every listener and serve.

        Raises:
            TransportError: a listener cannot be opened, and the sentence says which; none is open then.
        """
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._tracer = self._tracer or log_tracer()
        soonest = partial(attrgetter("soonest"), self._core)
        self._timer = DeadlineTimer(loop, lambda: self._core.deadline, soonest, self._due)
        self._listeners.open()
        self._netlink.open()
        self._tick()
        self._timer.arm()

    async def close(self) -> None:
        """Close every socket; connections have a second to send what waits. Later outputs are not sent."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.stop()
        if self._ticker is not None:
            self._ticker.cancel()
        self._netlink.close()
        self._listeners.close()
        await self._streams.close()
        self._local.ports.close()
        await self.tasks.close()
        await self._resolver.close()

    @property
    def listening(self) -> tuple[ListenAddress, ...]:
        """The listeners, in the order of the settings, with their real ports."""
        return self._listeners.addresses

    @property
    def ports(self) -> dict[str, int]:
        """Our port per transport: the first listener's, or for TCP without one where our connections leave from."""
        ports = {address.transport: address.port for address in reversed(self.listening)}
        if "tcp" not in ports:
            ports["tcp"] = self._local.ports.first()
        return ports

    @property
    def counts(self) -> dict[str, int]:
        """How much there is of everything that could leak; zero when nothing goes on."""
        return {"connections": len(self._streams), "tasks": len(self.tasks), "kept_alive": len(self._keepalives)}

    @property
    def faults(self) -> int:
        """How many exceptions were caught that nobody expected; each place that raises is logged with its traceback."""
        return self._rarely.errors + self.tasks.failures

    async def reload_certificates(self) -> None:
        """Use renewed certificate files for the connections to come.

        Raises:
            TransportError: a file cannot be used; the old certificates stay in use.
        """
        await self._contexts.reload()

    # What the calls above use

    def perform(self, outputs: Iterable[object]) -> None:
        """Carry out what the core returned, in order: send, resolve, and hand events to `on_event`.

        Called while it is at work (by `on_event`), it puts the outputs behind those it already has.
        """
        queue = self._queue
        queue.extend(outputs)
        if self._busy:
            return
        self._busy = True
        try:
            while queue:
                output = queue.popleft()
                if type(output) is Transmit:
                    self._transmit(output)
                elif type(output) is Resolve:
                    self._resolve(output)
                else:
                    self._tell_event(output)
        finally:
            self._busy = False
        if self._timer is not None:
            self._timer.arm()

    async def resolve(self, uri: SipUri) -> tuple[Hop, ...]:
        """Find the hops of `uri`, best first, near ends filled in.

        Raises:
            TransportError: there is none; the sentence says why.
        """
        return self._filled(await self._resolver.resolve(uri))

    def local_address(self, hop: Hop) -> Hop:
        """Give `hop` with the address of ours that the peer sees and the port we listen on for that transport."""
        return self._local.fill(hop)

    def near_end(self, host: str) -> str:
        """Say from which address of ours the system reaches an IP literal, "" when it has no route."""
        return self._local.source_of(host)

    def keep_alive(self, hop: Hop) -> None:
        """Keep the path to `hop` open through NAT and idle time-outs, until `forget` is called as often."""
        self._keepalives.add(hop, now=time.monotonic())

    def forget(self, hop: Hop) -> None:
        """Undo one `keep_alive`."""
        self._keepalives.remove(hop)

    def why(self, hop: Hop) -> str:
        """Say why `hop` could not be reached when it last could not, "" if it never failed lately."""
        return self._failures.get(hop[:3], "")

    # What comes

    def _datagram(self, data: bytes, hop: Hop) -> None:
        try:
            if self._admit is not None and not self._admitted(hop.host):
                return
            if self.brake is not None and self.brake.leaves(data):
                return
            if self._tracer is not None:
                self._tracer.received(data, hop)
            parsed = parse_datagram(data, self._limits)
            if type(parsed) is KeepAlive:
                return  # RFC 5626 §3.5.2 has STUN for this; nobody waits for an answer
            outputs = self._core.receive(parsed, hop, now=self._now())
        except Exception as error:  # noqa: BLE001  (whatever a packet does to us, it must not end the others)
            self._rarely.failed("fault while handling a datagram", error, hop=str(hop))
            return
        self.perform(outputs)

    def _stream_message(self, parsed: Parsed, hop: Hop) -> None:
        try:
            if self._tracer is not None:
                self._trace_parsed(self._tracer, parsed, hop)
            outputs = self._core.receive(parsed, hop, now=self._now())
        except Exception as error:  # noqa: BLE001  (whatever a message does to us, it must not end the others)
            self._rarely.failed("fault while handling a message", error, hop=str(hop))
            return
        self.perform(outputs)

    def _trace_parsed(self, tracer: Tracer, parsed: Parsed, hop: Hop) -> None:
        message = parsed.message if isinstance(parsed, Malformed) else parsed
        if isinstance(message, Request | Response):
            tracer.received(bytes(message), hop)

    def _accepted(self, sock: socket.socket, host: str, port: int, listener: ListenAddress) -> None:
        if self._admitted(host):
            self._streams.accept(sock, host, port, listener)
        else:
            sock.close()

    def _admitted(self, host: str) -> bool:
        try:
            admitted = self._admit is None or self._admit(host)
        except Exception as error:  # noqa: BLE001  (who cannot judge must not lock out the world)
            self._rarely.failed("fault while admitting a source", error, host=host)
            return True
        self.dropped += not admitted
        return admitted

    def _due(self, now: float) -> None:
        try:
            outputs = self._core.handle_timer(now=now)
        except Exception as error:  # noqa: BLE001  (one broken timer must not stop all the others)
            self._rarely.failed("fault in a timer", error)
            if self._timer is not None:
                self._timer.rest(_REST_AFTER_FAULT_S)
            return
        self.perform(outputs)

    def check_times(self, *, now: float) -> None:
        """Do what a second more or less does not matter for: idle connections, pings. Called every second.

        Args:
            now: of `time.monotonic`.
        """
        self._streams.sweep(now=now)
        for hop in self._keepalives.due(now=now):
            udp = self._listeners.udp(hop)
            if udp is not None:
                udp.send(PING, hop.host, hop.port)
        if self.brake is not None:
            self._braked.look(self.brake, now=now)
        if now >= self._routes_at:
            self._routes_at = now + _ROUTES_S
            self._listeners.forget_routes()

    def _network_changed(self) -> None:
        self._local.forget()
        self._listeners.forget_routes()
        self._streams.leave_lost_addresses()
        self._look_at_listeners()
        try:
            if self.on_network_changed is not None:
                self.on_network_changed()
        except Exception as error:  # noqa: BLE001  (this is called by the loop, and the next change must be told too)
            self._rarely.failed("fault after a change of the network", error)

    def _look_at_listeners(self) -> None:
        """Say which addresses we listen on are gone from this machine, and which of them are back."""
        lost = {host for host in {each.host for each in self.listening} if not has_address(host)}
        for host in lost - self._lost:
            _log.error(
                f"this machine no longer has the address {host}, which sip.listen names: nobody can reach us there; "
                "give it back, or change sip.listen (0.0.0.0 or [::] is every address) and restart"
            )
        for host in self._lost - lost:
            _log.info(f"this machine has the address {host} again, which sip.listen names")
        self._lost = lost

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        self.check_times(now=time.monotonic())

    # What goes

    def _tell_event(self, event: object) -> None:
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001  (one call's fault must not keep the others' messages back)
            self._rarely.failed("fault while handling an event", error, output=type(event).__name__)

    def _transmit(self, output: Transmit) -> None:
        if self._closed:
            return
        hop = output.hop
        if self._tracer is not None:
            self._tracer.sent(output.data, hop)
        udp = self._listeners.known_udp(hop)
        if udp is not None:  # it has been asked for before, and so has all that follows: nearly always
            why = udp.send(output.data, hop.host, hop.port)
            if why:
                self._undelivered(output, why)
            return
        if hop.transport != "udp":
            if hop.transport in ("tcp", "tls"):
                self._streams.send(output)
            else:
                self._undelivered(output, f"transport {hop.transport!r} is not spoken here")
            return
        if not family_of(hop.host):  # a name would make the socket ask DNS, and everybody wait
            self._undelivered(output, f"{hop.host!r} is not an IP address")
            return
        udp = self._listeners.udp(hop)
        why = udp.send(output.data, hop.host, hop.port) if udp is not None else "no UDP socket of ours can reach it"
        if why:
            self._undelivered(output, why)

    def _resolve(self, output: Resolve) -> None:
        key, uri = output
        try:
            hops = self._resolver.known(uri)
        except TransportError as error:
            self._tell(self._core.unresolved, key, str(error))
            return
        if hops is not None:
            self._tell(self._core.resolved, key, self._filled(hops))
        elif not self._closed:
            self.tasks.spawn(self._look_up(key, uri), name=f"resolve {uri.host}")

    async def _look_up(self, key: object, uri: SipUri) -> None:
        try:
            hops = await self._resolver.resolve(uri)
        except TransportError as error:
            self._tell(self._core.unresolved, key, str(error))
        except Exception as error:  # noqa: BLE001  (without an answer the call would wait for ever)
            self._rarely.failed("fault while resolving", error, host=uri.host)
            self._tell(self._core.unresolved, key, f"no address for {uri.host}: the look-up failed")
        else:
            self._tell(self._core.resolved, key, self._filled(hops))

    def _filled(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        return tuple(self._local.fill(hop) for hop in hops)

    # What fails

    def _tell(self, verb: Callable[..., Sequence[object]], *what: object) -> None:
        try:
            outputs = verb(*what, now=self._now())
        except Exception as error:  # noqa: BLE001  (the fault of one transaction is not that of its neighbours)
            self._rarely.failed("fault in the core", error)
            return
        self.perform(outputs)

    def _undelivered(self, output: Transmit, why: str) -> None:
        hop = output.hop
        if not hop.reliable:
            why = f"cannot send to {hop}: {why}"
        self._note(hop, why)
        self._rarely.say("message not sent", key=str(hop), hop=str(hop), why=why)
        if output.transaction is not None:
            self._tell(self._core.transport_failed, output.transaction)

    def _unreachable(self, hop: Hop, why: str) -> None:
        why = f"{hop} cannot be reached: {why}"
        self._rarely.say("peer unreachable", key=str(hop), hop=str(hop), why=why)
        self._hop_failed(hop, why)

    def _connection_lost(self, hop: Hop, why: str) -> None:
        _log.debug("connection ended", hop=str(hop), connection=hop.connection, why=why)
        self._hop_failed(hop, why)

    def _hop_failed(self, hop: Hop, why: str) -> None:
        self._note(hop, why)
        self._tell(self._core.hop_failed, hop)
        if self._on_flow_lost is None or hop not in self._keepalives:
            return
        try:
            self._on_flow_lost(hop, why)
        except Exception as error:  # noqa: BLE001  (this is called by the loop, which would close other sockets)
            self._rarely.failed("fault after a lost flow", error, hop=str(hop))

    def _exhausted(self, error: OSError) -> None:
        self._rarely.say("connections have to wait", why=f"{error.strerror}: raise the limit of open files (ulimit -n)")

    def _note(self, hop: Hop, why: str) -> None:
        failures = self._failures
        failures[hop[:3]] = why
        failures.move_to_end(hop[:3])
        if len(failures) > _REMEMBERED_FAILURES:
            failures.popitem(last=False)
