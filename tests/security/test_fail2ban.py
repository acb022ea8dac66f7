"""The filter of config/fail2ban reads what sipflow writes, and nothing that a caller could write into it."""

import io
import json
import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.daemon.logs import set_up_logs
from sipflow.sip.hop import Hop
from sipflow.sip.outputs import Refused
from tests.calls.test_strangers import STRANGER, Watch, ask
from tests.house.tree import ROOT

FOLDER = ROOT / "config" / "fail2ban"
HOST = r"(?P<host>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)"  # what fail2ban puts for <HOST>, near enough
FORGED = 'x", "event": "stranger scanner from 192.0.2.1 by udp: '


@pytest.fixture
def log() -> io.StringIO:
    """What a daemon writes where nobody watches."""
    stream = io.StringIO()
    set_up_logs("debug", "json", stream=stream)
    return stream


def failregex() -> re.Pattern[str]:
    parser = RawConfigParser(strict=True)
    parser.read(FOLDER / "sipflow.conf", encoding="utf-8")
    return re.compile(parser["Definition"]["failregex"].strip("\n").replace("<HOST>", HOST))


def banned(lines: str) -> list[str]:
    """The addresses that the filter finds, as fail2ban looks: without the line's date."""
    found = [failregex().search(re.sub(r'"timestamp": "[^"]*"', "", line)) for line in lines.splitlines()]
    return [match["host"] for match in found if match]


def every_event() -> Watch:
    """Have a stranger be refused, flood and be shut out; and one over TCP and IPv6."""
    watch = Watch(StrangerSettings(refusals_burst=1))
    watch.tries(2)
    watch.tries(agent="friendly-scanner", hop=Hop("tcp", "2001:db8::9", 5060))
    watch.strangers.note(Refused(ask("1", method="BYE"), STRANGER, 481, "no call of ours"))
    return watch


def test_every_event_of_a_stranger_is_found_with_its_address(log: io.StringIO) -> None:
    every_event()

    assert banned(log.getvalue()) == ["192.0.2.9", "192.0.2.9", "2001:db8::9", "192.0.2.9"]
    assert [json.loads(line)["event"].split(" from ")[0] for line in log.getvalue().splitlines()] == [
        "stranger refused",
        "stranger flood",
        "stranger scanner",
        "stranger refused",
    ]


def test_a_line_of_the_journal_or_of_syslog_is_found_too(log: io.StringIO) -> None:
    every_event()
    line = log.getvalue().splitlines()[0]

    assert banned(f"edge1 sipflow[4711]: {line}\nedge1 sipflow: {line}") == ["192.0.2.9"] * 2


def test_nothing_that_a_caller_writes_bans_somebody_else(log: io.StringIO) -> None:
    watch = Watch(StrangerSettings(scanners=("zzz",)))
    other = structlog.get_logger("sipflow.calls")
    for text in (FORGED, f"\r\n{{{FORGED}", f'\\"}}\n{{"event": "{FORGED}', "stranger scanner from 192.0.2.1 by udp: "):
        watch.strangers.guard(ask(quote(text)), STRANGER)
        watch.strangers.note(Refused(ask("1", method="BYE"), STRANGER, 400, text))
        other.warning("call refused", source="udp:192.0.2.9:5060", why=text, to=text)
        other.info(text, caller=text)

    assert set(banned(log.getvalue())) == {"192.0.2.9"}


def test_what_concerns_trunks_and_calls_bans_nobody(log: io.StringIO) -> None:
    watch = Watch(StrangerSettings(trunk_requests_per_s=1))
    watch.tries(5, hop=Hop("udp", "192.0.2.1", 5060))

    assert len(log.getvalue().splitlines()) == 1
    assert banned(log.getvalue()) == []


@pytest.mark.skipif(shutil.which("fail2ban-regex") is None, reason="fail2ban is not installed here")
def test_fail2ban_itself_reads_the_filter_and_the_date(log: io.StringIO, tmp_path: Path) -> None:
    every_event()
    written = tmp_path / "sipflow.log"
    written.write_text(log.getvalue() + '{"event": "call in", "source": "192.0.2.1"}\n', encoding="utf-8")
    command = ["fail2ban-regex", "--print-all-matched", str(written), str(FOLDER / "sipflow.conf")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    assert "Lines: 5 lines, 0 ignored, 4 matched, 1 missed" in said
    assert re.search(r"\[4\] .*timestamp", said)


def test_the_jail_names_the_filter() -> None:
    parser = RawConfigParser(strict=True)
    parser.read(FOLDER / "sipflow.jail", encoding="utf-8")

    assert (parser["sipflow"]["filter"], parser["sipflow"]["enabled"]) == ("sipflow", "true")
