"""Each check on an edge whose parts are as told; the routes' tests have the whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest_asyncio

from sipflow.api.measures import Measures
from sipflow.api.readiness import checks
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.media.lateness import Lateness
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage


@dataclass
class Stuck:
    """A loop that something holds up."""

    worst_lately_s: float = 3.0
    typical_now_s: float = 1.0
    lateness: Lateness = field(default_factory=Lateness)


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


def measures_of(edge: CallStage) -> Measures:
    found = edge.server._app.state.context.measures
    assert isinstance(found, Measures)
    return found


def wrong(measures: Measures) -> dict[str, str]:
    return {each.name: each.why for each in checks(measures) if not each.ok and each.name != "loop"}


async def test_each_thing_that_a_call_needs_is_looked_at(edge: CallStage) -> None:
    measures = measures_of(edge)
    before = wrong(measures)
    _, call = await edge.called_in()
    measures.limits.apply(LimitSettings(whole=Limit(max_calls=1)))
    full = wrong(measures)
    edge.writer.away = "the database is locked"
    away = wrong(measures)
    edge.writer.away = ""
    await call.hangup()

    assert before == {}
    assert full == {"limits": "1 calls are up, which is as many as may be (limits.max_calls)"}
    assert away["store"].startswith("the database is locked; ")


async def test_a_loop_that_is_held_up_again_and_again_is_not_well(edge: CallStage) -> None:
    measures = measures_of(edge)
    measures.pulse = Stuck()
    (loop,) = [each for each in checks(measures) if each.name == "loop"]

    assert (loop.ok, loop.why) == (
        False, "something holds the event loop up again and again: at most 3000 ms late within a minute",
    )  # fmt: skip


async def test_where_nothing_is_kept_the_store_is_well(edge: CallStage) -> None:
    measures = measures_of(edge)
    measures.writer = None

    assert [each.why for each in checks(measures) if each.name == "store"] == ["nothing is kept"]
