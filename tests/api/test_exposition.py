"""The families, made of figures set by hand; the route's test has what a call leaves in them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from sipflow.api.exposition import scrape
from sipflow.api.measures import Measures
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.calls.strangers import Strangers
from sipflow.errors import StoreError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.parser import parse_datagram
from sipflow.store.settings import Settings
from sipflow.trunks.outputs import HealthState, RegistrationState
from sipflow.trunks.runner import HealthStatus, RegistrationStatus
from tests.api.callstage import CallStage, callstage
from tests.api.test_readiness import measures_of
from tests.security.peers import sip


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def samples(measures: Measures, *names: str) -> dict[str, dict[str, float]]:
    """The samples of some families, by what their labels say."""
    text = (await scrape(measures)).decode()
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in found:
                found[sample.name][" ".join(sample.labels.values())] = sample.value
    return found


async def test_the_states_of_trunks_are_there_by_name_and_strangers_are_counted_together(edge: CallStage) -> None:
    measures = measures_of(edge)
    now = measures.now()
    edge.states += [
        RegistrationStatus("local", RegistrationState.REGISTERED, now + 60, None, "", "", None, None),
        RegistrationStatus("made-up", RegistrationState.FAILED, None, None, "", "", None, None),
    ]
    measures.healths = lambda: [HealthStatus("local", HealthState.UP, 0, "", 0.012)]
    found = await samples(
        measures, "sipflow_registration_state", "sipflow_registration_left_seconds", "sipflow_trunk_up",
        "sipflow_trunk_round_trip_seconds",
    )  # fmt: skip
    states = found["sipflow_registration_state"]

    assert {label for label, value in states.items() if value} == {"registered local", "failed other"}
    assert len(states) == 2 * len(RegistrationState)
    assert 50 < found["sipflow_registration_left_seconds"]["local"] <= 60
    assert found["sipflow_trunk_up"] == {"local": 1}
    assert found["sipflow_trunk_round_trip_seconds"] == {"local": 0.012}


async def test_strangers_are_counted_and_none_of_them_is_named(edge: CallStage) -> None:
    measures = measures_of(edge)
    strangers = Strangers(StrangerSettings(refusals_burst=2), measures.switchboard.doorkeeper.router, clock=lambda: 1.0)
    measures.switchboard.strangers = strangers
    for number in range(40):
        request = parse_datagram(sip(uri=f"sip:{number}@127.0.0.1", User_Agent=f"agent {number}"))
        assert isinstance(request, Request)
        strangers.guard(request, Hop("udp", "203.0.113.9", 5060))
    found = await samples(measures, "sipflow_strangers_total", "sipflow_strangers_shut_out")

    assert found == {
        "sipflow_strangers_total": {"refused": 21, "flood": 18, "scanner": 1}, "sipflow_strangers_shut_out": {"": 1},
    }  # fmt: skip


async def test_limits_are_there_with_how_much_of_them_is_used(edge: CallStage) -> None:
    measures = measures_of(edge)
    measures.limits.apply(LimitSettings(whole=Limit(max_calls=10), trunks={"local": Limit(max_calls=2)}))
    _, call = await edge.called_in()
    found = await samples(measures, "sipflow_limit_used", "sipflow_limit_calls")
    await call.hangup()

    assert found["sipflow_limit_used"] == {"limits": 1, "trunks.local": 1}
    assert found["sipflow_limit_calls"] == {"limits": 10, "trunks.local": 2}


async def test_a_histogram_of_lateness_has_every_event_and_its_sum(edge: CallStage) -> None:
    measures = measures_of(edge)
    measures.media.pacer.lateness.reset()
    for late_s in (0.0005, 0.0045, 0.3):
        measures.media.pacer.lateness.add(late_s)
    name = "sipflow_pacer_lateness_seconds"
    found = await samples(measures, f"{name}_bucket", f"{name}_count", f"{name}_sum")
    buckets = found[f"{name}_bucket"]

    assert (buckets["0.001"], buckets["0.005"], buckets["0.2"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert found[f"{name}_count"][""] == 3
    assert 0.2 < found[f"{name}_sum"][""] < 0.21  # what is later than it measures counts as its latest step


async def test_webhooks_that_wait_are_asked_of_the_store(edge: CallStage) -> None:
    measures = measures_of(edge)

    async def waiting() -> tuple[int, float]:
        return 3, 12.5

    measures.deliveries = waiting
    measures.delivered = lambda: {"success": 7}
    found = await samples(
        measures, "sipflow_webhook_waiting", "sipflow_webhook_oldest_seconds", "sipflow_webhook_tries_total"
    )

    assert found == {
        "sipflow_webhook_waiting": {"": 3},
        "sipflow_webhook_oldest_seconds": {"": 12.5},
        "sipflow_webhook_tries_total": {"success": 7},
    }


async def test_while_the_store_is_away_all_other_figures_are_there(edge: CallStage) -> None:
    measures = measures_of(edge)

    async def away() -> tuple[int, float]:
        raise StoreError("the database is locked")

    measures.deliveries = away
    found = await samples(measures, "sipflow_webhook_waiting", "sipflow_uptime_seconds")

    assert (found["sipflow_webhook_waiting"], len(found["sipflow_uptime_seconds"])) == ({}, 1)


async def test_every_name_is_ours_and_ends_in_its_unit_and_its_help_is_a_sentence(edge: CallStage) -> None:
    measures = measures_of(edge)
    measures.started_at -= timedelta(hours=1)
    families = list(text_string_to_metric_families((await scrape(measures)).decode()))
    ours = [family for family in families if family.name.startswith("sipflow_")]

    assert {family.name.partition("_")[0] for family in families} == {"sipflow", "process", "python"}
    assert [family.name for family in ours if not family.documentation.endswith(".")] == []
    assert [family.name for family in ours if family.name.endswith(("_ms", "_percent"))] == []
    assert len({family.name for family in families}) == len(families)
