import pytest

from tests.scenario.catalogue import Scenario, scenarios
from tests.scenario.digests import answer, answered_requests
from tests.scenario.special import PASSWORD
from tests.scenario.stage import Stage

REGISTRARS = scenarios("registrar")
CHALLENGED = ("our_register_answers", "our_register_follows", "wrong_password", "answers_a_challenge")
CHALLENGING = [each for each in REGISTRARS if any(word in each.name for word in CHALLENGED)]


@pytest.mark.parametrize("scenario", REGISTRARS, ids=str)
def test_a_sipp_registrar_sees_what_the_rfc_says(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)

    assert played.sipp.status == 0, played.story


@pytest.mark.parametrize("scenario", CHALLENGING, ids=str)
def test_every_answer_of_a_trunk_to_a_challenge_is_right(scenario: Scenario, stage: Stage) -> None:
    played = stage.played(scenario)

    answered = answered_requests(played.sipp.texts["SIPp's messages"])

    assert answered, played.story
    for method, uri, given in answered:
        assert given["uri"] == uri, played.story
        assert given["response"] == answer(method, given, PASSWORD), f"{given}\n{played.story}"


def test_the_registered_daemon_goes_down_in_order(stage: Stage) -> None:
    """Last of all: SIGTERM came, un-registering was tried everywhere, and nothing has left a traceback."""
    if not stage.registered():
        pytest.skip("no scenario that registers was chosen")
    daemon = stage.daemons["registrar"]

    assert daemon.faults() == []
    assert daemon.popen.returncode == 0
