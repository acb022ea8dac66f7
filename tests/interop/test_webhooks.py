"""Webhooks of a whole daemon: asked before the agent runs, told while the call lives and when it is over, logged."""

import asyncio
import json
from pathlib import Path
from typing import Any

from sipflow.webhooks.signing import problem
from tests.daemon.api_client import Api
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.interop.waiting import wait_until
from tests.webhooks.receiver import Answer, Receiver

SECRET = "a secret of many characters"


def logged(api: Api, count: int) -> list[dict[str, Any]]:
    """Wait until so many deliveries are finished; return them, the newest first."""

    def finished() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = api.ask("GET", "/logs?status=success")["response"]["items"]
        return items if len(items) >= count else []

    return wait_until(finished, f"{count} deliveries in the log")


async def test_a_call_is_steered_followed_and_told(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        steer = {"call_inbound": {"override_model_id": "other", "custom_variables": {"plan": "gold"}}}
        asked = receiver.script("/inbound", Answer(body=json.dumps(steer).encode()))
        api = Api()
        desk = {"handler": "echo", "inbound_call_webhook_url": asked, "external_webhook_url": receiver.url("/desk")}
        other = {"handler": "echo", "external_webhook_url": receiver.script("/calls", Answer(500), Answer())}
        daemon = Daemon(
            tmp_path,
            api=api.section,
            agents={"desk": desk, "other": other},
            numbers={ANSWERED: {"trunk": "local", "inbound_agent": "desk"}},
            webhooks={
                "secret": SECRET,
                "allow_networks": "127.0.0.1/32",
                "allow_http": True,
                "retry_first_s": 0.1,
                "events_url": receiver.url("/events"),
                "events": ["started", "answered", "ended"],
            },
        )
        with daemon:
            await asyncio.to_thread(api.wait, daemon)
            report = await asyncio.to_thread(call, tmp_path, daemon.uri(), "--seconds", "0.3")
            (question,) = await receiver.requests(1, "/inbound")
            events = await receiver.requests(3, "/events")
            told = await receiver.requests(2, "/calls")
            with api:
                items = await asyncio.to_thread(logged, api, 5)
                again = await asyncio.to_thread(api.ask, "POST", f"/logs/{items[0]['webhook_log_id']}/redeliver")
            await receiver.requests(7)

    assert report.status == 200
    assert [problem(SECRET, got.headers, got.body) for got in receiver.got] == [""] * len(receiver.got)
    assert json.loads(question.body)["call_inbound"]["model_id"] == "desk"
    names = [json.loads(got.body)["call_event"]["name"] for got in events]
    assert names == ["started", "answered", "ended"]
    first, second = (json.loads(got.body) for got in told)
    assert first == second
    assert (first["status"], first["call"]["model_id"]) == ("completed", "other")
    assert first["lead"]["prompt_variables"]["plan"] == "gold"
    assert sorted(item["webhook_type"] for item in items) == [
        "call_event", "call_event", "call_event", "external_webhook", "inbound_webhook",
    ]  # fmt: skip
    assert {item["call_id"] for item in items} == {first["call"]["call_id"]}
    assert again["response"]["status"] == "pending"
