"""SIGTERM while somebody talks."""

import signal
from pathlib import Path

from tests.interop.daemon import Caller, Daemon, call
from tests.interop.kamailio import Kamailio


def test_a_daemon_that_is_told_to_stop_waits_for_the_live_call_and_takes_no_new_one(
    pbx: Kamailio, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, drain_s=30)
    daemon.configuration["trunks"]["pbx"] = pbx.trunk("2001", "udp")
    with daemon, Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "4") as live:
        daemon.wait_said("^call in")
        pbx.wait_registered("2001")

        daemon.program.signal(signal.SIGTERM)
        daemon.wait_said("waiting for live calls")
        refused = call(tmp_path, daemon.uri())
        report = live.finish()

        assert daemon.program.wait() == 0
    assert (refused.exit_status, refused.status) == (3, 503)
    assert (report.exit_status, report.status, report.why) == (0, 200, "we hung up")
    assert report.media["lost"] == 0
    assert pbx.bindings("2001") == []


def test_a_live_call_is_ended_when_the_time_to_drain_is_over(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, drain_s=1) as daemon,
        Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "60") as live,
    ):
        daemon.wait_said("^call in")

        assert daemon.program.terminate() == 0
        report = live.finish()
    assert (report.exit_status, report.status) == (0, 200)
    assert report.why.startswith("the far end hung up")
    assert report.talk_s < 30
