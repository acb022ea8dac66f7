"""A daemon with an API: what is created there runs at once, and is there again after the worst of ends."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.api_client import Api
from tests.daemon.registrar import Registrar
from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_sip_port

FIRST, SECOND = "12065550161", "12065550162"
PASSWORD = "open-sesame-92"


@pytest.fixture
def registrar() -> Iterator[Registrar]:
    with Registrar() as registrar:
        yield registrar


def line(slug: str, registrar: Registrar, **more: Any) -> dict[str, Any]:
    """What a client sends to import a number that registers."""
    return {
        "workspace_id": "w1",
        "phone_number": f"+{slug}",
        "termination_uri": "pbx.example.com",
        "sip_outbound_proxy": f"sip:127.0.0.1:{registrar.port}",
        "trunk_username": slug,
        "trunk_pwd": PASSWORD,
        "uac_enabled": True,
        **more,
    }


def registers(registrar: Registrar, slug: str, *, since: int = 0) -> list[bool]:
    """The REGISTERs with credentials of one account: True for those that un-register."""
    mine = [text for text in registrar.heard[since:] if f"<sip:{slug}@" in text and "\r\nAuthorization:" in text]
    return ["expires=0" in text or re.search(r"^Expires: 0\r", text, re.MULTILINE) is not None for text in mine]


def test_number_of_the_api_registers_at_once_takes_calls_and_outlives_a_kill(
    tmp_path: Path, registrar: Registrar
) -> None:
    api = Api()
    daemon = Daemon(tmp_path, api=api.section)
    with daemon, api.wait(daemon):
        api.ask("POST", "/custom-numbers", line(FIRST, registrar))
        registered = api.registration(FIRST, state="registered")
        agent = api.ask("POST", "/assistants", {"type": "inbound", "name": "Desk", "agent": {}, "handler": "echo"})
        model_id = agent["response"]["model_id"]
        api.ask("PUT", f"/assistants/{model_id}/phone_numbers", {"phone_number_slugs": [FIRST]})
        daemon.configuration["numbers"]["+12065550150"] = {"inbound_agent": "echo"}
        daemon.save()
        daemon.reload()
        answered = call(tmp_path, daemon.uri(number=f"+{FIRST}"), "--seconds", "0.3").status
        shown = api.ask("GET", f"/numbers/{FIRST}")
        daemon.program.signal(signal.SIGKILL)
        daemon.program.wait()
    killed_at = len(registrar.heard)
    with daemon, api.wait(daemon):
        again = api.registration(FIRST, state="registered")
        after = api.ask("GET", f"/numbers/{FIRST}")
        survived = call(tmp_path, daemon.uri(number=f"+{FIRST}"), "--seconds", "0.3").status
        output = daemon.program.output

    assert (answered, survived) == (200, 200)
    assert shown["assistants"] == after["assistants"] == [model_id]
    assert {**shown, "registration": None} == {**after, "registration": None}
    assert registered["until"] is not None
    assert again["until"] > registered["until"]
    assert registers(registrar, FIRST, since=killed_at)[0] is False
    assert PASSWORD not in f"{shown}{output}"


def test_change_of_one_number_is_seen_with_why_and_leaves_the_registration_of_the_other_alone(
    tmp_path: Path, registrar: Registrar
) -> None:
    api, nobody = Api(), free_sip_port()
    daemon = Daemon(tmp_path, api=api.section)
    with daemon, api.wait(daemon):
        for slug in (FIRST, SECOND):
            api.ask("POST", "/custom-numbers", line(slug, registrar))
            api.registration(slug, state="registered")
        since = len(registrar.heard)
        api.ask("PATCH", f"/numbers/{FIRST}", {"friendly_name": "Line 4"})
        api.ask("PATCH", f"/numbers/{FIRST}", {"trunk_pwd": "another-word-77"})
        daemon.wait_said(rf"registered.*{FIRST}|trunk \+{FIRST}: registered", count=2)
        changed = api.registration(FIRST, state="registered")
        of_first, of_second = (registers(registrar, slug, since=since) for slug in (FIRST, SECOND))
        api.ask("PATCH", f"/numbers/{FIRST}", {"sip_outbound_proxy": f"sip:127.0.0.1:{nobody}"})
        failed = api.registration(FIRST, state="failed")
        api.ask("DELETE", f"/numbers/{FIRST}")
        gone = api.ask("GET", f"/numbers/{FIRST}", status=404)
        still = api.registration(SECOND, state="registered")
        in_the_end = registers(registrar, SECOND, since=since)

    assert changed["until"] is not None
    assert "refused" in failed["why"]
    assert (failed["retry_at"] is not None, failed["until"]) == (True, None)
    assert of_first == [True, False]
    assert of_second == in_the_end == []
    assert still["why"] == "calls reach us"
    assert FIRST in gone["detail"]["description"]


def test_agent_that_cannot_be_loaded_is_refused_and_greeting_and_state_say_where_store_and_api_are(
    tmp_path: Path,
) -> None:
    api = Api()
    daemon = Daemon(tmp_path, api=api.section)
    wrong = {
        "type": "inbound",
        "name": "Desk",
        "agent": {},
        "handler": "announce",
        "options": {"file": "no.wav"},
    }
    with daemon, api.wait(daemon):
        refused = api.ask("POST", "/assistants", wrong, status=400)["detail"]["description"]
        listed = api.ask("GET", "/assistants")["response"]["pagination"]["total_records"]
        greeted, later = daemon.greeting.splitlines(), daemon.state().splitlines()

    assert str(tmp_path / "no.wav") in refused
    assert listed == 1
    assert f"  store {tmp_path / 'sipflow.db'}" in greeted
    assert f"  API http://{api.section['listen']}, in a moment" in greeted
    assert f"  API http://{api.section['listen']}" in later
