"""What systemd is told, over real sockets; and the unit file that asks for it."""

import asyncio
import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.notify import Notifier
from tests.house.tree import ROOT
from tests.interop.daemon import SIPFLOW, Caller, Daemon, call
from tests.interop.programs import Program, require
from tests.interop.waiting import PATIENCE_S

_LOW_PORT = 960
SAID = ("READY", "WATCHDOG", "RELOADING", "READY", "STOPPING")
UNIT = ROOT / "config" / "systemd" / "sipflow.service"
BLOCKER = "import time\n\n\nasync def stuck(call):\n    time.sleep(60)\n"


class Systemd:
    """The end of the socket that systemd has. Nobody listens for it, so that little fits: ten messages or so."""

    def __init__(self, named: str) -> None:
        self.named = named
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + named[1:] if named.startswith("@") else named)

    def hears(self, *, within_s: float = PATIENCE_S) -> dict[str, str]:
        """Return the next message. Raises TimeoutError when none comes."""
        self._socket.settimeout(within_s)
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def hears_of(self, name: str) -> dict[str, str]:
        """Return the next message that says something of this."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = self.hears()
            if name in message:
                return message
        raise TimeoutError(name)

    def hears_nothing_for(self, seconds: float) -> None:
        """Return once no message has come for so long."""
        with suppress(TimeoutError):
            while True:
                self.hears(within_s=seconds)

    def waiting(self) -> list[dict[str, str]]:
        """Return what has come and was not heard yet."""
        messages = []
        while True:
            try:
                messages.append(self.hears(within_s=0.001))
            except TimeoutError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    named = str(tmp_path / "notify") if request.param == "path" else f"@sipflow-{os.getpid()}-{time.monotonic_ns()}"
    end = Systemd(named)
    yield end
    end.close()


@pytest.fixture
def abstract() -> Iterator[Systemd]:
    end = Systemd(f"@sipflow-{os.getpid()}-{time.monotonic_ns()}")
    yield end
    end.close()


def notifier(end: Systemd, status: str = "3 calls", **more: str) -> Notifier:
    return Notifier(lambda: status, {"NOTIFY_SOCKET": end.named, **more})


async def test_ready_is_said_with_how_everything_is(systemd: Systemd) -> None:
    its = notifier(systemd)
    its.ready()
    its.close()

    assert systemd.waiting() == [{"READY": "1", "STATUS": "3 calls"}, {"STATUS": "3 calls"}]


async def test_reload_is_said_before_and_after_with_the_clock_of_systemd(systemd: Systemd) -> None:
    heard_meanwhile: list[dict[str, str]] = []
    its = notifier(systemd)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    its.around(lambda: heard_meanwhile.extend(systemd.waiting()))()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    its.close()

    (reloading,) = heard_meanwhile
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= after
    assert reloading == {"RELOADING": "1"}
    assert systemd.waiting() == [{"READY": "1", "STATUS": "3 calls"}]


async def test_reload_that_raises_is_over_all_the_same(abstract: Systemd) -> None:
    its = notifier(abstract)
    with pytest.raises(ZeroDivisionError):
        its.around(lambda: [][1 // 0])()
    its.close()

    assert [*abstract.waiting()[-1]] == ["READY", "STATUS"]


async def test_going_down_may_take_as_long_as_it_is_said_to(systemd: Systemd) -> None:
    its = notifier(systemd)
    its.stopping(within_s=90.5)
    its.close()

    assert systemd.waiting() == [{"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "90500000", "STATUS": "3 calls"}]


async def test_watchdog_hears_a_beat_twice_as_often_as_it_must_until_the_end(abstract: Systemd) -> None:
    its = notifier(abstract, WATCHDOG_USEC="200000")
    its.ready()
    abstract.waiting()
    beats, started = [], time.monotonic()
    for _ in range(4):
        beats.append(await asyncio.to_thread(abstract.hears))
    took_s = time.monotonic() - started
    its.stopping(within_s=1)
    abstract.waiting()
    draining = await asyncio.to_thread(abstract.hears)
    its.close()
    abstract.waiting()
    await asyncio.sleep(0.25)  # nothing can be awaited: what is proved is that nothing comes

    assert [*beats, draining] == [{"WATCHDOG": "1", "STATUS": "3 calls"}] * 5
    assert took_s >= 0.25
    assert abstract.waiting() == []


async def test_loop_that_stands_still_beats_no_more_and_goes_on_afterwards(abstract: Systemd) -> None:
    its = notifier(abstract, WATCHDOG_USEC="100000")
    its.ready()
    abstract.waiting()
    time.sleep(0.3)  # noqa: ASYNC251  (what holds it up)
    meanwhile = abstract.waiting()
    later = await asyncio.to_thread(abstract.hears)
    its.close()

    assert meanwhile == []
    assert later["WATCHDOG"] == "1"


@pytest.mark.parametrize(
    "more",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}],
    ids=["none", "zero", "no number", "of another process"],
)
async def test_watchdog_that_is_not_ours_hears_no_beat(abstract: Systemd, more: dict[str, str]) -> None:
    its = notifier(abstract, **more)
    its.ready()
    await asyncio.sleep(0.15)  # nothing can be awaited: what is proved is that nothing comes
    its.close()

    assert [message for message in abstract.waiting() if "WATCHDOG" in message] == []


async def test_status_is_one_line_whatever_is_in_it(abstract: Systemd) -> None:
    its = notifier(abstract, status="3 calls\nSTOPPING=1")
    its.ready()
    its.close()

    assert abstract.waiting()[0] == {"READY": "1", "STATUS": "3 calls STOPPING=1"}


async def test_what_a_busy_systemd_cannot_take_is_told_in_its_order_once_it_can(abstract: Systemd) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            [other.sendto(b"BUSY=1", "\0" + abstract.named[1:]) for _ in range(100_000)]
    its = notifier(abstract)
    its.ready()
    its.around(lambda: None)()
    before = abstract.waiting()
    after = [await asyncio.to_thread(abstract.hears) for _ in range(3)]
    its.close()

    assert {key for message in before for key in message} == {"BUSY"}
    assert [next(iter(message)) for message in after] == ["READY", "RELOADING", "READY"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("", []),
        ("vsock:2:1234", ["NOTIFY_SOCKET neither a path nor an abstract name"]),
        ("/nowhere/at/all", [f"{word}=1 No such file" for word in SAID]),
        ("@nobody-listens-here", [f"{word}=1 Connection refused" for word in SAID]),
    ],
)
async def test_without_a_systemd_that_listens_the_daemon_does_what_it_would_and_says_so(
    named: str, said: list[str]
) -> None:
    done: list[str] = []
    with capture_logs() as logged:
        its = Notifier(lambda: "3 calls", {"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "100000"})
        its.ready()
        its.around(lambda: done.append("reloaded"))()
        its.stopping(within_s=1)
        its.close()

    assert done == ["reloaded"]
    assert len(logged) == len(said)
    for line, words in zip(logged, said, strict=True):
        first, _, why = words.partition(" ")
        whole = f"{line['event']} {line.get('what', '')} {line.get('why', '')}"
        assert (line["log_level"], first in whole, why in whole) == ("warning", True, True), whole


def test_daemon_is_ready_when_it_takes_calls_then_reloads_then_drains(abstract: Systemd, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, drain_s=20)
    try:
        daemon.start(NOTIFY_SOCKET=abstract.named, WATCHDOG_USEC="4000000")
        ready = abstract.hears()
        answered = call(tmp_path, daemon.uri(), "--seconds", "0.1")
        daemon.reload()
        reloading, reloaded = abstract.hears_of("RELOADING"), abstract.hears_of("READY")
        with Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "6") as live:
            daemon.wait_said("^call in", count=2)
            daemon.program.signal(signal.SIGTERM)
            stopping = abstract.hears_of("STOPPING")
            draining = abstract.hears_of("WATCHDOG")
            live.finish()
            status = daemon.program.wait()
    finally:
        daemon.program.kill()

    assert ready == {"READY": "1", "STATUS": "0 calls"}
    assert answered.status == 200
    assert set(reloading) == {"RELOADING", "MONOTONIC_USEC"}
    assert reloaded["READY"] == "1"
    assert stopping == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "80000000", "STATUS": "going down: 1 calls"}
    assert draining["WATCHDOG"] == "1"
    assert status == 0


def test_agent_that_blocks_the_loop_for_good_is_named_when_the_watchdog_ends_it(
    abstract: Systemd, tmp_path: Path
) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKER, encoding="utf-8")
    daemon = Daemon(tmp_path, agents={"echo": {"handler": "blocking:stuck"}})
    daemon.start(NOTIFY_SOCKET=abstract.named, WATCHDOG_USEC="1000000", PYTHONFAULTHANDLER="1")
    try:
        abstract.hears_of("WATCHDOG")
        with Caller(tmp_path / "caller.log", daemon.uri(), "--seconds", "1"):
            daemon.wait_said("^call in")
            abstract.hears_nothing_for(1.0)  # then systemd ends it
            daemon.program.signal(signal.SIGABRT)
            status = daemon.program.wait()
    finally:
        daemon.program.kill()

    assert status == -signal.SIGABRT
    assert re.search(r'^  File ".*blocking\.py", line 5 in stuck$', daemon.program.output, re.MULTILINE)


# The unit


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's keys have capitals
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def test_unit_waits_for_readiness_and_watches_and_gives_calls_the_time_they_may_take() -> None:
    service = unit()["Service"]
    wanted = {
        "Type": "notify", "ExecStart": "/opt/sipflow/bin/sipflow run /etc/sipflow/sipflow.yaml",
        "ExecReload": "/bin/kill -HUP $MAINPID", "User": "sipflow", "WatchdogSec": "30", "Restart": "on-failure",
        "RestartPreventExitStatus": "78", "StateDirectory": "sipflow", "NoNewPrivileges": "yes",
        "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes", "AmbientCapabilities": "CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "LimitNOFILE": "65536",
    }  # fmt: skip

    assert {name: service[name] for name in wanted} == wanted
    assert float(service["TimeoutStopSec"]) > CallSettings().drain_s + 30


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as it is, of a program that is there."""
    require("systemd-analyze", "systemd")
    file = tmp_path / "sipflow.service"
    text = UNIT.read_text(encoding="utf-8").replace("/opt/sipflow/bin/sipflow", SIPFLOW)
    file.write_text(text, encoding="utf-8")
    return file


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong_with_the_unit(installed: Path) -> None:
    done = analyze("verify", "--man=no", str(installed))

    assert (done.returncode, done.stdout, done.stderr.replace(str(installed), "")) == (0, "", "")


def test_systemd_calls_the_unit_hardly_exposed(installed: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", str(installed))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot judge a file")

    assert done.returncode == 0, done.stdout[-200:]


# What systemd does before it starts the daemon, as far as a test may: see prctl(2) PR_SET_MDWE.
_NO_WRITTEN_CODE = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0 or sys.exit('no MDWE')\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_calls_work_where_no_memory_is_both_written_and_executed(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, trunks={"local": {"accept_from": ["127.0.0.0/8"], "codecs": ["opus", "PCMU"]}})
    daemon.save()
    command = [sys.executable, "-c", _NO_WRITTEN_CODE, SIPFLOW, "run", str(daemon.file)]
    with Program("sipflow run", command, tmp_path / "hardened.log") as program:
        try:
            program.wait_for(r"the store is open")
        except AssertionError:
            if "no MDWE" in program.output:
                pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
            raise
        heard = call(tmp_path, daemon.uri(), "--seconds", "0.3", "--codec", "opus")
        status = program.terminate()

    assert (heard.exit_status, heard.status, status) == (0, 200, 0)


@pytest.mark.parametrize("capability", ["+net_bind_service", ""], ids=["as the unit grants it", "without"])
def test_low_port_needs_the_capability_of_the_unit_and_nothing_more(tmp_path: Path, capability: str) -> None:
    begins = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if os.geteuid() != 0 or begins <= _LOW_PORT or shutil.which("setpriv") is None:
        pytest.skip("only root can give its capabilities away with setpriv, and only where ports are reserved")
    daemon = Daemon(tmp_path)
    daemon.port = _LOW_PORT
    daemon.configuration["sip"]["listen"] = [f"udp:127.0.0.1:{_LOW_PORT}"]
    daemon.save()
    kept = ",".join(each for each in ("-all", capability) if each)
    command = ["setpriv", "--no-new-privs", f"--bounding-set={kept}", f"--inh-caps={kept}", f"--ambient-caps={kept}",
               "--securebits=+noroot,+noroot_locked", SIPFLOW, "run", str(daemon.file)]  # fmt: skip
    with Program("sipflow run", command, tmp_path / "low.log") as program:
        if not capability:
            assert program.wait() == 69
            assert f"{_LOW_PORT}" in program.output
            return
        program.wait_for(r"is ready$")
        heard = call(tmp_path, daemon.uri(), "--seconds", "0.3")
        status = program.terminate()

    assert (heard.exit_status, heard.status, status) == (0, 200, 0)
