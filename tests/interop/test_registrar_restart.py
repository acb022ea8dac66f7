"""A registrar that dies and comes back with nothing in its memory."""

from pathlib import Path

from tests.interop.daemon import Daemon, call
from tests.interop.kamailio import DOMAIN, NUMBERS, PASSWORD, Kamailio
from tests.net.certificates import Certificates

_TRANSPORTS = {"2001": "udp", "2002": "tcp", "2003": "tls"}


def test_a_trunk_recovers_by_itself_when_its_registrar_is_restarted(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "pbx").mkdir()
    # Over UDP nothing tells that the registrar has gone but that it does not answer when asked.
    watched = {"health": {"interval_s": 5, "misses": 1}}
    with Kamailio(tmp_path / "pbx", certificates, algorithm="SHA-256") as pbx:
        daemon = Daemon(
            tmp_path,
            tls={"ca": certificates.ca, "certificate": certificates.server.certificate, "key": certificates.server.key},
            trunks={name: pbx.trunk(account, name, **watched) for account, name in _TRANSPORTS.items()},
            numbers={
                number: {"trunk": _TRANSPORTS[account], "inbound_agent": "echo"}
                for number, account in NUMBERS.items()
                if account in _TRANSPORTS
            },
        )
        with daemon:
            daemon.wait_said("^trunk .*: registered at", count=3)

            pbx.kill()
            daemon.wait_said("^trunk tcp: .*refused")
            daemon.wait_said("^trunk tls: .*refused")
            daemon.wait_said("^trunk udp: .*(no answer|refused|unreachable|is down)")
            pbx.start()
            for account in _TRANSPORTS:
                pbx.wait_registered(account)

            for number, account in NUMBERS.items():
                if account in _TRANSPORTS:
                    report = call(
                        tmp_path, f"sip:{number}@{DOMAIN}", "--proxy", pbx.proxy("tcp"), "--from", "2101",
                        "--username", "2101-auth", "--seconds", "0.5", password=PASSWORD,
                    )  # fmt: skip
                    assert (report.exit_status, report.status) == (0, 200), report
