"""Processes under test: SIPp, our daemon, a call of ours; each keeps what it wrote, to be shown when a test fails."""

import itertools
import json
import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.growing import Growing
from tests.interop.warm import Forked, can_be_forked
from tests.scenario.catalogue import Place
from tests.scenario.programs import ROOT, has_ipv6, sipflow

START_S = 30.0  # a slow machine may take this long to start Python
_ENDPOINTS = re.compile(r"(udp|tcp):(\[::1\]|127\.0\.0\.1):([0-9]+)")
_TAIL = 40
_FIRST_MEDIA_PORT, _MEDIA_SLOTS = 6400, 100
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 6
_media_turns = itertools.count()


def any_port() -> tuple[tuple[str, str], ...]:
    """What lets scenarios/inbound.yaml listen on ports that the system chooses, without IPv6 where there is none."""
    ports = (("UDP_PORT", "0"), ("TCP_PORT", "0"), ("IPV6_PORT", "0"))
    return ports if has_ipv6() else (*ports, ("IPV6_HOST", "127.0.0.1"))


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port that nobody has at this moment, UDP or TCP."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def media_port() -> int:
    """Two ports for a SIPp, this and the second after it: by itself it finds some for fifty processes, and no more.

    Each of the processes that test side by side has ports of its own, below those at which SIPp is controlled (8888).
    """
    for _ in range(_MEDIA_SLOTS):
        port = _FIRST_MEDIA_PORT + 4 * (_WORKER * _MEDIA_SLOTS + next(_media_turns) % _MEDIA_SLOTS)
        if not {port, port + 2} & _bound_ports():
            return port
    raise AssertionError("no media port is left for SIPp")


def wait_until_bound(port: int, process: subprocess.Popen[bytes] | Forked) -> None:
    """Wait until somebody listens on a port, or the process that should has ended; looks, and never touches it."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None and port not in _bound_ports():
        time.sleep(0.02)


def _bound_ports() -> set[int]:
    """Every local port of this machine that is in use."""
    found = set()
    for table in ("udp", "udp6", "tcp", "tcp6"):
        for line in _read(Path(f"/proc/net/{table}")).splitlines()[1:]:
            local = line.split()[1]  # such as 0100007F:13C4
            found.add(int(local.rpartition(":")[2], 16))
    return found


@dataclass
class Ended:
    """How a process ended.

    Attributes:
        status: what it returned; negative for a signal.
        pid: its number, which SIPp writes into Call-ID.
        texts: what it wrote, by kind.
    """

    status: int
    pid: int
    texts: dict[str, str] = field(default_factory=dict, repr=False)


class Process:
    """One process with its output in files.

    Args:
        command: what to run, from the top folder of the project.
        folder: where the files go.
        name: of the files.
        environment: what is different from ours.
    """

    def __init__(
        self, command: list[str], folder: Path, name: str, environment: tuple[tuple[str, str], ...] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.popen: subprocess.Popen[bytes] | Forked
        with self.out.open("wb") as out, self.err.open("wb") as err:
            if can_be_forked(command, dict(environment)):
                self.popen = Forked(command[1:], cwd=ROOT, environment=dict(environment), out=out, err=err)
                return
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **dict(environment)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def wait(self, timeout_s: float) -> Ended:
        """Wait for the end; a process that does not come to one is killed."""
        try:
            status = self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self.popen.wait()
        return Ended(status, self.popen.pid, self.texts())

    def wait_for_output(self, timeout_s: float) -> None:
        """Wait until it has written something, or has ended."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self.popen.poll() is None and not self.out.stat().st_size:
            time.sleep(0.02)

    def texts(self) -> dict[str, str]:
        """What was written, by kind."""
        return {"standard output": _read(self.out), "standard error": _read(self.err)}

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


class Sipp(Process):
    """One SIPp process with its traces."""

    def __init__(self, command: list[str], folder: Path, name: str) -> None:
        self._traces = {kind: folder / f"{name}.{kind}" for kind in ("errors", "messages", "logs")}
        traces = [
            *("-trace_err", "-error_file", str(self._traces["errors"])),
            *("-trace_msg", "-message_file", str(self._traces["messages"])),
            *("-trace_logs", "-log_file", str(self._traces["logs"])),
        ]
        super().__init__([*command, "-nostdin", *traces], folder, name)

    def texts(self) -> dict[str, str]:
        """Errors and messages; SIPp's screen only where there is nothing else."""
        texts = {f"SIPp's {kind}": _read(path) for kind, path in self._traces.items()}
        return texts if texts["SIPp's messages"] else texts | super().texts()


class Daemon(Process):
    """`sipflow run` on a configuration file."""

    def __init__(self, config: Path, folder: Path, name: str, environment: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sipflow("run", str(config)), folder, name, environment)
        self._records = Growing(self.err, _record)

    def wait_ready(self) -> Place:
        """Wait for the greeting; returns the ports it names.

        Raises:
            AssertionError: it ended instead, or takes too long.
        """
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.popen.poll() is None:
            greeting = _read(self.out)
            if "is ready" in greeting and greeting.endswith("\n"):
                return _place(greeting)
            time.sleep(0.02)
        raise AssertionError(f"sipflow did not start:\n{_read(self.out)}\n{_read(self.err)}")

    def records(self) -> list[dict[str, Any]]:
        """What it has logged so far, without the SIP messages."""
        return self._records.all()

    def wait_for(self, event: str, timeout_s: float) -> None:
        """Wait until a log line says something that begins with `event`, or time is up."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self.popen.poll() is None:
            if any(str(record.get("event")).startswith(event) for record in self.records()):
                return
            time.sleep(0.1)

    def about(self, call_id: str) -> str:
        """The log lines that name a Call-ID, and the last ones."""
        lines = _read(self.err).splitlines()
        named = [line for line in lines if call_id in line and '"message": ' not in line[:200]]
        return "\n".join([*named, "...", *(line[:300] for line in lines[-_TAIL:])])

    def faults(self) -> list[str]:
        """Every traceback in the log but those that agents ask for, and whatever is no log line at all."""
        found = [line for line in _read(self.err).splitlines() if line and not line.startswith("{")]
        for record in self.records():
            if "exception" in record and record["event"] != "the agent raised":
                found.append(f"{record['event']}: {record['exception']}")
            elif "background task failed" in str(record.get("event")):
                found.append(str(record))
        return found

    def stop(self, patience_s: float = 20.0) -> int:
        """Tell it to stop with SIGTERM; returns its exit status."""
        self.popen.terminate()
        return self.wait(patience_s).status


def _record(line: str) -> dict[str, Any] | None:
    return dict(json.loads(line)) if line.startswith("{") and '"message": ' not in line[:200] else None


def _place(greeting: str) -> Place:
    ports = {(transport, host): int(port) for transport, host, port in _ENDPOINTS.findall(greeting)}
    return Place(
        udp=ports[("udp", "127.0.0.1")],
        tcp=ports[("tcp", "127.0.0.1")],
        ipv6=ports.get(("udp", "[::1]"), 0),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
