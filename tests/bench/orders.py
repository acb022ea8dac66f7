"""Calls ordered over the API, 200 a second: how soon each order is answered, and what it costs with its call."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import sipp
from tests.bench.api import TOKEN, Connection, driving
from tests.bench.edge import NUMBER, Edge
from tests.bench.programs import wait_for_port
from tests.bench.report import Line, at_most, exactly
from tests.interop.free_ports import free_sip_port

_PATIENCE_S = 20.0
_WARM_UP = 20  # orders


@dataclass(frozen=True, slots=True)
class Load:
    """How much is ordered.

    Attributes:
        rate: orders a second, begun on time whether or not the earlier ones are answered.
        seconds: for how long, each time: without and with an Idempotency-Key.
        connections: kept open.
    """

    rate: float = 200.0
    seconds: float = 10.0
    connections: int = 16


@dataclass(slots=True)
class Heard:
    """What came of the orders: seconds from when one was due to its answer; and those that were refused."""

    took_s: list[float] = field(default_factory=list)
    failed: int = 0
    why: str = ""

    def percentile_ms(self, percent: float) -> float:
        took = sorted(self.took_s)
        return 1000 * took[min(len(took) - 1, int(len(took) * percent / 100))] if took else 0.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Order calls to a SIPp that answers; the agent hangs up at once.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    callee, port = free_sip_port(), free_sip_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        wait_for_port(stack.enter_context(sipp.answering(folder, callee)), callee)
        edge = stack.enter_context(Edge(folder, handler="tests.bench.agents:done_at_once", **_sections(callee, port)))
        stack.enter_context(driving())
        asyncio.run(_warm_up(port))
        yield from _measure(edge, port, load, keys=False)
        yield from _measure(edge, port, load, keys=True)


def _sections(callee: int, port: int) -> dict[str, Any]:
    return {
        "trunks": {"local": {"sip_domain": f"127.0.0.1:{callee}", "region": "US"}},
        "numbers": {NUMBER: {"inbound_agent": "bench", "outbound_agents": ["bench"], "trunk": "local"}},
        "api": {"listen": f"127.0.0.1:{port}", "tokens": [TOKEN]},
    }


def _measure(edge: Edge, port: int, load: Load, *, keys: bool) -> Iterator[Line]:
    cpu_s = edge.program.cpu_s
    heard = asyncio.run(_order(port, load, keys=keys))
    settled = edge.wait_until(lambda now: not now["calls"], timeout_s=_PATIENCE_S)
    cpu_s = edge.program.cpu_s - cpu_s
    count = len(heard.took_s)
    with_keys = "with Idempotency-Key" if keys else "without Idempotency-Key"
    yield exactly(f"orders refused of {count} at {load.rate:g} a second, {with_keys}", heard.failed, 0)
    if heard.why:
        yield Line(f"  {heard.why[:100]}", "")
    yield exactly("  calls that did not end", 0 if settled is not None else edge.figures()["calls"], 0)
    yield Line("  answered, half of them within", f"{heard.percentile_ms(50):.1f} ms")
    yield at_most("  answered, 99 of 100 within", heard.percentile_ms(99), 100, "ms", digits=1)
    yield Line("  CPU per order, with its call", f"{1000 * cpu_s / max(count, 1):.2f} ms")


async def _warm_up(port: int) -> None:
    """Wait for the API, and order a few calls."""
    until = time.monotonic() + _PATIENCE_S
    connection = Connection(port)
    while True:
        try:
            status, _ = await connection.ask("POST", "/v2/calls", _wanted(0))
        except ConnectionError:
            status = 0
        if status == 200 or time.monotonic() > until:
            break
        await asyncio.sleep(0.1)
    for number in range(_WARM_UP):
        await connection.ask("POST", "/v2/calls", _wanted(number))
    connection.close()


def _wanted(number: int) -> dict[str, object]:
    return {"model_id": "bench", "phone": f"+1206556{number % 10_000:04d}", "name": "Ada Lovelace"}


async def _order(port: int, load: Load, *, keys: bool) -> Heard:
    heard = Heard()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    connections = [Connection(port) for _ in range(load.connections)]
    for connection in connections:
        free.put_nowait(connection)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for turn in range(int(load.rate * load.seconds)):
            due = begun + turn / load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(_one(free, due, turn, heard, {"Idempotency-Key": f"key-{turn}"} if keys else {}))
    for connection in connections:
        connection.close()
    return heard


async def _one(free: "asyncio.Queue[Connection]", due: float, turn: int, heard: Heard, headers: dict[str, str]) -> None:
    connection = await free.get()
    status, said = await connection.ask("POST", "/v2/calls", _wanted(turn), headers)
    heard.took_s.append(time.perf_counter() - due)
    if status != 200:
        heard.failed += 1
        heard.why = json.dumps(json.loads(said))
    free.put_nowait(connection)
