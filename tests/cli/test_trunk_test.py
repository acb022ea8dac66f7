"""`sipflow trunk test` as it is printed; what it finds at real far ends stands in tests/interop."""

from pathlib import Path

import pytest

from sipflow.cli.trunk_test import TrunkTestReport, find_trunk, lines_of, summary
from sipflow.config.load import parse
from sipflow.errors import LocalProtocolError
from sipflow.trunks.findings import Finding, Judgement
from tests.cli.conftest import Sipflow
from tests.interop.daemon import ANSWERED, Daemon

TEXT = "trunks: {pbx: {sip_domain: 192.0.2.10}, local: {accept_from: [127.0.0.0/8]}}\nagents: {echo: {handler: echo}}\n"
GOOD, BAD = Finding("options", Judgement.OK, "200 OK"), Finding("register", Judgement.FAILED, "403")
WARNED = Finding("nat", Judgement.WARNING, "there is a NAT\x1b between", "set advertise", 12.3, ("one", "two"))


def test_finding_is_a_line_with_its_details_and_advice_below() -> None:
    assert lines_of(GOOD) == ["ok      options                200 OK"]
    assert lines_of(WARNED) == [
        "WARNING nat             12 ms  there is a NAT  between",
        " " * 31 + "one",
        " " * 31 + "two",
        " " * 31 + "-> set advertise",
    ]


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ([GOOD], "trunk pbx works"),
        ([GOOD, WARNED], "trunk pbx works, with warnings: nat"),
        ([GOOD, WARNED, BAD], "trunk pbx does not work: register failed"),
    ],
)
def test_summary_names_what_failed(findings: list[Finding], text: str) -> None:
    assert summary(TrunkTestReport("pbx", findings)) == text


def test_trunk_that_is_not_there_or_has_no_far_end_is_said_so() -> None:
    configuration = parse(TEXT, environ={})

    assert find_trunk(configuration, "pbx").name == "pbx"
    with pytest.raises(
        LocalProtocolError, match=r"there is no trunk 'pbz' in the configuration; there are: pbx, local"
    ):
        find_trunk(configuration, "pbz")
    with pytest.raises(LocalProtocolError, match="trunk local only takes calls"):
        find_trunk(configuration, "local")


def test_trunk_that_works_is_0_line_by_line(daemon: Daemon, sipflow: Sipflow, tmp_path: Path) -> None:
    file = tmp_path / "sipflow.yaml"
    file.write_text(
        f"trunks: {{far: {{sip_domain: '127.0.0.1:{daemon.port}'}}}}\nagents: {{echo: {{handler: echo}}}}\n"
        "media: {ports: 31000-31100, bind: 127.0.0.1}\nsip: {listen: [udp:127.0.0.1:5060]}\n",
        encoding="utf-8",
    )
    result = sipflow("trunk", "test", "far", "-c", str(file), "--dial", ANSWERED)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok      resolve")
    assert "sip:127.0.0.1:" in lines[0]
    assert lines[-1].startswith("trunk far works")
    assert {line.split()[1] for line in lines if line.startswith("ok ")} >= {"audio", "hold", "ack", "hangup"}
