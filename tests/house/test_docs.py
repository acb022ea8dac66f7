"""What the pages say is so: commands run, links lead somewhere, snippets load, named modules exist."""

import ast
import asyncio
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.config.load import parse
from sipflow.testing import FakeCall
from sipflow.testing import run as run_agent
from tests.daemon.api_client import TOKEN, Api
from tests.house.tree import ROOT
from tests.interop.daemon import SIPFLOW, Daemon, call
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "providers").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "scenarios").rglob("*.md"))]
DEFAULT = ROOT / "config" / "sipflow.yaml"
FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
ASKING = tuple(f".venv/bin/sipflow {name} " for name in ("status", "trunks", "numbers", "agents", "trace"))
PYPI_PATIENCE_S = 6.0


class Snippet(NamedTuple):
    """A fenced block: file:line, its language, its text."""

    place: str
    language: str
    text: str


def snippets(language: str) -> list[Snippet]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Snippet(f"{page.relative_to(ROOT)}:{line}", language, match[2]))
    return found


def commands(beginning: str) -> list[str]:
    """The different commands of all pages that begin so."""
    lines = [line.strip() for snippet in snippets("sh") for line in snippet.text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(beginning)))


def run(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = command.replace(".venv/bin/sipflow", shlex.quote(SIPFLOW))
    return subprocess.run(["bash", "-c", words], cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The daemon that `make run` starts; on another port where its own is taken."""
    folder = tmp_path_factory.mktemp("docs")
    program, chosen = Program("sipflow run", [SIPFLOW, "run", str(DEFAULT)], folder / "run.log"), 5060
    try:
        program.wait_for(r"is ready$")
    except AssertionError:
        program.kill()
        chosen, media = free_sip_port(), free_media_ports(20)
        text = DEFAULT.read_text(encoding="utf-8").replace(":5060", f":{chosen}")
        file = folder / "sipflow.yaml"
        file.write_text(text.replace("10000-20000", f"{media.start}-{media.stop - 1}"), encoding="utf-8")
        program = Program("sipflow run", [SIPFLOW, "run", str(file)], folder / "again.log")
        program.wait_for(r"is ready$")
    yield chosen
    program.stop(5)


def test_every_command_is_of_a_kind_that_is_tried_here() -> None:
    kinds = (
        "make ", ".venv/bin/sipflow call ", ".venv/bin/sipflow calls ", ".venv/bin/sipflow check ",
        "python3 -m venv aiosip-try ", *ASKING, ".venv/bin/sipflow explain ",
        ".venv/bin/sipflow trunk test ", ".venv/bin/sipflow firewall ", ".venv/bin/sipflow load ",
    )  # fmt: skip

    assert [command for command in commands("") if not f"{command} ".startswith(kinds)] == []


@pytest.mark.parametrize("command", commands("make "))
def test_make_target_exists(command: str) -> None:
    target = command.split()[1]
    phony = re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert phony is not None
    assert target in phony[1].split()
    assert run(f"make -n {target}").returncode == 0


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow check "))
def test_check_is_good(command: str) -> None:
    done = run(command)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow call "))
def test_call_is_answered_and_heard(command: str, port: int) -> None:
    done = run(command.replace(":5060", f":{port}"))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow calls"))
def test_calls_reads_the_store_of_the_configuration(command: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "sipflow.yaml").write_bytes(DEFAULT.read_bytes())

    done = run(command, tmp_path)

    assert (done.returncode, "there is no store" in done.stderr) == (69, True)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A daemon with an API that has had a call: what the environment says of it."""
    folder, api = tmp_path_factory.mktemp("asked"), Api()
    daemon = Daemon(folder, api=api.section)
    with daemon, api.wait(daemon):
        call(folder, daemon.uri(), "--seconds", "0.3")
        daemon.wait_said("call over")
        yield {"SIPFLOW_URL": f"http://{api.section['listen']}", "SIPFLOW_TOKEN": TOKEN}


@pytest.mark.parametrize("command", [each for name in ASKING for each in commands(name.rstrip())])
def test_the_running_daemon_answers(
    command: str, asked: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in asked.items():
        monkeypatch.setenv(name, value)

    done = run(command, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow explain "))
def test_explain_comes_to_an_answer(command: str) -> None:
    done = run(f"{command} --offline")
    answered = '"answered": true' in done.stdout or "answer       200" in done.stdout

    assert done.returncode == (0 if answered else 1)
    assert "by itself" in done.stderr


def test_explain_prints_what_its_page_shows() -> None:
    shown = next(each.text for each in snippets("text") if each.place.startswith("docs/explain.md"))

    assert run(f"{commands('.venv/bin/sipflow explain ')[0]} --offline").stdout == shown


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow trunk test "))
def test_trunk_works(command: str, port: int, tmp_path: Path) -> None:
    file = tmp_path / "trunk.yaml"
    sample = ROOT / "docs" / "samples" / "trunk_test.yaml"
    file.write_text(sample.read_text(encoding="utf-8").replace(":5060", f":{port}"), encoding="utf-8")
    done = run(command.replace("docs/samples/trunk_test.yaml", shlex.quote(str(file))))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("trunk here works")


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow firewall "))
def test_firewall_is_good(command: str) -> None:
    done = run(command)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", commands(".venv/bin/sipflow load "))
def test_load_is_answered_and_heard(command: str, port: int) -> None:
    done = run(command.replace(":5060", f":{port}"))

    assert (done.returncode, done.stderr) == (0, "")


def test_call_prints_what_the_readme_shows(port: int) -> None:
    command = commands(".venv/bin/sipflow call ")[0]
    shown = next(each.text for each in snippets("text") if each.place.startswith("README") and "calling" in each.text)
    number = re.compile(r"[0-9]+(\.[0-9]+)?")
    done = run(command.replace(":5060", f":{port}"))

    assert number.sub("N", done.stdout) == number.sub("N", shown)


def test_aiosip_cannot_be_imported_as_the_page_says(tmp_path: Path) -> None:
    (command,) = commands("python3 -m venv aiosip-try ")
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--retries", "0"]
    try:
        subprocess.run(
            [*fetch, "--timeout", "3", "-d", "fetched", "aiosip==0.2.0"],
            cwd=tmp_path, check=True, capture_output=True, timeout=PYPI_PATIENCE_S,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("PyPI cannot be reached from here within seconds: the page's claim is not tried")
    done = run(command.replace("python3 ", f"{shlex.quote(sys.executable)} ", 1), tmp_path)

    assert done.returncode != 0
    assert "asyncio' has no attribute 'coroutine'" in done.stderr


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=lambda snippet: snippet.place)
def test_yaml_loads(snippet: Snippet) -> None:
    text = snippet.text
    if not re.search(r"^agents:", text, re.MULTILINE):
        text += "agents: {echo: {handler: echo}}\n"
    names = re.findall(r"\$\{([A-Z_]+)", text)

    parse(text, file=snippet.place, environ=dict.fromkeys(names, "a secret of many, very many characters"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_in_the_middle_of_a_sentence_loads(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for line in [code for code in CODE.findall(text) if re.match(r"(sip|agents|trunks|numbers|log|media): \{", code)]:
        parse(line, file=str(page))


@pytest.mark.parametrize("snippet", snippets("python"), ids=lambda snippet: snippet.place)
def test_python_compiles_and_its_imports_are_there(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text, snippet.place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
    for agent in [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]:
        assert [argument.arg for argument in agent.args.args] == ["call"]


@pytest.mark.parametrize(
    "snippet",
    [each for each in snippets("python") if "docs/agents.md" in each.place],
    ids=lambda snippet: snippet.place,
)
def test_the_agents_of_the_page_about_agents_run(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone = sine(440, 500)
    for name in ("menu.wav", "one.wav"):
        (tmp_path / name).write_bytes(wav_header(len(tone)) + tone)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(snippet.text, snippet.place, "exec"), names)
    found = [thing for name, thing in names.items() if f"def {name}(" in snippet.text]
    for thing in found:
        assert callable(thing)
        if inspect.iscoroutinefunction(thing):
            call = FakeCall(digits="1", audio=tone, patience_s=2.0)
            asyncio.run(run_agent(thing, call))
            assert call.answered
        else:
            thing()
    assert found


def test_whatever_the_pages_do_with_a_call_a_call_can() -> None:
    sources = "".join(inspect.getsource(part) for part in FakeCall.__mro__ if part.__module__.startswith("sipflow."))
    can = set(dir(FakeCall)) | set(re.findall(r"\bself\.([a-z_]+)\b", sources))
    asked = {
        name
        for page in PAGES
        for name in re.findall(r"\bcall\.([a-z_]+)\b", page.read_text(encoding="utf-8"))
        if name not in ("py", "pcap", "zip")  # files
    }

    assert {"answer", "play", "read_digit", "variables"} <= asked
    assert asked - can == set()


def test_every_option_that_the_page_of_sipflow_call_names_is_there() -> None:
    asked = set(re.findall(r"`?(--[a-z-]+)\b", (ROOT / "docs" / "calling.md").read_text(encoding="utf-8")))
    shown = run(".venv/bin/sipflow call --help").stdout

    assert len(asked) > 5
    assert [option for option in sorted(asked) if option not in shown] == []


def test_every_module_that_the_architecture_names_exists() -> None:
    missing = []
    for code in CODE.findall(FENCE.sub("", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))):
        if re.fullmatch(r"[a-z_]+(/[a-z_]+)*(/|\.py)", code):
            if not any((folder / code).exists() for folder in (ROOT, ROOT / "sipflow")):
                missing.append(code)
        elif re.match(r"(net|sip|calls|trunks|media|agents|config)\.[a-z_]+", code) and not _is_there(code):
            missing.append(code)

    assert missing == []


def _is_there(dotted: str) -> bool:
    """Whether `sip.user_agent.UserAgent.receive(message, ...)` is something of ours."""
    first, second, *rest = dotted.partition("(")[0].split(".")
    found: object = importlib.import_module(f"sipflow.{first}.{second}")
    for name in rest:
        found = getattr(found, name, None)
    return found is not None


def test_every_room_stands_in_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    ranks = next(block for language, block in FENCE.findall(text) if language == "text")
    named = {word for line in ranks.splitlines()[1:] for word in re.findall(r"[a-z]+", line[4:32])}
    rooms = {path.parent.name for path in (ROOT / "sipflow").glob("*/__init__.py")}

    assert rooms <= named
    assert {name for name in named if not (ROOT / "sipflow" / name).is_dir()} == {"errors", "tasks"}
