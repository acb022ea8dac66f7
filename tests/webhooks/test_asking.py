import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sipflow.net.acl import Networks
from sipflow.store.database import Database
from sipflow.store.deliveries import FAILED, SUCCESS, Deliveries, LogFilter
from sipflow.webhooks.addresses import Guard
from sipflow.webhooks.asking import Asking
from sipflow.webhooks.exchange import Reply
from sipflow.webhooks.inbound import Asked, Inquiry
from sipflow.webhooks.settings import Settings
from tests.webhooks.test_outbox import nowhere

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://crm.example.com/inbound"


def asking(database: Database | None) -> Asking:
    guard = Guard(allowed=Networks(), allow_http=True, resolve=nowhere)
    made = Asking(Settings(), guard, wall=lambda: AT.replace(second=2))
    made.deliveries = Deliveries(database) if database is not None else None
    return made


def inquiry(**changes: object) -> Inquiry:
    tried = Asked(AT, (("X-Sipflow-Signature", "v1=1"),), Reply(status=500, duration_ms=3), "answered 500")
    return Inquiry("c1", "desk", URL, b"{}", AT, [tried], **changes)  # type: ignore[arg-type]


async def test_what_was_asked_and_answered_stands_in_the_log(store: Database) -> None:
    await asking(store).keep(inquiry(problem="the answer is not JSON"))
    delivery, attempts = await Deliveries(store).find("inb_c1")

    assert (delivery.status, delivery.attempts, delivery.url, delivery.finished_at) == (
        FAILED, 1, URL, AT.replace(second=2),
    )  # fmt: skip
    assert [(each.status_code, each.error_message) for each in attempts] == [(500, "the answer is not JSON")]
    assert attempts[0].request_headers == {"X-Sipflow-Signature": "***"}


async def test_a_question_that_the_callers_goodbye_cut_short_says_so(store: Database) -> None:
    await asking(store).keep(inquiry(problem="the call ended before there was an answer", cut_short=True))
    _, attempts = await Deliveries(store).find("inb_c1")

    assert [(each.attempt_number, each.status_code, each.duration_ms, each.error_message) for each in attempts] == [
        (1, 500, 3, "answered 500"),
        (2, None, 2000, "the call ended before there was an answer"),
    ]


async def test_a_url_that_cannot_be_asked_stands_in_the_log_too(store: Database) -> None:
    asked = inquiry()
    asked.url = "no\0url"
    await asking(store).keep(asked)

    ((delivery, _),) = (await Deliveries(store).page(LogFilter(), limit=2, offset=0))[1]
    assert (delivery.url, delivery.endpoint, delivery.status) == ("no url", "", SUCCESS)


async def test_a_store_that_is_away_harms_no_call(store: Database, tmp_path: Path) -> None:
    await asking(None).keep(inquiry())
    other = sqlite3.connect(tmp_path / "sipflow.db", isolation_level=None)
    other.execute("ALTER TABLE deliveries RENAME TO elsewhere")
    await asking(store).keep(inquiry())
    other.execute("ALTER TABLE elsewhere RENAME TO deliveries")
    other.close()

    assert await Deliveries(store).counts() == {}
