"""The console in a browser: signed in, looked at, listened with, by mouse and by keyboard, wide and narrow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.interop.programs import ROOT, require
from tests.interop.waiting import wait_until

TOKEN = "a token of the tests, long enough"
HOSTILE = '<img src=x onerror="window.hacked=1">'
REVERSED = "safe\u202egpj.exe\u202c"
SHOTS = ROOT / "build" / "console"
NARROW = 360
PAGES = ("live", "history", "trunks", "numbers", "agents", "ask", "log")
PATIENCE_MS = 10_000
WITHOUT_LOUDSPEAKER = """
    AudioContext.prototype.resume = () => new Promise(() => {});
    Object.defineProperty(AudioContext.prototype, "state", { get: () => "suspended" });
"""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Stage:
    """A daemon that has had two calls, and a browser that is signed in to its console.

    Attributes:
        url: of the console.
        context: of the browser, with the cookie of the token that opens everything.
        folder: for the files of callers.
        refused: what the pages did and the content policy forbade, and every error in them.
    """

    daemon: Daemon
    url: str
    browser: Browser
    folder: Path
    context: BrowserContext = field(init=False)
    refused: list[str] = field(default_factory=list)

    def new(self, **options: Any) -> BrowserContext:
        """Open another window, of nobody yet."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", lambda each: self.refused.append(f"{each.error} {each.error.stack}"))
        context.on("console", lambda each: self.refused.append(each.text) if "Content Security" in each.text else None)
        return context

    def signed_in(self, **options: Any) -> BrowserContext:
        """Open another window of somebody who is signed in already."""
        context = self.new(**options)
        context.add_cookies(cookies_of(self.context))
        return context

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask the API itself."""
        base = self.url.removesuffix("/console/")
        answer = httpx.request(method, base + path, headers={"Authorization": f"Bearer {TOKEN}"}, **arguments)
        assert answer.is_success, answer.text
        return answer.json()

    def ended(self) -> str:
        """The id of the call that is over, was answered and recorded."""
        (one,) = self.ask("GET", f"/v2/calls?direction=inbound&number=%2B{ANSWERED[1:]}&call_status=completed&limit=1")[
            "response"
        ]["calls"]
        return str(one["call_id"])


def cookies_of(context: BrowserContext) -> Any:
    return context.cookies()


def shot(page: Page, name: str, *, whole: bool = True) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)


def visit(page: Page, stage: Stage, path: str) -> None:
    """Go to a page of the console, and wait until all of it is there."""
    page.goto(f"{stage.url}#/{path}")
    expect(page.locator(f'[data-shows="#/{path}"]')).to_be_attached()


def number_of(element: Locator, attribute: str) -> float:
    return float(element.get_attribute(attribute) or "-inf")


def sign_in(page: Page, url: str, token: str) -> None:
    page.goto(url)
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("console")
    listen = f"127.0.0.1:{free_sip_port()}"
    dead = f"sip:127.0.0.1:{free_sip_port()}"
    daemon = Daemon(
        folder,
        trunks={
            "local": {"accept_from": ["127.0.0.0/8"], "region": "US", "sip_domain": f"127.0.0.1:{free_sip_port()}"},
            "pbx": {
                "sip_domain": "pbx.example.com", "outbound_proxy": dead, "username": "2001", "password": "open-sesame",
                "register": True,
            },
        },
        numbers={
            ANSWERED: {"trunk": "local", "inbound_agent": "echo", "outbound_agents": ["echo"], "friendly_name": HOSTILE}
        },
        api={"listen": listen, "tokens": [TOKEN], "console": True, "trusted_proxies": ["127.0.0.1"]},
        recordings={"folder": str(folder / "recordings"), "automatic": True},
    )  # fmt: skip
    with daemon:
        daemon.wait_said("the API is open")
        made = Stage(daemon, f"http://{listen}/console/", browser, folder)
        call(folder, daemon.uri(), "--seconds", "1.5", "--header", f"X-Order: {HOSTILE}{REVERSED}")
        order = {"model_id": "echo", "phone": "+12065550123", "name": HOSTILE}
        made.ask("POST", "/v2/calls", json=order)
        made.context = made.new()
        page = made.context.new_page()
        sign_in(page, made.url, TOKEN)
        expect(page.get_by_role("heading", name="Live calls")).to_be_visible()
        page.close()
        yield made
        made.context.close()


@pytest.fixture
def page(stage: Stage) -> Iterator[Page]:
    opened = stage.context.new_page()
    yield opened
    opened.close()
    assert stage.refused == []


def test_a_wrong_token_is_told_so_and_the_right_one_is_kept_out_of_every_script_and_address(stage: Stage) -> None:
    context = stage.new()
    page = context.new_page()
    sign_in(page, stage.url, "a wrong token altogether")
    expect(page.get_by_role("alert")).to_contain_text("this token is unknown")
    shot(page, "sign-in-wrong")
    page.get_by_label("API token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Live calls")).to_be_visible()
    (cookie,) = context.cookies()
    seen = page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage}) + location.href")
    context.close()

    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
    assert TOKEN not in str(cookie)
    assert seen == "{}" + stage.url + "#/live"


def test_behind_a_proxy_one_client_s_wrong_tokens_keep_nobody_else_out(stage: Stage) -> None:
    def sign(client: str, token: str) -> int:
        headers = {"X-Sipflow-Console": "1", "X-Forwarded-For": f"192.0.2.77, {client}"}
        return httpx.post(f"{stage.url}session", json={"token": token}, headers=headers).status_code

    guessed = [sign("198.51.100.1", f"a guess of the sort {number}") for number in range(6)]

    assert guessed == [401] * 5 + [429]
    assert [sign(client, TOKEN) for client in ("198.51.100.1", "198.51.100.2")] == [429, 200]


def test_a_live_call_appears_by_itself_is_heard_and_is_ended(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/live")
    expect(page.get_by_text("No calls at the moment")).to_be_visible()
    with Caller(stage.folder / "live.log", stage.daemon.uri(), "--seconds", "60", "--tone", "700") as caller:
        row = page.get_by_role("row").filter(has_text="in progress")
        expect(row).to_contain_text("local")
        expect(row.get_by_role("button", name="Listen")).to_be_enabled()
        row.get_by_role("button", name="Listen").click()
        bar = page.get_by_role("region", name="Listening to a call")
        expect(bar).to_contain_text("You hear both voices")
        for name in ("Level of the far end", "Level of the agent"):
            wait_until(lambda: number_of(bar.get_by_role("meter", name=name), "aria-valuenow") > -30, name)  # noqa: B023
        wait_until(lambda: number_of(bar, "data-rms") > 0.03, "sound in the browser")
        shot(page, "live")
        page.set_viewport_size({"width": NARROW, "height": 740})
        wide = page.evaluate("document.documentElement.scrollWidth")
        shot(page, "phone-listening", whole=False)
        page.set_viewport_size({"width": 1280, "height": 860})
        bar.get_by_role("button", name="Stop listening").click()
        expect(bar).to_be_hidden()
        row.get_by_role("link", name="Details").click()
        expect(page.get_by_role("heading", name="Sound")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("Jitter"))).to_be_visible()
        shot(page, "call-live")
        page.get_by_role("button", name="Hang up").click()
        with page.expect_response(re.compile("/quality$")):  # the page is brought up to date below the question
            pass
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_role("button", name="Hang up")).to_be_focused()
        page.get_by_role("button", name="Hang up").click()
        dialog = page.get_by_role("dialog", name="Hang up this call?")
        shot(page, "hang-up", whole=False)
        dialog.get_by_role("button", name="Hang up").click()
        report = caller.finish()
    expect(page.get_by_text("ended by an operator").first).to_be_visible()
    expect(page.get_by_text("listening started")).to_be_visible()

    assert (report.exit_status, report.status, wide) == (0, 200, NARROW)


def test_a_browser_without_a_loudspeaker_says_so_and_shows_the_levels_all_the_same(stage: Stage) -> None:
    context = stage.signed_in()
    context.add_init_script(WITHOUT_LOUDSPEAKER)
    page = context.new_page()
    page.goto(stage.url + "#/live")
    with Caller(stage.folder / "deaf.log", stage.daemon.uri(), "--seconds", "60", "--tone", "700") as caller:
        row = page.get_by_role("row").filter(has_text="in progress")
        row.get_by_role("button", name="Listen").click()
        bar = page.get_by_role("region", name="Listening to a call")
        expect(bar).to_contain_text("This browser plays no sound")
        level = bar.get_by_role("meter", name="Level of the far end")
        wait_until(lambda: number_of(level, "aria-valuenow") > -30, "the level of the far end")
        stage.ask("POST", f"/v2/calls/{row.get_attribute('data-call')}/hangup", json={})
        caller.finish()
    expect(bar).to_contain_text("The call is over")
    context.close()


def test_the_history_is_searched_and_a_call_tells_all_that_is_known_of_it(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/history")
    expect(page.get_by_role("row")).to_have_count(len(stage.ask("GET", "/v2/calls")["response"]["calls"]) + 1)
    page.get_by_label("Number, call or SIP Call-ID").fill("5550123")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("Number, call or SIP Call-ID").fill("no call has this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No call is like that")).to_be_visible()
    page.get_by_text("More filters").click()
    page.get_by_label("Number, call or SIP Call-ID").fill("")
    page.get_by_label("State").select_option("completed")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row").filter(has_text="completed").first).to_be_visible()
    shot(page, "history")
    page.goto(stage.url + f"#/call/{stage.ended()}")
    expect(page.get_by_role("button", name=re.compile("^INVITE"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^INVITE")).press("Enter")
    expect(page.locator("pre")).to_contain_text("INVITE sip:")
    expect(page.get_by_text("answered", exact=True)).to_be_visible()
    with page.expect_download() as bundle:
        page.get_by_role("link", name="Evidence bundle").click()
    with page.expect_download() as capture:
        page.get_by_role("link", name="Capture").click()
    shot(page, "call")

    assert Path(bundle.value.path()).read_bytes()[:2] == b"PK"
    assert Path(capture.value.path()).read_bytes()[:4] in (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d")


def test_a_recording_is_drawn_and_played(stage: Stage, page: Page) -> None:
    call_id = stage.ended()
    recorded = stage.ask("GET", f"/v2/calls/{call_id}")["response"]["calls"][0]["recording_duration"]
    page.goto(stage.url + f"#/call/{call_id}")
    wave = page.get_by_role("img", name=re.compile("Waveform"))
    expect(wave).to_be_visible()
    loudest = [float(each) for each in str(wave.get_attribute("data-loudest")).split()]
    seconds = float(str(wave.get_attribute("data-seconds")))
    wave.click(position={"x": 200, "y": 40})
    wait_until(lambda: page.evaluate("document.querySelector('audio').currentTime") > 0.3, "a recording that plays")
    painted = page.evaluate(
        "new Set(document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1200, 160).data).size"
    )

    assert len(loudest) == 2
    assert min(loudest) > 0.1
    assert seconds == pytest.approx(recorded, abs=0.1)
    assert painted > 4


def test_trunks_say_in_words_why_they_are_not_registered(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/trunks")
    row = page.get_by_role("row").filter(has_text="pbx")
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("refused")
    shot(page, "trunks")


def test_it_says_what_would_become_of_a_call(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/ask")
    page.get_by_label("To", exact=True).fill("+12065550199")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="It is not answered")).to_be_visible()
    page.get_by_label("To", exact=True).fill(ANSWERED)
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("heading", name="It is answered")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="127.0.0.1").first).to_be_visible()
    shot(page, "ask")


def test_the_log_is_followed_and_filtered(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/log")
    expect(page.get_by_text("the API is open")).to_be_visible()
    page.get_by_label("With").fill("signed in to the console")
    expect(page.get_by_text("the API is open")).to_be_hidden()
    before = page.locator(".log li").count()
    context = stage.new()
    other = context.new_page()
    sign_in(other, stage.url, TOKEN)
    expect(page.locator(".log li")).to_have_count(before + 1)
    shot(page, "log")
    context.close()

    assert TOKEN not in page.content()


def test_what_callers_write_is_text_and_nothing_else(stage: Stage, page: Page) -> None:
    calls = stage.ask("GET", "/v2/calls")["response"]["calls"]
    texts = []
    for path in ("history", "numbers", *(f"call/{each['call_id']}" for each in calls)):
        visit(page, stage, path)
        for message in page.get_by_role("button", name=re.compile("^INVITE")).all():
            message.click()
        texts.append(page.inner_text("main"))
    whole = "\n".join(texts)

    assert page.evaluate("window.hacked") is None
    assert page.locator("main img").count() == 0
    assert whole.count(HOSTILE) >= 3
    assert "safe\\u202egpj.exe" in whole
    assert "\u202e" not in whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone(stage: Stage, scheme: Any) -> None:
    context = stage.signed_in(viewport={"width": NARROW, "height": 740}, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    wide = {}
    colours = set()
    for path in (*PAGES, f"call/{stage.ended()}"):
        visit(page, stage, path)
        expect(page.locator(".spinner")).to_have_count(0)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
        colours.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        shot(page, f"phone-{scheme}-{path.partition('/')[0]}")
    context.close()

    assert wide == dict.fromkeys(wide, NARROW)
    assert colours == {"rgb(244, 246, 249)" if scheme == "light" else "rgb(14, 19, 26)"}


def test_dark_is_dark_on_a_wide_screen_too(stage: Stage) -> None:
    context = stage.signed_in(color_scheme="dark")
    page = context.new_page()
    page.goto(stage.url + f"#/call/{stage.ended()}")
    expect(page.get_by_role("img", name=re.compile("Waveform"))).to_be_visible()
    ink = page.evaluate("getComputedStyle(document.body).color")
    shot(page, "call-dark")
    context.close()

    assert ink == "rgb(230, 235, 242)"


def test_a_keyboard_is_enough(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/numbers")
    expect(page.get_by_role("table")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    walked = []
    for _ in range(10):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.innerText || document.activeElement.tagName"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", walked
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Log")).to_be_visible()

    assert [each.strip() for each in walked] == [
        "Skip to the content", "sipflow", "Live calls", "History", "Trunks", "Numbers", "Agents", "Ask why", "Log",
        "Sign out",
    ]  # fmt: skip


def test_a_token_that_only_reads_is_offered_nothing_else(stage: Stage) -> None:
    made = stage.ask("POST", "/v2/tokens", json={"name": "reader", "scopes": ["calls:read"]})["response"]
    context = stage.new()
    page = context.new_page()
    sign_in(page, stage.url, made["token"])
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    expect(links).to_have_text(["Live calls", "History", "Ask why"])
    with Caller(stage.folder / "reader.log", stage.daemon.uri(), "--seconds", "60"):
        row = page.get_by_role("row").filter(has_text="in progress")
        expect(row.get_by_role("link", name="Details")).to_be_visible()
        offered = row.get_by_role("button").count()
        call_id = row.get_attribute("data-call")
        asked = page.evaluate(
            "id => fetch(`/console/v2/calls/${id}/hangup`, {method: 'POST', headers: {'X-Sipflow-Console': '1'}})"
            ".then((answer) => answer.status)",
            call_id,
        )
        stage.ask("POST", f"/v2/calls/{call_id}/hangup")
    context.close()

    assert (offered, asked) == (0, 403)


def test_signing_out_ends_the_session_for_good(stage: Stage) -> None:
    context = stage.new()
    page = context.new_page()
    sign_in(page, stage.url, TOKEN)
    expect(page.get_by_role("heading", name="Live calls")).to_be_visible()
    cookies = cookies_of(context)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    shot(page, "sign-in")
    left = context.cookies()
    context.add_cookies(cookies)  # somebody had copied it
    page.goto("about:blank")
    page.goto(stage.url)
    expect(page.get_by_label("API token")).to_be_visible()
    context.close()

    assert left == []


def test_a_daemon_that_goes_away_is_told_of_in_plain_words(stage: Stage, page: Page) -> None:
    page.goto(stage.url + "#/live")
    expect(page.get_by_text("Up to date")).to_be_visible()
    stage.daemon.program.stop(10)
    expect(page.get_by_text("The connection was lost; trying again")).to_be_visible()
    page.get_by_role("link", name="Trunks").click()
    expect(page.get_by_role("alert")).to_contain_text("sipflow cannot be reached. Is it running?")
    shot(page, "gone")
