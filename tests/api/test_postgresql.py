"""One walk through each resource of the API, on either database: what only one of them takes shows here."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sipflow.numbers.inventory import Number
from sipflow.store.settings import Settings
from tests.api.callstage import OURS, CallStage, callstage
from tests.api.pooled import Pooled
from tests.api.stage import DECLARED_AGENT, Stage, stage

IMPORTED = {"phone_number": "+12065550123", "termination_uri": "pbx.example.com", "friendly_name": "„Büro“ 😀"}
AGENT = {"type": "inbound", "name": "Ada", "agent": {}, "handler": "echo"}


@pytest_asyncio.fixture
async def either(store_settings: Settings, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(store_settings, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def edge(store_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(store_settings, tmp_path) as made:
        yield made


async def test_numbers_and_assistants_are_made_joined_changed_and_deleted(either: Stage) -> None:
    await either.post("/v2/custom-numbers", IMPORTED)
    refused = await either.refused("POST", "/v2/custom-numbers", status=409, json=IMPORTED)
    one, two = [(await either.post("/v2/assistants", AGENT))["response"]["model_id"] for _ in range(2)]
    attach = {"phone_numbers": [IMPORTED["phone_number"]]}
    won = await asyncio.gather(
        *(either.client.put(f"/v2/assistants/{each}/phone_numbers", json=attach) for each in (one, two))
    )
    await either.patch("/v2/numbers/12065550123", {"friendly_name": "Office"})
    shown = await either.get("/v2/numbers/12065550123")
    for each in (one, two):
        await either.delete(f"/v2/assistants/{each}")
    await either.delete("/v2/numbers/12065550123")

    assert IMPORTED["phone_number"] in refused
    assert sorted(answer.status_code for answer in won) == [200, 409]
    assert (shown["friendly_name"], shown["inbound_agent"] in (one, two)) == ("Office", True)
    assert await either.refused("GET", "/v2/numbers/12065550123", status=404)


async def test_trunks_phone_books_and_tokens_are_made_listed_and_deleted(either: Stage) -> None:
    trunk = {"name": "office", "sip_domain": "office.example.com", "username": "u", "password": "a secret"}
    await either.post("/v2/trunks", trunk)
    book = (await either.post("/v2/phonebooks", {"name": "Sales"}))["response"]["key"]
    entry = {"phone_number": "+12065550199", "transfer_condition": "a\nb"}
    await either.post(f"/v2/phonebooks/{book}/entries", entry)
    token = (await either.post("/v2/tokens", {"name": "CRM", "scopes": ["calls:read"]}))["response"]
    books = (await either.get("/v2/phonebooks"))["response"]["items"]
    trunks = await either.get("/v2/trunks")
    tokens = await either.get("/v2/tokens")
    for path in ("trunks/office", f"phonebooks/{book}", f"tokens/{token['id']}"):
        await either.delete(f"/v2/{path}")

    assert [(each["name"], each["entry_count"]) for each in books] == [("Sales", 1)]
    assert "office.example.com" in str(trunks)
    assert "a secret" not in str(trunks)
    assert token["id"] in str(tokens)


async def test_pools_are_made_changed_and_deleted(either: Stage) -> None:
    pooled = Pooled([Number("+12065550100", trunk="pbx", outbound_agents=(DECLARED_AGENT,))])
    either.context.pools = await pooled.desk(either.database)
    await either.post("/v2/pools", {"name": "sales", "strategy": ["round_robin"], "numbers": ["+12065550100"]})
    await either.patch("/v2/pools/sales", {"strategy": ["least_recently_used"]})
    shown = await either.get("/v2/pools/sales")
    await either.delete("/v2/pools/sales")

    assert "least_recently_used" in str(shown)
    assert await either.refused("GET", "/v2/pools/sales", status=404)


async def test_calls_are_placed_once_found_by_every_filter_and_shown(edge: CallStage) -> None:
    body = {"model_id": "desk", "phone": "+12065550123", "name": "Ada", "custom_variables": {"a": "„b“"}}
    answers = [await edge.post("/v2/calls", body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    call_id = answers[0]["response"]["call_id"]
    await edge.happened(call_id, "answered")
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    started = (await edge.one(call_id))["start_time"]
    finds = {
        "model_id": "desk", "call_status": "completed", "direction": "outbound", "number": OURS, "trunk": "local",
        "lead_phone_number": "+12065550123", "from_date": "2020-01-01", "to_date": "2100-01-01", "duration_min": 0,
        "duration_max": 3600, "text": call_id[:8],
    }  # fmt: skip
    found = (await edge.get("/v2/calls", params=finds))["response"]
    events = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]

    assert answers[0] == answers[1]
    assert [call["call_id"] for call in found["calls"]] == [call_id]
    assert found["pagination"]["total_records"] == 1
    assert started
    assert "answered" in str(events)
