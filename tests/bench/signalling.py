"""CPU per call: INVITE/100/180/200/ACK/BYE from SIPp, beside Kamailio's relay and Sippy's B2BUA in the same run.

Everybody runs all the time, and is called in turns: what else the machine does hits all of them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import peers, sipp
from tests.bench.edge import Edge
from tests.bench.programs import MissingProgram, Program
from tests.bench.report import Line, at_most, exactly

_SETTLE_S = 0.3  # the last BYE is answered
_WARM_UP = 100  # calls
_AIM_MS = 0.8
Server = Callable[[Path], AbstractContextManager[tuple[Program, int]]]


@dataclass(frozen=True, slots=True)
class Load:
    """What SIPp does in each turn, and how many turns there are; of all turns the cheapest counts."""

    calls: int = 3000
    rate: int = 400
    turns: int = 4


@dataclass(slots=True)
class Candidate:
    """Somebody who is called.

    Attributes:
        name: in words.
        program, port: who, where.
        share: of `Load`'s calls and rate, for those who cannot stand all.
        costs_ms: CPU per call, of each turn.
        went: the calls of each turn.
    """

    name: str
    program: Program
    port: int
    share: float = 1.0
    costs_ms: list[float] = field(default_factory=list)
    went: list[sipp.Calls] = field(default_factory=list)

    @property
    def cost_ms(self) -> float:
        return min(self.costs_ms)

    def take_a_turn(self, folder: Path, load: Load) -> None:
        """Be called."""
        calls = max(round(load.calls * self.share), 1)
        before = self.program.cpu_s
        self.went.append(sipp.call(folder, self.port, calls=calls, rate=max(round(load.rate * self.share), 1)))
        time.sleep(_SETTLE_S)
        self.costs_ms.append(1000 * (self.program.cpu_s - before) / calls)


def run(load: Load | None = None) -> Iterator[Line]:
    """Call all three.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    with tempfile.TemporaryDirectory() as name, edge(Path(name)) as ours:
        what = f"sipflow: CPU per call at {load.rate} calls/s"
        yield from compared(what, Candidate("sipflow", *ours), Path(name), load, aim_ms=_AIM_MS)


def compared(what: str, ours: Candidate, folder: Path, load: Load, *, aim_ms: float) -> Iterator[Line]:
    """Call sipflow, Kamailio and Sippy; those that are not installed are left out.

    Args:
        what: is measured of sipflow.
        aim_ms: what it may cost per call.
    """
    with ExitStack() as stack:
        others: list[Candidate] = []
        for title, server, share in (
            ("Kamailio, stateful relay with one worker", peers.kamailio, 1.0),
            ("Sippy, B2BUA", peers.sippy, 0.25),
        ):
            try:
                others.append(Candidate(title, *stack.enter_context(server(folder)), share))
            except MissingProgram as error:
                yield Line(title, "-", f"left out: {error}")
        measure([ours, *others], folder, load)
    yield at_most(what, ours.cost_ms, aim_ms, "ms")
    yield Line("  in each turn", " ".join(f"{cost:.2f}" for cost in ours.costs_ms))
    yield exactly("  failed calls", sum(turn.failed for turn in ours.went), 0)
    yield exactly("  retransmissions", sum(turn.retransmissions for turn in ours.went), 0)
    for other in others:
        yield Line(f"{other.name}: at {load.rate * other.share:g} calls/s", f"{other.cost_ms:.2f} ms")
        yield Line("  in each turn", " ".join(f"{cost:.2f}" for cost in other.costs_ms))
        yield Line("  sipflow costs, compared with that", f"{ours.cost_ms / other.cost_ms:.2f}")


def measure(candidates: list[Candidate], folder: Path, load: Load) -> None:
    """Call everybody in turns."""
    for candidate in candidates:
        sipp.call(folder, candidate.port, calls=min(_WARM_UP, load.calls), rate=min(_WARM_UP, load.rate))
    for _ in range(load.turns):
        for candidate in candidates:
            candidate.take_a_turn(folder, load)


@contextmanager
def edge(folder: Path) -> Iterator[tuple[Program, int]]:
    """Run sipflow with an agent that rings and answers; gives the program and its port."""
    with Edge(folder) as running:
        yield running.program, running.port
