"""Many echo calls at once on one core: what is lost, how late packets leave, what a call-frame costs, beside aiortp."""

import json
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, MEASURED, Program
from tests.bench.report import Line, at_most, exactly
from tests.bench.talk import talk

_SETTLE_S = 2.0
_PATIENCE_S = 3.0  # for packets that still wait in sockets where the machine has other things to do
_FRAMES_A_SECOND = 50
_PEER_PORT = 24000


@dataclass(frozen=True, slots=True)
class Load:
    """How many callers talk for how long.

    Attributes:
        few: calls whose cost the others are compared with.
        calls: calls that must pass without loss, in time.
        many: what is aimed at, 0 to leave it out.
        peer: calls of aiortp, 0 to leave it out.
        seconds: of talk, each time.
    """

    few: int = 100
    calls: int = 600
    many: int = 1000
    peer: int = 100
    seconds: float = 20.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Have G.711 calls of 20 ms packets echoed by a coroutine each."""
    load = load or Load()
    few_us = yield from _echo(load.few, load.seconds, must=False)
    per_frame_us = yield from _echo(load.calls, load.seconds, must=True)
    dearer = 100 * (per_frame_us / few_us - 1) if few_us else 0.0
    yield at_most(f"cost per call at {load.calls} beside {load.few}: more by", dearer, 15, "%", digits=0)
    if load.many:
        yield from _echo(load.many, load.seconds, must=False)
    if load.peer and find_spec("aiortp") is not None:
        peer_us = yield from _peer(load.peer, load.seconds)
        yield Line("  sipflow costs, compared with that", f"{few_us / peer_us if peer_us else 0:.2f}")


def _echo(calls: int, seconds: float, *, must: bool) -> Generator[Line, None, float]:
    """Measure so many calls at once; gives the microseconds per call and frame."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Edge(folder, handler="echo") as edge, _talkers(folder, edge.port) as talkers:
            _warm_up(edge, talkers)
            idle_bytes = edge.program.rss_bytes
            up = _ask(talkers, f"call {calls}")["up"]
            yield exactly(f"{calls} calls at once: up", up, calls)
            _ask(talkers, f"talk {_SETTLE_S}")
            per_call = (edge.program.rss_bytes - idle_bytes) / calls
            per_frame_us = yield from _talk(edge, talkers, seconds, must=must)
            yield at_most("  memory per live call", per_call / 1024, 100, "KiB", digits=0)
            _ask(talkers, "hangup")
    return per_frame_us


def _warm_up(edge: Edge, talkers: Program) -> None:
    """Have one call come and go: what the process loads with its first one, and with its store, is no call's memory."""
    _ask(talkers, "call 1")
    _ask(talkers, f"talk {_SETTLE_S}")
    _ask(talkers, "hangup")
    edge.wait_until(lambda now: not now["calls"], timeout_s=_PATIENCE_S)


def _talk(edge: Edge, talkers: Program, seconds: float, *, must: bool) -> Generator[Line, None, float]:
    before = edge.figures()
    went = talk(edge, talkers, seconds)
    heard, pace = went.heard, went.pace
    wanted = before["received"] + heard["sent"]
    settled = edge.wait_until(lambda now: now["received"] >= wanted, timeout_s=_PATIENCE_S) or edge.figures()
    yield exactly("  packets to sipflow that were lost", wanted - settled["received"], 0)
    yield exactly("  packets from sipflow that were lost", heard["lost"], 0)
    yield Line("  frames that came back as they were said", f"{100 * heard['echoed'] / heard['sent']:.2f} %")
    in_time = 100 * pace["within_5_ms"]
    aim = ("at least 99.9 %", in_time >= 99.9) if must else ("", None)
    yield Line("  packets sent within 5 ms of their time", f"{in_time:.2f} %", *aim)
    yield Line("  99.9 % of packets were at most so late", f"{pace['late_999_ms']:.1f} ms")
    yield Line("  the latest packet", f"{pace['late_worst_ms']:.1f} ms")
    yield exactly("  packets never sent", pace["skipped"], 0)
    yield Line("  CPU per call and frame, one in and one out", f"{went.per_frame_us:.1f} us")
    yield Line("  share of one core", f"{went.share:.0f} %")
    return went.per_frame_us


def _peer(calls: int, seconds: float) -> Generator[Line, None, float]:
    """Measure as many echoes of aiortp; gives the microseconds per call and frame."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tests.bench.aiortp_process", str(_PEER_PORT), str(calls)]
        with Program("aiortp", command, folder, core=MEASURED, talks=True) as peer, _talkers(folder, 9) as talkers:
            while peer.read() != "ready":
                pass
            _ask(talkers, f"aim {_PEER_PORT} {calls}")
            _ask(talkers, f"talk {_SETTLE_S}")
            cpu_s = peer.cpu_s
            heard = _ask(talkers, f"talk {seconds}")
            per_frame_us = 1e6 * (peer.cpu_s - cpu_s) / (calls * _FRAMES_A_SECOND * seconds)
            yield Line(f"aiortp, {calls} echoes: CPU per call and frame", f"{per_frame_us:.1f} us")
            yield Line("  packets that came back", f"{100 * heard['received'] / heard['sent']:.2f} %")
    return per_frame_us


def _talkers(folder: Path, port: int) -> Program:
    command = [sys.executable, "-m", "tests.bench.talkers", str(port)]
    return Program("talkers", command, folder, core=DRIVING, talks=True)


def _ask(talkers: Program, what: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(talkers.ask(what))
    return answer
