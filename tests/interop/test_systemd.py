"""The unit of config/systemd under a systemd of its own, installed the way docs/operations.md says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.daemon import ANSWERED, SIPFLOW, Caller
from tests.interop.machine import Machine, needed
from tests.interop.programs import ROOT
from tests.interop.waiting import wait_until

UNIT = ROOT / "config" / "systemd" / "sipflow.service"
FILE = "/etc/sipflow/sipflow.yaml"
STAYS, BLOCKS = "+12065550101", "+12065550102"
PASSWORD = "pw-credential-3rk7v"
AGENTS = """
import asyncio
import time


async def stay(call):
    await call.answer()
    await asyncio.sleep(600)


async def block(call):
    await call.answer()
    time.sleep(600)
"""
CONFIGURATION = f"""
sip:
  listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:443]
media: {{ports: 20000-20100, bind: 127.0.0.1}}
log: {{format: json}}
store: {{url: "sqlite:////var/lib/sipflow/sipflow.db"}}
drain_s: 1
trunks:
  local: {{accept_from: [127.0.0.0/8]}}
  guarded:
    accept_from: [192.0.2.1]
    authenticate_inbound: {{username: desk, password: "file:${{CREDENTIALS_DIRECTORY}}/desk"}}
numbers:
  "{ANSWERED}": {{trunk: local, inbound_agent: echo}}
  "{STAYS}": {{trunk: local, inbound_agent: stay}}
  "{BLOCKS}": {{trunk: local, inbound_agent: block}}
agents:
  echo: {{handler: echo}}
  stay: {{handler: "agents:stay"}}
  block: {{handler: "agents:block"}}
"""
# Of this machine alone: the program is where the tests have it, and four seconds are enough for a watchdog.
HERE = "[Service]\nWatchdogSec=4\nLoadCredential=desk:/etc/sipflow/credentials/desk\n"
IN_A_HOME, IN_TMP = "ProtectHome=no\n", "PrivateTmp=no\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("systemd")) as made:
        made.do("useradd", "--system", "--no-create-home", "--home-dir", "/var/lib/sipflow", "sipflow")
        made.do("install", "-d", "-o", "root", "-g", "sipflow", "-m", "0750", "/etc/sipflow", "/opt/sipflow/bin")
        made.do("chmod", "0755", "/opt/sipflow", "/opt/sipflow/bin")
        made.do("ln", "-s", SIPFLOW, "/opt/sipflow/bin/sipflow")
        made.write("/etc/systemd/system/sipflow.service", UNIT.read_text(encoding="utf-8"))
        homely = any(str(folder).startswith(("/root", "/home")) for folder in needed())
        fleeting = any(str(folder).startswith(("/tmp", "/var/tmp")) for folder in needed())
        here = HERE + (IN_A_HOME if homely else "") + (IN_TMP if fleeting else "")
        made.write("/etc/systemd/system/sipflow.service.d/here.conf", here)
        made.write("/etc/sipflow/credentials/desk", PASSWORD, "0600")
        made.write("/etc/sipflow/agents.py", AGENTS)
        made.write(FILE, CONFIGURATION, "0640", "root:sipflow")
        made.do("systemctl", "daemon-reload")
        yield made


def main_pid(machine: Machine) -> str:
    return machine.do("systemctl", "show", "-P", "MainPID", "sipflow")


def said(machine: Machine) -> str:
    return machine.do("journalctl", "-u", "sipflow", "-o", "cat", "--no-pager")


def calling(machine: Machine, folder: Path, number: str, seconds: str) -> Caller:
    log = folder / f"{number}-{len(list(folder.iterdir()))}.log"
    return Caller(log, f"sip:{number}@127.0.0.1:5060", "--seconds", seconds, prefix=machine.prefix)


def answered(machine: Machine, folder: Path) -> int:
    with calling(machine, folder, ANSWERED, "0.2") as caller:
        return caller.finish().exit_status


def back(machine: Machine, before: str) -> str:
    """Wait until another process than `before` says that it is ready; give its number."""

    def other() -> str:
        state = machine.do("systemctl", "show", "-P", "ActiveState", "sipflow")
        pid = main_pid(machine)
        return pid if state == "active" and pid not in {before, "0"} else ""

    return wait_until(other, "another start", evidence=lambda: said(machine)[-2000:])


def test_it_starts_ready_for_calls_with_a_credential_a_low_port_and_one_capability(
    machine: Machine, tmp_path: Path
) -> None:
    machine.do("systemctl", "enable", "--now", "sipflow")
    first = answered(machine, tmp_path)
    status = machine.do("cat", f"/proc/{main_pid(machine)}/status")
    held = dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):\s+(\S+)", status, re.MULTILINE))
    user = machine.do("id", "-u", "sipflow")
    ports = machine.do("ss", "-Hltn")
    shown = machine.do("systemctl", "show", "-P", "StatusText", "sipflow")

    assert first == 0
    assert held == {
        "Uid": user,
        "CapEff": "0" * 13 + "400",
        "CapBnd": "0" * 13 + "400",
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }
    assert "127.0.0.1:443" in ports
    assert re.fullmatch("[01] calls?", shown)
    assert PASSWORD not in said(machine)


def test_a_reload_says_what_changed_and_one_that_fails_changes_nothing(machine: Machine) -> None:
    machine.do("systemctl", "start", "sipflow")
    machine.write(FILE, CONFIGURATION + "  again: {handler: echo}\n", "0640", "root:sipflow")
    machine.do("systemctl", "reload", "sipflow")
    wait_until(lambda: "agents: added again" in said(machine), "the report", evidence=lambda: said(machine)[-2000:])
    machine.write(FILE, CONFIGURATION + "trunks: [\n", "0640", "root:sipflow")
    machine.do("systemctl", "reload", "sipflow")
    wait_until(lambda: "the configuration was not reloaded" in said(machine), "the refusal")
    machine.write(FILE, CONFIGURATION, "0640", "root:sipflow")

    assert machine.do("systemctl", "is-active", "sipflow") == "active"


def test_killed_or_blocked_for_good_it_is_started_again(machine: Machine, tmp_path: Path) -> None:
    machine.do("systemctl", "start", "sipflow")
    first = main_pid(machine)
    machine.do("kill", "-9", first)
    second = back(machine, first)
    with calling(machine, tmp_path, BLOCKS, "1"):
        back(machine, second)

    assert re.search(r"agents\.py\", line \d+ in block", said(machine))
    assert machine.do("systemctl", "show", "-P", "NRestarts", "sipflow") == "2"
    assert answered(machine, tmp_path) == 0


def test_a_stop_waits_for_the_calls_and_then_ends_them(machine: Machine, tmp_path: Path) -> None:
    machine.do("systemctl", "start", "sipflow")
    with calling(machine, tmp_path, STAYS, "60") as caller:
        wait_until(lambda: f'"{STAYS}", "agent": "stay", "event": "call in"' in said(machine), "the call")
        machine.do("systemctl", "stop", "sipflow")
        report = caller.finish()

    assert machine.do("systemctl", "show", "-P", "Result", "sipflow") == "success"
    assert (report.exit_status, report.status, report.why) == (0, 200, "the far end hung up")


def test_a_configuration_that_cannot_be_used_is_not_tried_again(machine: Machine) -> None:
    machine.write(FILE, "trunks: 5\n", "0640", "root:sipflow")
    started = machine.run("systemctl", "restart", "sipflow")
    shown = machine.do("systemctl", "show", "-p", "ActiveState,ExecMainStatus,NRestarts", "sipflow")
    machine.write(FILE, CONFIGURATION, "0640", "root:sipflow")

    assert started.returncode == 1
    assert set(shown.splitlines()) == {"ActiveState=failed", "ExecMainStatus=78", "NRestarts=0"}
