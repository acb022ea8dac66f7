"""What the store costs: how many calls a second one core takes with records, journal and database, and how many with
nothing kept; and the CPU time of a call at a rate that both can stand.

Both run all the time and are called in turns, each pair in the other order than the one before: what else the machine
does hits both of a pair, and the pair in the middle counts.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench import sipp
from tests.bench.edge import Edge, Figures
from tests.bench.report import Line, at_most, exactly

_MOST_PERCENT = 10.0
_WARM_UP = 100  # calls, and as many a second
_WRITTEN_S = 30.0
_TOO_FAST = 20_000  # calls a second that nobody takes: as many come as have room


@dataclass(frozen=True, slots=True)
class Load:
    """What is called.

    Attributes:
        pairs: turns of both, at full speed and at `rate`.
        calls: in each turn.
        at_once: calls that SIPp keeps up at full speed, so many that the edge never waits for one.
        rate: calls a second, where CPU time is compared.
    """

    pairs: int = 7
    calls: int = 3000
    at_once: int = 30
    rate: int = 400


@dataclass(slots=True)
class _Side:
    """One of the two that are called.

    Attributes:
        per_second: calls a second at full speed, of each turn.
        costs_ms: CPU time per call at a rate, of each turn, until its last record was written.
        failed: calls.
    """

    edge: Edge
    per_second: list[float] = field(default_factory=list)
    costs_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def warm_up(self, folder: Path) -> None:
        sipp.call(folder, self.edge.port, calls=_WARM_UP, rate=_WARM_UP)
        self._settle()

    def hurry(self, folder: Path, load: Load) -> None:
        """Take as many calls as it can."""
        went = sipp.call(folder, self.edge.port, calls=load.calls, rate=_TOO_FAST, at_once=load.at_once)
        self._settle()
        self.per_second.append(went.per_second)
        self.failed += went.failed

    def stroll(self, folder: Path, load: Load) -> None:
        """Take calls at a rate."""
        before = self.edge.program.cpu_s
        went = sipp.call(folder, self.edge.port, calls=load.calls, rate=load.rate)
        self._settle()
        self.costs_ms.append(1000 * (self.edge.program.cpu_s - before) / load.calls)
        self.failed += went.failed

    def _settle(self) -> None:
        """Wait for the last record: it belongs to this turn."""
        if self.edge.wait_until(_settled, timeout_s=_WRITTEN_S) is None:
            raise RuntimeError("the records of the calls were not written in time")


def _settled(figures: Figures) -> bool:
    return not figures["calls"] and not figures["unwritten"]


def run(load: Load | None = None) -> Iterator[Line]:
    """Call one edge that keeps everything and one that keeps nothing, in turns.

    Raises:
        MissingProgram: SIPp is not installed.
        RuntimeError: one of them stopped taking calls, or writing records.
    """
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for which in ("kept", "nothing"):
            (folder / which).mkdir()
        with (
            Edge(folder / "kept", media=_media("20000-25999")) as keeping,
            Edge(folder / "nothing", media=_media("26000-31999"), store={"enabled": False}) as forgetting,
        ):
            kept, nothing = _Side(keeping), _Side(forgetting)
            _measure(kept, nothing, folder, load)
    fewer = [1 - one / other for one, other in zip(kept.per_second, nothing.per_second, strict=True)]
    more = [one / other - 1 for one, other in zip(kept.costs_ms, nothing.costs_ms, strict=True)]
    yield Line("calls a second that one core takes, with the store", f"{median(kept.per_second):.0f}")
    yield Line("calls a second that one core takes, without it", f"{median(nothing.per_second):.0f}")
    yield at_most("fewer with the store, by", 100 * median(fewer), _MOST_PERCENT, "%", digits=1)
    yield Line("  in each pair of turns", " ".join(f"{100 * each:.1f}" for each in fewer))
    yield Line(f"CPU per call at {load.rate} calls/s, with the store", f"{median(kept.costs_ms):.2f} ms")
    yield Line(f"CPU per call at {load.rate} calls/s, without it", f"{median(nothing.costs_ms):.2f} ms")
    yield Line("more with the store, by", f"{100 * median(more):.1f} %")
    yield Line("  in each pair of turns", " ".join(f"{100 * each:.1f}" for each in more))
    yield exactly("failed calls", kept.failed + nothing.failed, 0)


def _measure(kept: _Side, nothing: _Side, folder: Path, load: Load) -> None:
    for side in (kept, nothing):
        side.warm_up(folder)
    for turn in range(load.pairs):
        pair = (kept, nothing) if turn % 2 else (nothing, kept)
        for side in pair:
            side.hurry(folder, load)
        for side in pair:
            side.stroll(folder, load)


def _media(ports: str) -> dict[str, object]:
    """Give each of the two RTP ports of its own, soon lent again: what one has bound the other cannot lend."""
    return {"ports": ports, "bind": "127.0.0.1", "drain_s": 1}
