"""The console: pages for operators in front of the API, and a session in the place of the token.

A browser signs in once with an API token and gets a cookie, which no script can read and no other site can use. What
the pages then ask for below `/console/v2/` is handed to the API with the token of the session.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol

import structlog
from starlette.responses import JSONResponse, RedirectResponse, Response

from sipflow.console.assets import FIRST, read_assets
from sipflow.console.passing import led_here, passes
from sipflow.console.sessions import Session, Sessions
from sipflow.console.settings import Settings
from sipflow.console.tries import Tries
from sipflow.errors import ApiError, StoreError

_log = structlog.get_logger("sipflow.console")
PREFIX = "/console"
COOKIE = "sipflow_console"
ASKED_BY_US = b"x-sipflow-console"  # no other site can send it without asking first, and nobody is there to agree
_LONGEST_BODY = 4096
_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "media-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guest(Protocol):
    """Whose token it is, as the API says it."""

    @property
    def token_id(self) -> str:
        """Of the token."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def scopes(self) -> frozenset[str]:
        """What it is for."""


Opens = Callable[[str], Awaitable[Guest]]


class Console:
    """ASGI around the API: takes what is below `/console`, and leaves the rest as it is."""

    def __init__(
        self,
        api: App,
        *,
        opens: Opens,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the pages.

        Args:
            api: is asked with the token of whoever is signed in.
            opens: says whose token an Authorization header has; raises ApiError for nobody's.
            settings: None for the defaults.
            clock: seconds since the epoch.
        """
        self._api = api
        self._opens = opens
        self._settings = its = settings or Settings()
        self._clock = clock
        self._sessions = Sessions(its.session_s, its.most_sessions, clock=clock)
        self._tries = Tries(its.most_wrong, its.wrong_within_s)
        self._assets = read_assets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
            await self._api(scope, receive, send)
            return
        guarded = _guarded(send)
        try:
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            _check_origin(scope["method"], headers)
            if path.startswith(f"{PREFIX}/v2/"):
                await self._hand_on(scope, headers, receive, guarded)
            elif path == f"{PREFIX}/session":
                await (await self._sign(scope, headers, receive))(scope, receive, guarded)
            else:
                await self._show(scope["method"], path, headers)(scope, receive, guarded)
        except ApiError as error:
            await _refusal(error.status, error.description, error.headers)(scope, receive, guarded)
        except StoreError:
            sentence = "the store cannot be used at the moment; try again soon"
            await _refusal(503, sentence, {"Retry-After": "5"})(scope, receive, guarded)

    # Pages

    def _show(self, method: str, path: str, headers: dict[bytes, str]) -> Response:
        if method not in ("GET", "HEAD"):
            raise ApiError(405, f"{method} is of no use here")
        if path == PREFIX:
            return RedirectResponse(f"{PREFIX}/", 308)
        asset = self._assets.get(path.removeprefix(f"{PREFIX}/") or FIRST)
        if asset is None:
            raise ApiError(404, "there is no such page")
        its = {"etag": asset.etag, "cache-control": "no-cache"}
        if headers.get(b"if-none-match") == asset.etag:
            return Response(status_code=304, headers=its)
        return Response(asset.content, media_type=asset.media_type, headers=its)

    # Sessions

    async def _sign(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Response:
        method = scope["method"]
        if method == "POST":
            return await self._sign_in(scope, headers, receive)
        session = self._session_of(headers)
        if method == "DELETE":
            self._sessions.end(session)
            answer = Response(status_code=204, headers={"cache-control": "no-store"})
            answer.set_cookie(COOKIE, "", max_age=0, **_cookie_manners(scope, headers))
            return answer
        if method != "GET":
            raise ApiError(405, f"{method} is of no use here")
        return self._welcome(session, await self._look_again(session))

    async def _sign_in(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> Response:
        """Let somebody in who shows a token.

        Raises:
            ApiError: too many were wrong (429), the token opens nothing (401), or there is none (400).
        """
        host, now = (scope.get("client") or ("",))[0], self._clock()
        wait_s = self._tries.wait_s(host, now=now)
        if wait_s:
            sentence = f"too many wrong tokens from here; try again in {wait_s} s"
            raise ApiError(429, sentence, headers={"Retry-After": str(wait_s)})
        authorization = f"Bearer {await self._token(headers, receive)}"
        try:
            guest = await self._opens(authorization)
        except ApiError as error:
            self._tries.was_wrong(host, now=now)
            _log.warning("a wrong token was shown to the console", source=host)
            raise ApiError(401, str(error)) from None
        session = self._sessions.begin(authorization)
        _log.info("somebody signed in to the console", by_token=guest.token_id, name=guest.name, source=host)
        answer = self._welcome(session, guest)
        life_s = int(self._sessions.left_s(session))
        answer.set_cookie(COOKIE, self._sessions.cookie(session), max_age=life_s, **_cookie_manners(scope, headers))
        return answer

    async def _token(self, headers: dict[bytes, str], receive: Receive) -> str:
        if headers.get(b"content-type", "").partition(";")[0].strip() != "application/json":
            raise ApiError(415, 'send JSON: {"token": "..."}')
        try:
            async with asyncio.timeout(self._settings.body_s):
                said = json.loads(await _body(receive))
        except TimeoutError:
            raise ApiError(408, "the body did not come in time", headers={"Connection": "close"}) from None
        except ValueError:
            said = None
        token = said.get("token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token.strip():
            raise ApiError(400, "token: is missing")
        return token.strip()

    def _session_of(self, headers: dict[bytes, str]) -> Session:
        try:
            morsel = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            morsel = None
        session = self._sessions.find(morsel.value) if morsel is not None else None
        if session is None:
            raise ApiError(401, "sign in first")
        return session

    async def _look_again(self, session: Session) -> Guest:
        try:
            return await self._opens(session.authorization)
        except ApiError:
            self._sessions.end(session)
            raise

    def _welcome(self, session: Session, guest: Guest) -> Response:
        ends_at = datetime.fromtimestamp(session.ends_at, UTC).isoformat()
        shown = {"name": guest.name, "scopes": sorted(guest.scopes), "ends_at": ends_at}
        return JSONResponse(shown, headers={"cache-control": "no-store"})

    # The API

    async def _hand_on(self, scope: Scope, headers: dict[bytes, str], receive: Receive, send: Send) -> None:
        """Ask the API in the name of the session; what is still being sent when the session ends is cut off."""
        session = self._session_of(headers)
        path = scope["path"].removeprefix(PREFIX)
        if not passes(scope["method"], path):
            raise ApiError(403, "the console does not do that; ask the API with a token")
        kept = [(name, value) for name, value in scope["headers"] if name not in (b"cookie", b"authorization")]
        inner = {
            **scope,
            "path": path,
            "raw_path": scope.get("raw_path", b"").removeprefix(PREFIX.encode()),
            "headers": [*kept, (b"authorization", session.authorization.encode("latin-1", "replace"))],
        }
        told: list[int] = []
        with self._sessions.lasting(session) as limit:
            try:
                async with limit:
                    await self._api(inner, receive, _leading_here(send, told))
            except TimeoutError:
                if not limit.expired():
                    raise
                _log.info("a session of the console ended while it was sent something", path=path)
        if HTTPStatus.UNAUTHORIZED in told:  # the token is good no more
            self._sessions.end(session)


def _check_origin(method: str, headers: dict[bytes, str]) -> None:
    """Let nothing in that another site asked a browser for.

    Raises:
        ApiError: 403: it did, or what changes something has not our header.
    """
    if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        if method == "GET" and headers.get(b"sec-fetch-mode") == "navigate":
            return  # a link to us: the cookie does not come with it
        raise ApiError(403, "another site asked for this")
    if method not in ("GET", "HEAD") and not headers.get(ASKED_BY_US):
        raise ApiError(403, "the header X-Sipflow-Console is missing: this was not asked by our pages")


def _cookie_manners(scope: Scope, headers: dict[bytes, str]) -> dict[str, Any]:
    secure = scope.get("scheme") == "https" or headers.get(b"x-forwarded-proto") == "https"
    return {"path": PREFIX, "httponly": True, "samesite": "strict", "secure": secure}


def _guarded(send: Send) -> Send:
    """Add to every answer what keeps a browser from being turned against its user."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in _HEADERS}
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in present]
            message["headers"] = [*others, *_HEADERS]
        await send(message)

    return guarded


def _leading_here(send: Send, told: list[int]) -> Send:
    """Lead redirections to below the console, and note the status of the answer."""

    async def leading(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])
            message["headers"] = [
                (name, led_here(value.decode("latin-1"), PREFIX).encode("latin-1") if name == b"location" else value)
                for name, value in message.get("headers", ())
            ]
        await send(message)

    return leading


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "the connection ended before the body did")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LONGEST_BODY:
            raise ApiError(413, f"the body is larger than {_LONGEST_BODY} bytes", headers={"Connection": "close"})
    return body


def _refusal(status: int, sentence: str, headers: dict[str, str]) -> Response:
    category = HTTPStatus(status).phrase.lower().replace(" ", "_")
    detail = {"status": "error", "description": sentence, "request_id": "", "category": category}
    kept = {name: value for name, value in headers.items() if name.lower() != "www-authenticate"}
    return JSONResponse({"detail": detail}, status, headers={"cache-control": "no-store", **kept})
