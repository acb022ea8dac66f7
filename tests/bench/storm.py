"""Calls as they come in life: most last, some are transferred, held or cancelled; nothing may be left of any of them.

Every call has two legs, from SIPp through the edge to SIPp, and a record for each: both must tell the same story.
"""

import asyncio
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sipflow.calls.ending import Word
from sipflow.calls.record import CallRecord
from sipflow.store.calls import CallFilter, CallRecords
from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.bench.edge import Edge, Figures
from tests.bench.programs import DRIVING, ROOT, Program, find, wait_for_port
from tests.bench.report import Line, exactly
from tests.interop.free_ports import free_sip_port

SHARES = {"plain": 0.8, "transferred": 0.1, "held": 0.05, "cancelled": 0.05}
_SCENARIOS = ROOT / "tests" / "bench" / "storm_calls"
_NUMBERS = {"plain": "+12065550100", "held": "+12065550100", "transferred": "+12065550101", "cancelled": "+12065550102"}
_OPENED_S = 1.0  # without anything new
_KEPT = ("calls", "dialogs", "transactions", "lent")
_GRACE_S = 30.0
_PERIOD_S = 10  # SIPp's rates are whole numbers for a period
_APART_S = 2.0  # between the ends of two legs: a BYE lost, and sent again
KEY = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls, for how long; and how long what is left has to go away (RFC 3261 keeps it for 32 s)."""

    rate: float = 50
    seconds: float = 300
    let_go_s: float = 45.0


@dataclass(slots=True)
class Weathered:
    """What came of it.

    Attributes:
        wanted, failed: calls by kind, as the callers saw them.
        left: of each thing that can leak, how many more there are than before the first call.
        agreeing: pairs of records that tell one story; `stories` says what is the matter with the others.
    """

    wanted: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    agreeing: int = 0
    stories: list[str] = field(default_factory=list)


def run(load: Load | None = None) -> Iterator[Line]:
    """Let it come down, and look what is left.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    load = load or Load()
    with tempfile.TemporaryDirectory() as name:
        found = weather(Path(name), load)
    for kind, wanted in found.wanted.items():
        yield exactly(f"{kind} calls that failed, of {wanted}", found.failed[kind], 0)
    for what, count in found.left.items():
        yield exactly(f"{what} left", count, 0)
    yield exactly("calls whose two records agree", found.agreeing, sum(found.wanted.values()))
    for story in found.stories[:5]:
        yield Line(f"  {story}", "")


def weather(folder: Path, load: Load) -> Weathered:
    """Have four SIPps call at once, one for each kind of call; the edge is gone afterwards, its records read.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    found = Weathered()
    store = f"sqlite:///{folder / 'storm.db'}"
    with ExitStack() as stack:
        desk, ringer = (stack.enter_context(Callee(folder, name)).port for name in ("answers", "rings"))
        sections: dict[str, Any] = {
            "numbers": numbers(),
            "agents": agents(desk, ringer),
            "store": {"url": store, "encryption_key": KEY},
        }
        edge = stack.enter_context(Edge(folder, **sections))
        before = _opened(edge)
        callers = [stack.enter_context(Caller(folder, kind, edge.port, load)) for kind in SHARES]
        for caller in callers:
            found.wanted[caller.kind] = caller.calls
            found.failed[caller.kind] = caller.calls - caller.finish(load.seconds + _GRACE_S)
        found.left = _left(edge, before, load.let_go_s)
    _compare(found, asyncio.run(_records(store, folder)))
    return found


def numbers() -> dict[str, object]:
    """Say which number is whose."""
    owners = {"+12065550100": "desk", "+12065550101": "hand_over", "+12065550102": "ringer"}
    return {number: {"inbound_agent": agent} for number, agent in owners.items()}


def agents(desk: int, ringer: int) -> dict[str, object]:
    """Say who takes them, for those who are called on two ports."""
    return {
        "desk": {"handler": "sip_endpoint", "uri": f"sip:desk@127.0.0.1:{desk}", "from": "{caller}"},
        "ringer": {"handler": "sip_endpoint", "uri": f"sip:ringer@127.0.0.1:{ringer}", "from": "{caller}"},
        "hand_over": {"handler": "tests.bench.agents:hand_over", "target": f"sip:person@127.0.0.1:{desk}"},
    }


class Callee(Program):
    """Those who are called."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self.port = free_sip_port()
        file = _SCENARIOS / f"{scenario}.xml"
        command = [find("sipp"), "-sf", str(file), "-i", "127.0.0.1", "-p", str(self.port), "-nostdin"]
        super().__init__(f"sipp-{scenario}", command, folder, core=DRIVING, cwd=folder)
        try:
            wait_for_port(self, self.port)
        except RuntimeError:
            self.stop()
            raise


class Caller(Program):
    """The callers of one kind."""

    def __init__(self, folder: Path, kind: str, port: int, load: Load) -> None:
        self.kind = kind
        rate = max(round(load.rate * SHARES[kind] * _PERIOD_S), 1)
        self.calls = max(round(rate * load.seconds / _PERIOD_S), 1)
        self._statistics = folder / f"{kind}.csv"
        command = [find("sipp"), "-sf", str(_SCENARIOS / f"{kind}.xml"), f"127.0.0.1:{port}", "-s", _NUMBERS[kind]]
        command += ["-i", "127.0.0.1", "-p", str(free_sip_port()), "-nostdin", "-r", str(rate), "-rp", f"{_PERIOD_S}s"]
        command += [
            "-m",
            str(self.calls),
            "-l",
            str(self.calls),
            "-trace_err",
            "-error_file",
            str(folder / f"{kind}.err"),
        ]
        command += ["-trace_stat", "-stf", str(self._statistics), "-fd", "1"]
        super().__init__(f"sipp-{kind}", command, folder, core=DRIVING, cwd=folder)

    def finish(self, timeout_s: float) -> int:
        """Wait for the end of all calls; gives how many went well."""
        self.wait(timeout_s)
        with self._statistics.open(encoding="utf-8", newline="") as file:
            return int(list(csv.DictReader(file, delimiter=";"))[-1]["SuccessfulCall(C)"])


def _opened(edge: Edge) -> Figures:
    """Wait until the store is open, and all that works beside the calls."""
    first = edge.figures()
    edge.wait_until(lambda now: now["tasks"] > first["tasks"], timeout_s=_GRACE_S)
    return steady(edge)


def steady(edge: Edge) -> Figures:
    """Wait until no more tasks begin; give what there is then."""
    before = dict[str, float]()
    while (now := edge.figures()) and now["tasks"] != before.get("tasks"):
        before = now
        time.sleep(_OPENED_S)
    return before


def _left(edge: Edge, before: Figures, let_go_s: float) -> dict[str, float]:
    """Wait until nothing is going on, as far as that comes, and count."""
    edge.wait_until(lambda now: all(now[what] == 0 for what in _KEPT), timeout_s=let_go_s)
    after = edge.figures("collect")
    left = {what: after[what] for what in _KEPT}
    return {**left, "tasks": max(0.0, after["tasks"] - before["tasks"]), "faults": after["faults"]}


async def _records(store: str, folder: Path) -> list[CallRecord]:
    database = await Database.open(Settings(url=store, encryption_keys=(KEY,)), folder=folder)
    try:
        return [record async for record in CallRecords(database).each(CallFilter())]
    finally:
        await database.close()


def _compare(found: Weathered, records: list[CallRecord]) -> None:
    """See that each caller has one record of each direction, and that the two agree."""
    pairs: dict[str, dict[str, CallRecord]] = {}
    twice = Counter((record.from_number, record.direction) for record in records)
    for record in records:
        pairs.setdefault(record.from_number, {})[record.direction] = record
    found.stories = [f"{who} has {count} records {which}" for (who, which), count in twice.items() if count > 1]
    for who, pair in pairs.items():
        wrong = "there is one record alone" if len(pair) < 2 else disagreement(pair["inbound"], pair["outbound"])
        if wrong:
            found.stories.append(f"{who}: {wrong}")
        else:
            found.agreeing += 1


def disagreement(one: CallRecord, other: CallRecord) -> str:
    """Say in what the records of a caller's leg and of the other one contradict each other; "" where they do not."""
    if one.ending is None or other.ending is None or one.ended_at is None or other.ended_at is None:
        return "one has no end"
    if one.from_number.startswith("cancelled"):
        words = (one.ending.word, other.ending.word, one.answered_at, other.answered_at)
        return "" if words == (Word.CANCELLED, Word.CANCELLED, None, None) else f"they ended as {words}"
    if one.answered_at is None or other.answered_at is None:
        return "one was not answered"
    if (one.ending.by, other.ending.by) != ("remote", "local"):
        return f"they were ended by {one.ending.by} and {other.ending.by}"
    if abs((one.ended_at - other.ended_at).total_seconds()) > _APART_S:
        return "they ended at different times"
    happened, wanted = ([line.name for line in each.history] for each in (one, other))
    if one.from_number.startswith("held") and not {"hold", "resumed"} <= set(happened) & set(wanted):
        return f"hold is not in both: {happened} and {wanted}"
    return ""
