"""Nothing is left to open a call with: it is refused in words and not for ever, and live calls notice nothing."""

import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

from sipflow.sip.message import Response
from tests.daemon.api_client import Api
from tests.faults.knock import Knock, retry_after_s
from tests.interop.daemon import Caller, Daemon, call
from tests.interop.programs import require
from tests.interop.waiting import wait_until

_SPARE = 2  # descriptors left: fewer than the sockets of a call and what one accepted connection needs beside them


def answered_again(port: int) -> bool:
    with Knock(port) as again:
        if again.invite().status != 200:
            return False
        return again.ask("BYE").status == 200


def test_out_of_media_ports_new_calls_get_503_with_a_time_and_the_live_one_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path, ports=2) as daemon:
        with Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "2") as live, Knock(daemon.port) as late:
            daemon.wait_said("^call in")
            refused = late.invite()
            report = live.finish()
        wait_until(lambda: answered_again(daemon.port), "a call once the ports are free again")
        said = daemon.said("no RTP port")

    assert (refused.status, retry_after_s(refused) > 0) == (503, True)
    assert "no RTP port" in (refused.headers.get("Warning") or refused.headers.get("Reason") or "")
    assert (report.exit_status, report.status, report.media["lost"]) == (0, 200, 0)
    assert said


def limit_files(daemon: Daemon, files: int) -> None:
    """Let the daemon have so many descriptors from now on (`prlimit` of util-linux)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    command = [require("prlimit", "util-linux"), "--pid", str(daemon.program.pid), f"--nofile={files}:{hard}"]
    subprocess.run(command, check=True)


def open_files(daemon: Daemon) -> int:
    """The highest descriptor and one more: what the limit counts."""
    folder = Path(f"/proc/{daemon.program.pid}/fd")
    return max(int(entry.name) for entry in folder.iterdir()) + 1


def refused_for_files(daemon: Daemon) -> Callable[[], Response | None]:
    """Look whether calls are refused now; those before had sockets that were open already."""

    def look() -> Response | None:
        with Knock(daemon.port) as late:
            answer = late.invite()
            if answer.status == 200:
                late.ask("BYE")
                return None
            return answer

    return look


def test_out_of_descriptors_new_calls_get_503_the_live_one_goes_on_and_all_is_well_afterwards(tmp_path: Path) -> None:
    api = Api()
    with Daemon(tmp_path, api=api.section) as daemon:
        api.wait(daemon)
        before = call(tmp_path, daemon.uri(), "--seconds", "0.1")
        with Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "3") as live:
            daemon.wait_said("^call in", count=2)
            limit_files(daemon, open_files(daemon))
            refused = wait_until(refused_for_files(daemon), "a call that is refused")
            report = live.finish()
        limit_files(daemon, 1024)
        wait_until(lambda: answered_again(daemon.port), "a call once there are descriptors again")
        with api:
            health = api.ask("GET", "/status")
        said = daemon.said("open files|descriptors")

    assert (before.status, refused is not None and refused.status) == (200, 503)
    assert refused is not None
    assert retry_after_s(refused) > 0
    assert (report.exit_status, report.status, report.media["lost"]) == (0, 200, 0)
    assert said
    assert health
