"""Kamailio with the configuration of its page, and sipflow with the YAML beside it: registered, called, and calling."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.interop.kamailio import modules_folder
from tests.interop.programs import ROOT, Program, require

PAGE = (ROOT / "docs" / "providers" / "kamailio.md").read_text(encoding="utf-8")
NUMBER, PHONE, OUTSIDE = "+12065550100", "2101", "+12065550199"


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The page's Kamailio, on loopback."""
    folder, port = tmp_path_factory.mktemp("kamailio"), free_sip_port()
    text = block("kamailio").replace("192.0.2.10:5060", f"127.0.0.1:{port}")
    text = re.sub(r'^mpath=".*"$', f'mpath="{modules_folder()}/"', text, flags=re.MULTILINE)
    file = folder / "kamailio.cfg"
    file.write_text(text, encoding="utf-8")
    command = [require("kamailio", "kamailio"), "-f", str(file), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(folder)]
    with Program("kamailio", command, folder / "kamailio.log", cwd=folder):
        yield port


@pytest.fixture(scope="module")
def daemon(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The page's sipflow; it also takes calls from this machine, to have the agent that calls out started."""
    page: dict[str, Any] = yaml.safe_load(block("yaml").replace("192.0.2.10:5060", f"127.0.0.1:{port}"))
    page["trunks"]["pbx"]["password"] = "secret-of-2001"
    page["trunks"]["local"] = {"accept_from": ["127.0.0.0/8"]}
    page["numbers"][OUTSIDE] = {"trunk": "local", "inbound_agent": "reach"}
    with Daemon(tmp_path_factory.mktemp("sipflow"), **page) as daemon:
        daemon.wait_said("^trunk pbx: registered at")
        yield daemon


@pytest.fixture(scope="module")
def telephone(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Somebody who is registered as 2101 and answers."""
    account = {"sip_domain": "pbx.example.com", "outbound_proxy": f"sip:127.0.0.1:{port}", "username": PHONE}
    trunks = {"pbx": {**account, "password": "secret-of-2101"}}
    numbers = {PHONE: {"trunk": "pbx", "inbound_agent": "echo"}}
    with Daemon(tmp_path_factory.mktemp("telephone"), trunks=trunks, numbers=numbers) as telephone:
        telephone.wait_said("^trunk pbx: registered at")
        yield telephone


def test_a_telephone_calls_the_number_and_hears_the_agent(port: int, daemon: Daemon, tmp_path: Path) -> None:
    report = call(
        tmp_path, f"sip:{NUMBER}@pbx.example.com", "--proxy", f"sip:127.0.0.1:{port}", "--from", PHONE,
        "--username", PHONE, "--seconds", "3", password="secret-of-2101",
    )  # fmt: skip

    assert (report.exit_status, report.status) == (0, 200), report
    assert report.tone_dbfs == pytest.approx(-12.0, abs=1.5)  # busy machines weaken it
    (line, *_) = [each for each in daemon.said("^call in") if each["number"] == NUMBER]
    assert (line["trunk"], line["caller"]) == ("pbx", PHONE)


def test_a_telephone_with_a_wrong_password_is_not_let_through(port: int, daemon: Daemon, tmp_path: Path) -> None:
    report = call(
        tmp_path, f"sip:{NUMBER}@pbx.example.com", "--proxy", f"sip:127.0.0.1:{port}", "--from", PHONE,
        "--username", PHONE, password="wrong",
    )  # fmt: skip

    assert (report.exit_status, report.status) == (3, 407)


def test_the_agent_calls_a_telephone_and_both_are_heard(daemon: Daemon, telephone: Daemon, tmp_path: Path) -> None:
    report = call(tmp_path, daemon.uri(number=OUTSIDE), "--seconds", "3")

    assert (report.exit_status, report.status) == (0, 200), report
    assert report.tone_dbfs == pytest.approx(-12.0, abs=1.5)  # busy machines weaken it
    (line, *_) = telephone.wait_said("^call in")
    assert (line["trunk"], line["number"], line["caller"]) == ("pbx", PHONE, "2001")


def test_the_far_end_answers_when_it_is_asked(daemon: Daemon) -> None:
    assert "trunk pbx: far end up" in daemon.state()
