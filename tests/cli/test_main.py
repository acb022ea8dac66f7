"""The command line: what it says, and the exit statuses that scripts use."""

import json
import re
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from sipflow import __version__
from sipflow.cli.main import EXIT_CONFIG, EXIT_UNAVAILABLE
from sipflow.errors import ConfigError
from tests.cli.conftest import Sipflow
from tests.interop.daemon import SIPFLOW
from tests.interop.programs import ROOT

GOOD = """
sip: {listen: [udp:127.0.0.1:5060]}
trunks:
  pbx: {sip_domain: pbx.example.com, username: "2001", password: secret-word}
  local: {accept_from: [127.0.0.0/8]}
numbers:
  "+12065550100": {friendly_name: Echo, trunk: pbx, inbound_agent: echo}
  "200": {trunk: local}
agents:
  echo: {handler: echo}
"""
BAD = """
sip: {listen: [udp:127.0.0.1:5060], unknwon_source: silent}
trunks:
  pbx: {sip_domain: pbx.example.com, username: "2001", pasword: secret-word}
numbers:
  "+12065550100": {trunk: pbx, inbound_agent: ecko}
  "206": {trunk: pxb}
agents:
  echo: {handler: echo, loud: true}
"""
GOOD_LINES = [
    "listens on udp:127.0.0.1:5060",
    "trunk pbx: registers at sip:pbx.example.com",
    "trunk local: takes calls from 127.0.0.0/8",
    "number +12065550100 (Echo) -> agent echo",
    "number 200 -> no inbound agent",
]
BAD_LINES = [
    "FILE:2: sip.unknwon_source: unknown key; did you mean unknown_source?",
    "FILE:4: trunks.pbx.pasword: unknown key; did you mean password?",
    "FILE:6: numbers.+12065550100.inbound_agent: there is no agent 'ecko'; did you mean echo?",
    "FILE:7: numbers.206.trunk: there is no trunk 'pxb'; did you mean pbx?",
    "FILE:9: agents.echo.handler: handler echo takes no option loud",
]
BAD_AGENTS = """
agents:
  echo: {handler: echo}
  gone: {handler: no_such_module_anywhere:desk}
  plain:
    handler: json:loads
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "edge.yaml"


def test_version_is_said(sipflow: Sipflow) -> None:
    result = sipflow("--version")

    assert (result.exit_code, result.stdout) == (0, f"sipflow {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], ["run", "check", "call", "--version"]),
        (["run", "--help"], ["SIGTERM", "SIGHUP", "Example: sipflow run config/sipflow.yaml"]),
        (["check", "--help"], ["Example: sipflow check config/sipflow.yaml"]),
        (["call", "--help"], ["Exit status: 0 ", "SIPFLOW_PASSWORD", "Example: sipflow call sip:+12065550100@"]),
    ],
)
def test_help_has_an_example(sipflow: Sipflow, arguments: list[str], shown: list[str]) -> None:
    result = sipflow(*arguments)
    text = " ".join(result.stdout.split())

    assert result.exit_code == 0
    assert [word for word in shown if word not in text] == []


def test_no_command_is_answered_with_help(sipflow: Sipflow) -> None:
    result = sipflow()

    assert result.exit_code == 2
    assert "Usage: sipflow" in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["fly"], ["call"], ["run", "--fast"], ["call", "sip:x@y", "--seconds", "long"]])
def test_wrong_word_is_2_and_shows_the_usage(sipflow: Sipflow, arguments: list[str]) -> None:
    result = sipflow(*arguments)

    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_help_waits_for_nothing_that_running_needs() -> None:
    code = (
        "import sys, sipflow.cli.main as m; print([n for n in ('numpy', 'uvloop', 'phonenumbers') if n in sys.modules])"
    )
    shown = subprocess.run([str(Path(SIPFLOW).with_name("python")), "-c", code], capture_output=True, check=True)

    assert shown.stdout == b"[]\n"


def test_check_tells_what_a_good_file_means(sipflow: Sipflow, file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    result = sipflow("check", str(file))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [*GOOD_LINES, f"{file} is good"]


def test_check_tells_a_program_the_same_as_one_object(sipflow: Sipflow, file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    good = sipflow("check", str(file), "--json")
    file.write_text(BAD, encoding="utf-8")
    bad = sipflow("check", str(file), "--json")
    told = json.loads(bad.stdout)
    lines = [str(ConfigError(each["why"], file="FILE", line=each["line"], key=each["key"])) for each in told["wrong"]]

    assert (good.exit_code, good.stderr, bad.exit_code, bad.stderr) == (0, "", EXIT_CONFIG, "")
    assert json.loads(good.stdout) == {
        "file": str(file),
        "good": True,
        "means": GOOD_LINES,
    }
    assert (told["file"], told["good"], lines) == (str(file), False, BAD_LINES)


def test_check_prints_the_schema_for_editors_whatever_the_file(sipflow: Sipflow) -> None:
    result = sipflow("check", "--schema", "not-there.yaml")
    schema = json.loads(result.stdout)

    assert (result.exit_code, result.stderr) == (0, "")
    assert schema["title"] == "A configuration of sipflow"
    assert {"trunks", "numbers", "agents", "sip"} <= schema["properties"].keys()


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_problem_of_a_bad_file_is_told_with_its_line(sipflow: Sipflow, file: Path, command: str) -> None:
    file.write_text(BAD, encoding="utf-8")
    result = sipflow(command, str(file))

    assert (result.exit_code, result.stdout) == (EXIT_CONFIG, "")
    assert result.stderr.removeprefix("sipflow: ").replace(str(file), "FILE").splitlines() == BAD_LINES
    assert "secret-word" not in result.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_agent_that_cannot_be_loaded_is_told_with_its_line(sipflow: Sipflow, file: Path, command: str) -> None:
    file.write_text(BAD_AGENTS, encoding="utf-8")
    result = sipflow(command, str(file))

    assert (result.exit_code, result.stdout) == (EXIT_CONFIG, "")
    assert result.stderr.removeprefix("sipflow: ").replace(str(file), "FILE").splitlines() == [
        "FILE:4: agents.gone.handler: cannot import no_such_module_anywhere: "
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'; "
        "put no_such_module_anywhere.py beside the configuration",
        f"FILE:6: agents.plain.handler: module json must be `async def`: loads ({json.__file__})",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"sip: [\n", ":1: not YAML from here: "),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"sip: 3\n", ":1: sip: "),
    ],
)
def test_file_that_is_no_configuration_is_78(sipflow: Sipflow, file: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        file.write_bytes(content)
    result = sipflow("run", str(file))

    assert result.exit_code == EXIT_CONFIG
    assert why in result.stderr
    assert "Traceback" not in result.stderr


def test_exit_statuses_are_those_of_a_real_program(file: Path) -> None:
    file.write_text(BAD, encoding="utf-8")
    ended = subprocess.run([SIPFLOW, "run", str(file)], capture_output=True, text=True, timeout=30, cwd=ROOT)

    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr.count("\n") == len(BAD_LINES)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_port_that_is_taken_is_69_and_named(file: Path, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == "tcp":
            taken.listen()
        address = f"{transport}:127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(f"sip: {{listen: [udp:127.0.0.1:0, {address}]}}\n", encoding="utf-8")
        ended = subprocess.run([SIPFLOW, "run", str(file)], capture_output=True, text=True, timeout=30, cwd=ROOT)

    assert (ended.returncode, ended.stdout) == (EXIT_UNAVAILABLE, "")
    assert re.fullmatch(rf"sipflow: cannot listen on {address}: another program .* has this port; .*\n", ended.stderr)
