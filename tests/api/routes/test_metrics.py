"""Metrics, health and readiness, over real HTTP on an edge that takes calls."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from sipflow import __version__
from sipflow.store.settings import Settings
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import RegistrationStatus
from tests.api.callstage import OURS, CallStage, callstage
from tests.api.stage import Stage
from tests.api.test_readiness import Stuck, measures_of

NOBODY = {"Authorization": ""}
CALM = Stuck(worst_lately_s=0.01, typical_now_s=0.0)  # whatever else this machine does
FAILED = RegistrationStatus("local", RegistrationState.FAILED, None, None, "trunk local: no answer", "", None, None)


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def scraped(edge: CallStage) -> dict[str, float]:
    """Every sample by its name and labels, as in `sipflow_store_up` and `sipflow_sip_messages_total{...}`."""
    answer = await edge.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {
        sample.name + (str(dict(sorted(sample.labels.items()))) if sample.labels else ""): sample.value
        for sample in samples
    }


async def test_what_happens_is_counted(edge: CallStage) -> None:
    call_id, call = await edge.called_in()
    live = await scraped(edge)
    await call.hangup()
    await edge.over(call_id)
    found = await scraped(edge)
    line = {"agent": "desk", "answered": "yes", "direction": "inbound", "ending": "hung_up", "trunk": "local"}
    up = {"agent": "desk", "direction": "inbound", "state": "answered", "trunk": "local"}

    assert live[f"sipflow_live_calls{up}"] == 1
    assert f"sipflow_live_calls{up}" not in found
    assert found[f"sipflow_calls_total{line}"] == 1
    assert found[f"sipflow_number_calls_total{ {'direction': 'inbound', 'number': OURS} }"] == 1
    assert found[f"sipflow_call_setup_seconds_count{ {'direction': 'inbound'} }"] == 1
    assert found[f"sipflow_sip_messages_total{ {'direction': 'received', 'kind': 'INVITE'} }"] == 1
    assert found[f"sipflow_info{ {'version': __version__} }"] == 1
    assert (found["sipflow_store_up"], found["sipflow_waiting_calls"], found["sipflow_faults_total"]) == (1, 0, 0)
    assert found["sipflow_pacer_lateness_seconds_count"] > 0
    assert found["sipflow_trace_bytes"] > 1000
    assert found["process_open_fds"] > 0


async def test_from_this_machine_metrics_need_no_token_and_from_elsewhere_they_do(
    edge: CallStage, sqlite_settings: Settings
) -> None:
    near = await edge.client.get("/metrics", headers=NOBODY)
    proxied = await edge.client.get("/metrics", headers={**NOBODY, "X-Forwarded-For": "203.0.113.9"})
    far = httpx.ASGITransport(edge.server._app, client=("203.0.113.9", 40000))
    async with httpx.AsyncClient(transport=far, base_url="http://sipflow.test") as stranger:
        strange = await stranger.get("/metrics")
        with_token = await stranger.get("/metrics", headers=await edge.token("status:read"))
        with_wrong = await stranger.get("/metrics", headers=await edge.token("calls:write"))

    assert [each.status_code for each in (near, proxied, strange, with_token, with_wrong)] == [200, 401, 401, 200, 403]


async def test_a_wrong_token_is_refused_on_this_machine_too(edge: CallStage) -> None:
    answer = await edge.client.get("/metrics", headers={"Authorization": "Bearer wrong"})

    assert answer.status_code == 401


async def test_alive_and_ready_are_said_to_everybody_and_why_to_this_machine_alone(edge: CallStage) -> None:
    measures_of(edge).pulse = CALM
    alive = await edge.client.get("/healthz", headers=NOBODY)
    ready = await edge.client.get("/readyz", headers=NOBODY)
    passed_on = await edge.client.get("/readyz", headers={**NOBODY, "Forwarded": "for=203.0.113.9"})

    assert (alive.status_code, alive.json()) == (200, {"status": "ok", "version": __version__})
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    names = ["sip", "media", "limits", "trunks", "store", "loop", "load"]
    assert [each["name"] for each in ready.json()["checks"]] == names
    assert all(each["why"] for each in ready.json()["checks"])
    assert {each["why"] for each in passed_on.json()["checks"]} == {""}


async def test_an_edge_that_cannot_take_calls_is_not_ready_and_says_why(edge: CallStage) -> None:
    measures_of(edge).pulse = CALM
    edge.states.append(FAILED)
    unregistered = await edge.client.get("/readyz")
    edge.states[0] = replace(FAILED, state=RegistrationState.REGISTERED)
    registered = await edge.client.get("/readyz")
    edge.near.switchboard.draining = True
    draining = await edge.client.get("/readyz")

    def wrong(answer: httpx.Response) -> dict[str, str]:
        return {each["name"]: each["why"] for each in answer.json()["checks"] if not each["ok"]}

    assert [each.status_code for each in (unregistered, registered, draining)] == [503, 200, 503]
    assert wrong(unregistered) == {"trunks": "none of 1 trunks that register is registered: local: no answer"}
    assert wrong(draining) == {"sip": "sipflow is going down and takes no more calls"}


async def test_where_there_is_no_telephone_side_that_is_what_is_said(api: Stage) -> None:
    assert await api.refused("GET", "/metrics", status=503) == "the telephone side does not run here"
    assert (await api.client.get("/healthz")).status_code == 200
