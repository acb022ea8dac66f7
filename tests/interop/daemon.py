"""sipflow itself as a user runs it: `sipflow run FILE` and `sipflow call URI`, as processes of their own."""

import json
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.interop import warm
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.growing import Growing
from tests.interop.programs import Program
from tests.interop.waiting import PATIENCE_S, wait_until

SIPFLOW = warm.COMMAND
ANSWERED = "+12065550100"
_LEAVING_S = 10.0  # to un-register, so that the next test finds the registrar empty
AGENTS = "tests.interop.probe_agents"  # a module of agents for `module:function`

Sections = dict[str, Any]


class Daemon:
    """`sipflow run` with a configuration made here. A context manager: started on entry, stopped on exit.

    Attributes:
        configuration: the YAML as Python values; change it and call `save` for a reload.
        port: UDP and TCP port.
        tls_port: TLS port, if it listens there.
        file: the configuration file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: Mapping[str, str] | None = None,
        ports: int = 40,
        prefix: Sequence[str] = (),
        **sections: Any,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            folder: kept.
            tls: the section sip.tls; with a certificate it listens for TLS, too.
            ports: how many media ports.
            prefix: words before the command, such as `prlimit`.
            sections: trunks, numbers, agents, calls and so on, over those of a daemon with an echo agent.
        """
        self.port, self.tls_port = free_sip_port(), free_sip_port()
        self.file = folder / "sipflow.yaml"
        self._folder = folder
        self._prefix = tuple(prefix)
        media = free_media_ports(ports)
        listen = [f"udp:127.0.0.1:{self.port}", f"tcp:127.0.0.1:{self.port}"]
        sip: Sections = {"listen": listen}
        if tls is not None:
            sip["tls"] = dict(tls)
            if "certificate" in tls:
                listen.append(f"tls:127.0.0.1:{self.tls_port}")
        self.configuration: Sections = {
            "sip": sip,
            "media": {"ports": f"{media.start}-{media.stop - 1}", "bind": "127.0.0.1", "drain_s": 0.5},
            "log": {"level": "info", "format": "json"},
            "drain_s": 0.2,
            "trunks": {"local": {"accept_from": ["127.0.0.0/8"]}},
            "numbers": {ANSWERED: {"trunk": "local", "inbound_agent": "echo"}},
            "agents": {"echo": {"handler": "echo"}},
            **sections,
        }
        self._program: Program | None = None
        self._log = Growing(folder / "sipflow.log", _record)

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    def save(self) -> None:
        """Write the configuration file."""
        self.file.write_text(yaml.safe_dump(self.configuration, sort_keys=False), encoding="utf-8")

    def start(self, **env: str) -> str:
        """Start it and wait for its greeting, which is returned."""
        self.save()
        command = [*self._prefix, SIPFLOW, "run", str(self.file)]
        self._program = Program("sipflow run", command, self._folder / "sipflow.log", env=env)
        self._program.wait_for(r"^sipflow \S+ is ready$")
        return self.greeting

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._program is not None:
            self._program.stop(_LEAVING_S)

    @property
    def greeting(self) -> str:
        """What it says in plain words when it is ready."""
        self.program.wait_for(r"^  (call it: |number .*-> no inbound agent|no numbers yet)")
        return "\n".join(line for line in self.program.output.splitlines() if not line.startswith("{"))

    def lines(self) -> list[dict[str, Any]]:
        """Every line of its log."""
        assert self._program is not None
        return self._log.all()

    def said(self, pattern: str) -> list[dict[str, Any]]:
        """Every line of its log that matches anywhere in its event or its `why`."""
        wanted = re.compile(pattern)
        return [line for line in self.lines() if wanted.search(f"{line['event']} {line.get('why', '')}")]

    def wait_said(self, pattern: str, *, count: int = 1, timeout_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Wait until so many lines of its log match, and return them."""

        def enough() -> list[dict[str, Any]] | None:
            assert self.program.running, self.program.tail()
            found = self.said(pattern)
            return found if len(found) >= count else None

        what = f"{count} log lines like {pattern!r}"
        found = wait_until(enough, what, timeout_s=timeout_s, evidence=self.program.tail)
        assert found is not None
        return found

    def state(self) -> str:
        """Ask it how everything is (SIGUSR1), and return what it says."""
        before = self.program.mark
        self.program.signal(signal.SIGUSR1)
        end = self.program.wait_for(r"^  now: .*$", after=before)
        return self.program.output[before : end.end()]

    def reload(self) -> None:
        """Have the configuration file read again (SIGHUP); returns when that is done."""
        before = len(self.said("configuration"))
        self.program.signal(signal.SIGHUP)
        self.wait_said("configuration", count=before + 1)

    def uri(self, transport: str = "udp", number: str = ANSWERED) -> str:
        """What to call from this machine."""
        port = self.tls_port if transport == "tls" else self.port
        return f"sip:{number}@127.0.0.1:{port};transport={transport}"


def _record(line: str) -> dict[str, Any] | None:
    return dict(json.loads(line)) if line.startswith("{") else None


@dataclass(frozen=True)
class CallReport:
    """What `sipflow call --json` said.

    Attributes:
        exit_status: of the command.
        report: the JSON object.
    """

    exit_status: int
    report: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.report[name]


class Caller:
    """A `sipflow call` under way. A context manager that kills it in the end."""

    def __init__(self, log: Path, uri: str, *options: str, password: str = "", prefix: Sequence[str] = ()) -> None:
        command = [*prefix, SIPFLOW, "call", uri, "--json", *options]
        self._program = Program(f"sipflow call {uri}", command, log, env={"SIPFLOW_PASSWORD": password})

    def finish(self, timeout_s: float = PATIENCE_S) -> CallReport:
        """Wait for its end."""
        status = self._program.wait(timeout_s)
        lines = [line for line in self._program.output.splitlines() if line.startswith("{")]
        assert lines, self._program.tail()
        return CallReport(status, json.loads(lines[-1]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.kill()


def call(folder: Path, uri: str, *options: str, password: str = "") -> CallReport:
    """Place a call with `sipflow call`, and wait for its end."""
    with Caller(folder / f"call-{len(list(folder.glob('call-*')))}.log", uri, *options, password=password) as caller:
        return caller.finish()
