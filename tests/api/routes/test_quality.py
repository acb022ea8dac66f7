"""How a real call's audio fared, over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from sipflow.calls.quality_tracks import BEATS_A_ROUND
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def test_the_points_of_a_call_are_there_while_it_lives_and_after(edge: CallStage) -> None:
    call_id, far = await edge.called_in()
    for _ in range(2 * BEATS_A_ROUND):
        edge.watching.quality.beat()
    live = (await edge.get(f"/v2/calls/{call_id}/quality"))["response"]
    await far.hangup()
    await edge.over(call_id)
    after = (await edge.get(f"/v2/calls/{call_id}/quality"))["response"]

    assert (live["call_id"], len(live["points"]) >= 2) == (call_id, True)
    assert set(live["points"][0]) == {"at", "packets", "loss_percent", "jitter_ms", "round_trip_ms", "mos"}
    assert after["points"][: len(live["points"])] == live["points"]


async def test_a_call_that_never_was_has_none(edge: CallStage) -> None:
    others = await edge.token("numbers:read")

    assert await edge.refused("GET", "/v2/calls/nobody/quality", status=404) == "there is no call 'nobody'"
    assert "calls:read" in await edge.refused("GET", "/v2/calls/nobody/quality", status=403, headers=others)
