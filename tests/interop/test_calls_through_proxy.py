"""Calls that reach the daemon by its registrations: Kamailio challenges the caller, record-routes, passes them on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.daemon import AGENTS, CallReport, Daemon, call
from tests.interop.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.interop.sipp import Calls
from tests.net.certificates import Certificates

UDP, TCP, TLS, LEAVING = "+12065550101", "+12065550102", "+12065550103", "+12065550104"


@pytest.fixture(scope="module")
def daemon(pbx: Kamailio, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Registered four times. Its trunk `local` has the same source, so only the registration tells the trunk."""
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        tls={"ca": certificates.ca, "certificate": certificates.server.certificate, "key": certificates.server.key},
        trunks={
            "local": {"accept_from": ["127.0.0.0/8"]},
            "udp": pbx.trunk("2001", "udp"),
            "tcp": pbx.trunk("2002", "tcp"),
            "tls": pbx.trunk("2003", "tls"),
            "leaving": pbx.trunk("2004", "tls"),
        },
        numbers={
            UDP: {"trunk": "udp", "inbound_agent": "echo"},
            TCP: {"trunk": "tcp", "inbound_agent": "echo"},
            TLS: {"trunk": "tls", "inbound_agent": "echo"},
            LEAVING: {"trunk": "leaving", "inbound_agent": "leaving"},
        },
        agents={"echo": {"handler": "echo"}, "leaving": {"handler": f"{AGENTS}:hang_up_soon"}},
    )
    with daemon:
        daemon.wait_said("registered at", count=4)
        yield daemon


def call_through(pbx: Kamailio, folder: Path, number: str, transport: str, *options: str) -> CallReport:
    target = f"sip:{number}@{DOMAIN}"
    who = ("--proxy", pbx.proxy(transport), "--from", "2101", "--username", "2101-auth")
    return call(folder, target, *who, "--seconds", "1.5", *options, password=PASSWORD)


@pytest.mark.parametrize(
    ("transport", "number", "trunk"), [("udp", TLS, "tls"), ("tcp", UDP, "udp"), ("tls", TCP, "tcp")]
)
def test_a_caller_who_proves_who_he_is_hears_his_tone_come_back(
    transport: str, number: str, trunk: str, pbx: Kamailio, daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    report = call_through(pbx, tmp_path, number, transport, "--ca", certificates.ca, "--seconds", "3")

    assert (report.exit_status, report.status) == (0, 200), report
    assert report.tone_dbfs == pytest.approx(-12.0, abs=1.5)  # busy machines weaken it
    assert report.media["lost"] == 0
    assert report.media["packets_received"] > 0.8 * report.media["packets_sent"]
    (line, *_) = [each for each in daemon.said("^call in") if each["number"] == number]
    assert (line["trunk"], line["caller"]) == (trunk, "2101")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_requests_within_a_call_follow_the_route_set_from_the_caller(
    transport: str, pbx: Kamailio, daemon: Daemon, tmp_path: Path
) -> None:
    before = len(daemon.said("^call over")), len(pbx.seen("routed (ACK|OPTIONS|BYE) within a dialog"))

    assert sipp(pbx, tmp_path, "caller_hangs_up", TLS, transport) == ""

    (over,) = daemon.wait_said("^call over", count=before[0] + 1)[before[0] :]
    assert (over["by"], over["status"]) == ("remote", 200)
    routed = [line.split()[3] for line in pbx.seen("routed (ACK|OPTIONS|BYE) within a dialog")[before[1] :]]
    assert routed == ["routed"] * 3


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_requests_within_a_call_follow_the_route_set_from_the_callee(
    transport: str, pbx: Kamailio, daemon: Daemon, tmp_path: Path
) -> None:
    before = len(daemon.said("^call over"))

    assert sipp(pbx, tmp_path, "callee_hangs_up", LEAVING, transport) == ""

    (over,) = daemon.wait_said("^call over", count=before + 1)[before:]
    assert (over["by"], over["status"]) == ("local", 200)
    assert pbx.seen("routed BYE within a dialog, from 127.0.0.1:[0-9]+ over tls")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_goodbye_reaches_our_own_caller_through_the_proxy(
    transport: str, pbx: Kamailio, daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    report = call_through(pbx, tmp_path, LEAVING, transport, "--ca", certificates.ca, "--seconds", "4")

    assert (report.exit_status, report.status, report.why) == (0, 200, "the far end hung up")


def test_a_caller_with_a_wrong_password_is_told_so(pbx: Kamailio, daemon: Daemon, tmp_path: Path) -> None:
    report = call(
        tmp_path, f"sip:{UDP}@{DOMAIN}", "--proxy", pbx.proxy("udp"), "--from", "2101", "--username", "2101-auth",
        password="wrong",
    )  # fmt: skip

    assert (report.exit_status, report.status) == (3, 407)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize(
    "nat", [pytest.param(True, id="proxy that expects NAT"), pytest.param(False, id="proxy that believes the Contact")]
)
def test_a_call_comes_back_on_the_connection_that_registered_where_nothing_listens(
    nat: bool, transport: str, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "pbx").mkdir()
    with Kamailio(tmp_path / "pbx", certificates, nat=nat) as pbx:
        daemon = Daemon(
            tmp_path,
            tls={"ca": certificates.ca},
            trunks={"leaving": pbx.trunk("2004", transport)},
            numbers={LEAVING: {"trunk": "leaving", "inbound_agent": "leaving"}},
            agents={"leaving": {"handler": f"{AGENTS}:hang_up_soon"}},
        )
        daemon.configuration["sip"]["listen"] = [f"udp:127.0.0.1:{daemon.port}"]
        with daemon:
            pbx.wait_registered("2004")
            report = call_through(pbx, tmp_path, LEAVING, "udp", "--seconds", "4")
            (over,) = daemon.wait_said("^call over")

    assert (report.exit_status, report.status, report.why) == (0, 200, "the far end hung up")
    assert (over["by"], over["status"]) == ("local", 200)  # it was ours to end: the ACK had come


def sipp(pbx: Kamailio, folder: Path, scenario: str, number: str, transport: str) -> str:
    who = ("-s", number, "-key", "domain", DOMAIN, "-key", "user", "2101", "-au", "2101-auth", "-ap", PASSWORD)
    return Calls(folder, scenario, f"127.0.0.1:{pbx.port}", *who, transport=transport).finish()
