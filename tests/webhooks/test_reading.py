from datetime import UTC, datetime

import pytest

from sipflow.webhooks.exchange import Reply
from sipflow.webhooks.reading import retry_after_s, why_failed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("１２", None),
        ("9" * 40, None),
        ("1 Oct 2 0:" + "3" * 70 + " GMT", None),
    ],
)
def test_a_pause_is_read_as_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    reply = Reply(status=503, headers=(("Retry-After", text),))

    assert retry_after_s(reply, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds


def test_any_2xx_is_a_success_however_its_body_ended() -> None:
    assert why_failed(Reply(status=200, error="the answer was not whole within 10 s")) == ""
    assert why_failed(Reply(status=None)) == "there was no answer"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=500), "answered 500"),
        (Reply(status=307), "answered 307: redirects are not followed; set the URL to where it leads"),
        (Reply(error="the connection was reset"), "the connection was reset"),
    ],
)
def test_what_is_no_success_is_told_in_words(reply: Reply, why: str) -> None:
    assert why_failed(reply) == why
