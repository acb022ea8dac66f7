"""One TCP or TLS connection: messages out of its stream, messages into it, and when it has lived long enough."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from sipflow.net.keepalive import PING, PONG
from sipflow.net.settings import Settings
from sipflow.net.sockets import octets_to_read
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop
from sipflow.sip.parser import KeepAlive, Parsed, StreamParser
from sipflow.sip.transaction.outputs import Transmit

_LARGE_BYTES = 4096  # a read of less was all there was: messages that wait are read together
_BATCH = 32  # messages of one connection in a row; then everybody else has a turn


class Owner(Protocol):
    """What a connection tells the table it stands in."""

    def received(self, connection: "Connection", parsed: Parsed) -> None:
        """Take a whole message, or something that is none."""

    def spoke(self, connection: "Connection") -> None:
        """Note that an accepted connection sent its first message or ping."""

    def undelivered(self, output: Transmit, why: str) -> None:
        """Take back a message that never left."""

    def gone(self, connection: "Connection", why: str) -> None:
        """Strike it out: nothing can be sent on it any more."""

    def ended(self, connection: "Connection") -> None:
        """Note that its socket is closed."""

    def faulty(self, connection: "Connection", error: Exception) -> None:
        """Log a fault of ours."""


class Connection(asyncio.Protocol):
    """A stream to one peer.

    Attributes:
        hop: the peer as messages from it show it, with the number of the connection.
        accepted: whether the peer opened it.
        is_open: whether it can send at once.
        hung_up: whether it was we who ended it after it was connected.
        task: what connects it or shakes hands, to be cancelled if it is given up before it is open.
    """

    def __init__(
        self,
        owner: Owner,
        hop: Hop,
        settings: Settings,
        *,
        accepted: bool,
        clock: Callable[[], float],
        brake: Brake | None = None,
    ) -> None:
        self.hop = hop
        self.accepted = accepted
        self.is_open = False
        self.hung_up = False
        self.task: asyncio.Task[None] | None = None
        self._owner = owner
        self._limits = settings.streams
        self._keepalive_s = settings.keepalive_s
        self._clock = clock
        self._brake = brake
        self._large_read = False
        self._busy_since: float | None = None  # since when there has always been something to read
        self._parser = StreamParser(settings.messages)
        self._transport: asyncio.Transport | None = None
        self._waiting: list[Transmit] = []
        self._waiting_bytes = 0
        self._unread: deque[Parsed] = deque()  # parsed, not yet handled
        self._left = False
        self._why = ""
        self._spoke = False
        self._ponged = False
        self._half_ping = False
        now = clock()
        self._since = now  # when it was begun
        self._heard_at = now
        self._sent_at = now
        self._message_at = now  # either way
        self._partial_since: float | None = None
        self._pinged_at: float | None = None

    # Sending

    def send(self, output: Transmit) -> None:
        """Send at once, or as soon as it is connected; what cannot be sent comes back as `undelivered`."""
        if self._transport is not None:
            self._message_at = self._write(output.data)
            return
        self._waiting_bytes += len(output.data)
        if self._left or self._waiting_bytes > self._limits.write_buffer_bytes:
            self._owner.undelivered(output, self._why or f"too much waits for {self.hop} to connect")
            return
        self._waiting.append(output)

    def _write(self, data: bytes) -> float:
        now = self._sent_at = self._clock()
        if self._transport is not None:
            self._transport.write(data)
            waiting = self._transport.get_write_buffer_size()
            if waiting > self._limits.write_buffer_bytes:
                self.abort(f"the peer does not read: {waiting} octets wait for it")
        return now

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Take what came; called by the loop."""
        self._heard_at = self._clock()
        self._pinged_at = None  # whatever it says, it lives
        if self._left:
            return
        try:
            messages = self._parser.feed(data)
        except Exception as error:  # noqa: BLE001  (a fault of ours ends this connection and nothing else)
            self._owner.faulty(self, error)
            self.abort("a fault of ours while reading")
            return
        if not self._parser.pending_bytes:
            self._partial_since = None
        elif messages or self._partial_since is None:
            self._partial_since = self._heard_at
        self._large_read = len(data) >= _LARGE_BYTES
        if self._busy_since is None:
            self._busy_since = self._heard_at
        self._unread.extend(messages)
        self._handle_some()

    def _handle_some(self) -> None:
        unread, brake = self._unread, self._brake
        if brake is not None and unread and self._busy_since is not None:
            now = self._clock()
            brake.stream_busy(now - self._busy_since, now=now)
        for _ in range(min(len(unread), _BATCH)):
            if self._left:
                break
            self._handle(unread.popleft())
        if brake is not None:
            brake.dry()
        if self._left:
            unread.clear()
        elif unread:
            self._pause()
        else:
            self._have_read()

    def _have_read(self) -> None:
        """Go on to what has come meanwhile, or end."""
        stream = self._transport if self._large_read and self._brake is not None else None
        if stream is None or not octets_to_read(stream):
            self._busy_since = None
        if self._parser.broken:
            self.close("what it sent is not SIP, or larger than a message may be")
        elif self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    def _pause(self) -> None:
        """Read on only when what has been read is handled."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._handle_some)

    def _handle(self, parsed: Parsed) -> None:
        if not self._spoke:
            self._spoke = True
            self._owner.spoke(self)
        if isinstance(parsed, KeepAlive):
            if parsed.ping or self._half_ping:
                self._half_ping = False
                self._write(PONG)  # RFC 5626 §3.5.1
            elif self.accepted:
                self._half_ping = True  # nobody is pinged there, so this is no pong: the other CRLF is on its way
            else:
                self._ponged = True
            return
        self._half_ping = False
        self._message_at = self._heard_at
        self._owner.received(self, parsed)

    # Life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what has been waiting; called by the loop."""
        self._transport = stream = cast(asyncio.Transport, transport)  # uvloop's are none by class
        if self._left:
            stream.abort()
            return
        self.is_open = True
        self._since = self._heard_at = self._clock()
        waiting, self._waiting = self._waiting, []
        for position, output in enumerate(waiting):
            if self._left:
                self._give_back(waiting[position:])
                return
            self.send(output)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; called by the loop."""
        self._transport = None
        self.leave(f"the connection broke: {exc}" if exc is not None else "the peer closed the connection")
        self._owner.ended(self)

    def close(self, why: str) -> None:
        """Send what is still waiting, then close."""
        transport = self._transport
        self.hung_up = transport is not None
        self.leave(why)
        if transport is not None:
            transport.close()
        else:
            self._cancel()

    def abort(self, why: str) -> None:
        """Close at once; what waits is lost."""
        transport = self._transport
        self.hung_up = transport is not None
        self.leave(why)
        if transport is not None:
            transport.abort()
        else:
            self._cancel()

    def leave(self, why: str) -> None:
        """Be of no use from now on; what waited for the connection comes back."""
        if self._left:
            return
        self._left = True
        self._why = why
        self._owner.gone(self, why)
        self.is_open = False
        waiting, self._waiting = self._waiting, []
        self._give_back(waiting)

    def check(self, *, now: float, held: bool) -> None:
        """Look whether a time is up; `held` is whether somebody wants it kept open."""
        limits = self._limits
        if self._transport is None or self._left:
            return  # connecting and shaking hands have time-outs of their own
        if self._partial_since is not None and now - self._partial_since >= limits.partial_message_s:
            self.close(f"a message stayed incomplete for {limits.partial_message_s:g} s")
        elif self.accepted and not self._spoke and now - self._since >= limits.partial_message_s:
            self.close(f"the peer connected and said nothing for {limits.partial_message_s:g} s")
        elif self.accepted:
            if not held and now - max(self._heard_at, self._sent_at) >= limits.idle_s:
                self.close(f"idle for {limits.idle_s:g} s")
        elif not held and now - self._message_at >= limits.unused_s:
            self.close(f"unused for {limits.unused_s:g} s")
        else:
            self._ping(now)

    def _ping(self, now: float) -> None:
        """Ping in time, and give up a peer that answered pings and no longer does (RFC 5626 §4.4.1)."""
        if self._pinged_at is not None and self._ponged and now - self._pinged_at >= self._limits.pong_s:
            self.abort(f"the peer no longer answers pings within {self._limits.pong_s:g} s")
        elif now - self._sent_at >= self._keepalive_s:
            self._write(PING)
            self._sent_at = self._pinged_at = now

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _give_back(self, outputs: list[Transmit]) -> None:
        for output in outputs:
            self._owner.undelivered(output, self._why)
