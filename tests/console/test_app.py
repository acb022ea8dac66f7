"""The console over real HTTP messages, in front of an API that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest_asyncio

from sipflow.console.app import COOKIE, Console
from sipflow.console.settings import Settings
from sipflow.errors import ApiError, StoreError

GOOD, OURS = "a token that is good", {"X-Sipflow-Console": "1"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Somebody:
    token_id: str = "tok_1"
    name: str = "Ada"
    scopes: frozenset[str] = frozenset({"calls:write", "calls:read"})


@dataclass
class Api:
    """Answers everything, and remembers it.

    Attributes:
        asked: method, path and Authorization of each request.
        revoked: whether the token is good no more.
        away: whether nobody can say.
        location: where it leads to.
        status: of its answers.
        inner: answers instead.
    """

    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    revoked: bool = False
    away: bool = False
    location: str = ""
    status: int = 200
    inner: Callable[[Any, Any, Any], Awaitable[None]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.inner is not None:
            await self.inner(scope, receive, send)
            return
        headers = {name: value.decode() for name, value in scope["headers"]}
        self.asked.append(
            (scope["method"], scope["path"], headers.get(b"authorization", ""), headers.get(b"cookie", ""))
        )
        its = [(b"location", self.location.encode())] if self.location else []
        await send({"type": "http.response.start", "status": 302 if self.location else self.status, "headers": its})
        await send({"type": "http.response.body", "body": b"from the API"})

    async def opens(self, authorization: str) -> Somebody:
        if self.away:
            raise StoreError("the database is locked")
        if authorization != f"Bearer {GOOD}" or self.revoked:
            raise ApiError(401, "this token is unknown", headers={"WWW-Authenticate": "Bearer"})
        return Somebody()


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    client: httpx.AsyncClient
    console: Console
    api: Api
    clock: Clock

    async def sign_in(self, token: str = GOOD, **arguments: Any) -> httpx.Response:
        return await self.client.post("/console/session", json={"token": token}, **{"headers": OURS, **arguments})


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    api, clock = Api(), Clock()
    console = Console(api, opens=api.opens, settings=Settings(session_s=600), clock=clock)
    transport = httpx.ASGITransport(console)
    async with httpx.AsyncClient(transport=transport, base_url="https://sipflow.test") as client:
        yield Stage(client, console, api, clock)


def sentence(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]["description"]


async def test_pages_are_sent_with_what_keeps_a_browser_from_being_turned_against_its_user(stage: Stage) -> None:
    answer = await stage.client.get("/console/")
    again = await stage.client.get("/console/", headers={"If-None-Match": answer.headers["etag"]})
    beside = await stage.client.get("/console")
    none = await stage.client.get("/console/no.js")

    assert (answer.status_code, answer.text[:15]) == (200, "<!doctype html>")
    for each in (answer, again, beside, none):
        assert each.headers["content-security-policy"] == POLICY
        assert each.headers["x-frame-options"] == "DENY"
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["referrer-policy"] == "no-referrer"
    assert (again.status_code, beside.status_code, beside.headers["location"]) == (304, 308, "/console/")
    assert sentence(none) == (404, "there is no such page")


async def test_what_is_not_below_console_goes_to_the_api_untouched(stage: Stage) -> None:
    answers = [await stage.client.get(path, headers={"Cookie": "a=b"}) for path in ("/v2/calls", "/consoles", "/")]

    assert {each.text for each in answers} == {"from the API"}
    assert stage.api.asked == [("GET", path, "", "a=b") for path in ("/v2/calls", "/consoles", "/")]


async def test_a_token_becomes_a_cookie_that_no_script_and_no_other_site_can_use(stage: Stage) -> None:
    answer = await stage.sign_in()
    cookie = answer.headers["set-cookie"]
    who = await stage.client.get("/console/session")

    assert answer.json() == {
        "name": "Ada",
        "scopes": ["calls:read", "calls:write"],
        "ends_at": "2027-01-15T08:10:00+00:00",
    }
    assert cookie.partition("; ")[2] == "HttpOnly; Max-Age=600; Path=/console; SameSite=strict; Secure"
    assert GOOD not in str(answer.headers)
    assert who.json() == answer.json()


async def test_over_plain_http_the_cookie_is_not_secure_unless_a_proxy_says_that_it_came_by_https(stage: Stage) -> None:
    plain = await stage.client.post("http://sipflow.test/console/session", json={"token": GOOD}, headers=OURS)
    passed_on = {**OURS, "X-Forwarded-Proto": "https"}
    proxied = await stage.client.post("http://sipflow.test/console/session", json={"token": GOOD}, headers=passed_on)

    assert "Secure" not in plain.headers["set-cookie"]
    assert "Secure" in proxied.headers["set-cookie"]


async def test_the_session_asks_the_api_with_its_token_and_hands_on_no_cookie(stage: Stage) -> None:
    await stage.sign_in()
    answer = await stage.client.get("/console/v2/calls?limit=3", headers={"Authorization": "Bearer of the page"})
    ended = await stage.client.post("/console/v2/calls/abc/hangup", headers=OURS)

    assert (answer.text, ended.text) == ("from the API", "from the API")
    assert answer.headers["content-security-policy"] == POLICY
    assert stage.api.asked == [
        ("GET", "/v2/calls", f"Bearer {GOOD}", ""),
        ("POST", "/v2/calls/abc/hangup", f"Bearer {GOOD}", ""),
    ]


async def test_what_no_page_does_is_not_done_whatever_the_token_is_for(stage: Stage) -> None:
    await stage.sign_in()
    made = await stage.client.post("/console/v2/tokens", json={"name": "mine"}, headers=OURS)
    seen = await stage.client.get("/console/v2/tokens")

    assert sentence(made) == sentence(seen) == (403, "the console does not do that; ask the API with a token")
    assert stage.api.asked == []


async def test_what_another_site_asks_for_is_refused(stage: Stage) -> None:
    await stage.sign_in()
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    read = await stage.client.get("/console/v2/calls", headers=cross)
    sibling = await stage.client.post("/console/v2/calls/a/hangup", headers={**OURS, "Sec-Fetch-Site": "same-site"})
    bare = await stage.client.post("/console/v2/calls/a/hangup")
    followed = await stage.client.get("/console/", headers={**cross, "Sec-Fetch-Mode": "navigate"})
    own = await stage.client.get("/console/v2/calls", headers={"Sec-Fetch-Site": "same-origin"})

    assert [each.status_code for each in (read, sibling, bare, followed, own)] == [403, 403, 403, 200, 200]
    assert sentence(bare)[1] == "the header X-Sipflow-Console is missing: this was not asked by our pages"


async def test_nobody_is_handed_on_who_is_not_signed_in(stage: Stage) -> None:
    without = await stage.client.get("/console/v2/calls")
    forged = await stage.client.get("/console/v2/calls", headers={"Cookie": f"{COOKIE}=abc.1.def"})
    broken = await stage.client.get("/console/v2/calls", headers={"Cookie": '"=;;\x7f[]=1'})

    assert [sentence(each) for each in (without, forged, broken)] == [(401, "sign in first")] * 3
    assert stage.api.asked == []


async def test_a_session_ends_by_signing_out_with_its_time_and_with_its_token(stage: Stage) -> None:
    await stage.sign_in()
    cookie = {"Cookie": f"{COOKIE}={stage.client.cookies[COOKIE]}"}
    out = await stage.client.request("DELETE", "/console/session", headers=OURS)
    copied = await stage.client.get("/console/session", headers=cookie)
    await stage.sign_in()
    stage.clock.now += 600
    late = await stage.client.get("/console/session")
    await stage.sign_in()
    stage.api.revoked = True
    revoked = await stage.client.get("/console/session")
    stage.api.revoked = False
    after = await stage.client.get("/console/session")

    assert out.status_code == 204
    assert out.headers["set-cookie"].startswith(f'{COOKIE}=""; HttpOnly; Max-Age=0; Path=/console')
    assert [each.status_code for each in (copied, late, revoked, after)] == [401] * 4


async def test_a_token_that_the_api_takes_no_more_ends_its_session_and_all_that_is_sent_to_it(stage: Stage) -> None:
    await stage.sign_in()
    stage.api.status = 401
    told = await stage.client.get("/console/v2/calls")
    stage.api.status = 200
    after = await stage.client.get("/console/v2/calls")

    assert (told.status_code, told.text) == (401, "from the API")
    assert sentence(after) == (401, "sign in first")


async def test_five_wrong_tokens_make_an_address_wait_a_minute_even_with_the_right_one(stage: Stage) -> None:
    wrong = [await stage.sign_in(f"wrong {number}") for number in range(5)]
    sixth = await stage.sign_in()
    stage.clock.now += 60
    later = await stage.sign_in()

    assert [sentence(each) for each in wrong] == [(401, "this token is unknown")] * 5
    assert "www-authenticate" not in wrong[0].headers  # the browser would ask by itself
    assert sentence(sixth) == (429, "too many wrong tokens from here; try again in 60 s")
    assert sixth.headers["retry-after"] == "60"
    assert later.status_code == 200


async def test_a_sign_in_that_is_none_says_what_is_wrong(stage: Stage) -> None:
    post = stage.client.post
    answers = [
        await post("/console/session", content=b'{"token": "x"}', headers=OURS),
        await post("/console/session", content=b"{", headers={**OURS, "Content-Type": "application/json"}),
        await post("/console/session", json=[GOOD], headers=OURS),
        await post("/console/session", json={"token": 7}, headers=OURS),
        await post("/console/session", json={"token": "x" * 5000}, headers=OURS),
        await stage.client.put("/console/session", json={}, headers=OURS),
    ]

    assert [each.status_code for each in answers] == [415, 400, 400, 400, 413, 401]


async def test_a_store_that_is_away_is_said_to_be(stage: Stage) -> None:
    stage.api.away = True
    answer = await stage.sign_in()

    assert sentence(answer) == (503, "the store cannot be used at the moment; try again soon")
    assert answer.headers["retry-after"] == "5"


async def test_a_recording_is_found_below_the_console(stage: Stage) -> None:
    await stage.sign_in()
    stage.api.location = "https://public.example.com/v2/recordings/abc.wav?expires=1&signature=2"
    answer = await stage.client.get("/console/v2/calls/abc/recording")

    assert answer.headers["location"] == "/console/v2/recordings/abc.wav?expires=1&signature=2"


async def test_what_is_still_being_sent_is_cut_off_when_somebody_signs_out(stage: Stage) -> None:
    await stage.sign_in()
    begun, sent = asyncio.Event(), list[str]()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        await asyncio.Event().wait()

    stage.api.inner = endless
    cookie = f"{COOKIE}={stage.client.cookies[COOKIE]}".encode()
    scope = {"type": "http", "method": "GET", "path": "/console/v2/events", "headers": [(b"cookie", cookie)]}
    sending = asyncio.ensure_future(stage.console(scope, receive, send))
    await begun.wait()
    await stage.client.delete("/console/session", headers=OURS)
    await sending

    assert sent == ["http.response.start"]
