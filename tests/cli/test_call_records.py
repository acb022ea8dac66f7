"""`sipflow calls` as somebody types it."""

import asyncio
import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord
from sipflow.cli.call_records import call_filter
from sipflow.cli.calls import CallsOptions
from sipflow.errors import LocalProtocolError
from sipflow.store.calls import CallFilter
from sipflow.store.database import Database
from sipflow.store.migrations import REVISIONS
from sipflow.store.settings import Settings
from tests.cli.conftest import Sipflow
from tests.store.records import OVER, keep, over

BUSY = over(2, answered_at=None, ending=Ending.of("remote", 486, "Busy Here"), from_number="+12065550199")
EVIL = over(3, name='=HYPERLINK("http://evil")', from_number="\x1b[31mred\udcff", variables={"X-A": "a,b\n"})
NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)

Store = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Make a store with records; return the configuration that names it, whose other variables are not set."""
    monkeypatch.setenv("TZ", "UTC")

    def make(*records: CallRecord) -> Path:
        async def fill() -> None:
            database = await Database.open(Settings(), folder=tmp_path)
            await keep(database, records)
            await database.close()

        asyncio.run(fill())
        file = tmp_path / "sipflow.yaml"
        text = "store: {encryption_key: '${NOT_SET}'}\ntrunks: {pbx: {sip_domain: pbx, password: '${NOT_SET}'}}\n"
        file.write_text(text, encoding="utf-8")
        return file

    return make


def test_a_list_is_the_newest_first(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER, BUSY)

    done = sipflow("calls", "--config", str(file))

    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["STARTED", "FROM", "TO", "AGENT", "STATUS", "TALK", "ID"],
        ["2024-05-01", "12:02:00", "in", "+12065550199", "+12065550100", "echo", "busy", "-", "call-2"],
        ["2024-05-01", "12:00:00", "in", "+12065550111", "+12065550100", "echo", "completed", "1:00", "call-1"],
    ]


def test_a_part_of_the_list_says_so(sipflow: Sipflow, store: Store) -> None:
    file = store(*(over(number) for number in range(5)))

    done = sipflow("calls", "--config", str(file), "--limit", "2", "--offset", "1")

    assert [line.split()[-1] for line in done.stdout.splitlines()[1:3]] == ["call-3", "call-2"]
    assert done.stdout.splitlines()[3] == "calls 2 to 3 of 5; --limit and --offset show others"


def test_options_choose(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER, BUSY)
    listed = sipflow("calls", "--config", str(file), "--status", "busy", "--json")
    found = json.loads(listed.stdout)

    assert (found["total"], [call["id"] for call in found["calls"]]) == (1, ["call-2"])
    assert found["calls"][0]["ended_why"] == "Busy Here"


def test_nothing_found_says_why(sipflow: Sipflow, store: Store, tmp_path: Path) -> None:
    file = store()
    assert sipflow("calls", "--config", str(file)).stdout == (
        f"no call has ended yet since {tmp_path}/sipflow.db was made; live calls are not in it\n"
    )
    assert json.loads(sipflow("calls", "--config", str(file), "--json").stdout) == {"total": 0, "calls": []}

    store(OVER)
    assert sipflow("calls", "--config", str(file), "--agent", "nobody").stdout == (
        f"none of the 1 calls in {tmp_path}/sipflow.db is such a call: leave out an option, or see --help\n"
    )
    assert sipflow("calls", "--config", str(file), "--offset", "9").stdout == (
        "there are only 1 such calls: --offset is too far\n"
    )


def test_one_call_is_shown_whole(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER)

    done = sipflow("calls", "show", "call-1", "--config", str(file))

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "call         call-1",
        "status       completed",
        "direction    inbound",
        "from         +12065550111",
        "to           +12065550100",
        "name         Grace Hopper",
        "number       +12065550100",
        "trunk        pbx",
        "agent        echo",
        "started      2024-05-01 12:00:00",
        "ringing      2024-05-01 12:00:01",
        "answered     2024-05-01 12:00:04",
        "ended        2024-05-01 12:01:04",
        "talk         1:00",
        "ended by     remote: the far end hung up",
        "ending       hung_up, SIP 200, Q.850 16, fault: nobody",
        "codec        PCMU",
        "quality      MOS 4.375, loss 0.5 %, jitter 1.25 ms",
        "recording    recordings/call-1.wav (1:00)",
        "external id  crm-9",
        "diversion    <sip:+12065550199@pbx.example.com>;reason=unconditional",
        "SIP Call-ID  a84b4c76e66710@pbx.example.com",
        "why          the number is of trunk pbx",
        "             its agent is echo",
        "variable     X-Order = 17",
        "variable     mood = „gut“ 😀",
        "attempt      pbx udp:10.0.0.5:5060: 503 busy; the next one",
        "attempt      pbx no address: under way",
        "2024-05-01 12:00:04 answered codec=PCMU",
        "2024-05-01 12:01:04 ended status=200 loss=0.5 more=[None, True, {'a': 'b'}]",
    ]


def test_one_call_as_json_has_everything_by_name(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER)

    found = json.loads(sipflow("calls", "show", "call-1", "--json", "-c", str(file)).stdout)

    assert found["history"][0] == {
        "at": "2024-05-01T12:00:04+00:00", "name": "answered", "details": {"codec": "PCMU"}
    }  # fmt: skip
    assert found["attempts"][1] == {
        "trunk": "pbx", "target": "", "status": 0, "why": "", "started_at": "2024-05-01T12:00:04+00:00",
        "ended_at": None,
    }  # fmt: skip
    assert (found["mos"], found["q850"], found["talk_s"], found["extra"]["labels"]) == (4.375, 16, 60.25, ["a", "b"])


def test_a_call_that_is_not_there_is_told(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER)

    done = sipflow("calls", "show", "nobody", "--config", str(file))

    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no finished call nobody in " in done.stderr


def test_csv_has_a_line_for_each_call(sipflow: Sipflow, store: Store) -> None:
    file = store(OVER, BUSY)

    done = sipflow("calls", "export", "--config", str(file))

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"] for row in rows] == ["call-2", "call-1"]
    assert {name: rows[1][name] for name in ("from_number", "talk_s", "mos", "why", "variables", "started_at")} == {
        "from_number": "+12065550111",
        "talk_s": "60.25",
        "mos": "4.375",
        "why": "the number is of trunk pbx; its agent is echo",
        "variables": '{"X-Order": "17", "mood": "„gut“ 😀"}',
        "started_at": "2024-05-01T12:00:00+00:00",
    }
    assert "2 calls exported" in done.stderr


def test_json_lines_go_into_a_file(sipflow: Sipflow, store: Store, tmp_path: Path) -> None:
    file = store(*(over(number) for number in range(450)))
    output = tmp_path / "calls.jsonl"

    done = sipflow("calls", "export", "-c", str(file), "--format", "jsonl", "--output", str(output), "--agent", "echo")

    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [f"call-{number}" for number in reversed(range(450))]
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"450 calls exported to {output}" in done.stderr


def test_what_strangers_wrote_does_nothing_to_a_terminal_or_a_spreadsheet(sipflow: Sipflow, store: Store) -> None:
    file = store(EVIL)

    for words in (("calls",), ("calls", "show", "call-3")):
        shown = sipflow(*words, "--config", str(file)).stdout
        assert "?[31mred?" in shown
        assert "\x1b" not in shown
    (row,) = csv.DictReader(io.StringIO(sipflow("calls", "export", "--config", str(file)).stdout))
    assert (row["name"], row["variables"]) == ('\'=HYPERLINK("http://evil")', '{"X-A": "a,b\\n"}')


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--since", "yesterday"), 2, "--since 'yesterday' is no time: write 2024-05-01"),
        (("--direction", "up"), 2, "--direction 'up' is neither inbound nor outbound"),
        (("export", "--format", "xml"), 2, "--format 'xml' is none of csv, jsonl"),
        (("export", "--output", "/nowhere/x"), 2, "--output /nowhere/x cannot be written: No such file or directory"),
    ],
)
def test_an_option_that_cannot_be_used_is_told(
    sipflow: Sipflow, store: Store, words: tuple[str, ...], status: int, said: str
) -> None:
    file = store(OVER)
    done = sipflow("calls", *words, *(("-c", str(file)) if words[0] == "export" else ("--config", str(file))))

    assert (done.exit_code, done.stdout) == (status, "")
    assert said in done.stderr


def test_a_store_that_is_not_there_is_told_and_not_made(sipflow: Sipflow, tmp_path: Path) -> None:
    file = tmp_path / "sipflow.yaml"
    file.write_text("agents: {echo: {handler: echo}}\n", encoding="utf-8")

    done = sipflow("calls", "--config", str(file))

    assert done.exit_code == 69
    assert f"there is no store {tmp_path}/sipflow.db yet: `sipflow run` makes it" in done.stderr
    assert os.listdir(tmp_path) == ["sipflow.yaml"]
    file.write_text("store: {enabled: false}\n", encoding="utf-8")
    assert "keeps no records (store.enabled is false)" in sipflow("calls", "--config", str(file)).stderr


def test_a_configuration_that_cannot_be_used_is_told(sipflow: Sipflow, tmp_path: Path) -> None:
    file = tmp_path / "sipflow.yaml"
    for text, said in (
        ("store: {keep: 1}\n", "sipflow.yaml:1: store.keep: unknown key"),
        ("store: {url: 'postgresql://sipflow:${NOT_SET}@db/x'}\n", "the environment variable NOT_SET is not set"),
        ("store: [1]\n", "store: must be a mapping"),
    ):
        file.write_text(text, encoding="utf-8")
        done = sipflow("calls", "--config", str(file))
        assert done.exit_code == 78
        assert said in done.stderr
    assert sipflow("calls", "--config", str(tmp_path / "nothing.yaml")).exit_code == 78


def test_options_become_a_filter() -> None:
    options = CallsOptions(
        agent="a", number="n", lead="l", direction="inbound", status="s", word="w", trunk="t", since="2h",
        until="2024-05-01T14:30+02:00", min_s=1.0, max_s=2.0, text="x",
    )  # fmt: skip

    assert call_filter(options, now=NOW) == CallFilter(
        agent="a", number="n", lead_number="l", direction="inbound", status="s", word="w", trunk="t",
        from_at=NOW - timedelta(hours=2), to_at=datetime(2024, 5, 1, 12, 30, tzinfo=UTC), duration_min_s=1.0,
        duration_max_s=2.0, text="x",
    )  # fmt: skip
    assert call_filter(CallsOptions(), now=NOW) == CallFilter()


def test_a_time_without_zone_is_that_of_this_machine() -> None:
    here = datetime(2024, 5, 1, 14, 30).astimezone()

    assert call_filter(CallsOptions(since="2024-05-01T14:30"), now=NOW).from_at == here
    with pytest.raises(LocalProtocolError, match="is no time"):
        call_filter(CallsOptions(since="999999w"), now=NOW)


def test_a_store_of_another_version_is_left_as_it_is(sipflow: Sipflow, store: Store, tmp_path: Path) -> None:
    file = store(replace(OVER, id="1"))

    async def age() -> None:
        from sqlalchemy import text

        database = await Database.open(Settings(), folder=tmp_path)
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        await database.close()

    asyncio.run(age())
    done = sipflow("calls", "--config", str(file))

    assert done.exit_code == 69
    assert f"are version 0000, and this sipflow's are {REVISIONS[-1]}: start `sipflow run` once" in done.stderr
