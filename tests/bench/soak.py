"""Hours of ordinary work in twenty minutes: `make soak`. At 30 % of what one core carries nothing may grow.

Calls of every kind of `storm`, echo calls with audio that come and go, calls ordered over the API, and webhooks about
all of them. How much that may be is measured first. Every ten seconds it is looked what the process holds; the last
quarter of the time is compared with the second, for in the first one caches, traces and ports fill.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import mean
from typing import Any

from tests.bench import storm
from tests.bench.__main__ import raise_file_limit
from tests.bench.api import TOKEN, Connection
from tests.bench.edge import Edge
from tests.bench.programs import DRIVING, MissingProgram, Program
from tests.bench.report import Line, at_most, exactly
from tests.interop.free_ports import free_sip_port
from tests.webhooks.receiver import Receiver

ECHOED, ORDERING = "+12065550103", "+12065550104"
_GROWTH = 1.05  # of memory: the allocator is not the same twice
_SWAY, _FEW = 1.1, 5  # of counts: how many calls are up at a time is chance
_KEPT = ("calls", "dialogs", "transactions", "lent")
_RING_MB = 4  # of traces: full long before the second quarter, or it would grow all the time
_GRACE_S = 30.0
_REPEATED_S = 32.0  # RFC 3261 §17.2: 64*T1
_STEP_S = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """How long, and how much.

    Attributes:
        seconds: of the whole load, after it was measured.
        share: of a core that the process is to use.
        try_s: for how long a little load is measured first.
        look_s: between two looks.
        round_s: how long the echo calls of a round talk.
        let_go_s: how long what is over has to go away; where it is less than RFC 3261 keeps transactions, they are not
            waited for.
    """

    seconds: float = 1200.0
    share: float = 0.3
    try_s: float = 30.0
    look_s: float = 10.0
    round_s: float = 25.0
    let_go_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of it: calls and orders a second, and echo calls at once."""

    calls: float = 4.0
    orders: float = 1.0
    echoes: float = 6.0

    def times(self, factor: float) -> "Work":
        return Work(self.calls * factor, self.orders * factor, max(self.echoes * factor, 1.0))


@dataclass(frozen=True, slots=True)
class Look:
    """What it held at a moment; seconds since the load began, and the share of a core it used since the look before."""

    at_s: float
    cpu: float
    rss_mib: float
    files: float
    tasks: float
    threads: float
    lent: float
    dialogs: float
    transactions: float
    unwritten: float


@dataclass(slots=True)
class Stage:
    """Everything that runs, and what went wrong in it.

    Attributes:
        ordered, refused: calls over the API, and those of them that it did not take.
        silent: echo calls in which nothing came back.
        failed: calls of the storm that failed.
    """

    folder: Path
    edge: Edge
    api: int
    ordered: int = 0
    refused: int = 0
    echoes: int = 0
    silent: int = 0
    calls: int = 0
    failed: int = 0
    looks: list[Look] = field(default_factory=list)


def run(load: Load | None = None) -> Iterator[Line]:
    """Work, look, and say whether anything grew.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack, asyncio.Runner() as runner:
        folder, receiver = Path(name), Receiver()
        runner.run(receiver.__aenter__())
        desk, ringer = (stack.enter_context(storm.Callee(folder, each)).port for each in ("answers", "rings"))
        api = free_sip_port()
        edge = stack.enter_context(Edge(folder, **_sections(folder, desk, ringer, api, receiver)))
        stage = Stage(folder, edge, api)
        runner.run(_wait_for_api(api))
        before = storm.steady(edge)
        share = runner.run(_work(stage, Work(), load.try_s, load))
        work = Work().times(load.share / max(share, 0.001))
        yield Line("used of a core by a little load", f"{100 * share:.0f} %")
        yield Line(f"so {work.calls:.1f} calls/s, {work.orders:.1f} orders/s, {work.echoes:.0f} echo calls at once", "")
        stage.looks.clear()
        runner.run(_work(stage, work, load.seconds, load))
        yield from table(stage.looks)
        yield Line("used of a core", f"{100 * mean(look.cpu for look in stage.looks):.0f} %")
        yield from flatness(stage.looks)
        left = runner.run(_settled(stage, receiver, before, load))
        left["warnings in the log"] = len(edge.program.tail().splitlines())
        yield from (Line(f"  {line[:150]}", "") for line in edge.program.tail().splitlines()[-5:])
        runner.run(receiver.__aexit__(None, None, None))
    yield from _counted(stage, receiver, left)


def _sections(folder: Path, desk: int, ringer: int, api: int, receiver: Receiver) -> dict[str, Any]:
    agents: dict[str, Any] = storm.agents(desk, ringer)
    agents["desk"]["external_webhook_url"] = receiver.url("/desk")
    told = {"external_webhook_url": receiver.url("/ordered"), "events_webhook_url": receiver.url("/events")}
    return {
        "trunks": {"local": {"accept_from": ["127.0.0.0/8"], "sip_domain": f"127.0.0.1:{desk}", "region": "US"}},
        "numbers": {
            **storm.numbers(),
            ECHOED: {"inbound_agent": "echo"},
            ORDERING: {"inbound_agent": "echo", "outbound_agents": ["caller"], "trunk": "local"},
        },
        "agents": {
            **agents,
            "echo": {"handler": "echo"},
            "caller": {"handler": "tests.bench.agents:done_at_once", **told},
        },
        "api": {"listen": f"127.0.0.1:{api}", "tokens": [TOKEN]},
        "store": {"url": f"sqlite:///{folder / 'soak.db'}", "encryption_key": storm.KEY},
        "webhooks": {"allow_networks": "127.0.0.1/32", "allow_http": True},
        "trace": {"ring_mb": _RING_MB},
    }


async def _wait_for_api(port: int) -> None:
    until = time.monotonic() + _GRACE_S
    while True:
        connection = Connection(port)
        try:
            status, _ = await connection.ask("GET", "/v2/health")
        except ConnectionError:
            status = 0
        connection.close()
        if status == 200 or time.monotonic() > until:
            return
        await asyncio.sleep(_STEP_S)


async def _work(stage: Stage, work: Work, seconds: float, load: Load) -> float:
    """Load it for so long, look at it meanwhile, and wait for the calls' own ends; gives its share of a core."""
    until, asked = time.monotonic() + seconds, storm.Load(rate=work.calls, seconds=seconds)
    with ExitStack() as stack:
        callers = [
            stack.enter_context(storm.Caller(stage.folder, kind, stage.edge.port, asked)) for kind in storm.SHARES
        ]
        used = await _together(stage, work, until, load)
        for caller in callers:
            stage.calls += caller.calls
            stage.failed += caller.calls - await asyncio.to_thread(caller.finish, _GRACE_S)
    return used


async def _together(stage: Stage, work: Work, until: float, load: Load) -> float:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_order(stage, work.orders, until))
        tasks.create_task(asyncio.to_thread(_talk, stage, round(work.echoes), until, load.round_s))
        looking = tasks.create_task(_look(stage, until, load.look_s))
    return looking.result()


async def _order(stage: Stage, rate: float, until: float) -> None:
    """Ask for calls, evenly, one after the other."""
    connection, begun, number = Connection(stage.api), time.monotonic(), 0
    while (due := begun + number / rate) < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        order = {"model_id": "caller", "phone": f"+1206556{number % 10_000:04d}", "name": "Ada Lovelace"}
        status, _ = await connection.ask("POST", "/v2/calls", order)
        stage.ordered += 1
        stage.refused += status != 200
        number += 1
    connection.close()


def _talk(stage: Stage, calls: int, until: float, round_s: float) -> None:
    """Call, talk, hang up, and again, each time from other ports."""
    command = [sys.executable, "-m", "tests.bench.talkers", str(stage.edge.port), ECHOED]
    while (left := until - time.monotonic()) > 0:
        with Program("talkers", command, stage.folder, core=DRIVING, talks=True) as talkers:
            up = json.loads(talkers.ask(f"call {calls}"))["up"]
            heard = json.loads(talkers.ask(f"talk {min(round_s, left):.2f}"))
            talkers.ask("hangup")
        stage.echoes += calls
        stage.silent += calls - up + (up if not heard["least_echoed"] else 0)


async def _look(stage: Stage, until: float, look_s: float) -> float:
    """Look every now and then; gives the share of a core over all of that time."""
    program = stage.edge.program
    begun, began_s = time.monotonic(), program.cpu_s
    before, before_s = begun, began_s
    while before < until:
        await asyncio.sleep(min(look_s, max(until - before, _STEP_S)))
        now, now_s, held = time.monotonic(), program.cpu_s, stage.edge.figures()
        counts = {each.name: held[each.name] for each in fields(Look)[3:]}
        cpu = (now_s - before_s) / (now - before)
        stage.looks.append(Look(now - begun, cpu, program.rss_bytes / (1 << 20), **counts))
        before, before_s = now, now_s
    return (before_s - began_s) / (before - begun)


def table(looks: list[Look]) -> Iterator[Line]:
    """Print what was seen, a line each time."""
    yield Line("   seconds  core  RSS MiB  files  tasks  threads  ports  dialogs  transactions unwritten", "")
    for look in looks:
        yield Line(
            f"  {look.at_s:8.0f} {100 * look.cpu:4.0f}% {look.rss_mib:8.1f} {look.files:6.0f} {look.tasks:6.0f}"
            f" {look.threads:8.0f} {look.lent:6.0f} {look.dialogs:8.0f} {look.transactions:13.0f}"
            f" {look.unwritten:9.0f}",
            "",
        )


def flatness(looks: list[Look]) -> Iterator[Line]:
    """Compare the last quarter of the time with the second."""
    quarter = len(looks) // 4
    if not quarter:
        return
    second, last = looks[quarter : 2 * quarter], looks[-quarter:]
    for each in fields(Look)[2:]:
        was, now = (mean(getattr(look, each.name) for look in some) for some in (second, last))
        limit = was * _GROWTH if each.name == "rss_mib" else was * _SWAY + _FEW
        unit = "MiB" if each.name == "rss_mib" else "at once"
        what = f"{each.name}: {was:.1f} in the second quarter, in the last"
        yield at_most(what, now, round(limit, 1), unit, digits=1)


async def _settled(stage: Stage, receiver: Receiver, before: dict[str, float], load: Load) -> dict[str, float]:
    """Wait until nothing is going on, as far as that comes, and count what is left."""
    until = time.monotonic() + load.let_go_s
    awaited = [what for what in _KEPT if what != "transactions" or load.let_go_s > _REPEATED_S]
    while time.monotonic() < until:
        now = stage.edge.figures()
        quiet = all(now[what] == 0 for what in awaited) and now["tasks"] <= before["tasks"]
        if quiet and _told(receiver) >= stage.ordered:
            break
        await asyncio.sleep(_STEP_S)
    after = stage.edge.figures("collect")
    left = {what: after[what] for what in _KEPT}
    return {**left, "tasks": max(0.0, after["tasks"] - before["tasks"]), "faults": after["faults"]}


def _told(receiver: Receiver) -> int:
    """Of how many calls that were ordered the end has been told."""
    ended = [got.body for got in receiver.got if got.path == "/ordered"]
    return len({json.loads(body)["call"]["call_id"] for body in ended})


def _counted(stage: Stage, receiver: Receiver, left: dict[str, float]) -> Iterator[Line]:
    yield exactly(f"calls that failed, of {stage.calls}", stage.failed, 0)
    yield exactly(f"echo calls without an echo, of {stage.echoes}", stage.silent, 0)
    yield exactly(f"orders refused, of {stage.ordered}", stage.refused, 0)
    yield exactly("orders whose end a webhook told", _told(receiver), stage.ordered - stage.refused)
    for what, count in left.items():
        yield exactly(f"{what} left", count, 0)


def main(seconds: str = "") -> int:
    """Print it; gives the exit status: 1 where something grew, failed or is left."""
    raise_file_limit()
    lines = run(Load(seconds=float(seconds)) if seconds else None)
    missed = 0
    try:
        for line in lines:
            print(line, flush=True)
            missed += line.met is False
    except MissingProgram as error:
        print(error, file=sys.stderr)
        return 69
    print(f"{missed} of it not as it should be" if missed else "flat")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
