"""CPU per call: INVITE/100/180/200/ACK/BYE from SIPp, beside Kamailio's relay and Sippy's B2BUA in the same run."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers, sipp
from tests.bench.edge import Edge
from tests.bench.programs import MissingProgram, Program
from tests.bench.report import Line, at_most, exactly

_SETTLE_S = 0.3  # the last BYE is answered
_WARM_UP = 100  # calls
Server = Callable[[Path], AbstractContextManager[tuple[Program, int]]]


@dataclass(frozen=True, slots=True)
class Load:
    """What SIPp does, and how often; of several rounds the cheapest counts, for others use this machine, too."""

    calls: int = 4000
    rate: int = 400
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What it cost.

    Attributes:
        cpu_ms: per call, of the cheapest round.
        went: the calls of all rounds.
    """

    cpu_ms: float
    went: sipp.Calls


def run(load: Load | None = None) -> Iterator[Line]:
    """Measure all three.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    ours = measure(_edge, load)
    yield at_most(f"sipflow: CPU per call, {load.rate} calls/s", ours.cpu_ms, 0.8, "ms")
    yield exactly("sipflow: failed calls", ours.went.failed, 0)
    yield exactly("sipflow: retransmissions", ours.went.retransmissions, 0)
    yield from _beside("Kamailio, stateful relay, one worker", peers.kamailio, load, ours)
    slower = Load(max(load.calls // 4, 1), min(100, load.rate), load.rounds)
    yield from _beside("Sippy, B2BUA", peers.sippy, slower, ours)


def _beside(name: str, server: Server, load: Load, ours: Cost) -> Iterator[Line]:
    try:
        theirs = measure(server, load)
    except MissingProgram as error:
        yield Line(name, "-", f"left out: {error}")
        return
    yield Line(f"{name}: CPU per call, {load.rate} calls/s", f"{theirs.cpu_ms:.2f} ms")
    yield Line(f"sipflow / {name}", f"{ours.cpu_ms / theirs.cpu_ms:.2f}")


def measure(server: Server, load: Load) -> Cost:
    """Run a server and call it.

    Raises:
        MissingProgram: it, or SIPp, is not installed.
    """
    costs: list[float] = []
    went: list[sipp.Calls] = []
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as (program, port):
        folder = Path(name)
        sipp.call(folder, port, calls=min(_WARM_UP, load.calls), rate=load.rate)
        for _ in range(load.rounds):
            before = program.cpu_s
            went.append(sipp.call(folder, port, calls=load.calls, rate=load.rate))
            time.sleep(_SETTLE_S)
            costs.append((program.cpu_s - before) / load.calls)
    return Cost(1000 * min(costs), sipp.together(went))


@contextmanager
def _edge(folder: Path) -> Iterator[tuple[Program, int]]:
    with Edge(folder) as edge:
        yield edge.program, edge.port
