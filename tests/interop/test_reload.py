"""SIGHUP while somebody talks: trunks and numbers come and go, the call goes on."""

import re
from pathlib import Path

from tests.interop.daemon import Caller, Daemon, call
from tests.interop.kamailio import Kamailio

_TALK = ("--seconds", "6")


def test_a_reload_adds_and_removes_trunks_and_numbers_under_a_live_call(pbx: Kamailio, tmp_path: Path) -> None:
    with (
        Daemon(tmp_path) as daemon,
        Caller(tmp_path / "live.log", daemon.uri(), *_TALK) as live,
    ):
        daemon.wait_said("^call in")
        new = daemon.uri(number="+12065550150")
        assert call(tmp_path, new).status == 404

        daemon.configuration["trunks"]["pbx"] = pbx.trunk("2001", "tcp")
        daemon.configuration["numbers"]["+12065550150"] = {"trunk": "local", "inbound_agent": "echo"}
        daemon.save()
        daemon.reload()
        pbx.wait_registered("2001")
        assert call(tmp_path, new, "--seconds", "0.3").status == 200

        del daemon.configuration["trunks"]["pbx"]
        del daemon.configuration["numbers"]["+12065550150"]
        daemon.save()
        daemon.reload()
        pbx.wait_registered("2001", count=0)
        assert call(tmp_path, new).status == 404

        report = live.finish()
    assert (report.exit_status, report.status, report.why) == (0, 200, "we hung up"), report
    assert (report.media["lost"], report.media["duplicates"]) == (0, 0)
    assert -12.5 < report.tone_dbfs < -11.5


def test_a_broken_file_is_told_by_line_and_changes_nothing(pbx: Kamailio, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configuration["trunks"]["pbx"] = pbx.trunk("2002", "udp")
    with daemon, Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "4") as live:
        daemon.wait_said("^call in")
        pbx.wait_registered("2002")
        text = daemon.file.read_text(encoding="utf-8")

        for broken, line in ((text + "numbers: [\n", None), (text.replace("username:", "usrname:"), "usrname")):
            daemon.file.write_text(broken, encoding="utf-8")
            daemon.reload()
            (*_, said) = daemon.said("not reloaded")
            assert re.search(rf"{re.escape(str(daemon.file))}[:,] ?(line )?[0-9]+", said["why"]), said
            assert line is None or line in said["why"]

        assert call(tmp_path, daemon.uri(), "--seconds", "0.3").status == 200
        assert len(pbx.bindings("2002")) == 1
        report = live.finish()
    assert (report.exit_status, report.media["lost"]) == (0, 0)

