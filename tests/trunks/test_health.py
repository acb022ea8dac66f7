import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import parse_uri
from sipflow.trunks.health import Health
from sipflow.trunks.outputs import HealthState
from sipflow.trunks.settings import HealthSettings
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import Answer, Play, answered, pbx, silence

ASKED = "OPTIONS to sip:pbx.example.com"


def health(trunk: Trunk | None = None, *, jitter: float = 0.0) -> Health:
    return Health(trunk or pbx(health=HealthSettings()), call_id="call", tag="tag", jitter=lambda: jitter)


def status(code: int) -> Answer:
    return lambda plan, now: answered(plan, code)


def test_the_question_is_a_bare_options_without_credentials() -> None:
    play = Play(health(), status(200)).start()

    assert play.plans == [
        RequestPlan(
            method="OPTIONS",
            uri=parse_uri("sip:pbx.example.com"),  # type: ignore[arg-type]
            destination=parse_uri("sip:pbx.example.com"),  # type: ignore[arg-type]
            from_=NameAddr("", parse_uri("sip:2001@pbx.example.com"), (("tag", "tag"),)),
            to=NameAddr("", parse_uri("sip:pbx.example.com")),
            call_id="call",
            cseq=1,
            headers=(("Accept", "application/sdp"),),
            contact_user="2001",
        )
    ]


@pytest.mark.parametrize("code", [200, 401, 403, 404, 405, 486, 500, 501, 603])
def test_any_final_answer_but_408_and_503_says_that_it_is_up(code: int) -> None:
    play = Play(health(), status(code)).start(until=70.0)

    assert play.log == [
        (0.0, ASKED),
        (0.0, f"up: trunk pbx: 10.0.0.5 answers ({code} to OPTIONS)"),
        (30.0, ASKED),
        (60.0, ASKED),
    ]


def test_two_misses_in_a_row_say_that_it_is_down_and_one_answer_that_it_is_up_again() -> None:
    machine = health()
    gone = range(25, 115)

    def answer(plan: RequestPlan, now: float) -> object:
        return silence(plan) if int(now) in gone else answered(plan, 200)

    play = Play(machine, answer, delay_s=1.0).start(until=123.0)  # type: ignore[arg-type]

    assert play.log == [
        (0.0, ASKED),
        (1.0, "up: trunk pbx: 10.0.0.5 answers (200 to OPTIONS)"),
        (30.0, ASKED),
        (60.0, ASKED),
        (
            61.0,
            "down: trunk pbx: OPTIONS to sip:pbx.example.com: no answer from udp:10.0.0.5:5060 (2 times in a row)",
        ),
        (90.0, ASKED),
        (120.0, ASKED),
        (121.0, "up: trunk pbx: 10.0.0.5 answers (200 to OPTIONS)"),
    ]
    assert (machine.misses, machine.last_error, machine.round_trip_s) == (0, "", 1.0)


def test_a_full_host_counts_as_missing_and_says_so() -> None:
    machine = health(pbx(health=HealthSettings(misses=1)))

    play = Play(machine, status(503)).start()

    assert play.log[1:] == [
        (0.0, "down: trunk pbx: 503 Service Unavailable from 10.0.0.5 to OPTIONS (1 times in a row)"),
    ]


def test_a_question_that_times_out_after_its_interval_is_asked_again_at_once() -> None:
    play = Play(health(), lambda plan, now: silence(plan), delay_s=32.0).start(until=70.0)

    assert play.times("OPTIONS") == [0.0, 32.0, 64.0]


@pytest.mark.parametrize(("jitter", "second"), [(0.0, 30.0), (1.0, 27.0)])
def test_questions_are_spread_over_a_tenth_of_the_interval(jitter: float, second: float) -> None:
    assert Play(health(jitter=jitter), status(200)).start(until=31.0).times("OPTIONS") == [0.0, second]


def test_a_stopped_check_asks_no_more_and_forgets_what_it_knew() -> None:
    machine = health()
    play = Play(machine, status(200)).start(until=1.0)

    assert machine.stop(now=1.0) == []
    play.run(100.0)

    assert (play.times("OPTIONS"), machine.state, machine.deadline) == ([0.0], HealthState.UNKNOWN, None)


def test_a_check_stopped_in_the_middle_ignores_the_answer_and_can_start_again() -> None:
    machine = health()
    play = Play(machine, status(200), delay_s=1.0).start()
    machine.stop(now=0.5)
    assert machine.start(now=0.5) == []  # the question is still under way

    play.run(1.0)

    assert (machine.state, machine.idle, machine.start(now=1.0)) == (HealthState.UP, True, [])


def test_strays_are_ignored() -> None:
    machine = health()
    play = Play(machine, status(200)).start(until=1.0)

    assert machine.outcome(answered(play.plans[0], 200), now=1.0) == []
    assert machine.handle_timer(now=1.0) == []


def test_a_trunk_without_health_has_no_check() -> None:
    with pytest.raises(LocalProtocolError, match="trunk pbx has no health check"):
        health(pbx())
