"""The daemon under measurement, as the bench sees it: started, asked, stopped."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.bench.programs import MEASURED, Program
from tests.interop.free_ports import free_sip_port

NUMBER = "+12065550100"
READY = "sipflow "
_STEP_S = 0.05
_MEDIA = range(20000, 32000)  # below the ports that the system gives to clients

Figures = dict[str, float]


class Edge:
    """`sipflow` in a process of its own on the measured core. A context manager.

    Attributes:
        port: UDP.
        program: the process.
    """

    def __init__(self, folder: Path, *, handler: str = "tests.bench.agents:ring_and_answer", **sections: Any) -> None:
        """Write a configuration with one number whose agent is `handler`, and start.

        Raises:
            RuntimeError: it did not start.
        """
        self.port = free_sip_port()
        file = folder / "edge.yaml"
        configuration = {
            "sip": {"listen": [f"udp:127.0.0.1:{self.port}"]},
            "media": {"ports": f"{_MEDIA.start}-{_MEDIA.stop - 1}", "bind": "127.0.0.1"},
            "calls": {"max_calls": 5000},
            "log": {"level": "warning"},
            "drain_s": 0,
            "trunks": {"local": {"accept_from": ["127.0.0.0/8"]}},
            "numbers": {NUMBER: {"inbound_agent": "bench"}},
            "agents": {"bench": {"handler": handler}},
            **sections,
        }
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        command = [sys.executable, "-m", "tests.bench.edge_process", str(file)]
        self.program = Program("edge", command, folder, core=MEASURED, talks=True)
        try:
            while not self.program.read().startswith(READY):
                pass
        except RuntimeError:
            self.program.stop()
            raise

    def figures(self, question: str = "figures") -> Figures:
        """Ask it; see `edge_process`."""
        line = self.program.ask(question)
        while not line.startswith("{"):
            line = self.program.read()  # of its greeting
        found: Figures = json.loads(line)
        return found

    def wait_until(self, true: Callable[[Figures], bool], *, timeout_s: float) -> Figures | None:
        """Ask again and again until the figures are as wanted; None when they did not become so in time."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found = self.figures()
            if true(found):
                return found
            time.sleep(_STEP_S)
        return None

    def __enter__(self) -> "Edge":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.program.stop()
