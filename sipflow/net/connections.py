"""Every TCP and TLS connection: found again by peer, opened when there is none, refused when there are too many."""

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from sipflow.errors import TransportError
from sipflow.net.connection import Connection
from sipflow.net.keepalive import KeepAlives
from sipflow.net.literal import WILDCARDS, is_loopback
from sipflow.net.local import LocalAddresses, has_address
from sipflow.net.rarely import Rarely
from sipflow.net.settings import ListenAddress, Settings
from sipflow.net.sockets import prepare_stream
from sipflow.net.tcp import dial
from sipflow.net.tls import TlsContexts, explain
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop
from sipflow.sip.parser import Parsed
from sipflow.sip.transaction.outputs import Transmit
from sipflow.tasks import Tasks

_LINGER_S = 5.0  # how long a closed connection may take to send its last octets
_LAST_OCTETS_S = 1.0  # the same when all are closed at once because the daemon ends
_TAKEN = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})
_AGAIN_S = (0.05, 0.2)  # until the end of a connection that the peer closed has been acknowledged
_OWN_PORTS_TRIED = 3

Peer = tuple[str, str, int, str]  # transport, host, port, server_name


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """Whom the connections tell.

    Attributes:
        message: a message came on a hop.
        undelivered: a message never left, and why.
        lost: a connection that was open is gone, and why; what was sent on it and not answered stays so.
    """

    message: Callable[[Parsed, Hop], None]
    undelivered: Callable[[Transmit, str], None]
    lost: Callable[[Hop, str], None]


class Connections:
    """The table of connections.

    A request goes on the connection that its hop names; if that is gone, on any to the same peer, whoever opened it
    (RFC 3261 §18, RFC 5923); if there is none, on a new one.

    Attributes:
        refused: connections turned away because there were too many.
    """

    def __init__(
        self,
        settings: Settings,
        events: StreamEvents,
        *,
        tasks: Tasks,
        contexts: TlsContexts,
        local: LocalAddresses,
        keepalives: KeepAlives,
        rarely: Rarely,
        clock: Callable[[], float],
        brake: Brake | None = None,
    ) -> None:
        self.refused = 0
        self._settings = settings
        self._events = events
        self._tasks = tasks
        self._contexts = contexts
        self._local = local
        self._keepalives = keepalives
        self._rarely = rarely
        self._clock = clock
        self._brake = brake
        self._numbers = count(1)
        self._by_number: dict[int, Connection] = {}
        self._by_peer: dict[Peer, Connection] = {}
        self._by_source: dict[str, dict[Connection, None]] = {}  # accepted ones, oldest first
        self._silent: dict[Connection, None] = {}  # accepted ones that have said nothing yet, oldest first
        self._accepted = 0
        self._leaving: dict[Connection, float] = {}  # closed by us, socket still open
        self._ended = asyncio.Event()  # no socket of a connection is open
        self._closed = False
        self._most = min(settings.streams.connections_total, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

    def __len__(self) -> int:
        return len(self._by_number)

    def send(self, output: Transmit) -> None:
        """Send on the right connection, opening one if need be; what never leaves is `undelivered`."""
        hop = output.hop
        connection = self._by_number.get(hop.connection) if hop.connection else None
        if connection is None:
            connection = self._by_peer.get(_peer(hop))
        if connection is None:
            connection = self._open(hop)
        connection.send(output)

    def accept(self, sock: socket.socket, host: str, port: int, listener: ListenAddress) -> None:
        """Take a connection that a peer opened, or turn it away when there are too many."""
        if self._closed or not self._room_for(host):
            sock.close()
            return
        ours = sock.getsockname()[0]
        hop = Hop(listener.transport, host, port, ours, listener.port, next(self._numbers))
        connection = Connection(self, hop, self._settings, accepted=True, clock=self._clock, brake=self._brake)
        self._accepted += 1
        self._by_source.setdefault(host, {})[connection] = None
        self._silent[connection] = None
        self._enter(connection)
        connection.task = self._tasks.spawn(self._welcome(connection, sock), name=f"accept {hop}")

    def sweep(self, *, now: float) -> None:
        """Close what has been idle, incomplete or without answer for too long; ping what is due."""
        for connection in list(self._by_number.values()):
            connection.check(now=now, held=connection.hop in self._keepalives)
        for connection, since in list(self._leaving.items()):
            if now - since >= _LINGER_S:
                connection.abort("the peer does not read")

    def leave_lost_addresses(self) -> None:
        """End the connections from addresses that this machine no longer has: nothing would come back on them."""
        lost = {host for host in {each.hop.local_host for each in self._by_number.values()} if not has_address(host)}
        for connection in list(self._by_number.values()):
            host = connection.hop.local_host
            if host in lost:
                connection.abort(f"this machine no longer has the address {host}")

    async def close(self) -> None:
        """Close every connection, giving each a second to send its last octets."""
        self._closed = True
        for connection in list(self._by_number.values()):
            connection.close("we are shutting down")
        if not await self._all_closed():
            for connection in list(self._leaving):
                connection.abort("we are shutting down")
            await self._all_closed()

    async def _all_closed(self) -> bool:
        """Wait until no socket of ours is open, but not long; whether that is so."""
        self._ended.clear()
        if self._leaving:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OCTETS_S):
                    await self._ended.wait()
        return not self._leaving

    # What connections tell

    def received(self, connection: Connection, parsed: Parsed) -> None:
        self._events.message(parsed, connection.hop)

    def spoke(self, connection: Connection) -> None:
        self._silent.pop(connection, None)

    def undelivered(self, output: Transmit, why: str) -> None:
        if not self._closed:
            self._events.undelivered(output, why)

    def gone(self, connection: Connection, why: str) -> None:
        hop = connection.hop
        self._by_number.pop(hop.connection, None)
        if self._by_peer.get(_peer(hop)) is connection:
            del self._by_peer[_peer(hop)]
        if connection.accepted:
            self._accepted -= 1
            self._silent.pop(connection, None)
            self._leave_source(connection)
        elif connection.hung_up:
            self._local.ports.rest(hop, hop.local_port)
        if connection.is_open:
            self._leaving[connection] = self._clock()
            if not self._closed:
                self._events.lost(hop, why)

    def ended(self, connection: Connection) -> None:
        self._leaving.pop(connection, None)
        if not self._leaving:
            self._ended.set()

    def faulty(self, connection: Connection, error: Exception) -> None:
        self._rarely.failed("fault while reading a stream", error, hop=str(connection.hop))

    # Opening

    def _open(self, hop: Hop) -> Connection:
        own = hop._replace(connection=next(self._numbers))
        connection = Connection(self, own, self._settings, accepted=False, clock=self._clock, brake=self._brake)
        if self._closed:
            connection.leave("we are shutting down")
            return connection
        self._enter(connection)
        connection.task = self._tasks.spawn(self._connect(connection), name=f"connect {hop}")
        return connection

    def _enter(self, connection: Connection) -> None:
        self._by_number[connection.hop.connection] = connection
        self._by_peer[_peer(connection.hop)] = connection

    async def _connect(self, connection: Connection) -> None:
        hop = connection.hop
        settings = self._settings
        limits = settings.streams
        try:
            context = await self._contexts.client(hop) if hop.transport == "tls" else None
            sock = await self._dial(hop)
            connection.hop = hop = self._near_end(hop, sock)
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=context,
                    server_hostname=(hop.server_name or hop.host) if context else None,
                    ssl_handshake_timeout=limits.handshake_s if context else None,
                )
            except BaseException:  # whatever ends it, a cancellation too, the socket must not leak
                sock.close()
                self._local.ports.rest(hop, hop.local_port)
                raise
        except (OSError, TransportError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            connection.leave(explain(error, hop))

    async def _dial(self, hop: Hop) -> socket.socket:
        """Connect from the address of our listener, or from the port of ours that takes its place."""
        local, dscp, limit_s = self._local, self._settings.dscp, self._settings.streams.connect_s
        if local.listener(hop) is not None:
            return await dial(hop, bind_host=self._bind_host(hop), dscp=dscp, timeout_s=limit_s)
        for wait_s in (*_AGAIN_S, *[0.0] * _OWN_PORTS_TRIED):
            port = local.ports.port(hop)
            try:
                return await dial(hop, bind_port=port, dscp=dscp, timeout_s=limit_s)
            except OSError as error:
                if not port or error.errno not in _TAKEN:
                    raise
            if wait_s:
                await asyncio.sleep(wait_s)
            else:
                local.ports.rest(hop, port)
        return await dial(hop, dscp=dscp, timeout_s=limit_s)

    def _near_end(self, hop: Hop, sock: socket.socket) -> Hop:
        host, port = sock.getsockname()[:2]
        listener = self._local.listener(hop)
        return hop._replace(local_host=host, local_port=port if listener is None else listener.port)

    async def _welcome(self, connection: Connection, sock: socket.socket) -> None:
        hop = connection.hop
        try:
            prepare_stream(sock, self._settings.dscp)
            context = self._contexts.server() if hop.transport == "tls" else None
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=self._settings.streams.handshake_s if context else None,
            )
        except (OSError, TransportError) as error:
            sock.close()
            why = explain(error, hop)
            self._rarely.say("connection not taken", key=hop.host, why=why)
            connection.leave(why)
        except asyncio.CancelledError:
            sock.close()
            raise

    def _bind_host(self, hop: Hop) -> str:
        """The address to connect from: a listener's own, where it has one and it can reach the peer."""
        listener = self._local.listener(hop)
        if listener is None or listener.host in WILDCARDS or is_loopback(listener.host) != is_loopback(hop.host):
            return ""
        return listener.host

    # Too many

    def _room_for(self, host: str) -> bool:
        """Whether another connection from `host` may come in; the oldest that never said a word makes room."""
        limits = self._settings.streams
        here = self._by_source.get(host, {})
        if len(here) >= limits.connections_per_source:
            silent = next((one for one in here if one in self._silent), None)
            if silent is None:
                return self._turn_away(host, f"{len(here)} connections from one address are open")
            silent.abort("a newer connection from its address needs the place")
        if self._accepted >= self._most:
            if not self._silent:
                return self._turn_away(host, f"{self._accepted} connections are open")
            next(iter(self._silent)).abort("a newer connection needs the place")
        return True

    def _turn_away(self, host: str, why: str) -> bool:
        self.refused += 1
        self._rarely.say("connection refused", key=host, source=host, why=why)
        return False

    def _leave_source(self, connection: Connection) -> None:
        here = self._by_source.get(connection.hop.host)
        if here is not None:
            here.pop(connection, None)
            if not here:
                del self._by_source[connection.hop.host]


def _peer(hop: Hop) -> Peer:
    return (hop.transport, hop.host, hop.port, hop.server_name)
