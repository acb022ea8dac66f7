"""How the edge is, over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sipflow import __version__
from sipflow.store.settings import Settings
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import RegistrationStatus
from tests.api.callstage import CallStage, callstage


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def test_the_state_of_the_edge_is_one_answer(edge: CallStage) -> None:
    _, call = await edge.called_in()
    until = edge.near.switchboard.now + 300
    edge.states += [
        RegistrationStatus("good", RegistrationState.REGISTERED, until, None, "", "", ("203.0.113.5", 5060), None),
        RegistrationStatus("wrong", RegistrationState.REJECTED, None, None, "trunk wrong: 403", "", None, None),
    ]
    found = (await edge.get("/v2/status"))["response"]
    await call.hangup()

    assert found["calls"] == {"live": 1, "inbound": 1, "outbound": 0, "answered": 1, "waiting": 0}
    assert found["trunks"] == [
        {"name": "wrong", "registration": "failed", "why": "403", "far_end": "", "round_trip_ms": None, "seen_as": ""},
        {"name": "good", "registration": "registered", "why": "calls reach us", "far_end": "", "round_trip_ms": None,
         "seen_as": "203.0.113.5:5060"},
    ]  # fmt: skip
    assert (found["version"], found["numbers"], found["agents"], found["faults"]) == (__version__, 2, 2, 0)
    assert {each["name"] for each in found["checks"] if not each["ok"]} <= {"loop"}
    assert (found["sip_messages"], found["sip_retransmissions"]) >= (4, 0)
    assert found["listening"] == [str(address) for address in edge.near.endpoint.listening]


async def test_a_token_for_calls_alone_does_not_show_it(edge: CallStage) -> None:
    refused = await edge.refused("GET", "/v2/status", status=403, headers=await edge.token("calls:read"))

    assert refused == "this token may not do that: it needs the scope status:read"
