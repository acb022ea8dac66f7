"""The WebSocket to a bot: the protocol is the `websockets` library's, the socket and its limits are ours.

What comes and goes 50 times a second, whole messages in one frame, passes the library by; see `framing`.

Messages are handed on inside the socket's callback and written without a task or a queue between, for there are 100 a
second and call. What the bot may do to us is bounded: its messages in size and number, what waits for it in length, and
its silence in time.
"""

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from sipflow.agents.stream.framing import BINARY, TEXT, Deframer, client_frame
from sipflow.agents.stream.throttle import Throttle
from sipflow.errors import TransportError

_SLICE_BYTES = 2048  # read at once: what a flood may cost other calls is the time that so many bytes of messages take
_WRITE_LIMIT_BYTES = 32 << 10  # unread by the bot, beside what the kernel holds: then its audio waits here
_WAITING_FRAMES = 50  # a second of audio; then the oldest is lost
_WRITE_MOST_BYTES = 1 << 20  # of everything else; a bot that lets so much wait is gone
_MESSAGES_AT_ONCE, _MESSAGES_PER_S = 10_000.0, 1000.0  # three minutes of 20 ms, sent as fast as the network can
_BYTES_AT_ONCE, _BYTES_PER_S = float(8 << 20), float(2 << 20)
_MASKS_BYTES = 4096  # drawn at once
_PAID_TOGETHER = 16  # messages; what is looked at once in so many of them costs the less of each
_HEAD_END = b"\r\n\r\n"
_IN_GOOD_ORDER = (1000, 1001, 1005)  # done, going away, no code given (RFC 6455 §7.4.1)
_CLOSE_S = 1.0  # for the bot to say goodbye, too


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bot may do.

    Attributes:
        ping_s: between two pings.
        drop_s: how long it may be silent, pongs included, or read nothing.
        max_message_bytes: the longest message it may send.
    """

    ping_s: float = 10.0
    drop_s: float = 30.0
    max_message_bytes: int = 1 << 20


class Listener(Protocol):
    """Who is told what the bot sends."""

    def heard(self, data: bytes, *, is_text: bool) -> None:
        """Take a whole message."""

    def lost(self, *, normally: bool, why: str) -> None:
        """Learn, once, that the connection is over.

        Args:
            normally: the bot closed it with 1000, 1001 or no code at all, or we did.
            why: one sentence.
        """


class Connection(asyncio.Protocol):
    """One WebSocket, client side.

    Attributes:
        lost_frames: audio messages that the bot did not read in time, dropped oldest first.
    """

    def __init__(
        self, url: str, *, headers: Sequence[tuple[str, str]], subprotocols: Sequence[str], limits: Limits
    ) -> None:
        self._loop = asyncio.get_running_loop()
        offered = [Subprotocol(name) for name in subprotocols] or None
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=offered, max_size=limits.max_message_bytes)
        self._headers = headers
        self._limits = limits
        self._listener: Listener | None = None
        self._listening = False  # or else what comes waits
        self._early: list[tuple[bytes, bool]] = []  # came together with the handshake
        self._transport: asyncio.Transport | None = None
        self._open: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._unread = b""  # came, and has not been looked at
        self._holding = False  # by whoever listens
        self._reading_later: asyncio.Handle | None = None
        self._messages = Throttle(_MESSAGES_AT_ONCE, _MESSAGES_PER_S, now=self._loop.time())
        self._bytes = Throttle(_BYTES_AT_ONCE, _BYTES_PER_S, now=self._loop.time())
        self._owed = self._owed_bytes = 0  # messages and bytes that neither of them knows of yet
        self._head = bytearray()  # of the answer to the handshake
        self._deframer = Deframer(max_message_bytes=limits.max_message_bytes)
        self._fragments = bytearray()
        self._fragments_are_text = False
        self._masks = b""
        self._mask_at = 0
        self._waiting: deque[bytes] = deque()
        self._audio_is_text = True
        self._full = False  # what may be unread by the bot
        self._full_looks = self._silent_looks = 0
        self._heard_at = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._goodbye: asyncio.TimerHandle | None = None
        self._normally = False
        self._why = ""
        self.lost_frames = 0

    # What whoever has the call does

    async def opened(self) -> None:
        """Wait for the handshake.

        Raises:
            TransportError: it failed.
        """
        await self._open

    def listen(self, listener: Listener) -> None:
        """Have `listener` told everything from now on; nothing has been told to anybody before."""
        self._listener, self._listening = listener, True
        if self._closed.done():
            self._loop.call_soon(self._tell_lost)
        for data, is_text in self._early:
            listener.heard(data, is_text=is_text)
        self._early.clear()
        self._loop.call_soon(self._read_on)

    def hold(self) -> None:
        """Read no further until `release`; what was read already may still be told."""
        self._holding = True

    def release(self) -> None:
        """Read on."""
        self._holding = False
        self._heard_at = self._loop.time()
        self._read_on()

    def send(self, text: str) -> None:
        """Send a text message, before audio that waits."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._flush()
            if self._transport is not None and self._transport.get_write_buffer_size() > _WRITE_MOST_BYTES:
                self.abort("the bot does not read")

    def send_audio(self, message: bytes, *, is_text: bool) -> None:
        """Send a message with audio; one that the bot has no room for waits, and the oldest of too many is lost."""
        if self._full:
            self._audio_is_text = is_text
            self._waiting.append(message)
            if len(self._waiting) > _WAITING_FRAMES:
                self._waiting.popleft()
                self.lost_frames += 1
        elif self._protocol.state is State.OPEN and self._transport is not None:
            self._transport.write(client_frame(TEXT if is_text else BINARY, message, self._mask()))

    async def close(self) -> None:
        """Say goodbye and wait a second at most for the answer; whoever listened is told no more."""
        self._listener, self._listening, self._holding = None, True, False
        self._why = self._why or "we closed the WebSocket"
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
            self._read_on()
        elif self._goodbye is None:
            self.abort("")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self.abort("the bot did not answer our goodbye")

    def abort(self, why: str) -> None:
        """End it at once."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle would hold frames back for 40 to 200 ms
        self._transport.set_write_buffer_limits(_WRITE_LIMIT_BYTES)
        request = self._protocol.connect()
        for name, value in self._headers:
            request.headers[name] = value
        request.headers.setdefault("User-Agent", "sipflow")
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Read a little at once, for other calls wait."""
        self._heard_at = self._loop.time()
        self._silent_looks = 0
        if len(data) <= _SLICE_BYTES and not self._unread and not self._holding and self._listening:
            self._read(data)
        else:
            self._unread += data
            self._read_on()

    def eof_received(self) -> None:
        """Take the end of the stream for a closed connection, after what came before it."""
        unread, self._unread = self._unread, b""
        self._take(unread)
        self._protocol.receive_eof()
        self._take_events()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._protocol.receive_eof()
        for handle in (self._watch, self._goodbye, self._reading_later):
            if handle is not None:
                handle.cancel()
        why = self._why or self._said_goodbye() or (f"the connection broke: {exc}" if exc else "the connection broke")
        if not self._open.done():
            self._open.set_exception(self._refusal() or TransportError(why))
            self._open.exception()  # whoever gave up waiting need not be told
        if not self._closed.done():
            self._closed.set_result(None)
        self._normally = self._protocol.close_code in _IN_GOOD_ORDER and not self._why
        self._why = why
        self._tell_lost()

    def pause_writing(self) -> None:
        """Let audio wait: the bot does not read."""
        self._full = True

    def resume_writing(self) -> None:
        """Send what has waited."""
        self._full = False
        while self._waiting and not self._full:
            self.send_audio(self._waiting.popleft(), is_text=self._audio_is_text)

    # Reading

    def _read_on(self) -> None:
        """Look at the next slice of what came, and come back for more; hold the sender back meanwhile."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        ready = not self._holding and (self._listening or not self._open.done())
        if ready and self._reading_later is None and self._unread:
            data, self._unread = self._unread[:_SLICE_BYTES], self._unread[_SLICE_BYTES:]
            self._read(data)
        if self._unread or not ready:
            transport.pause_reading()
            if ready and self._reading_later is None:
                self._reading_later = self._loop.call_soon(self._later)
        elif self._reading_later is None:
            transport.resume_reading()

    def _later(self) -> None:
        self._reading_later = None
        self._heard_at = self._loop.time()
        self._read_on()

    def _read(self, data: bytes) -> None:
        listener = self._listener
        message = self._deframer.only(data) if listener is not None else None
        if message is None or listener is None:
            count = self._take(data)
        else:
            listener.heard(message, is_text=data[0] == TEXT)
            count = 1
        self._owed += count
        self._owed_bytes += len(data)
        if self._owed >= _PAID_TOGETHER or self._owed_bytes >= _PAID_TOGETHER * _SLICE_BYTES:
            self._pay(self._heard_at)

    def _pay(self, now: float) -> None:
        """Read no further for as long as it takes to send what has come at the rate that a bot may."""
        wait_s = max(self._messages.take(self._owed, now), self._bytes.take(self._owed_bytes, now))
        self._owed = self._owed_bytes = 0
        if wait_s > 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            if self._reading_later is not None:
                self._reading_later.cancel()
            self._reading_later = self._loop.call_later(wait_s, self._later)

    def _take(self, data: bytes) -> int:
        """Hand on whole messages, and to the protocol what is none; gives how many there were."""
        if not self._open.done():
            data = self._take_head(data)
        pieces = self._deframer.feed(data) if data else []
        for piece, kind in pieces:
            if kind:
                self._tell(piece, is_text=kind == TEXT)
            else:
                self._protocol.receive_data(piece)
                self._take_events()
                if self._protocol.close_rcvd is not None:
                    break  # nothing may follow (RFC 6455 §5.5.1)
        return len(pieces)

    def _take_head(self, data: bytes) -> bytes:
        """Let the protocol read the answer to the handshake; gives what follows it."""
        self._head += data
        end = self._head.find(_HEAD_END)
        rest = len(self._head) - end - len(_HEAD_END) if end >= 0 else 0
        self._protocol.receive_data(data[: len(data) - rest])
        self._take_events()
        if rest and self._protocol.state is not State.OPEN:
            self._protocol.receive_data(data[len(data) - rest :])  # of a refusal
            self._take_events()
            return b""
        return data[len(data) - rest :]

    def _take_events(self) -> None:
        """Hand on what the protocol has read, and send what it wants to answer."""
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif isinstance(event, Response):
                self._take_response()
        self._flush()

    def _take_response(self) -> None:
        if self._open.done():
            return
        if self._protocol.handshake_exc is not None:
            self._open.set_exception(self._refusal() or TransportError("the handshake failed"))
            self._open.exception()
            return
        self._open.set_result(None)
        self._watch = self._loop.call_later(self._limits.ping_s, self._look)

    def _take_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            if frame.fin:
                self._tell(bytes(frame.data), is_text=opcode is Opcode.TEXT)
            else:
                self._fragments = bytearray(frame.data)
                self._fragments_are_text = opcode is Opcode.TEXT
        elif opcode is Opcode.CONT:
            self._fragments += frame.data
            if frame.fin:
                self._tell(bytes(self._fragments), is_text=self._fragments_are_text)
                self._fragments = bytearray()

    def _tell(self, data: bytes, *, is_text: bool) -> None:
        if self._listener is not None:
            self._listener.heard(data, is_text=is_text)
        elif not self._listening:
            self._early.append((data, is_text))

    def _tell_lost(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost(normally=self._normally, why=self._why)

    # Writing and watching

    def _mask(self) -> bytes:
        """Give 4 octets that nobody can foretell (RFC 6455 §5.3)."""
        at = self._mask_at
        if at >= len(self._masks):
            self._masks = os.urandom(_MASKS_BYTES)
            at = 0
        self._mask_at = at + 4
        return self._masks[at : at + 4]

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            elif not transport.is_closing():
                transport.close()  # the protocol wants the end of the stream to be sent
        if self._goodbye is None and self._protocol.close_expected():
            self._goodbye = self._loop.call_later(_CLOSE_S, self.abort, "")  # the bot should close the connection

    def _look(self) -> None:
        """Ping the bot, unless it has been silent, or has read nothing, for too long.

        Looks are counted, not seconds: when this process stalls, that is not the bot's silence.
        """
        self._silent_looks += 1
        self._full_looks += 1
        if self._holding or not self._listening or self._reading_later is not None:
            self._silent_looks = 0  # it is we who do not read
        if not self._full:
            self._full_looks = 0
        drop_s, ping_s = self._limits.drop_s, self._limits.ping_s
        if self._silent_looks * ping_s > drop_s:
            self.abort(f"the bot was silent for {drop_s:g} s, pongs included")
        elif self._full_looks * ping_s > drop_s:
            self.abort(f"the bot read nothing for {drop_s:g} s")
        else:
            if self._protocol.state is State.OPEN:
                self._protocol.send_ping(os.urandom(4))
                self._flush()
            self._watch = self._loop.call_later(ping_s, self._look)

    def _refusal(self) -> TransportError | None:
        """Put a failed handshake into a sentence."""
        error = self._protocol.handshake_exc
        if error is None:
            return None
        if isinstance(error, InvalidStatus):
            status = error.response.status_code
            final = 400 <= status < 500 and status not in (408, 425, 429)
            return TransportError(f"the bot answered HTTP {status}, not a WebSocket", final=final)
        what = "no WebSocket" if isinstance(error, InvalidHandshake) else "no HTTP"
        return TransportError(f"the bot speaks {what}: {error}")

    def _said_goodbye(self) -> str:
        """Say how the bot closed, "" if it did not."""
        received = self._protocol.close_rcvd
        sent = self._protocol.close_sent
        if received is not None:
            return f"the bot closed the WebSocket with {received.code} {received.reason}".rstrip()
        return f"the bot broke the protocol: {sent.reason}" if sent is not None and sent.code != 1000 else ""


async def connect(
    url: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
    limits: Limits | None = None,
    trust: ssl.SSLContext | None = None,
    timeout_s: float,
) -> Connection:
    """Open a WebSocket; nothing that the bot sends is read until `Connection.listen`.

    Raises:
        TransportError: it cannot be reached, or did not answer in time.

    Cancelling leaves nothing open.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    connection = Connection(url, headers=headers, subprotocols=subprotocols, limits=limits or Limits())
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().create_connection(
                lambda: connection, host, port, ssl=trust, server_hostname=host if trust else None
            )
            await connection.opened()
    except BaseException as error:  # cancelled too: nothing may stay open
        connection.abort("it was given up")
        if isinstance(error, TimeoutError):
            raise TransportError(f"no answer within {timeout_s:g} s") from None
        if isinstance(error, OSError):  # TLS included
            raise TransportError(f"it cannot be reached: {error}") from None
        raise
    return connection
