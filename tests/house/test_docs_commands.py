"""Every command of README and docs/ is run. One daemon answers them; the command line runs inside this process."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from sipflow.cli.main import app
from tests.daemon.api_client import TOKEN
from tests.house.pages import CODE, DEFAULT, FENCE, PAGES, commands, snippets
from tests.house.tree import ROOT
from tests.interop.daemon import SIPFLOW
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program

OURS = ".venv/bin/sipflow"
ASKING = tuple(f"{OURS} {name}" for name in ("status", "trunks", "numbers", "agents", "trace"))
KINDS = (
    "make", *ASKING, "python3 -m venv aiosip-try",
    *(f"{OURS} {name}" for name in ("call", "calls", "check", "explain", "trunk test", "firewall", "load")),
)  # fmt: skip
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
PYPI_PATIENCE_S = 40.0


class Edge(NamedTuple):
    """A running daemon: its SIP port, the folder in which `config/sipflow.yaml` is its file, and how to ask it."""

    port: int
    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """What `make run` starts, with an API; on another port where its own is taken."""
    folder = tmp_path_factory.mktemp("docs")
    file, listen = folder / "config" / "sipflow.yaml", f"127.0.0.1:{free_sip_port()}"
    file.parent.mkdir()
    text = DEFAULT.read_text(encoding="utf-8") + f"\napi: {{listen: '{listen}', tokens: ['{TOKEN}']}}\n"
    file.write_text(text, encoding="utf-8")
    program, port = Program("sipflow run", [SIPFLOW, "run", str(file)], folder / "run.log"), 5060
    try:
        program.wait_for(r"is ready$")
    except AssertionError:
        program.kill()
        port, media = free_sip_port(), free_media_ports(20)
        text = text.replace(":5060", f":{port}").replace("10000-20000", f"{media.start}-{media.stop - 1}")
        file.write_text(text, encoding="utf-8")
        program = Program("sipflow run", [SIPFLOW, "run", str(file)], folder / "again.log")
        program.wait_for(r"is ready$")
    program.wait_for(r"the API is open")
    yield Edge(port, folder, {"SIPFLOW_URL": f"http://{listen}", "SIPFLOW_TOKEN": TOKEN})
    program.stop(5)


@pytest.fixture(scope="module")
def called(edge: Edge) -> str:
    """What the first call of the README printed: by a process of its own, as a person types it."""
    command = commands(f"{OURS} call ")[0].replace(OURS, SIPFLOW).replace(":5060", f":{edge.port}")
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run(command: str, **environment: str) -> Result:
    """Run a command line of ours inside this process."""
    return CliRunner().invoke(app, shlex.split(command.removeprefix(OURS)), env=environment)


def test_every_command_is_of_a_kind_that_is_tried_here() -> None:
    assert [
        command for command in commands("") if not f"{command} ".startswith(tuple(f"{each} " for each in KINDS))
    ] == []
    assert [kind for kind in KINDS if not commands(kind)] == []


def test_make_has_the_targets_and_the_files_that_are_named() -> None:
    lines = commands("make")
    phony = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)

    assert phony is not None
    named = {line.split()[1] for line in lines}
    assert named <= set(phony[1].split())
    assert [name for line in lines for name in re.findall(r"CONFIG=(\S+)", line) if not (ROOT / name).is_file()] == []
    done = subprocess.run(
        ["make", "-n", f"PYTHON={sys.executable}", *sorted(named)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_in_the_middle_of_a_sentence_are_there() -> None:
    groups: dict[str, object] = getattr(get_command(app), "commands", {})
    below = {name: set(getattr(command, "commands", {})) for name, command in groups.items()}
    said = [code for page in PAGES for code in CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))]
    ours = [words[1:3] for code in said if (words := code.split())[:1] == ["sipflow"] and words[1:2]]
    wrong = [
        words for words in ours
        if words[0].isalpha() and (words[0] not in below or (below[words[0]] and words[1:] and not _goes(below, words)))
    ]  # fmt: skip
    targets = {words[1] for code in said if (words := code.split())[:1] == ["make"] and words[1:2]}
    phony = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)

    assert phony is not None
    assert wrong == []
    assert len(ours) > 30
    assert targets - set(phony[1].split()) == set()


def _goes(below: dict[str, set[str]], words: list[str]) -> bool:
    """Whether the second word is a command below the first, or none at all: an option, or what is to be filled in."""
    return not re.fullmatch(r"[a-z]+", words[1]) or words[1] in below[words[0]]


def test_the_figures_that_make_bench_is_asked_for_are_there() -> None:
    from tests.bench.__main__ import FIGURES

    asked = [name for line in commands("make bench ARGS=") for name in line.partition('"')[2].strip('"').split()]
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    listed = re.search(r"prints what sipflow costs: (.*?);", page, re.DOTALL)

    assert listed is not None
    assert asked
    assert set(asked) <= set(FIGURES)
    assert set(re.findall(r"`([a-z]+)`", listed[1])) <= set(FIGURES)
    assert set(re.findall(r"`make bench ARGS=([a-z]+)`", page)) <= set(FIGURES)


def test_the_first_call_prints_what_the_readme_shows(called: str) -> None:
    shown = next(each.text for each in snippets("text") if each.page == "README.md" and "calling" in each.text)

    assert NUMBER.sub("N", called) == NUMBER.sub("N", shown)


@pytest.mark.parametrize("command", commands(f"{OURS} call ")[1:])
def test_call_is_answered_and_heard(command: str, edge: Edge) -> None:
    done = run(command.replace(":5060", f":{edge.port}"))

    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [each for each in commands(f"{OURS} calls") if " show " not in each])
def test_calls_reads_the_store_of_the_configuration(
    command: str, edge: Edge, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(edge.folder)
    done = run(command)

    assert done.exit_code == 0
    assert re.fullmatch(r"(sipflow: [0-9]+ calls? exported\n)?", done.stderr)


def test_a_call_that_is_not_there_is_not_shown(edge: Edge, called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(edge.folder)
    (command,) = commands(f"{OURS} calls show ")
    done = run(command)

    assert done.exit_code == 1
    assert command.split()[-1] in done.stderr


@pytest.mark.parametrize("command", [each for name in ASKING for each in commands(name)])
def test_the_running_daemon_answers(
    command: str, edge: Edge, called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(command, **edge.environment)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout
    assert [name for name in re.findall(r" (call\.[a-z]+)\b", command) if not (tmp_path / name).stat().st_size] == []


@pytest.mark.parametrize("command", commands(f"{OURS} check ") + commands(f"{OURS} firewall "))
def test_check_and_firewall_are_good(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = run(command)

    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("command", commands(f"{OURS} explain "))
def test_explain_comes_to_an_answer(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = run(f"{command} --offline")
    answered = '"answered": true' in done.stdout or "answer       200" in done.stdout

    assert done.exit_code == (0 if answered else 1)
    assert "by itself" in done.stderr


def test_explain_prints_what_its_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = next(each.text for each in snippets("text") if each.page == "docs/explain.md")

    assert run(f"{commands(f'{OURS} explain ')[0]} --offline").stdout == shown


def test_trunk_test_prints_the_steps_that_its_page_shows(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = commands(f"{OURS} trunk test ")
    shown = next(each.text for each in snippets("text") if each.page == "docs/trunk_test.md")
    sample, file = "docs/samples/trunk_test.yaml", tmp_path / "trunk.yaml"
    file.write_text((ROOT / sample).read_text(encoding="utf-8").replace(":5060", f":{edge.port}"), encoding="utf-8")
    done = run(command.replace(sample, shlex.quote(str(file))))

    assert (done.exit_code, done.stderr) == (0, "")
    assert steps(done.stdout) == steps(shown)
    assert done.stdout.splitlines()[-1] == shown.splitlines()[-1] == "trunk here works"


def steps(text: str) -> list[list[str]]:
    """The outcome and the name of each step."""
    return [line.split()[:2] for line in text.splitlines()[:-1]]


@pytest.mark.parametrize("command", commands(f"{OURS} load "))
def test_load_prints_what_its_page_shows(command: str, edge: Edge) -> None:
    shown = next(
        each.text for each in snippets("text") if each.page == "docs/explain.md" and " calls answered" in each.text
    )
    done = run(command.replace(":5060", f":{edge.port}"))

    assert (done.exit_code, done.stderr) == (0, "")
    assert NUMBER.sub("N", done.stdout).split() == NUMBER.sub("N", shown).split()


def test_every_option_that_the_page_of_sipflow_call_names_is_there() -> None:
    asked = set(re.findall(r"`?(--[a-z-]+)\b", (ROOT / "docs" / "calling.md").read_text(encoding="utf-8")))
    shown = run(f"{OURS} call --help", COLUMNS="200").stdout

    assert len(asked) > 5
    assert [option for option in sorted(asked) if option not in shown] == []


def test_aiosip_cannot_be_imported_as_the_page_says(tmp_path: Path) -> None:
    """As the command does, but into a folder: a virtual environment of its own costs seconds and adds nothing."""
    (command,) = commands("python3 -m venv aiosip-try ")
    wanted = re.search(r"pip install -q (aiosip==\S+) ", command)
    assert wanted is not None
    options = ["--no-cache-dir", "--retries", "0", "--timeout", "3", "--no-compile", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "install", "-q", *options, "--target", "aiosip-try", wanted[1]]
    try:
        subprocess.run(install, cwd=tmp_path, check=True, capture_output=True, timeout=PYPI_PATIENCE_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("PyPI cannot be reached from here within seconds: the page's claim is not tried")
    done = subprocess.run(
        [sys.executable, "-c", "import aiosip"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": "aiosip-try"},
    )  # fmt: skip

    assert done.returncode != 0
    assert "asyncio' has no attribute 'coroutine'" in done.stderr
