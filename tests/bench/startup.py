"""From `sipflow run` to its greeting."""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.edge import NUMBER, READY
from tests.bench.programs import MEASURED, Program
from tests.bench.report import Line, at_most
from tests.interop.free_ports import free_sip_port


@dataclass(frozen=True, slots=True)
class Load:
    """How often; the quickest counts, for others use this machine, too. The first one may have to compile."""

    rounds: int = 7


def run(load: Load | None = None) -> Iterator[Line]:
    """Start the daemon on a small configuration, again and again."""
    load = load or Load()
    took_s, cpu_s = zip(*(_start() for _ in range(load.rounds)), strict=True)
    yield at_most("until the greeting", min(took_s), 1.0, "s")
    yield at_most("CPU for that", min(cpu_s), 1.0, "s")


def _start() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "sipflow.yaml"
        file.write_text(yaml.safe_dump(_configuration()), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("sipflow")), "run", str(file)]
        begun = time.monotonic()
        with Program("sipflow", command, folder, core=MEASURED, talks=True) as program:
            while not program.read().startswith(READY):
                pass
            return time.monotonic() - begun, program.cpu_s


def _configuration() -> dict[str, object]:
    return {
        "sip": {"listen": [f"udp:127.0.0.1:{free_sip_port()}"]},
        "media": {"bind": "127.0.0.1"},
        "trunks": {"local": {"accept_from": ["127.0.0.0/8"]}},
        "numbers": {NUMBER: {"trunk": "local", "inbound_agent": "echo"}},
        "agents": {"echo": {"handler": "echo"}},
    }
