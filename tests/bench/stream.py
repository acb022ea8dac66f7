"""Many calls whose audio goes to a bot over a WebSocket each, and back: what is lost, how late, and what it costs."""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, Program
from tests.bench.report import Line, at_most, exactly
from tests.bench.talk import talk

_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many callers talk for how long.

    Attributes:
        calls: at once.
        seconds: of talk.
    """

    calls: int = 500
    seconds: float = 20.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Have G.711 calls of 20 ms packets echoed by a bot that speaks Twilio's dialect."""
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Program("bot", [sys.executable, "-m", "tests.bench.echo_bot"], folder, core=DRIVING, talks=True) as bot:
            url = f"ws://127.0.0.1:{int(bot.read())}/ws"
            agents = {"bench": {"handler": "stream", "url": url, "dialect": "twilio"}}
            with Edge(folder, agents=agents) as edge, _talkers(folder, edge.port) as talkers:
                yield from _measure(edge, talkers, load)


def _measure(edge: Edge, talkers: Program, load: Load) -> Iterator[Line]:
    _ask(talkers, "call 1")  # what is loaded with the first call is no call's memory
    _ask(talkers, f"talk {_SETTLE_S}")
    _ask(talkers, "hangup")
    idle_bytes = edge.program.rss_bytes
    yield exactly(f"calls up of {load.calls}", _ask(talkers, f"call {load.calls}")["up"], load.calls)
    _ask(talkers, f"talk {_SETTLE_S}")
    per_call = (edge.program.rss_bytes - idle_bytes) / load.calls
    went = talk(edge, talkers, load.seconds)
    heard, pace = went.heard, went.pace
    yield exactly("packets from sipflow that were lost", heard["lost"], 0)
    yield Line("frames that came back from the bot", f"{100 * heard['echoed'] / heard['sent']:.2f} %")
    yield Line("packets sent within 5 ms of their time", f"{100 * pace['within_5_ms']:.2f} %")
    yield exactly("packets never sent", pace["skipped"], 0)
    yield Line("CPU per call and frame, both ways", f"{went.per_frame_us:.1f} us")
    yield at_most("share of one core", went.share, 100, "%", digits=0)
    yield Line("memory per live call", f"{per_call / 1024:.0f} KiB")
    _ask(talkers, "hangup")


def _talkers(folder: Path, port: int) -> Program:
    command = [sys.executable, "-m", "tests.bench.talkers", str(port)]
    return Program("talkers", command, folder, core=DRIVING, talks=True)


def _ask(talkers: Program, what: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(talkers.ask(what))
    return answer
