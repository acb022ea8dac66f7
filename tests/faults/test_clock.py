"""Somebody sets the clock of the machine while calls are up: an hour forward, then two hours back."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.daemon.registrar import Registrar
from tests.interop import warm
from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.programs import missing
from tests.interop.waiting import wait_until

_FORWARD_S, _BACK_S = 3600, -3600  # from the true time


def faked_clock(folder: Path) -> tuple[Path, dict[str, str]]:
    """A file that says how far the wall clock is off, and the environment in which it is obeyed (libfaketime)."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        missing("libfaketime is not installed (Debian package faketime)")
    file = folder / "clock"
    file.write_text("+0", encoding="ascii")
    return file, {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(file: Path, seconds: int) -> None:
    """Set it at one stroke: whoever reads meanwhile reads the one or the other."""
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+d}", encoding="ascii")
    os.replace(new, file)


def records(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """So many records, once they are kept."""
    done = warm.run("calls", "--config", str(daemon.file), "--json")
    found = json.loads(done.stdout)["calls"] if done.returncode == 0 else []
    return found if len(found) == count else []


def logged(daemon: Daemon, pattern: str, place: int = -1) -> datetime:
    return datetime.fromisoformat(daemon.said(pattern)[place]["timestamp"])


def test_a_clock_that_is_set_ends_no_call_loses_no_registration_and_bends_no_record(tmp_path: Path) -> None:
    clock, env = faked_clock(tmp_path)
    with Registrar(grant_s=3600) as registrar:
        trunk = {"sip_domain": f"127.0.0.1:{registrar.port}", "username": "2001", "password": "x"}
        daemon = Daemon(tmp_path, trunks={"local": {"accept_from": ["127.0.0.0/8"]}, "pbx": trunk})
        try:
            daemon.start(**env)
            daemon.wait_said("^trunk pbx: registered")
            daemon.wait_said("the store is open")
            asked = set(registrar.heard)
            with Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "3") as live:
                daemon.wait_said("^call in")
                set_clock(clock, _FORWARD_S)
                between = call(tmp_path, daemon.uri(), "--seconds", "0.2")
                set_clock(clock, _BACK_S)
                report = live.finish()
            after = call(tmp_path, daemon.uri(), "--seconds", "0.2")
            kept = wait_until(lambda: records(daemon, 3), "the records of three calls")
            moved = logged(daemon, "^call in", 1) - logged(daemon, "^call in", 2)
            asked_again = set(registrar.heard) - asked  # one that was only sent twice is not
            seen = (len(asked_again), daemon.state().count("registered at"), daemon.said("clock|Traceback"))
        finally:
            daemon.program.stop(10)

    assert [each.status for each in (between, report, after)] == [200] * 3
    assert report.media["lost"] == 0
    assert timedelta(hours=1, minutes=59) < moved < timedelta(hours=2, minutes=1)  # the daemon did see it
    assert seen[:2] == (0, 1)
    assert len(kept) == 3
    assert all(0 <= each["talk_s"] < 60 for each in kept), kept
    assert {each["number"] for each in kept} == {ANSWERED}
