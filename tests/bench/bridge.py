"""Two calls joined: what signalling costs beside Kamailio's relay and Sippy's B2BUA, and how packets cross."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import sipp
from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, MEASURED, Program, wait_for_port
from tests.bench.report import Line, at_most, exactly
from tests.bench.signalling import Candidate, Load, compared
from tests.interop.free_ports import free_sip_port

_AIM_MS = 1.8
_AIM_DELAY_MS = 2.0
_SETTLE_S = 2.0
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class BridgeLoad:
    """How much crosses.

    Attributes:
        signalling: SIPp's calls, from one SIPp through the edge to another.
        calls: joined calls whose packets are relayed.
        seconds: how long they talk.
    """

    signalling: Load = field(default_factory=Load)
    calls: int = 500
    seconds: float = 15.0


def run(load: BridgeLoad | None = None) -> Iterator[Line]:
    """Measure signalling, then media.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or BridgeLoad()
    yield from _signalling(load.signalling)
    yield from media(load.calls, load.seconds)
    yield from plain(load.calls, load.seconds)


@contextmanager
def two_legs(folder: Path) -> Iterator[tuple[Program, int]]:
    """Run sipflow between two SIPps; gives the program and its port.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    callee = free_sip_port()
    with sipp.answering(folder, callee) as answering:
        wait_for_port(answering, callee)
        with Edge(folder, agents=_endpoint(callee)) as running:
            yield running.program, running.port


def _endpoint(port: int) -> dict[str, object]:
    return {"bench": {"handler": "sip_endpoint", "uri": f"sip:desk@127.0.0.1:{port}"}}


def _signalling(load: Load) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name, two_legs(Path(name)) as ours:
        what = f"sipflow: CPU per call of two legs at {load.rate} calls/s"
        yield from compared(what, Candidate("sipflow", *ours), Path(name), load, aim_ms=_AIM_MS)


def media(calls: int, seconds: float, *, settle_s: float = _SETTLE_S) -> Iterator[Line]:
    """Have so many joined calls talk, both sides all the time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ends = stack.enter_context(_both_ends(folder))
        edge = stack.enter_context(Edge(folder, agents=_endpoint(int(ends.read()))))
        up = _ask(ends, f"{edge.port}\ncall {calls}")["up"]
        yield exactly(f"{calls} joined calls of G.711: up", up, calls)
        _ask(ends, f"talk {settle_s}")
        yield from _talk(edge, ends, seconds)
        _ask(ends, "hangup")
        left = edge.wait_until(lambda now: not now["calls"] and not now["lent"], timeout_s=_PATIENCE_S)
        yield exactly("  calls left afterwards", 0 if left is not None else edge.figures()["calls"], 0)


def plain(calls: int, seconds: float, *, settle_s: float = _SETTLE_S) -> Iterator[Line]:
    """Have as many talk through a program that does nothing but receive and send: what this machine takes by itself."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ends = stack.enter_context(_both_ends(folder))
        command = [sys.executable, "-m", "tests.bench.plain_relay", str(calls)]
        relay = stack.enter_context(Program("plain-relay", command, folder, core=MEASURED, talks=True))
        ends.read()
        ends.say("0")  # nobody is called
        _ask(ends, "join " + " ".join(str(port) for port in json.loads(relay.read())))
        _ask(ends, f"talk {settle_s}")
        heard, cpu_s, _ = _heard(relay, ends, seconds)
        yield Line(
            "a relay that does nothing else: CPU per packet", f"{1e6 * cpu_s / max(heard['received'], 1):.1f} us"
        )
        yield Line("  packets lost", f"{heard['sent'] - heard['received']:.0f}")
        yield from _delays(heard, aim_ms=None)


def _both_ends(folder: Path) -> Program:
    command = [sys.executable, "-m", "tests.bench.both_ends"]
    return Program("both-ends", command, folder, core=DRIVING, talks=True)


def _heard(measured: Program, ends: Program, seconds: float) -> tuple[dict[str, float], float, float]:
    """Have both ends talk; gives what they heard, and the seconds of CPU and of time that it took."""
    cpu_s, begun = measured.cpu_s, time.monotonic()
    heard = _ask(ends, f"talk {seconds}")
    return heard, measured.cpu_s - cpu_s, time.monotonic() - begun


def _talk(edge: Edge, ends: Program, seconds: float) -> Iterator[Line]:
    heard, cpu_s, took_s = _heard(edge.program, ends, seconds)
    yield exactly(f"  packets lost of {heard['sent']:.0f}", heard["sent"] - heard["received"], 0)
    yield exactly("  ends that heard nothing", heard["silent"], 0)
    yield Line("  CPU per relayed packet", f"{1e6 * cpu_s / max(heard['received'], 1):.1f} us")
    yield Line("  share of one core", f"{100 * cpu_s / took_s:.0f} %")
    yield from _delays(heard, aim_ms=_AIM_DELAY_MS)


def _delays(heard: dict[str, float], *, aim_ms: float | None) -> Iterator[Line]:
    yield Line("  a packet's way through, half of them within", f"{heard['p50_ms']:.2f} ms")
    if aim_ms is None:
        yield Line("  99 of 100 within", f"{heard['p99_ms']:.2f} ms")
    else:
        yield at_most("  99 of 100 within", heard["p99_ms"], aim_ms, "ms")
    yield Line("  999 of 1000 within", f"{heard['p99.9_ms']:.2f} ms")
    yield Line("  the slowest", f"{heard['p100_ms']:.1f} ms")
    yield Line("  what drives it was late by at most", f"{heard['late_ms']:.1f} ms")


def _ask(ends: Program, what: str) -> dict[str, float]:
    answer: dict[str, float] = json.loads(ends.ask(what))
    return answer
