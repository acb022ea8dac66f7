"""What the pages say is so: links lead somewhere, blocks load, named things exist. Commands are tried elsewhere."""

import ast
import asyncio
import importlib
import inspect
import json
import re
import subprocess
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema_rs
import pytest
import yaml
from websockets.asyncio.server import ServerConnection, serve

from sipflow.agents.handlers import BUILT_IN
from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.inbound import InboundCall
from sipflow.config.load import parse
from sipflow.config.reference import json_schema
from sipflow.errors import AgentError
from sipflow.testing import FakeCall
from sipflow.testing import run as run_agent
from tests.house.pages import CODE, DEFAULT, FENCE, PAGES, Snippet, blocks, snippets
from tests.house.site_hooks import hook
from tests.house.tree import ROOT

LINKED = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "scenarios").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


# What is in a block, and who reads it: here, or a test that names the page.
READ_HERE = frozenset({"yaml", "sh", "python", "json", "xml", "mermaid", "console", "text"})
READ_ELSEWHERE = {
    ("docs/webhooks.md", "bash"): "tests/webhooks/test_signing.py",
    ("docs/integrations.md", "py"): "tests/integrations/elsewhere.py",
    ("docs/providers/kamailio.md", "kamailio"): "tests/interop/test_provider_pages.py",
    ("docs/providers/asterisk.md", "ini"): "tests/trunks/profiles/test_pages.py",
}
# Shell that only an operator can run, on a machine of his: its words are looked at, and it is not run.
INSTALLING = "docs/operations.md"
DRAWINGS = ("flowchart ", "sequenceDiagram", "stateDiagram-v2")


def test_every_block_is_read_by_a_test() -> None:
    found = {(block.page, block.language) for block in blocks()}

    assert {each for each in found if each[1] not in READ_HERE} == READ_ELSEWHERE.keys()
    assert [
        test for (page, _), test in READ_ELSEWHERE.items()
        if Path(page).name.removesuffix(".md") not in (ROOT / test).read_text(encoding="utf-8")
    ] == []  # fmt: skip


@pytest.mark.parametrize("snippet", snippets("yaml"), ids=lambda snippet: snippet.place)
def test_yaml_loads(snippet: Snippet) -> None:
    text = snippet.text
    if not re.search(r"^agents:", text, re.MULTILINE):
        text += "agents: {echo: {handler: echo}}\n"
    names = re.findall(r"\$\{([A-Z_]+)", text)

    parse(text, file=snippet.place, environ=dict.fromkeys(names, "a secret of many, very many characters"))


def test_editors_that_know_the_json_schema_find_nothing_wrong_with_any_yaml() -> None:
    validator = jsonschema_rs.validator_for(json_schema())
    files = [DEFAULT, *sorted((ROOT / "docs").rglob("*.yaml"))]
    texts = {block.place: block.text for block in snippets("yaml")}
    texts |= {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
    wrong = [(place, error.message) for place, text in texts.items() for error in validator.iter_errors(_as_json(text))]

    assert wrong == []
    assert len(texts) > 60


def _as_json(text: str) -> object:
    """YAML as editors hand it to a schema: keys are text, whatever they look like."""
    return json.loads(json.dumps(yaml.safe_load(text)))


@pytest.mark.parametrize("snippet", snippets("json"), ids=lambda snippet: snippet.place)
def test_json_is_json(snippet: Snippet) -> None:
    assert json.loads(snippet.text.replace("...,", '"...",').replace(": ...}", ': "..."}'))


@pytest.mark.parametrize("snippet", snippets("xml"), ids=lambda snippet: snippet.place)
def test_xml_is_well_formed(snippet: Snippet) -> None:
    ElementTree.fromstring(f"<all>{snippet.text}</all>")


def test_drawings_are_of_a_kind_that_is_drawn() -> None:
    drawings = snippets("mermaid")

    assert [block.place for block in drawings if not block.text.startswith(DRAWINGS)] == []
    assert len(drawings) > 5


def test_what_an_operator_types_to_install_it_is_shell_and_names_files_that_are_there() -> None:
    text = "\n".join(block.text for block in snippets("console") if block.page == INSTALLING)
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(text.splitlines()) > 10
    assert [name for name in re.findall(r"(?<![\w./-])config/\S+", text) if not (ROOT / name).exists()] == []


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
            assert asyncio.run(_with_a_service(thing, tone)).answered
        else:
            thing()
    assert found


async def _with_a_service(agent: Callable[[InboundCall], Awaitable[None]], tone: bytes) -> FakeCall:
    """Run an agent on a call whose `url` is of a WebSocket that says something back."""

    async def say(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(tone)
        await socket.send("the caller has interrupted")
        async for _ in socket:  # what is not read holds up the goodbye
            pass

    async with serve(say, "127.0.0.1", 0) as service:
        host, port = next(iter(service.sockets)).getsockname()
        call = FakeCall(digits="1", audio=tone, patience_s=2.0, options={"url": f"ws://{host}:{port}"})
        await run_agent(agent, call)
    return call


def test_whatever_the_pages_do_with_a_call_a_call_can() -> None:
    can = set(hook("call_reference").members()) | {name for name in dir(FakeCall()) if not name.startswith("_")}
    asked = {
        name
        for page in PAGES
        for name in re.findall(r"\bcall\.([a-z_]+)\b", page.read_text(encoding="utf-8"))
        if name not in ("py", "pcap", "zip", "wav")  # files
    }

    assert {"answer", "play", "read_digit", "variables"} <= asked
    assert asked - can == set()


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


NAMED = re.compile(r"`((?:tests|sipflow|config|docs|scenarios)/[\w./-]+)`")
MADE_BY_THE_READER = {"config/agents.py"}


def test_every_file_of_ours_that_a_page_names_is_there() -> None:
    named = {
        (str(page.relative_to(ROOT)), path)
        for page in LINKED
        for path in re.findall(
            r"`((?:tests|sipflow|config|docs|scenarios)/[\w./-]+)`", page.read_text(encoding="utf-8")
        )
        if path not in MADE_BY_THE_READER
    }

    places = (ROOT, ROOT / "sipflow")

    assert sorted(each for each in named if not any((place / each[1]).exists() for place in places)) == []
    assert len(named) > 10


@pytest.mark.parametrize(
    ("handler", "page"),
    [
        ("announce", "agents"), ("stream", "stream"), ("audiosocket", "integrations"),
        ("sip_endpoint", "sip_endpoint"), ("forward", "forward"), ("voicemail", "forward"),
    ],
)  # fmt: skip
def test_every_option_of_a_handler_stands_on_its_page(handler: str, page: str) -> None:
    with pytest.raises(AgentError) as refused:
        BUILT_IN[handler].check({"no_such_option": 1})
    options = re.findall(r"\w+", str(refused.value).partition("it has ")[2])
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")

    assert options
    assert [name for name in options if f"`{name}" not in text and f"{name}:" not in text] == []


def test_every_handler_stands_on_the_page_about_agents() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "agents.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert BUILT_IN.keys() <= set(rows)


def test_every_room_stands_in_the_map() -> None:
    ranks = next(block.text for block in snippets("text") if block.page == "docs/architecture.md")
    named = {word for line in ranks.splitlines()[1:] for word in re.findall(r"[a-z]+", line[4:32])}
    rooms = {path.parent.name for path in (ROOT / "sipflow").glob("*/__init__.py")}

    assert rooms <= named
    assert {name for name in named if not (ROOT / "sipflow" / name).is_dir()} == {"errors", "tasks"}


def test_the_ranks_of_the_map_are_those_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    ranks = next(block.text for block in snippets("text") if block.page == "docs/architecture.md")
    drawn: list[set[str]] = []
    for line in ranks.splitlines()[1:]:
        names = set(re.findall(r"[a-z]+", line[4:32]))
        if line[:4].strip():
            drawn.append(names)
        else:
            drawn[-1] |= names

    assert drawn == [set(re.findall(r"[a-z]+", layer)) for layer in layers]


def test_every_module_and_test_in_the_table_of_rfcs_exists() -> None:
    lines = (ROOT / "docs" / "sip.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    rows = [cells for cells in rows if len(cells) == 5 and cells[0] != "RFC"]
    modules = {name for cells in rows for name in CODE.findall(cells[3])}
    shown = {name for cells in rows for name in CODE.findall(cells[4])}

    assert len(rows) > 45
    assert [
        cells for cells in rows if not (cells[1] and cells[2] and CODE.search(cells[3]) and CODE.search(cells[4]))
    ] == []
    assert sorted(name for name in modules if not _module(name)) == []
    assert sorted(name for name in shown if not _shows(name)) == []


def _module(name: str) -> bool:
    return (ROOT / "sipflow" / f"{name}.py").is_file() or (ROOT / "sipflow" / "sip" / f"{name}.py").is_file()


def _shows(name: str) -> bool:
    """Whether there is such a test, below tests/ or tests/sip/, or such a scenario."""
    places = [ROOT / "tests" / f"{name}.py", ROOT / "tests" / "sip" / f"{name}.py", ROOT / "scenarios" / f"{name}.xml"]
    return any(place.is_file() for place in places)


def test_every_dependency_stands_on_its_page_with_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(each for lines in extras.values() for each in lines)]
    names = {re.split(r"[\[>=<;]", each)[0].lower() for each in wanted}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()

    assert sorted(name for name in names if f"`{name}`" not in page) == []
    assert sorted(name for name in extras if f"`{name}`" not in page) == []
    assert all(heading in page for heading in ("## why not aiosip?", "## why not pjsua2?"))


def test_what_the_page_about_agents_lists_is_all_that_a_call_has() -> None:
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(?:await |async with |async for \w+ in )?call\.([a-z_]+)", page))
    fake = {name for name in dir(FakeCall()) if not name.startswith("_")}
    members = set(hook("call_reference").members())

    assert sorted(members - told) == []
    assert sorted(told - members - fake) == []


def test_every_argument_of_the_fake_call_stands_on_the_page_about_agents() -> None:
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")

    assert [name for name in inspect.signature(FakeCall).parameters if f"`{name}=" not in page] == []


def test_the_reference_of_the_call_tells_of_each_member_what_its_docstring_says() -> None:
    made = hook("call_reference")
    sections = dict(re.findall(r"^### `call\.([a-z_]+)`\n(.*?)(?=^###? |\Z)", made.page(), re.MULTILINE | re.DOTALL))

    assert sections.keys() == made.members().keys()
    assert [name for name, text in sections.items() if len(text.split()) < 3] == []
    assert "CallEnded" in sections["answer"]
    assert "Hz" in sections["sample_rate_hz"]
    assert [name for name in made.OF_THE_EDGE if not made.is_public(name)] == []
