"""What every request passes before a route sees it: its id, the token, the size of its body, the time it takes."""

import asyncio
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import structlog

from sipflow.api.auth import Caller, Opens
from sipflow.api.errors import respond, translated
from sipflow.api.express import Express
from sipflow.api.settings import Settings
from sipflow.errors import ApiError, SipflowError
from sipflow.net.literal import is_loopback

_log = structlog.get_logger("sipflow.api")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PASSED_OVER = 8  # times the size that is allowed: so much of a body is read that will not be taken
_MAYBE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_LENGTH = re.compile(r"[0-9]{1,18}")
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})  # what a proxy says of whom it speaks for
_WANTED = frozenset({b"authorization", b"content-length", b"transfer-encoding", b"x-request-id"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Gate:
    """ASGI around the app. Nothing is let in without a token but the paths that are named open."""

    def __init__(
        self,
        app: App,
        *,
        opens: Opens,
        open_paths: frozenset[str],
        open_prefixes: tuple[str, ...] = (),
        near_paths: Mapping[str, Caller] = MappingProxyType({}),
        express: Mapping[tuple[str, str], Express] = MappingProxyType({}),
        settings: Settings,
    ) -> None:
        self._app = app
        self._opens = opens
        self._open_paths = open_paths
        self._open_prefixes = open_prefixes
        self._near_paths = near_paths
        self._express = express
        self._settings = settings

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Carry one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _wanted_headers(scope["headers"])
        request_id = headers.get(b"x-request-id", "")
        scope["near"] = is_near(scope)
        scope["request_id"] = request_id = request_id if _ID.fullmatch(request_id) else os.urandom(8).hex()
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):  # the reference has one path with a slash at its end
            scope["path"] = path = path.rstrip("/") or "/"
            scope["raw_path"] = scope.get("raw_path", b"").rstrip(b"/") or b"/"
        if query := scope.get("query_string"):
            scope["query_string"] = _filled(query)
        exchange = _Exchange(receive, send, request_id, self._settings)
        begun = time.perf_counter()
        try:
            await self._pass(scope, headers, path, exchange)
        except ApiError as error:
            await exchange.answer(scope, error)
        except SipflowError as error:
            await exchange.answer(scope, translated(error))
        except Exception as error:  # noqa: BLE001  (answered and logged where it was raised; the server goes on)
            if not exchange.begun:
                await exchange.answer(scope, translated(error))
        finally:
            _say(scope, exchange.status, time.perf_counter() - begun)

    async def _pass(
        self, scope: MutableMapping[str, Any], headers: dict[bytes, str], path: str, exchange: "_Exchange"
    ) -> None:
        if path in self._near_paths and scope["near"] and not headers.get(b"authorization"):
            scope["caller"] = self._near_paths[path]
        elif path not in self._open_paths and not path.startswith(self._open_prefixes):
            scope["caller"] = await self._opens(headers.get(b"authorization", ""))
        length = headers.get(b"content-length", "")
        if length or b"transfer-encoding" in headers:
            body = await exchange.take_body(length)
            _check_characters(body)
            express = self._express.get((scope["method"], path))
            answer = await express(scope, body) if express is not None else None
            if answer is not None:
                await answer(scope, exchange.receive, exchange.send)
                return
        await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer: takes the body whole, and adds what every answer has."""

    def __init__(self, receive: Receive, send: Send, request_id: str, settings: Settings) -> None:
        self._receive = receive
        self._send = send
        self._request_id = request_id.encode("ascii")
        self._most = settings.max_body_bytes
        self._body_s = settings.body_timeout_s
        self._body: bytes | None = None
        self.begun = False
        self.status = 0

    async def take_body(self, length: str) -> bytes:
        """Read the whole body, in time and not too much; it is there for `receive`, too.

        Raises:
            ApiError: it is too large, or does not come in time.
        """
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._body_s):
                if length and (_LENGTH.fullmatch(length) is None or int(length) > self._most):
                    await self._pass_over()
                    raise self._too_large()
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the connection ended before the body did")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > self._most:
                        if more:
                            await self._pass_over()
                        raise self._too_large()
        except TimeoutError:
            raise ApiError(408, "the body did not come in time", headers={"Connection": "close"}) from None
        self._body = b"".join(parts)
        return self._body

    async def _pass_over(self) -> None:
        """Read on to the end of a body that is too large, within reason: who still sends does not read the answer."""
        size, more = 0, True
        while more and size <= _PASSED_OVER * self._most:
            message = await self._receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)

    async def receive(self) -> Message:
        """Hand on the body; after it, wait for the end of the connection."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            headers += [pair for pair in _SAFE_HEADERS if pair[0] not in present]
            headers.append((b"x-request-id", self._request_id))
            message["headers"] = headers
        await self._send(message)

    async def answer(self, scope: MutableMapping[str, Any], error: ApiError) -> None:
        """Answer with an error, if no answer has begun."""
        if not self.begun:
            await respond(scope, error)(scope, self._receive, self.send)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the body is larger than {self._most} bytes", headers={"Connection": "close"})


def is_near(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request is from this machine itself, and not from a proxy on it that speaks for somebody else."""
    client = scope.get("client")
    return client is not None and is_loopback(client[0]) and not any(name in _PASSED_ON for name, _ in scope["headers"])


def _filled(query: bytes) -> bytes:
    """Return a query without the names that nothing stands behind: an empty field of a form asks for nothing."""
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[2])


def _check_characters(body: bytes) -> None:
    """Refuse halves of characters: JSON can write them, and no answer could ever give them back (RFC 8259 §8.2).

    Raises:
        ApiError: there are some.
    """
    if _MAYBE_HALF.search(body) is None:
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        sentence = "the body holds half of a character: of \\ud800 to \\udfff only pairs mean something"
        raise ApiError(400, sentence) from None
    except (ValueError, RecursionError):
        pass  # whoever reads it says what is wrong


def _wanted_headers(headers: list[tuple[bytes, bytes]]) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in headers if name in _WANTED}


def _say(scope: MutableMapping[str, Any], status: int, took_s: float) -> None:
    """Log the request: whatever may change something is worth a line, reading is not. Never a header or a body."""
    caller = scope.get("caller")
    say = _log.debug if scope["method"] in _READING else _log.info
    say(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(1000 * took_s, 1),
        token=caller.token_id if caller is not None else "",
        request_id=scope["request_id"],
    )
