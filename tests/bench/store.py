"""What the store costs: calls with records, journal and database, beside the same calls with nothing kept."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.edge import Edge
from tests.bench.report import Line, at_most, exactly
from tests.bench.signalling import Candidate, Load, measure

_MOST_PERCENT = 10.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Call one edge that keeps everything and one that keeps nothing, in turns.

    Raises:
        MissingProgram: SIPp is not installed.
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
            both = [
                Candidate("with the store", keeping.program, keeping.port),
                Candidate("without it", forgetting.program, forgetting.port),
            ]
            measure(both, folder, load)
    for one in both:
        yield Line(f"CPU per call {one.name}, at {load.rate} calls/s", f"{one.cost_ms:.2f} ms")
        yield Line("  in each turn", " ".join(f"{cost:.2f}" for cost in one.costs_ms))
        yield exactly("  failed calls", sum(turn.failed for turn in one.went), 0)
    fewer = 100 * (1 - both[1].cost_ms / both[0].cost_ms)
    yield at_most("fewer calls per second on one core with the store, by", fewer, _MOST_PERCENT, "%", digits=1)


def _media(ports: str) -> dict[str, object]:
    """Give each of the two RTP ports of its own, soon lent again: what one has bound the other cannot lend."""
    return {"ports": ports, "bind": "127.0.0.1", "drain_s": 1}
