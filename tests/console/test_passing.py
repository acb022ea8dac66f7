import pytest

from sipflow.console.passing import led_here, passes


@pytest.mark.parametrize(
    "path",
    [
        "/v2/calls", "/v2/calls/abc", "/v2/calls/abc/trace", "/v2/calls/abc/quality", "/v2/calls/abc/listen",
        "/v2/calls/abc/events/stream",
        "/v2/calls/abc/recording", "/v2/recordings/abc.wav", "/v2/events", "/v2/status", "/v2/trunks", "/v2/numbers",
        "/v2/assistants", "/v2/log",
    ],
)  # fmt: skip
def test_what_the_pages_show_may_be_read(path: str) -> None:
    assert passes("GET", path)
    assert not passes("POST", path)
    assert not passes("DELETE", path)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/tokens",
        "/v2/calls/",
        "/v2/calls/a/b",
        "/v2/calls/a/hangup",
        "/metrics",
        "/v2/logs",
        "/v2/numbers/1",
        "/",
        "",
    ],
)
def test_what_no_page_shows_is_not_passed_on(path: str) -> None:
    assert not passes("GET", path)


def test_a_call_may_be_ended_it_may_be_asked_why_and_nothing_else_be_done() -> None:
    assert passes("POST", "/v2/explain")
    assert passes("POST", "/v2/calls/abc/hangup")
    assert [passes(method, "/v2/calls/abc/hangup") for method in ("GET", "PUT", "DELETE", "PATCH")] == [False] * 4
    assert [passes("POST", path) for path in ("/v2/calls", "/v2/calls/abc/transfer", "/v2/tokens")] == [False] * 3


def test_a_redirection_to_a_recording_stays_below_the_console() -> None:
    link = "/v2/recordings/abc.wav?expires=1&signature=2"

    assert led_here(f"https://sip.example.com{link}", "/console") == f"/console{link}"
    assert led_here(link, "/console") == f"/console{link}"
    assert led_here("https://elsewhere.example.com/", "/console") == "https://elsewhere.example.com/"
