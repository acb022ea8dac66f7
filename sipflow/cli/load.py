"""`sipflow load`: places many calls with audio from this process, and says how they went."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import inf
from statistics import fmean, median

from sipflow.audio.tones import sine
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.cli.call import NoAgents, say_goodbye, tone_level
from sipflow.cli.plan import RATE_HZ, CallOptions, check_options, make_plan, net_settings
from sipflow.daemon.build import Edge, build
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, PortsExhausted, TransportError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.media.statistics import MediaStatistics
from sipflow.numbers.inventory import Inventory
from sipflow.tasks import Tasks
from sipflow.trunks.table import TrunkTable

GOOD, WORSE, UNREACHABLE = 0, 1, 5
_TONE_HZ, _TONE_DBFS = 440, -12.0
_MEASURED_BYTES = 3 * RATE_HZ * 2


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What was asked for on the command line; see `sipflow load --help`.

    Attributes:
        call: of each call.
        calls, rate: how many, and how many of them are begun in a second.
        min_mos: the mean opinion score that the worst call must have.
        max_failed: how many calls may fail.
    """

    call: CallOptions
    calls: int
    rate: float
    min_mos: float = 3.5
    max_failed: int = 0


@dataclass(slots=True)
class Placed:
    """How one call went; `status` 200 for one that was answered."""

    status: int = 0
    why: str = ""
    setup_ms: float = 0.0
    tone_dbfs: float | None = None
    media: MediaStatistics | None = None


@dataclass(slots=True)
class LoadReport:
    """How they all went; what `--json` prints.

    Attributes:
        calls, answered: how many.
        refused: how many by the status and words they ended with.
        at_once: most calls that were up at a time.
        setup_ms: from INVITE to answer: p50, p95, p99 and max.
        silent: answered calls in which nothing was heard.
        loss_percent, jitter_ms, mos: of what was heard: mean, and the worst call's.
        tone_dbfs: level of our tone in what came back: the middle call's, and the weakest.
    """

    calls: int = 0
    answered: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    at_once: int = 0
    took_s: float = 0.0
    setup_ms: dict[str, float] = field(default_factory=dict)
    silent: int = 0
    loss_percent: dict[str, float] = field(default_factory=dict)
    jitter_ms: dict[str, float] = field(default_factory=dict)
    mos: dict[str, float] = field(default_factory=dict)
    tone_dbfs: dict[str, float] = field(default_factory=dict)
    exit_status: int = GOOD


def run_load(wanted: LoadOptions) -> int:
    """Place the calls; returns the exit status.

    Raises:
        LocalProtocolError: an option cannot be used as written.
        TransportError: no socket can be opened.
    """
    check_options(wanted.call)
    if wanted.calls < 1 or not 0 < wanted.rate < inf:
        raise LocalProtocolError("--calls is 1 or more, and --rate more than 0")
    set_up_logs("error", "console")
    placed, at_once, took_s = asyncio.run(_watched(wanted))
    report = summed_up(placed, at_once=at_once, took_s=took_s, wanted=wanted)
    if wanted.call.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        sys.stdout.write("\n".join(lines_of(report)) + "\n")
    return report.exit_status


def summed_up(placed: list[Placed], *, at_once: int, took_s: float, wanted: LoadOptions) -> LoadReport:
    """Make a report of how each call went."""
    answered = [each for each in placed if each.status == 200]
    heard = [each.media for each in answered if each.media is not None and each.media.packets_received]
    report = LoadReport(len(placed), len(answered), at_once=at_once, took_s=round(took_s, 2))
    report.refused = dict(Counter(f"{each.status} {each.why}" for each in placed if each.status != 200))
    report.silent = len(answered) - len(heard)
    setups = sorted(each.setup_ms for each in answered)
    if setups:
        report.setup_ms = {f"p{share}": _percentile(setups, share) for share in (50, 95, 99)}
        report.setup_ms["max"] = round(setups[-1], 1)
    losses = [100 * each.lost / (each.packets_received + each.lost) for each in heard]
    report.loss_percent = _mean_and_worst(losses, max)
    report.jitter_ms = _mean_and_worst([each.jitter_ms for each in heard], max)
    report.mos = _mean_and_worst([each.opinion for each in heard if each.opinion is not None], min)
    levels = [each.tone_dbfs for each in answered if each.tone_dbfs is not None]
    if levels:
        report.tone_dbfs = {"median": round(median(levels), 1), "worst": round(min(levels), 1)}
    failed = len(placed) - len(answered) + report.silent
    if not answered:
        report.exit_status = UNREACHABLE
    elif failed > wanted.max_failed or report.mos.get("worst", 5.0) < wanted.min_mos:
        report.exit_status = WORSE
    return report


def _percentile(values: list[float], share: int) -> float:
    return round(values[min(len(values) - 1, len(values) * share // 100)], 1)


def _mean_and_worst(values: list[float], worst: Callable[[list[float]], float]) -> dict[str, float]:
    return {"mean": round(fmean(values), 2), "worst": round(worst(values), 2)} if values else {}


def lines_of(report: LoadReport) -> list[str]:
    """The report in plain words."""
    share = 100 * report.answered / report.calls if report.calls else 0.0
    lines = [
        f"{report.answered} of {report.calls} calls answered ({share:.1f} %) in {report.took_s:.1f} s, "
        f"{report.at_once} at once"
    ]
    lines += [f"  {count} times {why}" for why, count in report.refused.items()]
    if report.silent:
        lines.append(f"  {report.silent} were answered, and nothing was heard of them")
    if report.setup_ms:
        lines.append("setup   " + ", ".join(f"{name} {value:.1f} ms" for name, value in report.setup_ms.items()))
    for name, unit in (("loss_percent", " %"), ("jitter_ms", " ms"), ("mos", "")):
        figures: dict[str, float] = getattr(report, name)
        if figures:
            title = name.partition("_")[0]
            lines.append(f"{title:<8}" + ", ".join(f"{which} {value:.2f}{unit}" for which, value in figures.items()))
    if report.tone_dbfs:
        lines.append("tone    " + ", ".join(f"{which} {value:.1f} dBFS" for which, value in report.tone_dbfs.items()))
    return lines


async def _watched(wanted: LoadOptions) -> tuple[list[Placed], int, float]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    edge = _edge(wanted.call)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    hidden = wanted.call.json or not console.is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=hidden) as progress:
        bar = progress.add_task("calls", total=wanted.calls)

        def over(up: int) -> None:
            progress.update(bar, advance=1, description=f"calls ({up} up)")

        try:
            await edge.open()
            return await place_all(edge, wanted, over)
        finally:
            await say_goodbye(edge)
            await edge.close()


def _edge(options: CallOptions) -> Edge:
    return build(
        router=Router(TrunkTable(secret=os.urandom(16)), Inventory()),
        agents=lambda _tasks: NoAgents(),
        net=net_settings(options),
        media=MediaSettings(port_low=20002, port_high=29998, drain_s=0.0),
        calls=CallSettings(),
    )


async def place_all(edge: Edge, wanted: LoadOptions, over: Callable[[int], None]) -> tuple[list[Placed], int, float]:
    """Place all calls and wait for their ends.

    Args:
        edge: through which.
        wanted: how many, and how fast.
        over: told whenever a call is over, and how many are up then.

    Returns:
        How each went, the most at once, and seconds from the first to the end of the last.
    """
    loop, tasks = asyncio.get_running_loop(), Tasks()
    sound = sine(_TONE_HZ, 1000, level_dbfs=_TONE_DBFS, sample_rate_hz=RATE_HZ) * int(wanted.call.seconds + 1)
    placed: list[Placed] = []
    began, most = loop.time(), 0

    async def one() -> None:
        nonlocal most
        placed.append(result := Placed())
        most = max(most, len(edge.switchboard.calls) + 1)
        await _one(edge, wanted.call, sound, result)
        over(len(edge.switchboard.calls))

    try:
        running = []
        for number in range(wanted.calls):
            await asyncio.sleep(max(0.0, began + number / wanted.rate - loop.time()))
            running.append(tasks.spawn(one(), name=f"call {number + 1} of a load"))
        await asyncio.wait(running)
    finally:
        await tasks.close()
    return placed, most, loop.time() - began


async def _one(edge: Edge, options: CallOptions, sound: bytes, result: Placed) -> None:
    board = edge.switchboard
    began = board.now
    try:
        call = await board.place(make_plan(options), codecs=options.codecs)
    except (TransportError, PortsExhausted) as error:
        result.status, result.why = 503, str(error)
        return
    try:
        async with asyncio.timeout(options.ring_s):
            await call.wait_answered()
        result.setup_ms = 1000 * (board.now - began)
        result.tone_dbfs = tone_level(await _talk(call, options.seconds, sound), _TONE_HZ)
        result.status = 200
    except TimeoutError:
        result.status, result.why = 408, f"nobody answered in {options.ring_s:g} s"
    except CallFailed as failed:
        result.status, result.why = failed.status, failed.reason
    finally:
        call.end("the load is over")
    result.media = call.statistics


async def _talk(call: OutboundCall, seconds: float, sound: bytes) -> bytes:
    heard = bytearray()
    try:
        async with asyncio.timeout(seconds), call.playing(sound):
            async for frame in call.audio:
                if len(heard) < _MEASURED_BYTES:
                    heard += frame.pcm
    except (TimeoutError, CallEnded):
        pass  # the time is over, or the far end hung up: both are ends of a good call
    return bytes(heard)
