"""One request and its answer over HTTP: bounded in time and size, to checked addresses only, redirects not followed."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import httpcore

from sipflow.errors import LocalProtocolError, TransportError
from sipflow.webhooks.addresses import Guard

_MOST_CONNECTIONS = 1000
_IDLE_CONNECTIONS = 20
_IDLE_S = 30.0
_CONNECT_S = 5.0  # to one address; a name may have more
_MOST_ADDRESSES = 3
_HEADERS_KEPT, _HEADER_CHARACTERS = 60, 500  # of an answer, for the log
_SECRET_WORDS = ("authorization", "cookie", "signature", "token", "secret", "api-key", "apikey", "password")

_EXTENSIONS = {"timeout": {"connect": _CONNECT_S, "read": None, "write": None, "pool": None}}

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request.

    Attributes:
        status: of the answer; None when there was none.
        headers: of the answer, those with secrets masked.
        body: its beginning.
        body_bytes: how much of it was read.
        cut: whether there was more.
        ttfb_ms, duration_ms: from the beginning to the first line of the answer, and to its end.
        error: why there is no whole answer, in a sentence; "" when there is one.
        final: asking again changes nothing.
    """

    status: int | None = None
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    body_bytes: int = 0
    cut: bool = False
    ttfb_ms: int | None = None
    duration_ms: int = 0
    error: str = ""
    final: bool = False

    def header(self, name: str) -> str:
        """Return the first header of this name (lower case), "" if there is none."""
        return next((value for given, value in self.headers if given.lower() == name), "")


class Exchange:
    """Sends requests; connections are kept and used again.

    Args:
        guard: says which addresses may be reached.
        ca_file: certificates of the authorities that are trusted; "" for the system's.
    """

    def __init__(self, guard: Guard, *, ca_file: str = "") -> None:
        self._guard = guard
        self._ca_file = ca_file
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    def _pool(self, scheme: str) -> httpcore.AsyncConnectionPool:
        """Return the connections of a scheme; the authorities are read with the first that needs them."""
        if scheme not in self._pools:
            self._pools[scheme] = httpcore.AsyncConnectionPool(
                ssl_context=_trusting(self._ca_file) if scheme == "https" else None,
                max_connections=_MOST_CONNECTIONS,
                max_keepalive_connections=_IDLE_CONNECTIONS,
                keepalive_expiry=_IDLE_S,
                network_backend=_Pinned(self._guard),
            )
        return self._pools[scheme]

    async def post(
        self, url: str, body: bytes, headers: Sequence[Header], *, timeout_s: float, most_bytes: int
    ) -> Reply:
        """Send a body and read the answer; failures are in the reply.

        Args:
            url: where to.
            body: what.
            headers: lines of the request beside Host and Content-Length.
            timeout_s: for all of it: name, connection, TLS, sending, waiting, reading.
            most_bytes: of the answer's body; the rest is not read.
        """
        return await self._sent("POST", url, body, headers, timeout_s, most_bytes)

    async def get(self, url: str, headers: Sequence[Header], *, timeout_s: float, most_bytes: int) -> Reply:
        """Fetch what is at an address; as `post` in all else."""
        return await self._sent("GET", url, None, headers, timeout_s, most_bytes)

    async def _sent(
        self, method: str, url: str, body: bytes | None, headers: Sequence[Header], timeout_s: float, most_bytes: int
    ) -> Reply:
        started = time.monotonic()
        got = _Got(started)
        lines = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers]
        try:
            pool = self._pool(self._guard.check(url).scheme)
            async with asyncio.timeout(timeout_s):
                await self._ask(partial(pool.stream, method, url, headers=lines, content=body), most_bytes, got)
        except TimeoutError:
            got.error = f"no answer within {timeout_s:g} s" if got.status is None else (
                f"the answer was not whole within {timeout_s:g} s"
            )  # fmt: skip
        except LocalProtocolError as error:  # the URL
            got.error, got.final = str(error), True
        except TransportError as error:  # its addresses
            got.error, got.final = str(error), error.final
        except ssl.SSLError as error:
            got.error = f"TLS failed: {error.reason or error}"
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            got.error = _sentence(error)
        return got.reply(time.monotonic())

    async def _ask(self, send: "_Send", most_bytes: int, got: "_Got") -> None:
        """Send it; once more where a connection from before turned out to be closed when it was used again."""
        _under_way.set(got)
        try:
            await self._ask_once(send, most_bytes, got)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            if got.connected or got.status is not None:
                raise
            await self._ask_once(send, most_bytes, got)

    async def _ask_once(self, send: "_Send", most_bytes: int, got: "_Got") -> None:
        async with send(extensions=_EXTENSIONS) as answer:
            got.begun(answer, time.monotonic())
            async for part in answer.aiter_stream():
                if not got.take(part, most_bytes):
                    break

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()


class _Got:
    """What has come so far.

    Attributes:
        connected: whether a connection was opened for it.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._body = bytearray()
        self._headers: tuple[Header, ...] = ()
        self._ttfb_ms: int | None = None
        self._cut = False
        self.connected = False
        self.status: int | None = None
        self.error = ""
        self.final = False

    def begun(self, answer: httpcore.Response, now: float) -> None:
        self.status = answer.status
        self._ttfb_ms = _ms(now - self._started)
        self._headers = shown_headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers[:_HEADERS_KEPT]
        )

    def take(self, part: bytes, most_bytes: int) -> bool:
        """Keep a part of the body; False once it is enough."""
        room = most_bytes - len(self._body)
        self._body += part[:room]
        self._cut = len(part) > room
        return not self._cut

    def reply(self, now: float) -> Reply:
        return Reply(
            self.status,
            self._headers,
            bytes(self._body),
            len(self._body),
            self._cut,
            self._ttfb_ms,
            _ms(now - self._started),
            self.error,
            self.final,
        )


@lru_cache(maxsize=8)  # reading the authorities takes a twentieth of a second
def _trusting(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


_Send = Callable[..., AbstractAsyncContextManager[httpcore.Response]]
_under_way: ContextVar[_Got] = ContextVar("webhook under way")


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses; TLS still asks for the certificate of the name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the name that httpcore gives it)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        _under_way.get().connected = True
        failures = []
        for address in (await self._guard.addresses(host, port))[:_MOST_ADDRESSES]:
            try:
                return _Stream(await self._network.connect_tcp(address, port, timeout, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failures.append(f"{address}: {_sentence(error)}")
        raise TransportError("; ".join(failures))

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise TransportError("webhooks do not go to sockets of this machine", final=True)

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is closed when a TLS handshake on it is given up; else it would stay open unseen."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:  # a cancellation among them; it goes on
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def shown_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return headers as a log may show them: secrets masked, values cut."""
    return tuple(
        (name, "***" if any(word in name.lower() for word in _SECRET_WORDS) else value[:_HEADER_CHARACTERS])
        for name, value in headers
    )


def _sentence(error: Exception) -> str:
    """Say what happened to a connection."""
    cause: BaseException | None = error
    while cause is not None:  # what the system said stands at the bottom
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return "the connection was reset"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectTimeout):
        return f"no connection within {_CONNECT_S:g} s"
    if isinstance(error, httpcore.RemoteProtocolError):
        if str(error).startswith("Server disconnected"):
            return "the connection was closed before an answer came"
        return f"the answer is not HTTP: {error}"
    return str(error) or type(error).__name__


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
