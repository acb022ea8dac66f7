"""SIGTERM while somebody talks."""

import signal
from pathlib import Path

from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.kamailio import Kamailio
from tests.interop.phone import Phone


def test_a_daemon_that_is_told_to_stop_waits_for_the_live_call_and_takes_no_new_one(
    pbx: Kamailio, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, drain_s=120)
    daemon.configuration["trunks"]["pbx"] = pbx.trunk("2001", "udp")
    with daemon, Phone(tmp_path / "phone") as phone:
        pbx.wait_registered("2001")
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")

        daemon.program.signal(signal.SIGTERM)
        daemon.wait_said("waiting for live calls")
        refused = call(tmp_path, daemon.uri())
        phone.wait_heard(25)
        phone.command("hangup")

        assert daemon.program.wait() == 0
    assert (refused.exit_status, refused.status) == (3, 503)
    assert "going down" in refused.why
    assert pbx.bindings("2001") == []


def test_a_live_call_is_ended_when_the_time_to_drain_is_over(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, drain_s=1) as daemon,
        Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "600") as live,
    ):
        daemon.wait_said("^call in")

        assert daemon.program.terminate() == 0
        report = live.finish()
    assert (report.exit_status, report.status, report.why) == (0, 200, "the far end hung up")
