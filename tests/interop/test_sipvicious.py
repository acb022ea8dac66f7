"""SIPVicious, the scanner that every SIP server on the internet meets, against a daemon to which it is a stranger."""

from pathlib import Path

from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.programs import Program, require
from tests.security.test_fail2ban import banned

CARRIER = {"carrier": {"accept_from": ["192.0.2.0/24"]}}
NUMBERS = {ANSWERED: {"trunk": "carrier", "inbound_agent": "echo"}}


def test_a_scan_finds_no_server_and_no_user_and_one_line_for_fail2ban_is_written(tmp_path: Path) -> None:
    svmap, svwar = require("svmap", "sipvicious"), require("svwar", "sipvicious")
    with Daemon(tmp_path, trunks=CARRIER, numbers=NUMBERS, store={"enabled": False}) as daemon:
        where = ["127.0.0.1", "-p", str(daemon.port)]
        with (
            Program("svmap", [svmap, *where], tmp_path / "svmap.log", cwd=tmp_path) as devices,
            Program(
                "svwar", [svwar, "-e", "100-110", "-m", "INVITE", *where], tmp_path / "svwar.log", cwd=tmp_path
            ) as users,
        ):
            devices.wait()
            users.wait()

        assert "found nothing" in devices.output, devices.tail()
        assert "found nothing" in users.output, users.tail()
        assert [line["event"] for line in daemon.wait_said("^stranger")] == [
            "stranger scanner from 127.0.0.1 by udp: friendly-scanner: shut out for 600 s"
        ]
        assert banned(daemon.program.output) == ["127.0.0.1"]
        assert daemon.said("^call in") == []
