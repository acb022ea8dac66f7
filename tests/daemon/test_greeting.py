"""What the daemon says when it is ready."""

import re
import sys
from dataclasses import replace

import pytest

from sipflow import __version__
from sipflow.config.load import parse
from sipflow.daemon.greeting import describe, greet, health_lines
from sipflow.net.settings import ListenAddress
from sipflow.sip.hop import Hop
from sipflow.trunks.outputs import HealthState, RegistrationState
from sipflow.trunks.runner import HealthStatus, RegistrationStatus

TEXT = """
sip: {listen: [udp:0.0.0.0:0, tcp:127.0.0.1:0]}
trunks:
  pbx: {sip_domain: pbx.example.com, username: "2001", password: secret-word}
  local: {accept_from: [127.0.0.0/8]}
  peer: {sip_domain: peer.example.com}
numbers:
  "*21": {inbound_agent: echo}
  "+12065550100": {friendly_name: Echo, trunk: pbx, inbound_agent: echo}
  "200": {trunk: local}
agents:
  echo: {handler: echo}
"""
LISTENING = (ListenAddress("udp", "0.0.0.0", 5062), ListenAddress("tcp", "127.0.0.1", 5063))
WAITING = RegistrationStatus("pbx", RegistrationState.REGISTERING, None, None, "", "", None, None)


@pytest.fixture(autouse=True)
def _typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["python"])


def greeting(state: RegistrationStatus, text: str = TEXT) -> list[str]:
    return greet(parse(text), LISTENING, [state], now=1000.0)


def test_greeting_tells_listeners_trunks_numbers_and_how_to_call() -> None:
    registered = replace(
        WAITING,
        state=RegistrationState.REGISTERED,
        registered_until=1299.6,
        answered_by=Hop("tcp", "10.0.0.5", 5060),
    )

    assert greeting(registered) == [
        f"sipflow {__version__} is ready",
        "  listening on udp:0.0.0.0:5062, tcp:127.0.0.1:5063",
        "  trunk pbx: registered at tcp:10.0.0.5:5060 for 300 s",
        "  trunk local: takes calls from 127.0.0.0/8",
        "  trunk peer: takes calls from sip:peer.example.com",
        "  number *21 -> agent echo",
        "  number +12065550100 (Echo) -> agent echo",
        "  number 200 -> no inbound agent",
        "  call it:  sipflow call sip:+12065550100@127.0.0.1:5062   (or any softphone)",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "registering"),
        ({"state": RegistrationState.UNREGISTERED}, "registering soon"),
        (
            {"state": RegistrationState.REGISTERED, "registered_until": 1060.0, "doubt": "it sees us elsewhere"},
            "registered for 60 s (it sees us elsewhere)",
        ),
        (
            {"state": RegistrationState.FAILED, "last_error": "trunk pbx: no answer from 10.0.0.5", "retry_at": 1004.0},
            "no answer from 10.0.0.5, next try in 4 s",
        ),
        ({"state": RegistrationState.REJECTED, "last_error": "trunk pbx: 403 Forbidden"}, "403 Forbidden"),
    ],
)
def test_state_of_a_registration_is_told_in_words(changes: dict[str, object], line: str) -> None:
    assert greeting(replace(WAITING, **changes))[2] == f"  trunk pbx: {line}"  # type: ignore[arg-type]


def test_password_is_never_greeted() -> None:
    assert "secret-word" not in "\n".join([*greeting(WAITING), *describe(parse(TEXT))])


def test_numbers_are_hidden_where_the_log_hides_them() -> None:
    text = f"{TEXT}\nlog: {{mask_numbers: true}}"
    lines = greet(parse(text), LISTENING, [], now=0.0, more=["store /var/lib/1234567890.db"])

    assert re.findall(r"\d{7,}", "\n".join(lines)) == ["1234567890"]
    assert any("***" in line for line in lines)


def test_empty_configuration_says_what_to_add() -> None:
    assert greet(parse("{}"), LISTENING, [], now=0.0)[2:] == [
        "  no trunks yet: add some under `trunks:`",
        "  no numbers yet: add some under `numbers:`",
    ]


def test_many_trunks_and_numbers_are_counted() -> None:
    trunks = "".join(f"  t{n}: {{accept_from: [10.0.0.{n}/32]}}\n" for n in range(25))
    numbers = "".join(f'  "{n}": {{}}\n' for n in range(200, 212))
    lines = describe(parse(f"trunks:\n{trunks}numbers:\n{numbers}"))

    assert len(lines) == 1 + 11 + 11
    assert (lines[11], lines[22]) == ("... and 15 more trunks", "... and 2 more numbers")


@pytest.mark.parametrize(
    ("listening", "shown"),
    [
        (ListenAddress("udp", "::", 5060), "sip:+12065550100@[::1]:5060"),
        (ListenAddress("udp", "192.0.2.1", 5070), "sip:+12065550100@192.0.2.1:5070"),
        (ListenAddress("tcp", "127.0.0.1", 5060), "sip:+12065550100@127.0.0.1:5060';transport=tcp'"),
    ],
)
def test_how_to_call_is_what_a_shell_takes(listening: ListenAddress, shown: str) -> None:
    assert greet(parse(TEXT), [listening], [], now=0.0)[-1] == f"  call it:  sipflow call {shown}   (or any softphone)"


def test_check_tells_the_same_before_anything_runs() -> None:
    assert describe(parse(TEXT))[:2] == [
        "listens on udp:0.0.0.0:0, tcp:127.0.0.1:0",
        "trunk pbx: registers at sip:pbx.example.com",
    ]


def test_health_of_far_ends_is_told_in_words() -> None:
    up = HealthStatus("a", HealthState.UP, 0, "", 0.0121)
    down = HealthStatus("b", HealthState.DOWN, 3, "no answer", None)

    assert health_lines([up, down]) == ["trunk a: far end up, answered in 12 ms", "trunk b: far end down (no answer)"]
    assert health_lines([]) == []


def test_check_tells_what_a_profile_brings_and_what_the_file_has_otherwise() -> None:
    text = """
trunks:
  plain: {sip_domain: a.example}
  carrier: {profile: twilio, sip_domain: a.pstn.twilio.com, codecs: PCMA}
  voice: {profile: 3cx, sip_domain: pbx.example.com}
"""
    assert describe(parse(text))[1:-1] == [
        "trunk plain: takes calls from sip:a.example",
        "trunk carrier: takes calls from sip:a.pstn.twilio.com\n"
        "  profile twilio (Twilio Elastic SIP Trunking): register: false, outbound.number_format: e164, "
        "outbound.caller_format: e164; otherwise here: codecs",
        "trunk voice: takes calls from sip:pbx.example.com\n  profile 3cx (3CX)",
    ]
