"""`sipflow trunk test` against Kamailio with an echo behind it, and against SIPp."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sipflow.cli.main import app
from tests.interop.daemon import Daemon
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.kamailio import Kamailio
from tests.interop.programs import Program, require
from tests.net.certificates import Certificates

SCENARIO = Path(__file__).parent / "sipp" / "says_nothing_in_rtp.xml"
ECHO = "+12065550101"


@pytest.fixture(scope="module")
def echo(pbx: Kamailio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that is registered as 2001 at the PBX and answers its number with an echo."""
    trunks = {"pbx": pbx.trunk("2001", "udp")}
    numbers = {ECHO: {"trunk": "pbx", "inbound_agent": "echo"}}
    with Daemon(tmp_path_factory.mktemp("echo"), trunks=trunks, numbers=numbers) as daemon:
        pbx.wait_registered("2001")
        yield daemon


def tried(folder: Path, trunk: dict[str, Any], *options: str, sip: dict[str, Any] | None = None) -> dict[str, Any]:
    """Test a trunk with --json; returns its report, with the exit status and the findings by their steps."""
    media = free_media_ports(20)
    file = folder / "sipflow.yaml"
    configuration = {
        "sip": {"listen": ["udp:127.0.0.1:5060"], **(sip or {})},
        "media": {"ports": f"{media.start}-{media.stop - 1}", "bind": "127.0.0.1"},
        "trunks": {"tested": trunk},
        "agents": {"echo": {"handler": "echo"}},
    }
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    result = CliRunner().invoke(app, ["trunk", "test", "tested", "-c", str(file), "--json", *options])
    report: dict[str, Any] = json.loads(result.stdout)
    assert (report["exit_status"], result.stderr) == (result.exit_code, "")
    report["by"] = {finding["step"]: finding for finding in report["findings"]}
    return report


def judged(report: dict[str, Any]) -> dict[str, str]:
    return {step: finding["judgement"] for step, finding in report["by"].items()}


def test_good_trunk_with_an_echo_is_good_in_every_step(pbx: Kamailio, echo: Daemon, tmp_path: Path) -> None:
    report = tried(tmp_path, pbx.trunk("2002", "udp"), "--dial", ECHO)
    by = report["by"]

    assert judged(report) == {
        "resolve": "ok", "connect": "skipped", "options": "ok", "abilities": "ok", "register": "ok", "nat": "ok",
        "unregister": "ok", "dial": "ok", "ack": "ok", "audio": "ok", "quality": "ok", "dtmf": "ok", "hold": "ok",
        "timers": "ok", "hangup": "ok",
    }  # fmt: skip
    assert report["exit_status"] == 0
    assert by["resolve"]["text"] == f"{pbx.proxy('udp')} leads to udp:127.0.0.1:{pbx.port}"
    assert by["register"]["text"].startswith(f"registered at udp:127.0.0.1:{pbx.port} as 2002 for ")
    assert by["nat"]["text"].endswith("as we say ourselves: no NAT between")
    assert by["audio"]["text"].startswith("both ways: our tone came back at -1")
    assert by["dtmf"]["text"] == "a digit was sent as events in RTP (RFC 4733), payload type 101"
    assert by["register"]["took_ms"] > 0
    assert pbx.bindings("2002") == []


def test_tls_is_told_by_who_it_is_and_until_when(pbx: Kamailio, certificates: Certificates, tmp_path: Path) -> None:
    report = tried(tmp_path, pbx.trunk("2002", "tls"), sip={"tls": {"ca": str(certificates.ca)}})

    assert (report["exit_status"], report["by"]["connect"]["judgement"]) == (0, "ok")
    assert "good until 20" in report["by"]["tls"]["text"]


def test_certificate_of_nobody_we_trust_is_said_before_anything_is_sent(pbx: Kamailio, tmp_path: Path) -> None:
    report = tried(tmp_path, pbx.trunk("2002", "tls"))

    assert (report["exit_status"], judged(report)) == (5, {"resolve": "ok", "tls": "failed"})
    assert "we do not trust the authority of its certificate" in report["by"]["tls"]["text"]


def test_wrong_password_is_a_failed_registration_that_says_what_to_check(pbx: Kamailio, tmp_path: Path) -> None:
    report = tried(tmp_path, {**pbx.trunk("2002", "udp"), "password": "not-it"})

    register = report["by"]["register"]
    assert (report["exit_status"], register["judgement"]) == (1, "failed")
    assert register["text"].startswith("401 Unauthorized from 127.0.0.1 to REGISTER as 2002")
    assert register["advice"] == "check username, auth_username and password"
    assert "not-it" not in json.dumps(report)


def test_nobody_there_is_5(tmp_path: Path) -> None:
    trunk = {"sip_domain": f"127.0.0.1:{free_sip_port()}", "username": "2002", "password": "secret-word"}
    report = tried(tmp_path, trunk, "--timeout", "1")

    assert (report["exit_status"], judged(report)) == (
        5, {"resolve": "ok", "connect": "skipped", "options": "failed", "register": "failed"},
    )  # fmt: skip
    assert "refused" in report["by"]["options"]["text"]


def test_name_that_does_not_resolve_is_5_with_what_dns_said(tmp_path: Path) -> None:
    report = tried(tmp_path, {"sip_domain": "nobody.invalid", "username": "a", "password": "secret-word"})

    assert (report["exit_status"], judged(report)) == (5, {"resolve": "failed"})
    assert any(line.startswith("NAPTR nobody.invalid: ") for line in report["by"]["resolve"]["details"])


def test_far_end_that_sees_another_address_than_we_write_means_nat(pbx: Kamailio, tmp_path: Path) -> None:
    report = tried(tmp_path, pbx.trunk("2002", "udp", advertise="203.0.113.9"))

    nat = report["by"]["nat"]
    assert (report["exit_status"], nat["judgement"]) == (0, "warning")
    assert nat["text"].startswith("the far end saw us at 127.0.0.1:")
    assert "our Contact says 203.0.113.9:" in nat["text"]
    assert pbx.bindings("2002") == []


def test_far_end_without_refer_hold_and_audio_is_told_so(tmp_path: Path) -> None:
    port = free_sip_port()
    command = [require("sipp", "sip-tester"), "-sf", str(SCENARIO), "-m", "2", "-nostdin", "-i", "127.0.0.1"]
    command += ["-p", str(port), "-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start), "-timeout", "40"]
    with Program("sipp", command, tmp_path / "sipp.log", cwd=tmp_path) as sipp:
        report = tried(tmp_path, {"sip_domain": f"127.0.0.1:{port}"}, "--dial", "600")
        status = sipp.wait()

    by = report["by"]
    assert (status, report["exit_status"]) == (0, 1)
    assert judged(report) == {
        "resolve": "ok", "connect": "skipped", "options": "ok", "abilities": "ok", "refer": "warning",
        "update": "ok", "100rel": "ok", "register": "skipped", "dial": "ok", "ack": "ok", "audio": "failed",
        "dtmf": "ok", "hold": "warning", "timers": "ok", "hangup": "ok",
    }  # fmt: skip
    assert by["audio"]["text"] == "nothing is heard of the far end"
    assert by["hold"]["text"] == "the far end refused to be put on hold: 488"
    assert by["dtmf"]["text"] == "a digit was sent as tones in the audio: the far end takes no events"
