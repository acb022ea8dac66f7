"""Reading a configuration and everything it names."""

import json
import sys
from pathlib import Path

import pytest

from sipflow.daemon.loading import load_configuration
from sipflow.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "edge.yaml"


def test_agent_beside_the_file_is_found(file: Path) -> None:
    (file.parent / "agents_beside_the_file.py").write_text("async def desk(call): pass\n", encoding="utf-8")
    file.write_text("agents: {desk: {handler: agents_beside_the_file:desk, greeting: Hello}}\n", encoding="utf-8")

    spec = load_configuration(file).agents["desk"]

    assert (spec.handler, dict(spec.options), spec.line) == ("agents_beside_the_file:desk", {"greeting": "Hello"}, 1)


def test_agent_in_the_working_directory_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = file.parent / "here"
    here.mkdir()
    (here / "agents_in_the_working_directory.py").write_text("async def desk(call): pass\n", encoding="utf-8")
    monkeypatch.chdir(here)
    file.write_text("agents: {desk: {handler: agents_in_the_working_directory:desk}}\n", encoding="utf-8")

    assert list(load_configuration(file).agents) == ["desk"]


def test_loading_twice_adds_no_folder_twice(file: Path) -> None:
    file.write_text("{}\n", encoding="utf-8")
    load_configuration(file)
    before = list(sys.path)
    load_configuration(file)

    assert sys.path == before


def test_every_agent_that_cannot_run_is_told_with_its_line(file: Path) -> None:
    file.write_text("agents:\n  a: {handler: json:loads}\n  b:\n    handler: json:nothing\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_configuration(file)

    assert (error.value.line, error.value.key) == (2, "agents.a.handler")
    assert str(error.value).splitlines() == [
        f"{file}:2: agents.a.handler: module json must be `async def`: loads ({json.__file__})",
        f"{file}:4: agents.b.handler: module json has no nothing ({json.__file__})",
    ]


def test_what_the_file_itself_has_wrong_is_told(file: Path) -> None:
    file.write_text("sip: {listen: nowhere}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_configuration(file)

    assert (error.value.file, error.value.line, error.value.key) == (str(file), 1, "sip.listen.0")
