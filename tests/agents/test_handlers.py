"""Finding the code of an agent, and a sentence for everything that can be wrong with it."""

import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from sipflow.agents.announce import announce
from sipflow.agents.echo import echo
from sipflow.agents.handlers import BUILT_IN, load
from sipflow.agents.spec import AgentSpec
from sipflow.audio.wav import wav_header
from sipflow.errors import AgentError

MODULE = "sipflow_agents_made_here"
NAMES = ", ".join(BUILT_IN)
SOURCE = """
import functools
import os

async def good(call):
    pass

async def with_more(call, greeting="hello"):
    pass

bound = functools.partial(with_more, greeting="hi")

def plain(call):
    pass

class Desk:
    pass

async def nothing():
    pass

async def two(call, other):
    pass

text = "good"
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE, encoding="utf-8")
    for name, text in {
        "raises": "1 / 0",
        "exits": "raise SystemExit(3)",
        "unfinished": "def (",
        "needs": "import no_such_module_anywhere",
    }.items():
        (tmp_path / f"{MODULE}_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)


def spec(handler: str, **options: object) -> AgentSpec:
    return AgentSpec("desk", handler, MappingProxyType(options))


@pytest.mark.parametrize("function", ["good", "with_more", "bound"])
def test_coroutine_function_that_takes_the_call_is_found(function: str) -> None:
    assert load(spec(f"{MODULE}:{function}")) is getattr(__import__(MODULE), function)


def test_built_in_handlers_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_header(0))

    assert load(spec("echo")) is echo
    assert load(spec("announce", file=str(tmp_path / "a.wav"))) is announce


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        ("eco", f"handler 'eco' is none of {NAMES}, nor module:function"),
        ("", f"handler '' is none of {NAMES}, nor module:function"),
        (":good", f"handler ':good' is none of {NAMES}, nor module:function"),
        (f"{MODULE}:", f"handler '{MODULE}:' is none of {NAMES}, nor module:function"),
        (f"{MODULE}:missing", f"module {MODULE} has no missing (FOLDER/{MODULE}.py)"),
        (f"{MODULE}:plain", f"module {MODULE} must be `async def`: plain (FOLDER/{MODULE}.py)"),
        (f"{MODULE}:text", f"module {MODULE} must be `async def`: text (FOLDER/{MODULE}.py)"),
        (f"{MODULE}:os", f"module {MODULE} must be `async def`: os (FOLDER/{MODULE}.py)"),
        (f"{MODULE}:Desk", f"module {MODULE} must be `async def`: Desk (FOLDER/{MODULE}.py)"),
        (f"{MODULE}:nothing", f"{MODULE}:nothing must take one argument, the call"),
        (f"{MODULE}:two", f"{MODULE}:two must take one argument, the call"),
        (
            f"{MODULE}_raises:x",
            f"cannot import {MODULE}_raises: ZeroDivisionError: division by zero (FOLDER/{MODULE}_raises.py, line 1)",
        ),
        (f"{MODULE}_exits:x", f"cannot import {MODULE}_exits: SystemExit: 3 (FOLDER/{MODULE}_exits.py, line 1)"),
        (
            f"{MODULE}_needs:x",
            f"cannot import {MODULE}_needs: ModuleNotFoundError: No module named 'no_such_module_anywhere' "
            f"(FOLDER/{MODULE}_needs.py, line 1); install what has it for {sys.executable}",
        ),
        (
            "no_such_module_anywhere:x",
            "cannot import no_such_module_anywhere: ModuleNotFoundError: No module named 'no_such_module_anywhere'; "
            "put no_such_module_anywhere.py beside the configuration",
        ),
    ],
)
def test_what_cannot_run_is_told_in_a_sentence(tmp_path: Path, handler: str, why: str) -> None:
    with pytest.raises(AgentError) as error:
        load(spec(handler))

    assert str(error.value).replace(str(tmp_path), "FOLDER") == f"agent desk: {why}"


def test_module_that_python_cannot_read_is_told_in_a_sentence() -> None:
    with pytest.raises(AgentError, match=f"^agent desk: cannot import {MODULE}_unfinished: SyntaxError: "):
        load(spec(f"{MODULE}_unfinished:x"))


def test_options_that_a_built_in_handler_does_not_take_are_told_with_the_agent() -> None:
    with pytest.raises(AgentError, match=r"^agent desk: handler echo takes no option loud$"):
        load(spec("echo", loud=True))
