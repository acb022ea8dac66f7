"""The file of the database is deleted under a running daemon."""

import json
from pathlib import Path

from tests.daemon.api_client import Api
from tests.interop import warm
from tests.interop.daemon import Daemon, call
from tests.interop.waiting import wait_until


def kept(daemon: Daemon) -> int:
    done = warm.run("calls", "--config", str(daemon.file), "--json")
    return int(json.loads(done.stdout)["total"]) if done.returncode == 0 else 0


def test_calls_go_on_it_is_said_and_the_next_start_has_what_came_meanwhile(tmp_path: Path) -> None:
    api = Api()
    daemon = Daemon(tmp_path, api=api.section)
    daemon.start()
    try:
        api.wait(daemon)
        for name in ("sipflow.db", "sipflow.db-wal", "sipflow.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        report = call(tmp_path, daemon.uri(), "--seconds", "0.1")
        (said,) = daemon.wait_said("records of calls wait in the journal")
        with api:
            api.ask("POST", "/assistants", {"type": "inbound", "name": "x", "agent": {}}, status=503)
        daemon.program.terminate()
        daemon.start()
        found = wait_until(lambda: kept(daemon), "the record in a new database", evidence=daemon.program.tail)
    finally:
        daemon.program.stop(5)

    assert (report.status, found) == (200, 1)
    assert "was deleted, moved or replaced while sipflow had it open" in said["why"]
