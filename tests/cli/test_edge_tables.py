"""What the commands print of a real daemon."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipflow.cli import edge_tables
from sipflow.cli.client import Client
from sipflow.cli.edge_tables import asked, print_agents, print_numbers, print_status, print_trace, print_trunks
from tests.daemon.api_client import TOKEN, Api
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.interop.free_ports import free_sip_port


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Asks a daemon that has had two calls, and one of whose trunks cannot register."""
    folder, api, nobody = tmp_path_factory.mktemp("edge"), Api(), free_sip_port()
    trunks = {
        "local": {"accept_from": ["127.0.0.0/8"]},
        "pbx": {"sip_domain": f"127.0.0.1:{nobody}", "username": "2001", "password": "never shown", "register": True},
    }
    daemon = Daemon(folder, api=api.section, trunks=trunks)
    with daemon, api.wait(daemon):
        call(folder, daemon.uri(number="+12065559999"), "--seconds", "0.3")
        call(folder, daemon.uri(), "--seconds", "0.3")
        daemon.wait_said("call over")
        with Client(f"http://{api.section['listen']}", TOKEN) as made:
            yield made


def test_status_says_what_is_not_well_and_exits_with_1(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = print_status(client, json=False)
    lines = capsys.readouterr().out.splitlines()

    assert exit_status == 1
    assert lines[0].startswith(f"sipflow 0.1.0 at {client.url}, up for 0:00:")
    assert lines[1] == "0 calls: 0 in, 0 out, 0 answered"
    assert [line.split()[:2] for line in lines if line.startswith("pbx")] == [["pbx", "failed"]]
    assert "never shown" not in str(lines)


def test_status_as_json_is_what_the_api_says(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = print_status(client, json=True)
    found = json.loads(capsys.readouterr().out)

    assert (exit_status, found["numbers"], found["agents"]) == (1, 1, 1)
    assert [each["name"] for each in found["trunks"]] == ["pbx"]


def test_trunks_are_listed_with_why_they_do_not_work(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = print_trunks(client, json=False)
    lines = capsys.readouterr().out.splitlines()
    print_trunks(client, json=True)
    objects = json.loads(capsys.readouterr().out)

    assert exit_status == 1
    assert lines[0].split() == ["trunk", "where", "registration", "why"]
    assert "127.0.0.0/8" in next(line for line in lines if line.startswith("local"))
    assert "refused" in next(line for line in lines if line.startswith("pbx"))
    assert {each["name"]: each["registration"]["state"] for each in objects} == {"local": "off", "pbx": "failed"}


def test_numbers_are_listed_with_who_answers(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = print_numbers(client, json=False)
    lines = capsys.readouterr().out.splitlines()
    print_numbers(client, json=True)
    objects = json.loads(capsys.readouterr().out)

    assert exit_status == 0
    assert lines[1].split()[:3] == [ANSWERED, "echo", "off"]
    assert [(each["number"], each["agent"]) for each in objects] == [(ANSWERED, "echo")]


def test_agents_are_listed_with_their_handlers_and_numbers(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = print_agents(client, json=False)
    lines = capsys.readouterr().out.splitlines()
    print_agents(client, json=True)
    objects = json.loads(capsys.readouterr().out)

    assert exit_status == 0
    assert [line.split() for line in lines] == [
        ["agent", "type", "handler", "numbers"], ["echo", "inbound", "echo", ANSWERED],
    ]  # fmt: skip
    assert [each["model_id"] for each in objects] == ["echo"]


def trace(client: Client, call: str = "last", **options: object) -> int:
    wanted = {"full": False, "json": False, "pcap": None, "evidence": None, **options}
    return print_trace(client, call, **wanted)  # type: ignore[arg-type]


def test_the_ladder_of_the_newest_call_is_drawn(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    exit_status = trace(client)
    lines = capsys.readouterr().out.splitlines()
    trace(client, full=True)
    full = capsys.readouterr().out
    trace(client, json=True)
    found = json.loads(capsys.readouterr().out)

    assert exit_status == 0
    assert lines[0] == f"call {found['call_id']}"
    assert ("INVITE (sdp)" in lines[2], "200 OK to BYE" in lines[-1]) == (True, True)
    assert "Call-ID: " in full
    assert full.count("\n--- ") == len(found["messages"])


def test_files_are_written_and_nothing_is_drawn(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pcap, evidence = tmp_path / "call.pcap", tmp_path / "call.zip"
    exit_status = trace(client, pcap=pcap, evidence=evidence)
    said = capsys.readouterr().out.splitlines()

    assert exit_status == 0
    assert pcap.read_bytes()[:4] == b"\xa1\xb2\xc3\xd4"
    assert zipfile.is_zipfile(evidence)
    assert said == [f"{path}: {path.stat().st_size} bytes" for path in (pcap, evidence)]


def test_what_cannot_be_had_is_said_and_told_by_the_exit_status(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPFLOW_URL", client.url)
    monkeypatch.setenv("SIPFLOW_TOKEN", TOKEN)
    nothing = asked(tmp_path / "none.yaml", lambda each: trace(each, "nope"))
    unwritable = asked(tmp_path / "none.yaml", lambda each: trace(each, pcap=tmp_path / "no" / "such" / "folder"))
    monkeypatch.setenv("SIPFLOW_TOKEN", "wrong")
    forbidden = asked(tmp_path / "none.yaml", lambda each: print_status(each, json=False))
    said = capsys.readouterr().err.splitlines()

    assert (nothing, unwritable, forbidden) == (1, 69, 77)
    assert said[0] == "sipflow: there is no call 'nope'"
    assert said[1].endswith("cannot be written: No such file or directory")
    assert said[2].startswith("sipflow: this token is unknown; ")


def test_nothing_that_strangers_wrote_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    edge_tables._table(("a", "b"), [("\x1b[2J", "\x07x")])

    assert capsys.readouterr().out.splitlines()[1].split() == ["?[2J", "?x"]
