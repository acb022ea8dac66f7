from datetime import datetime

import pytest

from tests.scenario.catalogue import Scenario, scenarios
from tests.scenario.ears import Heard
from tests.scenario.programs import needs_ipv6
from tests.scenario.stage import Played, Stage

INBOUND = scenarios("inbound")
HELD = [each for each in INBOUND if each.run.ears and "_is_hold_" in each.name]
MOVED = [each for each in INBOUND if "reinvite_moves_our_audio" in each.name]
EARLY = [each for each in INBOUND if "early_media_is_heard" in each.name]
COUNTED = [each for each in INBOUND if each.run.agent_starts is not None]
ON_THE_WAY_S = 0.1  # between our log line and the packet that was sent just before it


@pytest.mark.parametrize("scenario", INBOUND, ids=str)
def test_a_sipp_caller_sees_what_the_rfc_says(scenario: Scenario, stage: Stage) -> None:
    if scenario.run.over == "ipv6":
        needs_ipv6()
    played = stage.played(scenario)

    assert played.sipp.status == 0, played.story


@pytest.mark.parametrize("scenario", COUNTED, ids=str)
def test_a_call_starts_its_agent_once_and_a_refusal_none(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)

    assert played.agent_starts() == scenario.run.agent_starts, played.story


@pytest.mark.parametrize("scenario", HELD, ids=str)
def test_a_caller_on_hold_hears_nothing(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)
    held, resumed = logged_at(played, "on hold"), logged_at(played, "resumed")

    heard = [packet.at for packet in played.heard[0]]

    assert (
        any(at < held for at in heard),
        [at - held for at in heard if held + ON_THE_WAY_S < at < resumed],
        any(at > resumed for at in heard),
    ) == (True, [], True), played.story


@pytest.mark.parametrize("scenario", MOVED, ids=str)
def test_a_caller_who_moves_hears_us_at_the_new_port_only(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)
    first, second = played.heard

    assert first, played.story
    assert second, played.story
    assert [packet for packet in first if packet.at > second[0].at + ON_THE_WAY_S] == []
    assert follows(first[-1], second[0])


@pytest.mark.parametrize("scenario", EARLY, ids=str)
def test_early_media_comes_before_the_answer(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)
    answered = logged_at(played, "answered")

    early = [packet for packet in played.heard[0] if packet.at < answered - ON_THE_WAY_S]

    assert len(early) >= 15, played.story  # of 30 in six tenths of a second


def follows(last: Heard, first: Heard) -> bool:
    """Whether it is one stream: the packet after the other, or one of the next few."""
    return (first.sequence - last.sequence) % 65536 < 10


def logged_at(played: Played, event: str) -> float:
    """When the daemon logged something about the scenario's call, UTC in seconds."""
    assert played.daemon is not None
    records = played.daemon.records()
    calls = {each["call"] for each in records if played.call_id in str(each.get("sip_call_id"))}
    times = [each["timestamp"] for each in records if each.get("call") in calls and each["event"] == event]
    assert len(times) == 1, f"{event!r} was logged {len(times)} times\n{played.story}"
    return datetime.fromisoformat(times[0]).timestamp()


def test_the_called_daemons_are_alive_and_go_down_in_order(stage: Stage) -> None:
    """Last of all: nothing that was called has left a traceback, and SIGTERM is obeyed."""
    called = [name for name in ("reject", "silent") if name in stage.daemons]
    if not called:
        pytest.skip("no scenario that calls us was chosen")
    stage.wait_for_callers()

    alive = [stage.daemons[name].popen.poll() is None for name in called]
    ended = [stage.daemons[name].stop() for name in called]

    assert [fault for name in called for fault in stage.daemons[name].faults()] == []
    assert (alive, ended) == ([True] * len(called), [0] * len(called))
