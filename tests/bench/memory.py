"""Memory after many calls: it grows to what the busiest half minute needs, and then no more."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import sipp
from tests.bench.edge import Edge, Figures
from tests.bench.report import Line, at_most, exactly

_COUNTED = ("transactions", "dialogs", "calls", "lent")
_GROWTH = 5.0  # per cent of the memory at the first look; the allocator is not the same twice
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """After how many calls memory is looked at; the first time and the last are compared.

    Memory keeps the size of the most that ever went on at once, so each time as many calls have gone on as before.

    Attributes:
        after: calls.
        rate: calls a second.
        let_go_s: how long to wait each time. RFC 3261 keeps what is over for 64*T1, 32 s, to answer repetitions.
    """

    after: tuple[int, ...] = (5000, 10000, 15000, 20000)
    rate: int = 300
    let_go_s: float = 45.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Have SIPp call again and again, and look what is left when all is over.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    memory: list[float] = []
    objects: list[float] = []
    with tempfile.TemporaryDirectory() as name, Edge(Path(name)) as edge:
        sipp.call(Path(name), edge.port, calls=1, rate=1)
        before = _settled(edge, load)
        made = 0
        for count in load.after:
            went = sipp.call(Path(name), edge.port, calls=count - made, rate=load.rate)
            made = count
            left = _settled(edge, load)
            memory.append(edge.program.rss_bytes / _MIB)
            objects.append(left["objects"] - before["objects"])
            yield Line(f"memory after {count} calls ({went.failed} failed)", f"{memory[-1]:.1f} MiB")
            yield Line("  Python objects more than before the first", f"{objects[-1]:.0f}")
        for what in _COUNTED:
            yield exactly(f"{what} left", left[what], 0)
        yield exactly("tasks more than before", left["tasks"] - before["tasks"], 0)
        yield Line("open files (port pairs stay bound for the next calls)", f"{left['files']:.0f}")
        if len(memory) > 1:
            growth = 100 * (memory[-1] / memory[0] - 1)
            yield at_most(f"growth from {load.after[0]} to {load.after[-1]} calls", growth, _GROWTH, "%", digits=1)


def _settled(edge: Edge, load: Load) -> Figures:
    """Wait until nothing is going on, as far as that comes; then collect garbage and count."""
    edge.wait_until(lambda figures: all(figures[what] == 0 for what in _COUNTED), timeout_s=load.let_go_s)
    return edge.figures("collect")
