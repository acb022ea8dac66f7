"""Many echo calls at once on one core: what is lost, how late packets leave, what a call-frame costs."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, Program
from tests.bench.report import Line, at_most, exactly

_SETTLE_S = 1.0
_PATIENCE_S = 3.0  # for packets that still wait in sockets where the machine has other things to do


@dataclass(frozen=True, slots=True)
class Load:
    """How many callers talk for how long."""

    calls: int = 500
    seconds: float = 20.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Have G.711 calls of 20 ms packets echoed."""
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Edge(folder, handler="echo") as edge, _talkers(folder, edge.port) as talkers:
            idle_bytes = edge.program.rss_bytes
            up = _ask(talkers, f"call {load.calls}")["up"]
            yield exactly(f"calls up of {load.calls}", up, load.calls)
            _ask(talkers, f"talk {_SETTLE_S}")
            per_call = (edge.program.rss_bytes - idle_bytes) / load.calls
            yield from _talk(edge, talkers, load)
            yield Line("memory per live call", f"{per_call / 1024:.0f} KiB")
            _ask(talkers, "hangup")


def _talk(edge: Edge, talkers: Program, load: Load) -> Iterator[Line]:
    before, cpu_s, begun = edge.figures("reset"), edge.program.cpu_s, time.monotonic()
    heard = _ask(talkers, f"talk {load.seconds}")
    took_s, cpu_s = time.monotonic() - begun, edge.program.cpu_s - cpu_s
    after = edge.figures()
    ticks = after["ticks"]
    wanted = before["received"] + heard["sent"]
    settled = edge.wait_until(lambda now: now["received"] >= wanted, timeout_s=_PATIENCE_S) or edge.figures()
    yield exactly("packets to sipflow that were lost", wanted - settled["received"], 0)
    yield exactly("packets from sipflow that were lost", heard["lost"], 0)
    yield Line("frames that came back as they were said", f"{100 * heard['echoed'] / heard['sent']:.2f} %")
    in_time = 100 * after["within_5_ms"]
    yield Line("packets sent within 5 ms of their time", f"{in_time:.2f} %", "at least 99.9 %", in_time >= 99.9)
    yield Line("99.9 % of packets were at most so late", f"{after['late_999_ms']:.1f} ms")
    yield Line("the latest packet", f"{after['late_worst_ms']:.1f} ms")
    yield exactly("packets never sent", after["skipped"], 0)
    yield Line("CPU per call and frame, one in and one out", f"{1e6 * cpu_s / ticks if ticks else 0:.1f} us")
    yield at_most("share of one core", 100 * cpu_s / took_s, 100, "%", digits=0)


def _talkers(folder: Path, port: int) -> Program:
    command = [sys.executable, "-m", "tests.bench.talkers", str(port)]
    return Program("talkers", command, folder, core=DRIVING, talks=True)


def _ask(talkers: Program, what: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(talkers.ask(what))
    return answer
