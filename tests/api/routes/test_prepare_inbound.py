"""Announced calls: over HTTP first, and then as a real INVITE with `X-EI`."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.store.settings import Settings
from tests.api.callstage import LEAD, OURS, SECOND, CallStage, callstage

BODY = {
    "from_number": LEAD,
    "to_number": OURS,
    "model_id": "other",
    "workspace_id": "main",
    "custom_variables": {"customer": "Ada", "visits": 3},
}
NULL = {  # of the call record, as the reference fills it before the call
    "duration", "end_call_reason", "is_voicemail", "timeline", "twilio_call_sid", "executed_actions",
    "prompt_variables", "recording_url", "transcript", "error_message", "start_time", "labels", "timezone",
}  # fmt: skip


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def test_an_announced_call_is_answered_flat_and_filled_with_null(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", BODY)
    call_id = answer["synthflow_call_id"]

    assert {name: answer[name] for name in NULL} == dict.fromkeys(NULL)
    assert (answer["call_status"], answer["direction"]) == ("registered", "inbound")
    assert (answer["model_id"], answer["workspace_id"]) == ("other", "main")
    assert answer["custom_variables"] == {"customer": "Ada", "visits": "3"}
    assert (answer["lead_phone_number"], answer["agent_phone_number"]) == (LEAD, OURS)
    assert (answer["call_id"], answer["x_ei"]) == (call_id, f"S.{call_id};")


async def test_the_invite_with_x_ei_finds_its_agent_its_variables_and_its_id(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", BODY)
    call_id = answer["synthflow_call_id"]
    before = await edge.one(call_id)
    came, call = await edge.called_in(headers=(("X-EI", f"{answer['x_ei']}E.crm-7;"),))
    during = await edge.one(call_id)
    variables = edge.near.switchboard.calls[call_id].variables
    await call.hangup()
    await edge.over(call_id)
    after = await edge.one(call_id)

    assert came == call_id
    assert (before["status"], during["status"], after["status"]) == ("registered", "in-progress", "completed")
    assert (during["model_id"], during["sipflow"]["external_id"]) == ("other", "crm-7")
    assert (variables["customer"], variables["visits"]) == ("Ada", "3")
    assert after["prompt_variables"]["customer"] == "Ada"
    assert [event["name"] for event in (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]][:2] == [
        "started", "answered",
    ]  # fmt: skip


async def test_it_may_be_a_number_that_no_agent_has(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", {**BODY, "to_number": SECOND})
    came, call = await edge.called_in(SECOND, headers=(("X-EI", answer["x_ei"]),))
    await call.hangup()

    assert came == answer["call_id"]


async def test_an_id_is_good_once(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", BODY)
    first, call = await edge.called_in(headers=(("X-EI", answer["x_ei"]),))
    second, again = await edge.called_in(headers=(("X-EI", answer["x_ei"]),))
    shown = await edge.one(second)
    for each in (call, again):
        await each.hangup()

    assert first == answer["call_id"]
    assert second != first
    assert shown["model_id"] == "desk"


async def test_announced_calls_stand_in_the_list_and_can_be_taken_back(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", BODY)
    call_id = answer["call_id"]
    listed = (await edge.get("/v2/calls", params={"call_status": "registered"}))["response"]["calls"]
    acted = await edge.refused("POST", f"/v2/calls/{call_id}/mute", status=409)
    await edge.post(f"/v2/calls/{call_id}/hangup")
    came, call = await edge.called_in(headers=(("X-EI", answer["x_ei"]),))
    await call.hangup()

    assert [(each["call_id"], each["call_status"], each["model_id"]) for each in listed] == [
        (call_id, "registered", "other")
    ]
    assert acted == f"call {call_id} is announced, and its INVITE has not come yet"
    assert came != call_id


async def test_a_call_that_never_came_says_so(edge: CallStage) -> None:
    answer = await edge.post("/v2/prepare_inbound", {**BODY, "expires_in_seconds": 5})
    edge.desk.announced._wall = lambda: datetime.now(UTC) + timedelta(seconds=6)
    shown = await edge.one(answer["call_id"])
    came, call = await edge.called_in(headers=(("X-EI", answer["x_ei"]),))
    await call.hangup()

    assert (shown["status"], shown["error_message"]) == (
        "failed", "the call was announced, and its INVITE did not come in time",
    )  # fmt: skip
    assert came != answer["call_id"]


async def test_an_announcement_outlives_a_restart(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with callstage(sqlite_settings, tmp_path) as edge:
        answer = await edge.post("/v2/prepare_inbound", BODY)
    async with callstage(sqlite_settings, tmp_path) as edge:
        came, call = await edge.called_in(headers=(("X-EI", answer["x_ei"]),))
        variables = edge.near.switchboard.calls[came].variables
        await call.hangup()
        await edge.over(came)
        async with asyncio.timeout(5):
            while await edge.desk.announcements.find(came) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert came == answer["call_id"]
    assert variables["customer"] == "Ada"


async def test_a_key_announces_once(edge: CallStage) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [await edge.post("/v2/prepare_inbound", BODY, headers=headers) for _ in range(2)]

    assert answers[0] == answers[1]
    assert len(edge.desk.announced.waiting()) == 1


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"model_id": "nobody"}, 404, "there is no agent 'nobody'"),
        ({"to_number": "+12065550999"}, 400, "to_number: +12065550999 is none of our numbers"),
        ({"from_number": None}, 400, "from_number: input should be a valid string"),
        ({"expires_in_seconds": 0}, 400, "expires_in_seconds: input should be greater than or equal to 1"),
    ],
)
async def test_what_cannot_come_is_not_announced(
    edge: CallStage, change: dict[str, object], status: int, sentence: str
) -> None:
    said = await edge.refused("POST", "/v2/prepare_inbound", status=status, json={**BODY, **change})

    assert said.startswith(sentence)
    assert edge.desk.announced.waiting() == []
