"""SIGHUP while somebody talks: trunks and numbers come and go, the call goes on."""

import re
from pathlib import Path

import pytest

from tests.interop.daemon import AGENTS, ANSWERED, Daemon, call
from tests.interop.kamailio import Kamailio
from tests.interop.phone import TONE_DBFS, Phone

NEW = "+12065550150"
_BREAKAGES = [
    ("agents:", "agents: [", "not YAML"),
    ("    username:", "    usrname:", "did you mean username?"),
]
_MEASURED = {"echo": {"handler": f"{AGENTS}:measured_echo"}}


def test_a_reload_adds_and_removes_trunks_and_numbers_under_a_live_call(pbx: Kamailio, tmp_path: Path) -> None:
    with Daemon(tmp_path, agents=_MEASURED) as daemon, Phone(tmp_path / "phone") as phone:
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
        assert call(tmp_path, daemon.uri(number=NEW)).status == 404

        daemon.configuration["trunks"]["pbx"] = pbx.trunk("2001", "tcp")
        daemon.configuration["numbers"][NEW] = {"trunk": "local", "inbound_agent": "echo"}
        daemon.save()
        daemon.reload()
        pbx.wait_registered("2001")
        assert call(tmp_path, daemon.uri(number=NEW), "--seconds", "0.3").status == 200

        del daemon.configuration["trunks"]["pbx"]
        del daemon.configuration["numbers"][NEW]
        daemon.save()
        daemon.reload()
        pbx.wait_registered("2001", count=0)
        assert call(tmp_path, daemon.uri(number=NEW)).status == 404

        phone.wait_heard(25)
        phone.quit()
        heard = daemon.wait_said("^heard", count=2)[-1]
        assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=0.5)
    assert (heard["lost"], heard["strays"]) == (0, 0)


def test_a_broken_file_is_told_by_line_and_changes_nothing(pbx: Kamailio, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configuration["trunks"]["pbx"] = pbx.trunk("2002", "udp")
    with daemon, Phone(tmp_path / "phone") as phone:
        pbx.wait_registered("2002")
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
        text = daemon.file.read_text(encoding="utf-8")

        for good, broken, advice in _BREAKAGES:
            assert text.count(good) == 1
            daemon.file.write_text(text.replace(good, broken), encoding="utf-8")
            daemon.reload()

            (*_, said) = daemon.said("not reloaded")
            assert said["level"] == "error"
            assert re.match(rf"{re.escape(str(daemon.file))}:[0-9]+: ", said["why"]), said["why"]
            assert advice in said["why"]
        assert len(daemon.said("not reloaded")) == len(_BREAKAGES)
        assert call(tmp_path, daemon.uri(), "--seconds", "0.3").status == 200
        assert len(pbx.bindings("2002")) == 1
        phone.wait_heard(25)
