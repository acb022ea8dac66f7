"""What the test of a trunk finds, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.plan import Outcome
from sipflow.trunks.findings import (
    Finding,
    Judgement,
    abilities,
    asked_options,
    certificate_of,
    records_of,
    registered,
    resolved,
    seen_through_nat,
    unregistered,
    unresolved,
)
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.registration import Registration
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.trunk import Trunk

HOP = Hop("udp", "192.0.2.10", 5060)
TRUNK = Trunk("pbx", sip_domain="pbx.example.com", username="2001", password="secret-word", register=RegisterSettings())
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def answer(status: int = 200, headers: dict[str, str] | None = None) -> Response:
    request = Request("OPTIONS", "sip:pbx.example.com")
    for name, value in {"Via": "SIP/2.0/UDP h;branch=z9hG4bK1", "CSeq": "1 OPTIONS", "Call-ID": "1"}.items():
        request.headers.add(name, value)
    request.headers.add("From", "<sip:a@b>;tag=1")
    request.headers.add("To", "<sip:a@b>")
    return make_response(request, status, headers=list((headers or {}).items()))


def outcome(status: int, response: Response | None = None, reason: str = "") -> Outcome:
    return Outcome(status, reason, response, HOP, "", 1, 0, ("192.0.2.1", 5060))


def test_what_dns_said_is_listed_record_by_record() -> None:
    asked = {
        Question("NAPTR", "x"): Answer(naptr=(Naptr(10, 20, "s", "SIP+D2U", "_sip._udp.x"),)),
        Question("SRV", "_sip._udp.x"): Answer(srv=(Srv(1, 2, 5060, "one.x"), Srv(3, 0, 5060, ""))),
        Question("A", "one.x"): Answer(addresses=("192.0.2.10", "192.0.2.11")),
        Question("AAAA", "one.x"): Answer(),
        Question("A", "two.x"): Answer(problem="DNS says the name does not exist"),
    }

    assert records_of(asked) == (
        "NAPTR x: 10 20 SIP+D2U _sip._udp.x",
        "SRV _sip._udp.x: 1 2 5060 one.x",
        "SRV _sip._udp.x: 3 0 5060 .",
        "A one.x: 192.0.2.10",
        "A one.x: 192.0.2.11",
        "AAAA one.x: none",
        "A two.x: DNS says the name does not exist",
    )


def test_name_that_leads_somewhere_or_nowhere_is_told() -> None:
    hops = tuple(Hop("udp", f"192.0.2.{last}", 5060) for last in range(1, 6))

    assert resolved("sip:x", hops[:1], {}, 3.0) == Finding(
        "resolve", Judgement.OK, "sip:x leads to udp:192.0.2.1:5060", "", 3.0
    )
    assert resolved("sip:x", hops, {}, 3.0).text.endswith("udp:192.0.2.4:5060 and more")
    assert unresolved("no address for x", {}, 3.0).judgement is Judgement.FAILED


@pytest.mark.parametrize(("days", "judgement"), [(90, Judgement.OK), (20, Judgement.WARNING), (1, Judgement.WARNING)])
def test_certificate_that_ends_soon_is_a_warning(days: int, judgement: Judgement) -> None:
    shown = {
        "subjectAltName": (("DNS", "pbx.example.com"),),
        "issuer": ((("countryName", "US"),), (("organizationName", "A Trust"),)),
    }
    found = certificate_of(shown, "TLSv1.3", HOP, now=NOW, until=NOW + timedelta(days=days))

    assert found.judgement is judgement
    assert found.text.startswith("TLSv1.3, certificate for pbx.example.com by A Trust, good until 2026-")


def test_any_answer_to_options_says_that_somebody_is_there_and_503_that_he_serves_nobody() -> None:
    there = [asked_options(outcome(status, answer(status), "words"), 12.0) for status in (200, 404, 401, 403)]
    away = asked_options(outcome(503, answer(503), "Busy"), 1.0)

    assert [each.judgement for each in there] == [Judgement.OK] * 4
    assert there[0] == Finding("options", Judgement.OK, "200 words from udp:192.0.2.10:5060", "", 12.0)
    assert (away.judgement, away.text) == (Judgement.FAILED, "503 Busy from udp:192.0.2.10:5060")
    assert away.advice.startswith("it is overloaded or being worked on")


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("udp:192.0.2.1:5060 cannot be reached: Connection refused", "nothing listens there"),
        ("what it sent is not SIP, or larger than a message may be", "something else than SIP has that port"),
        ("the peer closed the connection", "it takes connections and closes them unanswered"),
        ("no answer in 3 s", "nobody is there, a firewall is between"),
    ],
)
def test_where_no_answer_came_the_advice_follows_from_what_the_network_said(why: str, advice: str) -> None:
    options = asked_options(outcome(408, None, why), 12.0)
    error = f"trunk pbx: REGISTER as 2001 to sip:192.0.2.1: {why}"
    register = registered(machine(RegistrationState.FAILED, last_error=error), 0.0, 20.0)

    assert (options.judgement, options.text) == (Judgement.FAILED, f"no answer to OPTIONS: {why}")
    assert (register.judgement, register.text) == (Judgement.FAILED, f"REGISTER as 2001 to sip:192.0.2.1: {why}")
    assert options.advice.startswith(advice)
    assert register.advice == options.advice


def test_a_registrar_in_trouble_is_no_matter_of_passwords() -> None:
    error = "trunk pbx: 503 Service Unavailable from 192.0.2.10 to REGISTER as 2001"
    found = registered(machine(RegistrationState.FAILED, last_error=error), 0.0, 20.0)

    assert found.text == "503 Service Unavailable from 192.0.2.10 to REGISTER as 2001"
    assert found.advice.startswith("the registrar has trouble of its own")


def test_slow_far_end_is_a_warning() -> None:
    assert asked_options(outcome(200, answer()), 400.0).judgement is Judgement.WARNING


@pytest.mark.parametrize(
    ("headers", "steps"),
    [
        ({}, {"abilities": "ok"}),
        ({"Allow": "INVITE, REFER, UPDATE", "Supported": "timer, 100rel"}, {"abilities": "ok", "refer": "ok"}),
        (
            {"Allow": "invite", "Supported": "path"},
            {"abilities": "ok", "refer": "warning", "timers": "ok", "update": "ok", "100rel": "ok"},
        ),
    ],
)
def test_abilities_are_told_where_the_far_end_says_them(headers: dict[str, str], steps: dict[str, str]) -> None:
    assert {each.step: str(each.judgement) for each in abilities(answer(headers=headers))} == steps
    assert abilities(None) == []


def machine(state: RegistrationState, **fields: object) -> Registration:
    made = Registration(TRUNK, call_id="1", tag="1", token="1", jitter=lambda: 0.0)
    made.state = state
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_registration_is_told_with_its_length_its_doubt_or_its_failure() -> None:
    good = registered(machine(RegistrationState.REGISTERED, answered_by=HOP), 300.0, 20.0)
    doubted = registered(machine(RegistrationState.REGISTERED, doubt="it lists no Contact"), 300.0, 20.0)
    error = "trunk pbx: 403 Forbidden from 192.0.2.10 to REGISTER as 2001: check username and password"
    bad = registered(machine(RegistrationState.REJECTED, last_error=error), 0.0, 20.0)

    assert good == Finding("register", Judgement.OK, f"registered at {HOP} as 2001 for 300 s", "", 20.0)
    assert (doubted.judgement, doubted.advice) == (Judgement.WARNING, "it lists no Contact")
    assert (bad.judgement, bad.text, bad.advice) == (
        Judgement.FAILED, "403 Forbidden from 192.0.2.10 to REGISTER as 2001", "check username and password",
    )  # fmt: skip


def test_contact_that_stays_is_a_warning() -> None:
    assert unregistered(machine(RegistrationState.UNREGISTERED), 5.0).judgement is Judgement.OK
    assert unregistered(machine(RegistrationState.UNREGISTERED, last_error="500"), 5.0).judgement is Judgement.WARNING


@pytest.mark.parametrize(
    ("local", "seen", "judgement", "words"),
    [
        (("192.0.2.1", 5060), ("192.0.2.1", 5060), Judgement.OK, "no NAT between"),
        (("192.0.2.1", 5060), ("192.0.2.1", 4711), Judgement.WARNING, "another port"),
        (("192.168.1.5", 5060), ("203.0.113.7", 4711), Judgement.WARNING, "advertise) to 203.0.113.7"),
        (("192.168.1.5", 5060), ("10.0.0.7", 4711), Judgement.WARNING, "set trunks.pbx.advertise to 10.0.0.7"),
        (None, ("203.0.113.7", 4711), Judgement.SKIPPED, "does not say"),
        (("192.168.1.5", 5060), None, Judgement.SKIPPED, "does not say"),
    ],
)
def test_address_that_the_far_end_saw_tells_of_nat(
    local: tuple[str, int] | None, seen: tuple[str, int] | None, judgement: Judgement, words: str
) -> None:
    found = seen_through_nat(TRUNK, local, seen)

    assert (found.judgement, words in f"{found.text} {found.advice}") == (judgement, True)
