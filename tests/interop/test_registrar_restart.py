"""A registrar that dies and comes back with nothing in its memory."""

import re
from contextlib import ExitStack
from pathlib import Path

from tests.interop.daemon import Caller, Daemon
from tests.interop.kamailio import DOMAIN, NUMBERS, PASSWORD, Kamailio
from tests.net.certificates import Certificates

_TRANSPORTS = {"2001": "udp", "2002": "tcp", "2003": "tls"}
_CALLED = {number: _TRANSPORTS[account] for number, account in NUMBERS.items() if account in _TRANSPORTS}


def restarted_daemon(folder: Path, pbx: Kamailio, certificates: Certificates) -> Daemon:
    """A daemon registered over each transport. Over UDP only its questions tell it that the registrar has gone."""
    own = certificates.server
    return Daemon(
        folder,
        tls={"ca": certificates.ca, "certificate": own.certificate, "key": own.key},
        trunks={
            transport: pbx.trunk(account, transport, health={"interval_s": 5, "misses": 1})
            for account, transport in _TRANSPORTS.items()
        },
        numbers={number: {"trunk": transport, "inbound_agent": "echo"} for number, transport in _CALLED.items()},
    )


def test_a_trunk_recovers_by_itself_when_its_registrar_is_restarted(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "pbx").mkdir()
    with (
        Kamailio(tmp_path / "pbx", certificates, algorithm="SHA-256") as pbx,
        restarted_daemon(tmp_path, pbx, certificates) as daemon,
        ExitStack() as stack,
    ):
        daemon.wait_said("^trunk .*: registered at", count=3)

        pbx.kill()
        for transport in _TRANSPORTS.values():
            daemon.wait_said(f"^trunk {transport}: .*(refused|no answer|unreachable)")
        pbx.start()
        for account in _TRANSPORTS:
            pbx.wait_registered(account)
        told = re.findall(r"trunk (\w+): registered at .* for [0-9]+ s$", daemon.state(), re.MULTILINE)
        assert told == ["udp", "tcp", "tls"]

        who = ("--proxy", pbx.proxy("tcp"), "--from", "2101", "--username", "2101-auth", "--seconds", "0.5")
        callers = [
            stack.enter_context(
                Caller(tmp_path / f"call-{transport}.log", f"sip:{number}@{DOMAIN}", *who, password=PASSWORD)
            )
            for number, transport in _CALLED.items()
        ]
        reports = [caller.finish() for caller in callers]
    assert [(report.exit_status, report.status) for report in reports] == [(0, 200)] * 3, reports


def test_a_trunk_on_udp_that_nobody_watches_recovers_by_the_pings_that_keep_its_way_open(
    certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "pbx").mkdir()
    with Kamailio(tmp_path / "pbx", certificates) as pbx:
        trunk = pbx.trunk("2001", "udp", register={"expires": 3600})
        daemon = Daemon(tmp_path, trunks={"udp": trunk}, numbers={})
        daemon.configuration["sip"]["keepalive_s"] = 1.0
        with daemon:
            daemon.wait_said("^trunk udp: registered at")
            pbx.kill()
            daemon.wait_said("^trunk udp: REGISTER .* refused.*still registered")
            pbx.start()

            pbx.wait_registered("2001")
            daemon.wait_said("^trunk udp: registered at", count=2)
