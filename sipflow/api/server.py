"""The HTTP server of the API: in the loop of the edge, on a socket of its own; slow clients are cut off."""

import asyncio
import json
import logging
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sipflow.api.settings import Settings
from sipflow.errors import TransportError
from sipflow.net.literal import is_loopback
from sipflow.net.settings import ListenAddress
from sipflow.net.sockets import bind
from sipflow.net.tls import reason_of
from sipflow.sip.addressing import join_host_port
from sipflow.tasks import Tasks

log = structlog.get_logger("sipflow.api")
_LONGEST_HEAD_BYTES = 32 * 1024  # of request line and headers
_GOODBYE_S = 2  # for requests under way when we go down
_Waiting = OrderedDict[asyncio.Protocol, asyncio.Transport]  # connections without a request, the longest first


class ApiServer:
    """Serves one ASGI application.

    Attributes:
        address: where it listens, with the real port once started.
        url: the same for people, as in `http://127.0.0.1:8080`.
        on_closing: called first when it closes, so that what never ends by itself does.
        on_closed: waited for when there are no more requests.
    """

    def __init__(self, app: Any, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._tasks = Tasks()
        self._server: _Server | None = None
        self._context: ssl.SSLContext | None = None
        self._serving: asyncio.Task[None] | None = None
        self.address = ListenAddress("tcp", settings.host, settings.port)
        self.on_closing: Callable[[], None] | None = None
        self.on_closed: Callable[[], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        scheme = "https" if self._settings.certificate else "http"
        return f"{scheme}://{join_host_port(self.address.host, self.address.port)}"

    async def start(self) -> None:
        """Listen, and serve until `close`.

        Raises:
            TransportError: the address cannot be had, or the certificate cannot be used; the sentence says why.
        """
        context = self._context = _tls(self._settings)
        listener = _listener(self.address)
        self.address = ListenAddress("tcp", self.address.host, listener.getsockname()[1])
        _quiet_uvicorn()
        config = uvicorn.Config(
            self._app,
            http=_protocol(self._settings),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
            timeout_keep_alive=int(self._settings.idle_timeout_s),
            timeout_graceful_shutdown=_GOODBYE_S,
        )
        self._server = server = _Server(config)
        self._serving = self._tasks.spawn(server.serve(sockets=[listener]), name="API server")
        await server.ready.wait()
        if self._settings.certificate == "" and not is_loopback(self.address.host):
            log.warning("the API speaks plain HTTP: tokens can be read on the way; set api.certificate and api.key")
        log.info("the API is open", url=self.url)

    def reload_certificate(self) -> None:
        """Show renewed files to the connections to come; those that are open keep theirs.

        Raises:
            TransportError: they cannot be used; the old ones stay in use.
        """
        if self._context is not None:
            _tls(self._settings)  # whether they can be used at all
            _load_chain(self._context, self._settings)

    async def close(self) -> None:
        """Take no more requests, let those under way end for a moment, close every connection."""
        if self.on_closing is not None:
            self.on_closing()
        if self._server is not None:
            self._server.should_exit = True
        if self._serving is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S + 1):
                    await asyncio.shield(self._serving)
        await self._tasks.close()
        if self.on_closed is not None:
            await self.on_closed()


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Minding(HttpToolsProtocol):
    """Lets a client go that takes nothing of its answer: a few of them could hold every connection."""

    patience_s: float
    _unread: asyncio.TimerHandle | None = None  # runs while what was written stays here

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_minding()
        self._unread = self.loop.call_later(self.patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_minding()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_minding()
        super().connection_lost(exc)

    def _stop_minding(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def _protocol(settings: Settings) -> type[asyncio.Protocol]:
    """Return HTTP/1.1 with limits that uvicorn lacks: on connections, on heads, and on clients that do not read."""
    waiting: _Waiting = OrderedDict()

    class Patient(_Minding):
        _timer: asyncio.TimerHandle | None = None
        patience_s = settings.idle_timeout_s
        _head_bytes = 0  # of the one that is coming
        _in_body = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) <= settings.max_connections or _make_room(waiting, transport):
                self._expect_request()

        def data_received(self, data: bytes) -> None:
            before, in_body = self.cycle, self._in_body
            super().data_received(data)
            if self.cycle is not before:
                self._stop_waiting()
            elif not (in_body or self._in_body) and not self.transport.is_closing():
                self._head_bytes += len(data)
                if self._head_bytes > _LONGEST_HEAD_BYTES:
                    self.send_400_response("Invalid HTTP request received.")

        def on_header(self, name: bytes, value: bytes) -> None:
            if not self._in_body:  # what follows a body would only fill memory
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._head_bytes, self._in_body = 0, True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body = False
            super().on_message_complete()

        def on_response_complete(self) -> None:
            another = bool(self.pipeline)
            super().on_response_complete()
            if not another and not self.transport.is_closing():
                self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _expect_request(self) -> None:
            self._stop_waiting()
            self._timer = self.loop.call_later(settings.idle_timeout_s, self.transport.close)
            waiting[self] = self.transport

        def _stop_waiting(self) -> None:
            waiting.pop(self, None)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Patient


def _make_room(waiting: _Waiting, newcomer: asyncio.Transport) -> bool:
    """Let whoever has waited longest for a request go: who only holds connections keeps nobody out; else say no."""
    if waiting:
        waiting.popitem(last=False)[1].abort()
        return True
    newcomer.write(_BUSY)
    newcomer.close()
    return False


def _busy() -> bytes:
    sentence = "too many connections at once; try again in a moment"
    detail = {"status": "error", "description": sentence, "request_id": "", "category": "unavailable"}
    body = json.dumps({"detail": detail}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\n"
    )
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


_BUSY = _busy()


def _listener(address: ListenAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes, and must not wait
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart must not wait for old connections
        sock.setblocking(False)
        bind(sock, address)
        sock.listen(1024)  # now, so that a second one of us is refused here and not in the background
    except TransportError as error:
        sock.close()
        raise TransportError(f"the API {error}") from None
    except OSError as error:
        sock.close()
        raise TransportError(f"the API cannot listen on {address}: {error.strerror}") from None
    return sock


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_chain(context, settings)
    return context


def _load_chain(context: ssl.SSLContext, settings: Settings) -> None:
    def refuse() -> str:
        """Stand in for the prompt with which OpenSSL would stop the daemon."""
        raise ValueError("the key is encrypted; write one without a passphrase into api.key")

    try:
        context.load_cert_chain(settings.certificate, settings.key, password=refuse)
    except (OSError, ValueError) as error:
        files = f"{settings.certificate} with key {settings.key}"
        raise TransportError(f"the API cannot use certificate {files}: {reason_of(error)}") from None


def _quiet_uvicorn() -> None:
    """Let uvicorn say nothing: what a stranger's broken request makes it say is no news, and we log each request."""
    logger = logging.getLogger("uvicorn")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
