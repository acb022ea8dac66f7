from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from sipflow.api.routes.logs import shown_query, shown_url
from sipflow.errors import Conflict, NotFound
from sipflow.store.deliveries import (
    EVENT,
    FAILED,
    INBOUND,
    POST_CALL,
    SUCCESS,
    Deliveries,
    Delivery,
    DeliveryAttempt,
    Settled,
)
from tests.api.stage import Stage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://crm.example.com/calls?token=abc&kind=a%20b"
SHOWN = "https://crm.example.com/calls?token=***&kind=a%20b"


def delivery(name: str, **changes: Any) -> Delivery:
    made = Delivery(
        id=name,
        webhook_type=POST_CALL,
        url=URL,
        endpoint="https://crm.example.com:443",
        agent="desk",
        call_id=f"call-{name}",
        payload=b'{"event":"post_call"}',
        created_at=NOW,
        next_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    return replace(made, **changes)


ATTEMPT = DeliveryAttempt(
    attempt_number=1,
    at=NOW + timedelta(seconds=1),
    status_code=500,
    duration_ms=250,
    response_ttfb_ms=200,
    request_headers={"User-Agent": "sipflow/1", "X-Sipflow-Signature": "***"},
    response_headers={"Server": "x"},
    response_body='{"error":"later"}',
    response_bytes=17,
    error_message="answered 500",
)


@pytest_asyncio.fixture
async def logs(api: Stage) -> AsyncIterator[Stage]:
    deliveries = Deliveries(api.database)
    later = NOW + timedelta(minutes=1)
    async with api.database.write() as connection:
        await deliveries.add(
            connection,
            [
                delivery("one"),
                delivery("two", webhook_type=INBOUND, status=SUCCESS, created_at=later, next_at=None),
                delivery("three", webhook_type=EVENT, agent="sales", created_at=later + timedelta(minutes=1)),
            ],
        )
        await deliveries.settle(
            connection, [Settled(delivery("one", status=FAILED, attempts=1, next_at=None, finished_at=later), ATTEMPT)]
        )
    yield api


def line(name: str, **changes: object) -> dict[str, object]:
    return {
        "webhook_log_id": name,
        "request_timestamp": "2026-03-01T12:00:00Z",
        "model_id": "desk",
        "status": "pending",
        "webhook_url": SHOWN,
        "response_status_code": None,
        "http_method": "post",
        "webhook_type": "external_webhook",
        "call_id": f"call-{name}",
        "attempt_number": 0,
        "error_message": None,
        **changes,
    }


async def test_deliveries_are_listed_in_the_shape_of_the_reference(logs: Stage) -> None:
    assert await logs.get("/v2/logs", params={"workspace_id": "w1", "page_size": 2, "page_number": 2}) == {
        "status": "ok",
        "response": {
            "items": [
                line(
                    "one",
                    request_timestamp="2026-03-01T12:00:01Z",
                    status="failed",
                    response_status_code=500,
                    attempt_number=1,
                    error_message="answered 500",
                )
            ],
            "total": 3,
            "page_size": 2,
            "page_number": 2,
        },
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["three", "two", "one"]),
        ({"search": "CALL-T"}, ["three", "two"]),
        ({"webhook_type": "inbound_webhook"}, ["two"]),
        ({"webhook_type": "custom_action"}, []),
        ({"status": "pending"}, ["three"]),
        ({"http_method": "post"}, ["three", "two", "one"]),
        ({"http_method": "get"}, []),
        ({"assistant_id": "sales"}, ["three"]),
        ({"call_id": "call-one"}, ["one"]),
        ({"from_date": "2026-03-01T12:00:30Z"}, ["three", "two"]),
        ({"to_date": "2026-03-01T13:01:30+01:00"}, ["two", "one"]),
        ({"from_date": "2026-03-01T12:00:30", "to_date": "2026-03-01T12:01:30"}, ["two"]),
    ],
)
async def test_deliveries_are_found_by_every_filter_of_the_reference(
    logs: Stage, asked: dict[str, str], expected: list[str]
) -> None:
    response = (await logs.get("/v2/logs", params=asked))["response"]

    assert ([item["webhook_log_id"] for item in response["items"]], response["total"]) == (expected, len(expected))


async def test_one_delivery_is_shown_with_request_answer_and_every_try(logs: Stage) -> None:
    assert await logs.get("/v2/logs/one", params={"workspace_id": "w1"}) == {
        "status": "ok",
        "response": {
            "webhook_log_id": "one",
            "webhook_type": "external_webhook",
            "webhook_url": SHOWN,
            "call_id": "call-one",
            "model_id": "desk",
            "workspace_id": "",
            "action_id": None,
            "http_method": "post",
            "request_timestamp": "2026-03-01T12:00:01Z",
            "attempt_number": 1,
            "request_headers": {"User-Agent": "sipflow/1", "X-Sipflow-Signature": "***"},
            "request_payload": {"event": "post_call"},
            "response_timestamp": "2026-03-01T12:00:01.250000Z",
            "response_status_code": 500,
            "response_payload": {"error": "later"},
            "response_headers": {"Server": "x"},
            "duration_ms": 250,
            "status": "failed",
            "error_message": "answered 500",
            "request_origin": {"user_agent": "sipflow/1", "x_forwarded_for": None, "x_real_ip": None},
            "flow_location": {},
            "request_query_params": {"token": "***", "kind": "a b"},
            "response_ttfb_ms": 200,
            "response_size_total": 17 + len("Server: x\r\n"),
            "response_size_body": 17,
            "created_at": "2026-03-01T12:00:00Z",
            "next_attempt_at": None,
            "give_up_at": "2026-03-02T12:00:00Z",
            "attempts": [
                {
                    "attempt_number": 1,
                    "request_timestamp": "2026-03-01T12:00:01Z",
                    "response_status_code": 500,
                    "duration_ms": 250,
                    "response_ttfb_ms": 200,
                    "error_message": "answered 500",
                }
            ],
        },
    }


async def test_a_delivery_that_nobody_tried_yet_has_no_answer(logs: Stage) -> None:
    shown = (await logs.get("/v2/logs/three"))["response"]

    assert {name: shown[name] for name in ("attempt_number", "response_status_code", "duration_ms", "attempts")} == {
        "attempt_number": 0,
        "response_status_code": None,
        "duration_ms": None,
        "attempts": [],
    }
    assert shown["next_attempt_at"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("path", "status", "error", "message"),
    [
        ("/v2/logs/nothing", 404, "not_found", "there is no delivery 'nothing'"),
        ("/v2/logs?status=lost", 400, "validation_error", "status: "),
        ("/v2/logs?page_number=0", 400, "validation_error", "page_number: "),
        ("/v2/logs?from_date=soon", 400, "validation_error", "from_date: "),
        ("/v2/logs?to_date=0001-01-01T00:00:00%2B14:00", 400, "validation_error", "to_date: "),
        ("/v2/logs?search=%00", 400, "validation_error", "search: "),
    ],
)
async def test_errors_have_the_shape_of_the_logs(logs: Stage, path: str, status: int, error: str, message: str) -> None:
    body = await logs.get(path, status=status)

    assert (set(body), body["error"], body["message"][: len(message)]) == ({"error", "message"}, error, message)


async def test_the_logs_need_their_scope(logs: Stage) -> None:
    token = await logs.token("calls:read")
    headers = {"Authorization": f"Bearer {token}"}

    assert await logs.get("/v2/logs", status=403, headers=headers) == {
        "error": "insufficient_scope",
        "message": "this token may not do that: it needs the scope logs:read",
    }
    reading = {"Authorization": f"Bearer {await logs.token('logs:read')}"}
    await logs.get("/v2/logs", headers=reading)
    await logs.post("/v2/logs/one/redeliver", status=403, headers=reading)


class Outbox:
    """Sends again whatever is asked for, but for what it cannot."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def redeliver(self, delivery_id: str) -> Delivery:
        self.asked.append(delivery_id)
        if delivery_id == "two":
            raise Conflict("the call that this request asked about waited for the answer and is over")
        if delivery_id != "one":
            raise NotFound(f"there is no delivery {delivery_id!r}")
        return delivery("one")


async def test_a_delivery_is_sent_once_more(logs: Stage) -> None:
    assert (await logs.post("/v2/logs/one/redeliver", status=503))[
        "message"
    ] == "the sending of webhooks does not run here"
    logs.context.webhooks = outbox = Outbox()

    assert await logs.post("/v2/logs/one/redeliver") == {
        "status": "ok",
        "response": {"webhook_log_id": "one", "status": "pending", "next_attempt_at": "2026-03-01T12:00:00Z"},
    }
    assert (await logs.post("/v2/logs/two/redeliver", status=409))["error"] == "conflict"
    assert (await logs.post("/v2/logs/zwei/redeliver", status=404))["error"] == "not_found"
    assert outbox.asked == ["one", "two", "zwei"]


@pytest.mark.parametrize(
    ("url", "shown", "query"),
    [
        (URL, SHOWN, {"token": "***", "kind": "a b"}),
        ("https://a.example/x?API_Key=1#f", "https://a.example/x?API_Key=***", {"API_Key": "***"}),
        ("https://a.example/x", "https://a.example/x", {}),
        ("https://[broken?token=1", "https://[broken", {}),
    ],
)
def test_secrets_in_urls_are_masked(url: str, shown: str, query: dict[str, str]) -> None:
    assert (shown_url(url), shown_query(url)) == (shown, query)
