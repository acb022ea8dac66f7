from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.uri import parse_uri
from sipflow.trunks.outputs import RegistrationState, Send, StateChanged
from sipflow.trunks.settings import RegisterSettings
from tests.trunks.registrar import (
    TOKEN,
    Answer,
    Play,
    accept,
    answered,
    granted,
    pbx,
    quiet,
    refuse,
    registration,
    script,
    silence,
    states,
)

SENT = "REGISTER 300 to sip:pbx.example.com"


# What is sent


def test_a_register_names_the_bare_domain_and_carries_the_token_in_its_contact() -> None:
    trunk = pbx(outbound_proxy="<sip:10.0.0.5:5080;transport=tcp;lr>", auth_username="a", advertise="203.0.113.5")

    play = Play(registration(trunk), accept).start()

    assert play.plans == [
        RequestPlan(
            method="REGISTER",
            uri=parse_uri("sip:pbx.example.com"),  # type: ignore[arg-type]
            destination=parse_uri("sip:10.0.0.5:5080;transport=tcp"),  # type: ignore[arg-type]
            from_=NameAddr("", parse_uri("sip:2001@pbx.example.com"), (("tag", "tag"),)),
            to=NameAddr("", parse_uri("sip:2001@pbx.example.com")),
            call_id="call",
            cseq=1,
            headers=(("Expires", "300"), ("Supported", "path")),
            contact_user="2001",
            contact_params=(("line", TOKEN),),
            contact_header_params=";expires=300",
            accounts=(Account("a", "secret"),),
            advertise="203.0.113.5",
            routes=("<sip:10.0.0.5:5080;transport=tcp;lr>",),
        )
    ]


def test_a_domain_with_a_port_keeps_it_in_the_request_uri() -> None:
    play = Play(registration(pbx(sip_domain="10.0.0.5:5070")), accept).start()

    assert (str(play.plans[0].uri), str(play.plans[0].to)) == ("sip:10.0.0.5:5070", "<sip:2001@10.0.0.5:5070>")


def test_a_trunk_that_does_not_register_has_no_registration() -> None:
    with pytest.raises(LocalProtocolError, match="trunk pbx does not register"):
        registration(pbx(register=None))


# Success and refresh


def test_a_registration_is_refreshed_before_it_ends_and_says_so_once() -> None:
    play = Play(registration(jitter=0.0), accept).start(until=700.0)

    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
        (225.0, SENT),
        (450.0, SENT),
        (675.0, SENT),
    ]


def test_the_call_id_stays_and_cseq_grows_past_those_that_challenges_took() -> None:
    play = Play(registration(jitter=0.0), accept).start(until=500.0)  # each attempt is challenged once

    assert [(plan.call_id, plan.cseq) for plan in play.plans] == [("call", 1), ("call", 3), ("call", 5)]


def test_the_granted_expiry_is_honoured_and_never_becomes_what_is_asked_for() -> None:
    play = Play(registration(jitter=0.0), lambda plan, now: granted(plan, 120)).start(until=190.0)

    assert [entry for entry in play.log if entry[1].startswith("REGISTER")] == [
        (0.0, SENT),
        (90.0, SENT),
        (180.0, SENT),
    ]
    assert play.machine.deadline == 270.0


@pytest.mark.parametrize(("expires", "refreshes"), [(0, 22.5), (1, 3.75), (20, 15.0), (10**9, 64_800.0)])
def test_an_absurd_expiry_is_clamped(expires: int, refreshes: float) -> None:
    trunk = pbx(register=RegisterSettings(expires=86_400))
    play = Play(registration(trunk, jitter=0.0), lambda plan, now: granted(plan, expires)).start()

    assert play.machine.deadline == refreshes


def test_a_registrar_that_grants_more_than_it_was_asked_for_is_refreshed_as_often_as_the_operator_wants() -> None:
    machine = registration(jitter=0.0)
    play = Play(machine, lambda plan, now: granted(plan, 3600)).start(until=500.0)

    assert (play.times(), machine.registered_until) == ([0.0, 225.0, 450.0], 450.0 + 3600.0)


def test_what_the_registrar_saw_of_us_is_kept() -> None:
    machine = registration()
    via = "SIP/2.0/UDP 192.168.1.2:5060;branch=z;received=203.0.113.9;rport=40123"

    Play(machine, lambda plan, now: answered(plan, 200, via=via)).start()

    assert machine.seen_as == ("203.0.113.9", 40123)
    assert machine.answered_by == Hop("udp", "10.0.0.5", 5060)


def test_a_200_without_our_contact_registers_and_is_doubted() -> None:
    machine = registration()

    play = Play(machine, lambda plan, now: answered(plan, 200, ("Expires", "120"))).start(until=100.0)

    doubt = (
        "the 200 lists no Contact, so calls may not reach this trunk: "
        "see whether the registrar allows one more device"
    )  # fmt: skip
    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, f"registered: trunk pbx: registered at 10.0.0.5 as 2001 for 120 s; but {doubt}"),
        (78.0, SENT),
    ]
    assert (machine.doubt, machine.last_error) == (doubt, "")


# 423


def test_423_is_answered_at_once_with_what_the_registrar_wants() -> None:
    answer = script(refuse(423, ("Min-Expires", "600")), accept)

    play = Play(registration(jitter=0.0), answer).start(until=460.0)

    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, "REGISTER 600 to sip:pbx.example.com"),
        (0.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 600 s"),
        (450.0, "REGISTER 600 to sip:pbx.example.com"),
    ]


@pytest.mark.parametrize("least", ["300", "30", "0", "x", "-600"])
def test_423_that_wants_nothing_longer_is_a_failure(least: str) -> None:
    play = Play(registration(), refuse(423, ("Min-Expires", least))).start(until=1.0)

    error = "trunk pbx: 423 Interval Too Brief from 10.0.0.5 to REGISTER as 2001: raise register.expires"
    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, f"failed: {error} (next try in 0.5 s)"),
        (0.5, SENT),
    ]


def test_a_registrar_that_always_wants_more_is_followed_once_per_attempt_and_never_beyond_a_day() -> None:
    asked = [0]

    def insatiable(plan: RequestPlan, now: float) -> Outcome:
        asked[0] += 1000
        return answered(plan, 423, ("Min-Expires", str(asked[0])))

    play = Play(registration(), insatiable).start(until=0.6)
    greedy = Play(registration(), refuse(423, ("Min-Expires", "999999999"))).start(until=0.6)

    assert [plan.contact_header_params for plan in play.plans] == [
        ";expires=300", ";expires=1000", ";expires=1000", ";expires=3000",
    ]  # fmt: skip
    assert [plan.contact_header_params for plan in greedy.plans] == [
        ";expires=300", ";expires=86400", ";expires=86400",
    ]  # fmt: skip


# Refused


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 410, 501, 603, 604])
def test_a_refusal_is_not_hammered(status: int) -> None:
    play = Play(registration(jitter=0.0), refuse(status)).start(until=20_000.0)

    assert play.times() == [0.0, 300.0, 900.0, 2100.0, 4500.0, 8100.0, 11_700.0, 15_300.0, 18_900.0]
    assert play.changes() == [(0.0, "registering"), (0.0, "rejected")]


def test_a_refusal_is_explained_and_never_retried_earlier_than_its_pause() -> None:
    machine = registration(jitter=1.0)

    play = Play(machine, lambda plan, now: answered(plan, 403, realm="pbx", challenges=1)).start(until=374.9)

    error = (
        "trunk pbx: 403 Forbidden from 10.0.0.5 to REGISTER as 2001 (realm pbx): check username and password"
    )  # fmt: skip
    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, f"rejected: {error} (next try in 375 s)"),
    ]
    assert (machine.state, machine.last_error, machine.retry_at) == (RegistrationState.REJECTED, error, 375.0)


# Failed


@pytest.mark.parametrize("status", [408, 480, 500, 503, 504])
def test_a_failure_at_start_is_retried_quickly_then_ever_more_slowly_up_to_5_minutes(status: int) -> None:
    play = Play(registration(jitter=1.0), refuse(status)).start(until=1200.0)

    assert play.times() == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5, 255.5, 511.5, 811.5, 1111.5]
    assert play.changes() == [(0.0, "registering"), (0.0, "failed")]


def test_silence_is_a_failure_and_its_pause_counts_from_the_time_out() -> None:
    play = Play(registration(), quiet, delay_s=32.0).start(until=70.0)

    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (
            32.0,
            "failed: trunk pbx: REGISTER as 2001 to sip:pbx.example.com: no answer from udp:10.0.0.5:5060 "
            "(next try in 0.5 s)",
        ),
        (32.5, SENT),
        (65.5, SENT),
    ]


def test_another_reason_for_failing_is_told_and_the_same_is_not() -> None:
    answer = script(refuse(503), refuse(503), refuse(500), refuse(403), accept)

    play = Play(registration(), answer).start(until=400.0)

    told = [(at, entry) for at, entry in play.log if not entry.startswith("REGISTER")]
    assert told == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, "failed: trunk pbx: 503 Service Unavailable from 10.0.0.5 to REGISTER as 2001 (next try in 0.5 s)"),
        (1.5, "failed: trunk pbx: 500 Server Internal Error from 10.0.0.5 to REGISTER as 2001 (next try in 2.0 s)"),
        (
            3.5,
            "rejected: trunk pbx: 403 Forbidden from 10.0.0.5 to REGISTER as 2001: check username and password "
            "(next try in 375 s)",
        ),
        (378.5, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
    ]


# A registration that fails later


def test_a_failed_refresh_is_retried_while_the_binding_lasts_and_recovers() -> None:
    machine = registration(jitter=1.0)
    answer = script(accept, refuse(503), quiet, accept)

    play = Play(machine, answer).start(until=250.0)

    assert play.log[3:] == [
        (195.0, SENT),
        (
            195.0,
            "registered: trunk pbx: 503 Service Unavailable from 10.0.0.5 to REGISTER as 2001 "
            "(still registered for 105 s, next try in 1.0 s)",
        ),
        (196.0, SENT),
        (
            196.0,
            "registered: trunk pbx: REGISTER as 2001 to sip:pbx.example.com: no answer from udp:10.0.0.5:5060 "
            "(still registered for 104 s, next try in 2.0 s)",
        ),
        (198.0, SENT),
        (198.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
    ]
    assert (machine.last_error, machine.registered_until) == ("", 498.0)


def test_a_registrar_that_stays_away_lets_the_registration_run_out_and_is_found_when_it_is_back() -> None:
    back_at = 1000.0
    machine = registration(jitter=1.0)

    play = Play(machine, lambda plan, now: granted(plan) if now < 1 or now > back_at else silence(plan), delay_s=0.0)
    play.start(until=1300.0)

    assert play.changes() == [
        (0.0, "registering"),
        (0.0, "registered"),
        (195.0, "registered"),  # the refresh failed, the binding lasts
        (300.0, "failed"),
        (1006.0, "registered"),
    ]
    assert play.times() == [
        0.0, 195.0, 196.0, 198.0, 202.0, 210.0, 226.0, 258.0, 322.0, 450.0, 706.0, 1006.0, 1201.0,
    ]  # fmt: skip
    assert play.log[11] == (
        300.0,
        "failed: trunk pbx: REGISTER as 2001 to sip:pbx.example.com: no answer from udp:10.0.0.5:5060 "
        "(the registration has run out)",
    )


def test_a_registration_runs_out_even_while_its_refresh_is_under_way() -> None:
    answer = script(lambda plan, now: granted(plan, 30), quiet)
    play = Play(registration(jitter=0.0), answer)
    play.start()
    play.delay_s = 32.0

    play.run(60.0)

    assert [(at, entry.partition(" (")[2] or entry) for at, entry in play.log[3:]] == [
        (22.5, SENT),
        (30.0, "the registration has run out)"),
        (54.5, "next try in 0.8 s)"),
        (55.25, SENT),
    ]


def test_a_refused_refresh_gets_one_second_chance_before_it_is_not_hammered() -> None:
    answer = script(accept, refuse(404))

    play = Play(registration(jitter=0.0), answer).start(until=2000.0)

    assert play.times() == [0.0, 225.0, 255.0, 855.0]
    assert play.changes() == [(0.0, "registering"), (0.0, "registered"), (225.0, "registered"), (300.0, "rejected")]


def test_a_registrar_that_has_forgotten_its_users_for_a_moment_costs_no_call() -> None:
    answer = script(accept, refuse(404), accept)

    play = Play(registration(jitter=0.0), answer).start(until=260.0)

    assert play.times() == [0.0, 225.0, 255.0]
    assert play.changes() == [(0.0, "registering"), (0.0, "registered"), (225.0, "registered"), (255.0, "registered")]


# Redirected


def redirect(status: int, *contacts: str) -> Answer:
    return refuse(status, *[("Contact", contact) for contact in contacts])


def test_a_302_is_followed_for_one_attempt_with_the_same_request_uri() -> None:
    answer = script(redirect(302, "<sip:node2.example.com;transport=tcp>"), accept)

    play = Play(registration(pbx(outbound_proxy="10.0.0.5;lr"), jitter=0.0), answer).start(until=230.0)

    assert play.log[1:] == [
        (0.0, "REGISTER 300 to sip:10.0.0.5"),
        (0.0, "REGISTER 300 to sip:node2.example.com;transport=tcp"),
        (0.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
        (225.0, "REGISTER 300 to sip:10.0.0.5"),
    ]
    assert {str(plan.uri) for plan in play.plans} == {"sip:pbx.example.com"}
    assert [plan.routes for plan in play.plans] == [("<sip:10.0.0.5;lr>",), (), ("<sip:10.0.0.5;lr>",)]


def test_a_301_is_remembered_until_its_target_fails() -> None:
    answer = script(redirect(301, "<sip:10.0.0.6>"), accept, accept, quiet, accept)

    play = Play(registration(jitter=0.0), answer).start(until=460.0)

    assert [(at, entry) for at, entry in play.log if entry.startswith("REGISTER")] == [
        (0.0, SENT),
        (0.0, "REGISTER 300 to sip:10.0.0.6"),
        (225.0, "REGISTER 300 to sip:10.0.0.6"),
        (450.0, "REGISTER 300 to sip:10.0.0.6"),
        (450.75, SENT),
    ]


def test_registrars_that_send_us_in_circles_are_left_after_five_hops() -> None:
    def next_door(plan: RequestPlan, now: float) -> Outcome:
        number = int(plan.destination.host.rpartition(".")[2]) + 1 if plan.destination.host[0] == "1" else 1
        return answered(plan, 302, ("Contact", f"<sip:10.0.0.{number}>"))

    play = Play(registration(), next_door).start(until=0.4)

    assert [plan.destination.host for plan in play.plans] == [
        "pbx.example.com", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5",
    ]  # fmt: skip
    assert play.log[-1] == (
        0.0,
        "failed: trunk pbx: 302 Moved Temporarily from 10.0.0.5 to REGISTER as 2001: redirected more than 5 times "
        "(next try in 0.5 s)",
    )


# Stopping


def test_stopping_takes_our_contact_back_from_where_it_is() -> None:
    answer = script(redirect(302, "<sip:10.0.0.6>"), accept, lambda plan, now: answered(plan, 200))
    play = Play(registration(), answer).start(until=10.0)

    play.do(play.machine.stop(now=10.0))
    play.run(1000.0)

    assert play.log[4:] == [
        (10.0, "unregistering: trunk pbx: un-registering"),
        (10.0, "REGISTER 0 to sip:10.0.0.6"),
        (10.0, "unregistered: trunk pbx: un-registered"),
    ]
    last = play.plans[-1]
    assert (last.headers[0], last.contact_header_params, last.call_id) == (("Expires", "0"), ";expires=0", "call")
    assert (play.machine.deadline, play.machine.idle) == (None, True)


def test_stopping_a_trunk_that_was_never_registered_sends_nothing() -> None:
    play = Play(registration(), refuse(503)).start(until=0.4)

    play.do(play.machine.stop(now=0.4))

    assert play.log[3:] == [(0.4, "unregistered: trunk pbx: not registered any more")]
    assert Play(registration(), accept).machine.stop(now=0.0) == []


def test_stopping_in_the_middle_of_the_first_register_takes_back_what_it_brings() -> None:
    play = Play(registration(), accept, delay_s=1.0).start()

    play.do(play.machine.stop(now=0.0))
    play.run(10.0)

    assert play.log == [
        (0.0, "registering: trunk pbx: registering at sip:pbx.example.com"),
        (0.0, SENT),
        (0.0, "unregistering: trunk pbx: un-registering"),
        (1.0, "REGISTER 0 to sip:pbx.example.com"),
        (2.0, "unregistered: trunk pbx: un-registered"),
    ]


def test_stopping_in_the_middle_of_a_register_that_fails_ends_there() -> None:
    play = Play(registration(), quiet, delay_s=32.0).start()

    play.do(play.machine.stop(now=0.0))
    play.run(100.0)

    assert play.log[2:] == [
        (0.0, "unregistering: trunk pbx: un-registering"),
        (32.0, "unregistered: trunk pbx: not registered any more"),
    ]


def test_a_registrar_that_does_not_take_the_contact_back_is_told_of() -> None:
    play = Play(registration(), script(accept, refuse(500))).start(until=10.0)

    play.do(play.machine.stop(now=10.0))
    play.run(10.0)

    assert play.log[-1] == (
        10.0,
        "unregistered: trunk pbx: 500 Server Internal Error from 10.0.0.5 to REGISTER as 2001 "
        "(our Contact stays at the registrar until it runs out)",
    )


def test_a_trunk_started_again_while_it_un_registers_registers_after_that() -> None:
    play = Play(registration(jitter=0.0), accept).start(until=10.0)
    play.delay_s = 1.0

    play.do(play.machine.stop(now=10.0))
    play.do(play.machine.start(now=10.0))
    play.run(20.0)

    assert play.log[3:] == [
        (10.0, "unregistering: trunk pbx: un-registering"),
        (10.0, "REGISTER 0 to sip:pbx.example.com"),
        (11.0, "registering: trunk pbx: registering again"),
        (11.0, SENT),
        (12.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
    ]


def test_a_trunk_stopped_and_started_while_it_registers_just_goes_on() -> None:
    play = Play(registration(), accept, delay_s=1.0).start()

    play.do(play.machine.stop(now=0.0))
    play.do(play.machine.start(now=0.0))
    play.run(2.0)

    assert play.log[2:] == [
        (0.0, "unregistering: trunk pbx: un-registering"),
        (1.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
    ]


# Kicks and strays


def test_a_kick_registers_at_once_whatever_was_planned() -> None:
    machine = registration()
    play = Play(machine, script(refuse(403), accept)).start(until=10.0)

    play.do(machine.kick(now=10.0))
    play.run(10.0)

    assert play.log[3:] == [(10.0, SENT), (10.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s")]


def test_a_kick_may_leave_the_moment_to_chance_but_never_delays_what_is_due() -> None:
    machine = registration(jitter=0.5)
    play = Play(machine, accept).start(until=100.0)

    play.do(machine.kick(now=100.0, within_s=2.0))
    assert machine.retry_at == 101.0
    play.do(machine.kick(now=100.5, within_s=60.0))

    assert machine.retry_at == 101.0


def test_a_kick_does_nothing_to_a_trunk_that_is_busy_or_unwanted() -> None:
    machine = registration()
    assert machine.kick(now=0.0) == []

    machine.start(now=0.0)

    assert machine.kick(now=0.0) == []


def test_an_outcome_nobody_waits_for_changes_nothing() -> None:
    machine = registration()
    play = Play(machine, accept).start(until=200.0)
    first = granted(play.plans[0], 3600)

    assert machine.outcome(first, now=50.0) == []
    sent = machine.kick(now=50.0)
    assert machine.outcome(first, now=50.0) == []  # the CSeq of an earlier REGISTER

    assert isinstance(sent[0], Send)
    assert (machine.idle, machine.registered_until) == (False, 495.0)


def test_starting_twice_sends_once() -> None:
    machine = registration()

    outputs = machine.start(now=0.0)

    assert states(outputs) == ["registering"]
    assert machine.start(now=0.0) == []


def test_trouble_is_marked() -> None:
    machine = registration()
    (plan,) = [output.plan for output in machine.start(now=0.0) if isinstance(output, Send)]

    (change,) = machine.outcome(silence(plan), now=0.0)

    assert isinstance(change, StateChanged)
    assert change.trouble


ODDITIES = st.tuples(
    st.sampled_from(["Contact", "Expires", "Min-Expires", "Retry-After"]),
    st.sampled_from(["<sip:10.0.0.6>", f"<sip:a@b;line={TOKEN}>;expires=0", "*", '"<', "-1", "0", "3600", "9" * 5000]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(200, 699), st.lists(ODDITIES, max_size=3)), max_size=15), st.floats(0, 1))
def test_whatever_a_registrar_answers_the_trunk_goes_on_without_hammering(
    answers: list[tuple[int, list[tuple[str, str]]]], jitter: float
) -> None:
    machine = registration(jitter=jitter)
    left = [lambda plan, now, it=it: answered(plan, it[0], *it[1]) for it in answers]

    play = Play(machine, script(*left, accept)).start(until=20_000.0)

    starts = sorted(set(play.times()))
    assert all(later - earlier >= 0.374 for earlier, later in pairwise(starts))
    assert max(play.times().count(at) for at in starts) <= 8  # five redirections, one 423
    cseqs = [plan.cseq for plan in play.plans]
    assert cseqs == sorted(set(cseqs))
    assert machine.retry_at is not None
    assert (machine.state == "registered") == (machine.registered_until is not None)
