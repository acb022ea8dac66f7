"""Orders past the framework: what they get is, octet for octet, what the common way would answer."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sipflow.api.express import PlacingExpress
from sipflow.api.models.calls import PlaceCall
from sipflow.errors import LimitReached
from sipflow.store.settings import Settings
from tests.api.callstage import CALLEE, OURS, SECOND, CallStage, callstage

BODY = {"model_id": "desk", "phone": CALLEE, "name": "Ada Lovelace"}
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


@contextmanager
def without_the_short_way() -> Iterator[None]:
    async def never(*_: object) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlacingExpress, "__call__", never)
        yield


def plain(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """What an answer says, without what is another's every time."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, headers, re.sub(r"[0-9a-f]{16,32}", "ID", answer.text)


async def both_ways(edge: CallStage, **request: Any) -> tuple[object, object, bool]:
    """Send a request the short way and the common one; returns both answers, and whether the first was short."""
    validated: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        read = PlaceCall.model_validate

        def noted(said: object, **arguments: Any) -> PlaceCall:
            found = read(said, **arguments)
            validated.append(found)
            return found

        patch.setattr(PlaceCall, "model_validate", noted)
        short = plain(await edge.client.post("/v2/calls", **request))
    with without_the_short_way():
        common = plain(await edge.client.post("/v2/calls", **request))
    return short, common, bool(validated)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"from_phone_number": OURS, "custom_variables": {"a": 1, "b": True}, "labels": ["ä"], "headers": {"X-A": "1"}},
        {"ring_timeout_seconds": "20", "queue_seconds": 5, "privacy": "yes", "some_other_field": [1, 2]},
        {"model_id": "nobody"},
        {"phone": "no number"},
        {"from_phone_number": SECOND},
    ],
)
async def test_an_order_is_answered_as_the_common_way_would(edge: CallStage, change: dict[str, object]) -> None:
    short, common, was_short = await both_ways(edge, json={**BODY, **change})

    assert (short, was_short) == (common, True)


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"", "headers": JSON},
        {"content": b"{", "headers": JSON},
        {"content": b"[]", "headers": JSON},
        {"content": b"null", "headers": JSON},
        {"content": b"[" * 100_000, "headers": JSON},
        {"content": b'{"model_id": "desk", "phone": NaN, "name": "x"}', "headers": JSON},
        {"content": b'{"model_id": "desk"}', "headers": {"Content-Type": "text/plain"}},
        {"content": b'{"model_id": "desk"}'},
        {"json": {**BODY, "phone": None}},
        {"json": {**BODY, "model_id": "nöbödy"}},
        {"json": {**BODY, "headers": {"X-A": "a\r\nX-B: b"}}},
        {"json": {**BODY, "custom_variables": [{"key": "", "value": "x"}]}},
        {"json": BODY, "headers": {"Idempotency-Key": "two words"}},
        {"json": BODY, "headers": {"Idempotency-Key": "k" * 256}},
    ],
)
async def test_what_is_not_in_order_goes_the_common_way(edge: CallStage, request_: dict[str, Any]) -> None:
    short, common, was_short = await both_ways(edge, **request_)

    assert (short, was_short) == (common, False)
    assert edge.desk.live() == {}


async def test_unusual_ways_to_say_json_go_the_common_way(edge: CallStage) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    short, common, was_short = await both_ways(edge, content=b'{"model_id": "nobody"}', headers=headers)

    assert (short, was_short) == (common, False)


async def test_the_token_must_be_for_it(edge: CallStage) -> None:
    headers = await edge.token("calls:read")
    short, common, _ = await both_ways(edge, json=BODY, headers=headers)
    stranger = await edge.client.post("/v2/calls", json=BODY, headers={"Authorization": "Bearer x"})

    assert short == common
    assert "insufficient_scope" in str(short)
    assert stranger.status_code == 401
    assert edge.desk.live() == {}


async def test_under_one_key_both_ways_are_one(edge: CallStage) -> None:
    headers = {"Idempotency-Key": "order-7"}
    first = await edge.client.post("/v2/calls", json=BODY, headers=headers)
    short, common, _ = await both_ways(edge, json=BODY, headers=headers)
    other, other_common, _ = await both_ways(edge, json={**BODY, "name": "Grace"}, headers=headers)

    assert first.status_code == 200
    assert short == common
    assert other == other_common
    assert "Idempotency-Replayed" not in first.headers
    assert "idempotency-replayed" in str(short)
    assert "idempotency_key_reused" in str(other)


async def test_a_limit_is_told_the_same(edge: CallStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise LimitReached("as many as it may have", limit="agents.desk.max_calls", retry_after_s=7)

    monkeypatch.setattr(edge.numbers, "choose", full)
    short, common, was_short = await both_ways(edge, json=BODY)

    assert (short, was_short) == (common, True)
    assert "'retry-after': '7'" in str(short)
