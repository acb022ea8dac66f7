"""kill -9 in the middle of a call: what the far end, who knows nothing of it, is told afterwards."""

import json
import signal
from pathlib import Path
from typing import Any

from tests.faults.knock import Knock
from tests.interop import warm
from tests.interop.daemon import Daemon
from tests.interop.waiting import wait_until


def record(daemon: Daemon) -> dict[str, Any] | None:
    """The only call that is kept, once it is."""
    done = warm.run("calls", "--config", str(daemon.file), "--json")
    calls = json.loads(done.stdout)["calls"] if done.returncode == 0 else []
    return dict(calls[0]) if calls else None


def test_requests_of_a_call_from_before_get_481_and_its_record_has_failed(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.start()
    try:
        daemon.wait_said("the store is open")
        with Knock(daemon.port) as caller:
            answered = caller.invite()
            daemon.program.signal(signal.SIGKILL)
            daemon.program.wait()
            daemon.start()
            found = [
                caller.ask(method, "" if method != "INVITE" else answered.body.decode()) for method in ("INVITE", "BYE")
            ]
            kept = wait_until(lambda: record(daemon), "the record of the call", evidence=daemon.program.tail)
    finally:
        daemon.program.stop(5)

    assert [answered.status, *(answer.status for answer in found)] == [200, 481, 481]
    assert kept is not None
    assert (kept["status"], "stopped in the middle of this call" in kept["ended_why"]) == ("failed", True)
