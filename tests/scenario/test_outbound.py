import pytest

from tests.scenario.catalogue import Scenario, scenarios
from tests.scenario.digests import answer, answered_requests
from tests.scenario.programs import needs_ipv6
from tests.scenario.special import PASSWORD
from tests.scenario.stage import Stage

OUTBOUND = scenarios("outbound")
CHALLENGED = [each for each in OUTBOUND if "--username" in each.run.call and "unknown_algorithm" not in each.name]


@pytest.mark.parametrize("scenario", OUTBOUND, ids=str)
def test_a_sipp_callee_sees_what_the_rfc_says(scenario: Scenario, stage: Stage) -> None:
    if scenario.run.over == "ipv6":
        needs_ipv6()
    played = stage.played(scenario)

    assert played.sipp.status == 0, played.story


@pytest.mark.parametrize("scenario", OUTBOUND, ids=str)
def test_sipflow_call_tells_a_script_how_the_call_went(scenario: Scenario, stage: Stage) -> None:
    if scenario.run.over == "ipv6":
        needs_ipv6()
    played = stage.played(scenario)

    assert played.call is not None
    assert played.call.status == scenario.run.exit_status, played.story
    assert "Traceback" not in played.call.texts["standard error"], played.story


@pytest.mark.parametrize("scenario", CHALLENGED, ids=str)
def test_every_answer_of_ours_to_a_challenge_is_right(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)

    answered = answered_requests(played.sipp.texts["SIPp's messages"])

    assert answered, played.story
    for method, uri, given in answered:
        assert given["uri"] == uri or method == "ACK", played.story  # the ACK repeats what the INVITE said
        signed = "INVITE" if method == "ACK" else method
        assert given["response"] == answer(signed, given, PASSWORD), f"{method} {given}\n{played.story}"
