"""How long the API takes to answer under load, and what an answer costs, on SQLite and on PostgreSQL."""

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.bench.edge import Edge
from tests.bench.programs import DRIVING
from tests.bench.report import Line, at_most, exactly
from tests.interop.free_ports import free_sip_port
from tests.store.postgres import KEY, Postgres
from tests.store.records import keep, over

TOKEN = "a token that opens everything"
_NUMBERS, _AGENTS, _CALLS = 100, 20, 1000
_PATIENCE_S = 20.0
_KINDS = ("GET numbers", "GET calls", "PUT attach")


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked.

    Attributes:
        rate: requests a second, begun on time whether or not the earlier ones are answered.
        seconds: for how long.
        connections: kept open.
    """

    rate: float = 150.0
    seconds: float = 10.0
    connections: int = 32


@dataclass(slots=True)
class Heard:
    """What came of the requests: by kind, the seconds from when one was due to its answer; and those that failed."""

    took_s: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    failed: int = 0

    def percentile_ms(self, kind: str, percent: float) -> float:
        took = sorted(self.took_s[kind])
        return 1000 * took[min(len(took) - 1, int(len(took) * percent / 100))] if took else 0.0


def run(load: Load | None = None) -> Iterator[Line]:
    """Ask for numbers, for calls, and attach numbers to agents: nine reads to one write."""
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        yield from _measure("SQLite", f"sqlite:///{name}/sipflow.db", Path(name), load)
    try:
        server = Postgres()
    except pytest.skip.Exception as error:
        yield Line("PostgreSQL", str(error))
        return
    try:
        server.start()
        with tempfile.TemporaryDirectory() as name:
            yield from _measure("PostgreSQL", server.database(), Path(name), load)
    finally:
        server.remove()


def _measure(store: str, url: str, folder: Path, load: Load) -> Iterator[Line]:
    asyncio.run(_seed(Settings(url=url, encryption_keys=(KEY,)), folder))
    port = free_sip_port()
    sections: dict[str, Any] = {
        "api": {"listen": f"127.0.0.1:{port}", "tokens": [TOKEN]},
        "store": {"url": url, "encryption_key": KEY},
    }
    with Edge(folder, **sections) as edge, driving():
        agents = asyncio.run(_prepare(port))
        cpu_s = edge.program.cpu_s
        heard = asyncio.run(_ask(port, agents, load))
        cpu_s = edge.program.cpu_s - cpu_s
    count = sum(len(took) for took in heard.took_s.values())
    yield exactly(f"{store}: requests that failed, at {load.rate:g} a second", heard.failed, 0)
    for kind in _KINDS:
        yield Line(f"{store}: {kind}, half of them within", f"{heard.percentile_ms(kind, 50):.1f} ms")
        yield at_most(f"{store}: {kind}, 99 of 100 within", heard.percentile_ms(kind, 99), 100, "ms", digits=1)
    yield Line(f"{store}: CPU per request", f"{1000 * cpu_s / max(1, count):.2f} ms")


@contextmanager
def driving() -> Iterator[None]:
    """Stay off the core of what is measured."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {DRIVING})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _seed(settings: Settings, folder: Path) -> None:
    """Make the tables and some calls."""
    database = await Database.open(settings, folder=folder)
    try:
        await keep(database, [over(number) for number in range(_CALLS)])
    finally:
        await database.close()


class Connection:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request; return status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def _prepare(port: int) -> list[str]:
    """Wait for the API, then make numbers and agents; returns the agents."""
    until = time.monotonic() + _PATIENCE_S
    connection = Connection(port)
    while True:
        try:
            await connection.ask("GET", "/v2/health")
            break
        except ConnectionError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)
    for number in range(_NUMBERS):
        body = {"phone_number": f"+1206555{number:04d}", "termination_uri": "127.0.0.1:9"}
        await connection.ask("POST", "/v2/custom-numbers", body)
    agents = []
    for number in range(_AGENTS):
        _, said = await connection.ask("POST", "/v2/assistants", {"type": "outbound", "name": f"{number}", "agent": {}})
        agents.append(str(json.loads(said)["response"]["model_id"]))
    connection.close()
    return agents


async def _ask(port: int, agents: list[str], load: Load) -> Heard:
    heard = Heard()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    connections = [Connection(port) for _ in range(load.connections)]
    for connection in connections:
        free.put_nowait(connection)
    rest = iter([(agent, f"+1206555{number:04d}") for agent in agents for number in range(_NUMBERS)])
    chosen = random.Random(1)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for turn in range(int(load.rate * load.seconds)):
            due = begun + turn / load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            kind = chosen.choices(_KINDS, (45, 45, 10))[0]
            tasks.create_task(_one(free, kind, due, next(rest) if kind == "PUT attach" else ("", ""), heard))
    for connection in connections:
        connection.close()
    return heard


async def _one(
    free: "asyncio.Queue[Connection]", kind: str, due: float, attached: tuple[str, str], heard: Heard
) -> None:
    connection = await free.get()
    agent, number = attached
    match kind:
        case "GET numbers":
            status, _ = await connection.ask("GET", "/v2/numbers?limit=20")
        case "GET calls":
            status, _ = await connection.ask("GET", "/v2/calls?limit=20")
        case _:
            path = f"/v2/assistants/{agent}/phone_numbers"
            status, _ = await connection.ask("PUT", path, {"phone_numbers": [number]})
    heard.took_s[kind].append(time.perf_counter() - due)
    heard.failed += status != 200
    free.put_nowait(connection)
