"""kill -9 in the middle of calls: what was over is kept, and what was not is not left as if it were still up."""

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.interop import warm
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.sipp import Calls
from tests.interop.waiting import wait_until

_A_SECOND = 60


def records(daemon: Daemon) -> list[dict[str, Any]]:
    """What `sipflow calls` says."""
    done = warm.run("calls", "--config", str(daemon.file), "--limit", "5000", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["calls"]
    return found


def test_the_whole_daemon_killed_under_load_loses_no_finished_call_and_leaves_none_up(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, ports=8 * _A_SECOND)
    daemon.start()
    try:
        daemon.wait_said("the store is open")
        target = f"127.0.0.1:{daemon.port}"
        with Calls(tmp_path, "brief_call", target, "-s", ANSWERED, calls=2000, at_once=_A_SECOND).program:
            daemon.wait_said("^call over", count=3 * _A_SECOND)
            daemon.program.signal(signal.SIGKILL)
            daemon.program.wait()
        came = {line["call"] for line in daemon.said("^call in")}
        over = [line["call"] for line in daemon.said("^call over")]
        assert len(came) > len(over)  # some were up

        daemon.start()
        wait_until(lambda: len(records(daemon)) >= len(came), "the records of all calls", evidence=daemon.program.tail)
        found = records(daemon)
    finally:
        daemon.program.stop(5)

    times = Counter(record["id"] for record in found)
    assert set(times.values()) == {1}
    assert came <= set(times)
    statuses = {record["id"]: record["status"] for record in found}
    # Each is in the log a moment before it is kept, so the last one need not be.
    assert {statuses[call] for call in over[:-1]} == {"completed"}
    assert {statuses[call] for call in came.difference(over)} == {"failed"}
    assert (
        "stopped in the middle of this call"
        in {record["id"]: record for record in found}[next(iter(came.difference(over)))]["ended_why"]
    )
