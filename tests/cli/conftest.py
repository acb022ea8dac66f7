"""One daemon for all tests of the command line, and the command line inside this process."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sipflow.cli.main import app
from tests.interop.daemon import Daemon

PASSWORD = "open-sesame-92"
NUMBERS = {
    "busy": "+12065550101",
    "ring": "+12065550102",
    "short": "+12065550104",
    "listen": "+12065550105",
}
GUARDED = "+12065550110"

Sipflow = Callable[..., Result]


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon at debug level, whose agents are those of tests/cli/agents.py."""
    running = Daemon(tmp_path_factory.mktemp("edge"), log={"level": "debug", "format": "json"})
    sections = running.configuration
    sections["trunks"]["guarded"] = {
        "accept_from": ["127.0.0.0/8"],
        "authenticate_inbound": {"username": "desk", "password": "${GUARDED_PASSWORD}", "realm": "edge"},
    }
    for name, number in NUMBERS.items():
        sections["numbers"][number] = {"trunk": "local", "inbound_agent": name}
        sections["agents"][name] = {"handler": f"tests.cli.agents:{name}"}
    sections["numbers"][GUARDED] = {"trunk": "guarded", "inbound_agent": "echo"}
    running.start(GUARDED_PASSWORD=PASSWORD)
    try:
        yield running
    finally:
        running.program.stop(5)


@pytest.fixture
def sipflow() -> Sipflow:
    """Run a command line in this process."""

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=environment)

    return run


def report_of(result: Result) -> dict[str, Any]:
    """What `--json` printed."""
    found: dict[str, Any] = json.loads(result.stdout)
    return found
