"""Many trunks at one registrar: how soon all are registered, and what memory an idle one takes."""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, Program
from tests.bench.registrar import PASSWORD
from tests.bench.report import Line, at_most, exactly
from tests.interop.free_ports import free_sip_port

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many trunks."""

    trunks: int = 1000


def run(load: Load | None = None) -> Iterator[Line]:
    """Start with many trunks, each of which registers with a digest of its own."""
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_sip_port()
        command = [sys.executable, "-m", "tests.bench.registrar", str(port)]
        with Program("registrar", command, folder, core=DRIVING, talks=True) as registrar:
            registrar.read()
            few_bytes = _settled(folder, port, 1)[2]
            took_s, cpu_s, many_bytes, registered = _settled(folder, port, load.trunks)
    yield exactly(f"trunks registered of {load.trunks}", registered, load.trunks)
    yield at_most("from the start of the process until all are", took_s, 5.0, "s")
    yield Line("CPU for that", f"{cpu_s:.2f} s")
    yield Line("memory per idle trunk", f"{(many_bytes - few_bytes) / max(load.trunks - 1, 1) / 1024:.1f} KiB")


def _settled(folder: Path, port: int, count: int) -> tuple[float, float, int, float]:
    """Start an edge and wait for its registrations; gives seconds, CPU seconds, memory and how many there are."""
    begun = time.monotonic()
    with Edge(folder, trunks={f"t{number}": _trunk(number, port) for number in range(count)}) as edge:
        found = edge.wait_until(lambda figures: figures["registered"] >= count, timeout_s=_PATIENCE_S)
        took_s, cpu_s = time.monotonic() - begun, edge.program.cpu_s
        return took_s, cpu_s, edge.program.rss_bytes, (found or edge.figures())["registered"]


def _trunk(number: int, port: int) -> dict[str, Any]:
    return {
        "sip_domain": "bench.invalid",
        "outbound_proxy": f"sip:127.0.0.1:{port}",
        "username": f"u{number}",
        "password": PASSWORD,
        "register": {"expires": 3600},
    }
