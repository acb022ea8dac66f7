"""`sipflow explain`: of the running daemon, of the configuration alone, of the store."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipflow.calls.explain import hop_of, plain_invite
from sipflow.cli.explain import ExplainOptions, lines_of, question_of
from sipflow.errors import LocalProtocolError
from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.cli.conftest import Sipflow
from tests.daemon.api_client import TOKEN, Api
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.store.records import keep, over

CONFIG = """
trunks: {local: {accept_from: [127.0.0.0/8], region: US}}
numbers: {"+12065550100": {trunk: local, inbound_agent: echo}}
agents: {echo: {handler: echo}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sipflow.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    api = Api()
    with Daemon(tmp_path_factory.mktemp("explained"), api=api.section) as daemon:
        api.wait(daemon)
        yield daemon


def test_configuration_alone_explains_a_number(file: Path, sipflow: Sipflow) -> None:
    result = sipflow("explain", "--to", "2065550100", "--from", "127.0.0.1", "-c", str(file), "--offline")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "trunk        it came from 127.0.0.0/8, which trunk local accepts"
    assert lines[2] == "number       Request-URI says 2065550100: it is +12065550100 (tried 2065550100, +12065550100)"
    assert lines[-1] == "answer       200: agent echo gets the call, and answers it unless its code decides otherwise"
    assert result.stderr == f"sipflow: no daemon was asked; this is what {file} says by itself\n"


def test_refusal_is_1_and_marked(file: Path, sipflow: Sipflow) -> None:
    result = sipflow("explain", "--to", "1", "--from", "10.0.0.1", "-c", str(file))

    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("answer     ! 403: 10.0.0.1 is in no trunk's accept_from")
    assert "opens no API" in result.stderr


def test_file_with_an_invite_is_explained(file: Path, sipflow: Sipflow, tmp_path: Path) -> None:
    invite = tmp_path / "invite.txt"
    invite.write_bytes(plain_invite("2065550100", hop_of("127.0.0.1"), "caller").replace(b"RTP/AVP 0 8", b"RTP/AVP 18"))
    result = sipflow("explain", str(invite), "-c", str(file), "--offline", "--json")

    found = json.loads(result.stdout)
    assert (result.exit_code, found["answered"], found["status"], found["number"]) == (1, False, 488, "+12065550100")


def test_daemon_is_asked_where_there_is_one(running: Daemon, sipflow: Sipflow) -> None:
    good = sipflow("explain", "--to", ANSWERED, "-c", str(running.file), "--json")
    bad = sipflow("explain", "--to", "+15550001", "-c", str(running.file))

    assert (good.exit_code, good.stderr, bad.exit_code, bad.stderr) == (0, "", 1, "")
    assert {"part": "limits", "text": "there is room for it", "good": True} in json.loads(good.stdout)["steps"]


def test_call_that_was_is_explained_by_its_id(running: Daemon, sipflow: Sipflow, tmp_path: Path) -> None:
    call(tmp_path, f"sip:+15550001@127.0.0.1:{running.port}")
    refused = running.said("^call refused")[-1]
    result = sipflow("explain", refused["call"], "-c", str(running.file))

    assert (result.exit_code, result.stderr) == (1, "")
    assert [line[13:] for line in result.stdout.splitlines()[:-1]] == refused["steps"]


def test_token_that_is_not_good_is_77(running: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("explain", "--to", ANSWERED, "-c", str(running.file), SIPFLOW_TOKEN=f"{TOKEN} not")

    assert (result.exit_code, result.stdout) == (77, "")


def test_call_that_never_was_is_2(running: Daemon, sipflow: Sipflow) -> None:
    result = sipflow("explain", "0123456789abcdef", "-c", str(running.file))

    assert (result.exit_code, result.stderr) == (2, "sipflow: there is no call '0123456789abcdef'\n")


def test_without_a_daemon_a_call_is_read_from_the_store(file: Path, sipflow: Sipflow) -> None:
    async def fill() -> None:
        database = await Database.open(Settings(), folder=file.parent)
        await keep(database, [over(1, why=("it came",))])
        await database.close()

    asyncio.run(fill())
    result = sipflow("explain", "call-1", "-c", str(file), "--offline")
    missing = sipflow("explain", "1", "-c", str(file), "--offline")

    assert result.stdout.splitlines()[0] == "route        it came"
    assert missing.exit_code == 69
    assert "there is no finished call 1" in missing.stderr


@pytest.mark.parametrize(
    ("what", "to", "source", "words"),
    [
        ("", "", "", "say a file, a call's id, or --to NUMBER"),
        ("1", "2", "", "one of them"),
        ("", "1", "pbx.example.com", "no address that a call can come from"),
        ("missing.txt", "", "", "there is no file missing.txt"),
    ],
)
def test_command_line_that_cannot_be_understood_is_said_so(what: str, to: str, source: str, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        question_of(ExplainOptions(what, to, source, Path("x.yaml")))


def test_folder_and_what_is_too_large_are_no_invite(tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_bytes(b"x" * 60_001)
    for file in (tmp_path, big):
        with pytest.raises(LocalProtocolError):
            question_of(ExplainOptions(str(file), "", "", Path("x.yaml")))


def test_part_stands_once_before_its_sentences() -> None:
    steps = [{"part": "trunk", "text": "one", "good": True}, {"part": "trunk", "text": "two\x1b[2J", "good": False}]

    assert lines_of({"steps": steps}) == ["trunk        one", "           ! two [2J"]
