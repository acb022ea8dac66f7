"""The requests on the page of the API are made as they stand there, and answered as it says."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from tests.house.pages import snippets
from tests.house.site_hooks import openapi
from tests.house.tree import ROOT
from tests.interop.daemon import SIPFLOW, Daemon
from tests.interop.free_ports import free_sip_port
from tests.interop.programs import missing

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```console\n(.*?)^```$(?:\n\n^```json\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


class Shown(NamedTuple):
    """Commands, and what the page shows below them of the last one's answer."""

    commands: str
    answer: str


BLOCKS = [Shown(commands, answer) for commands, answer in BLOCK.findall(PAGE)]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Terminal"]:
    if shutil.which("curl") is None:
        missing("curl is not installed (Debian package curl)")
    folder = tmp_path_factory.mktemp("docs")
    (folder / "config").mkdir()
    listen = f"127.0.0.1:{free_sip_port()}"
    numbers = {"+12065550100": {"friendly_name": "Echo", "trunk": "local", "inbound_agent": "echo"}}
    with Daemon(folder / "config", numbers=numbers, api={"listen": listen}) as daemon:
        daemon.wait_said("the API is open")
        yield Terminal(folder, listen)


class Terminal:
    """A shell that keeps what is exported."""

    def __init__(self, folder: Path, listen: str) -> None:
        self._folder = folder
        self._listen = listen
        self._exported = ""

    def type(self, commands: str) -> str:
        """Run commands as they stand on the page; return what the last one printed."""
        here = commands.replace("127.0.0.1:8080", self._listen).replace(".venv/bin/sipflow", SIPFLOW)
        *before, last = here.strip().splitlines()
        curl = 'curl() { command curl --fail-with-body "$@"; }'
        script = "\n".join(["set -e -o pipefail", curl, self._exported, *(f"{line} >&2" for line in before), last])
        done = subprocess.run(
            ["bash", "-c", script + "\nexport -p >&3"], cwd=self._folder, capture_output=True, text=True, timeout=60,
            pass_fds=(3,), preexec_fn=self._keep_exports,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        wanted = ("declare -x SIPFLOW_TOKEN=", "declare -x MODEL_ID=")
        kept = (self._folder / "exports").read_text(encoding="utf-8").splitlines()
        self._exported = "\n".join(line for line in kept if line.startswith(wanted))
        return done.stdout

    def _keep_exports(self) -> None:
        os.dup2(os.open(self._folder / "exports", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 3)


def same(shown: Any, found: Any) -> bool:
    """Whether an answer is what the page shows; `...` there is anything."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(same(shown[key], found[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(same, shown, found))
    return bool(shown == found)


def test_the_requests_of_the_page_are_answered_as_it_shows(terminal: Terminal) -> None:
    answers = [(block, terminal.type(block.commands)) for block in BLOCKS]
    compared = [(block.answer, answer) for block, answer in answers if block.answer]

    assert len(answers) >= 6
    assert len(compared) >= 4
    assert [pair for pair in compared if not same(json.loads(pair[0]), json.loads(pair[1]))] == []


def test_every_path_on_the_page_is_in_the_openapi_document_with_the_scope_it_says() -> None:
    rows = re.findall(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE) /[^|]*`) \| `([a-z:]+)` \|", PAGE, re.MULTILINE)
    found = {
        (method, path.partition("?")[0]): scope
        for cell, scope in rows
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cell)
    }
    published = {
        (method.upper(), path.replace("phone_number_slug", "slug")): operation["security"][0]["token"][0]
        for path, operations in openapi()["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    }

    assert len(found) > 10
    assert {key: scope for key, scope in found.items() if published.get(key) != scope} == {}


def test_every_field_of_an_import_stands_on_the_page() -> None:
    fields = openapi()["components"]["schemas"]["ImportNumber"]["properties"]

    assert [name for name in fields if f"`{name}`" not in PAGE] == []


def requests(text: str) -> list[tuple[str, str, str]]:
    """The method, the path and the body of each curl in a block."""
    found = []
    for command in text.replace("\\\n", " ").splitlines():
        url = re.search(r"curl .*?(?:https?://)?(?:127\.0\.0\.1|localhost):8080(/[^ '\"?]*)", command)
        if url is not None:
            method, body = re.search(r"-X (\w+)", command), re.search(r"-d '(\{.*\})'", command)
            usual = "POST" if body else "GET"
            found.append((method[1] if method else usual, url[1], body[1] if body else ""))
    return found


def test_every_request_in_a_console_is_one_that_the_api_takes() -> None:
    found = [(block.place, *each) for block in snippets("console") for each in requests(block.text)]
    for place, method, path, body in found:
        steps = re.sub(r"\$[A-Z_]+", "x", path).split("/")
        fitting = [
            below[method.lower()]
            for known, below in openapi()["paths"].items()
            if method.lower() in below and _fits(known.split("/"), steps)
        ]
        assert fitting, f"{place}: {method} {path}"
        if body:
            schema = fitting[0]["requestBody"]["content"]["application/json"]["schema"]
            jsonschema_rs.validate({**schema, "components": openapi()["components"]}, json.loads(body))

    assert len(found) > 12


def _fits(known: list[str], steps: list[str]) -> bool:
    return len(known) == len(steps) and all(
        one.startswith("{") or one == other for one, other in zip(known, steps, strict=True)
    )
