"""One AudioSocket over TCP, for whichever side of it we are: messages in, messages out, each within bounds.

Messages are handed on inside the socket's callback, without a task or a queue between. What the far end may do to us is
bounded: what it sends waits in the network while we have no room for it, what it does not read is dropped, and half a
message must be followed by the other half.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from sipflow.agents.audiosocket_wire import Kind, Messages, encode
from sipflow.agents.stream.throttle import Throttle
from sipflow.errors import RemoteProtocolError

_WRITE_LIMIT_BYTES = 64 << 10  # unread by the far end, beside what the kernel holds; then audio is dropped
_LOOK_S = 0.5
_HALF_S = 5.0  # for the other half of a message
_CLOSE_S = 1.0  # for what was written to be read
_TOKENS_AT_ONCE, _TOKENS_PER_S = 2000.0, 1500.0  # a message is one, and so is each KiB in it; then the far end waits
_BYTES_PER_TOKEN = 1024
_CLOSED = "the far end closed the connection"
_READ_BYTES = 64 << 10  # that wait for us, beside what one read of the socket gives


class Listener(Protocol):
    """Who is told what the far end sends."""

    def received(self, kind: int, payload: bytes) -> None:
        """Take a whole message."""

    def lost(self, *, cleanly: bool, why: str) -> None:
        """Learn, once, that there will be no more; what was received before has been handed on.

        Args:
            cleanly: the far end closed the connection after a whole message.
            why: one sentence.
        """


class AudioSocket(asyncio.Protocol):
    """One connection. Nothing is handed on until `listen`, nor while it is held.

    Attributes:
        unread: audio messages dropped because the far end did not read.
    """

    def __init__(self, *, drop_s: float = 30.0, on_made: Callable[["AudioSocket"], None] | None = None) -> None:
        """Prepare.

        Args:
            drop_s: how long the far end may read nothing.
            on_made: told when there is a connection.
        """
        self._loop = asyncio.get_running_loop()
        self._on_made = on_made
        self._drop_s = drop_s
        self._messages = Messages()
        self._listener: Listener | None = None
        self._transport: asyncio.Transport | None = None
        self._held = True
        self._release: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._leaving = False
        self._end: tuple[bool, str] | None = None  # of what the far end sends: cleanly, why
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._heard_at = self._loop.time()
        self._throttle = Throttle(_TOKENS_AT_ONCE, _TOKENS_PER_S, now=self._heard_at)
        self._full_since: float | None = None
        self.unread = 0

    # What whoever has the call does

    def listen(self, listener: Listener) -> None:
        """Have `listener` told everything, also what has come already."""
        self._listener = listener
        self._loop.call_soon(self.release)

    def hold(self, seconds: float) -> None:
        """Hand nothing on for so long: there is no room. The far end is held back by TCP."""
        self._held = True
        if self._release is None:
            self._release = self._loop.call_later(seconds, self.release)

    def release(self) -> None:
        """Hand on what has waited."""
        if self._release is not None:
            self._release.cancel()
            self._release = None
        self._held = False
        self._heard_at = self._loop.time()
        self._hand_on()

    @property
    def writable(self) -> bool:
        """Whether the far end reads what is sent."""
        return self._full_since is None

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send a message; audio that the far end has no room for is dropped, and counted."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._leaving:
            return
        if self._full_since is not None and kind not in (Kind.HANGUP, Kind.ERROR, Kind.UUID):
            self.unread += 1
            return
        transport.write(encode(kind, payload))

    async def close(self) -> None:
        """Send no more, and give the far end a second to read what was sent; whoever listened is told no more.

        What the far end still sends is read and thrown away: were it not, TCP would take back our last message.
        """
        self._listener, self._leaving = None, True
        self._stop_timers()
        transport = self._transport
        if transport is None or self._gone.done():
            return
        if self._end is not None:
            transport.close()
        elif not transport.is_closing():
            with suppress(OSError):  # it is just breaking
                transport.write_eof()
            transport.resume_reading()
        try:
            await asyncio.wait({self._gone}, timeout=_CLOSE_S)
        finally:
            transport.abort()  # which does nothing where it is gone

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the limits."""
        self._transport = cast(asyncio.Transport, transport)  # TCP_NODELAY is asyncio's own doing
        self._transport.set_write_buffer_limits(_WRITE_LIMIT_BYTES)
        self._watch = self._loop.call_later(_LOOK_S, self._look)
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and hand on what is whole."""
        if self._leaving:
            return
        self._heard_at = self._loop.time()
        self._messages.feed(data)
        self._hand_on()

    def eof_received(self) -> bool:
        """Note that no more will come; what has come is handed on first."""
        self._finish(cleanly=True, why=_CLOSED)
        return not self._leaving  # so that what is still to be sent can be

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone; what has come is handed on first."""
        if not self._gone.done():
            self._gone.set_result(None)
        if self._watch is not None:
            self._watch.cancel()
        # A far end that closes without having read everything resets the connection: that is how TCP says it.
        closed = exc is None or isinstance(exc, ConnectionError)
        self._finish(cleanly=closed, why=_CLOSED if closed else f"the connection broke: {exc}")

    def pause_writing(self) -> None:
        """Drop audio from now on: the far end does not read."""
        self._full_since = self._loop.time()

    def resume_writing(self) -> None:
        """Send audio again."""
        self._full_since = None

    # Inside

    def _finish(self, *, cleanly: bool, why: str) -> None:
        if self._end is None:
            self._end = (cleanly, why)
            self._hand_on()

    def _hand_on(self) -> None:
        """Hand on messages until there is no room or no more of them; then read, or do not."""
        while not self._held and self._listener is not None:
            try:
                message = self._messages.next()
            except RemoteProtocolError as error:
                self._lose(cleanly=False, why=f"the far end sends garbage: {error}")
                return
            if message is None:
                self._all_handed_on()
                break
            self._listener.received(*message)
            wait_s = self._throttle.take(1 + len(message[1]) / _BYTES_PER_TOKEN, self._heard_at)
            if wait_s > 0:
                self.hold(wait_s)
        transport = self._transport
        if transport is None or transport.is_closing() or self._end is not None:
            return
        if self._messages.waiting_bytes > _READ_BYTES and (self._held or self._listener is None):
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _all_handed_on(self) -> None:
        if self._end is None:
            return
        cleanly, why = self._end
        if self._messages.waiting_bytes:
            cleanly, why = False, f"{why} in the middle of a message"
        self._lose(cleanly=cleanly, why=why)

    def _lose(self, *, cleanly: bool, why: str) -> None:
        listener, self._listener = self._listener, None
        self._stop_timers()
        if listener is not None:
            listener.lost(cleanly=cleanly, why=why)

    def _look(self) -> None:
        """See whether the far end has stopped in the middle of a message, or stopped reading."""
        now = self._loop.time()
        self._watch = self._loop.call_later(_LOOK_S, self._look)
        if self._held or self._listener is None:
            self._heard_at = now
        if self._messages.waiting_bytes and now - self._heard_at >= _HALF_S:
            self._lose(cleanly=False, why=f"the far end sent half a message, and for {_HALF_S:g} s nothing more")
        elif self._full_since is not None and now - self._full_since >= self._drop_s:
            self._lose(cleanly=False, why=f"the far end read nothing for {self._drop_s:g} s")

    def _stop_timers(self) -> None:
        for handle in (self._watch, self._release):
            if handle is not None:
                handle.cancel()
        self._watch = self._release = None
