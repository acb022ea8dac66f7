"""`sipflow call`: a user agent for one call, whose exit status a script can use."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from statistics import median

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import WavWriter
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.variables import printable
from sipflow.cli.plan import RATE_HZ, CallOptions, check_options, make_plan, make_trunk, net_settings, recording
from sipflow.daemon.build import Edge, build
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, TransportError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.media.statistics import MediaStatistics
from sipflow.numbers.inventory import Inventory
from sipflow.sip.plan import RequestPlan
from sipflow.trunks.table import TrunkTable

HEARD, SILENT, REFUSED, UNANSWERED, UNREACHABLE = 0, 1, 3, 4, 5
_TONE_DBFS = -12.0
_NO_TONE_DBFS = -60.0  # speech and music have so much at any frequency now and then
_KEPT_S = 30  # seconds of what is heard, for measuring the tone
_PIECE_BYTES = RATE_HZ // 10 * 2  # 100 ms; in less, frequencies that lie close cannot be told apart
_FEWEST_PIECES = 4
_HEARD_WITHIN_S = 0.5  # in less, silence is nobody's NAT


@dataclass(slots=True)
class CallReport:
    """How the call went; what `--json` prints.

    Attributes:
        status, why: of the ending.
        setup_ms: from INVITE to answer, None if there was none.
        progress: provisional statuses, in order.
        talk_s: seconds from answer to end.
        tone_dbfs: level of our own tone in what came back, None if none was measured.
    """

    uri: str
    status: int = 0
    why: str = ""
    setup_ms: float | None = None
    progress: list[int] = field(default_factory=list)
    talk_s: float = 0.0
    tone_dbfs: float | None = None
    media: MediaStatistics | None = None
    exit_status: int = UNREACHABLE


def run_call(options: CallOptions) -> int:
    """Place the call; returns the exit status.

    Raises:
        LocalProtocolError: an option cannot be used as written.
    """
    check_options(options)
    set_up_logs("debug" if options.verbose else "error", "console")
    report = asyncio.run(_call(options))
    if options.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        for line in summary(report):
            sys.stdout.write(line + "\n")
    return report.exit_status


def summary(report: CallReport) -> list[str]:
    """The report in plain words, a line each."""
    why = printable(report.why)
    lines = [f"{report.status} {why}" if report.status >= 300 else f"over after {report.talk_s:.1f} s: {why}"]
    media = report.media
    if report.setup_ms is not None and media is not None:
        expected = media.packets_received + media.lost
        share = 100 * media.lost / expected if expected else 0.0
        lines.append(
            f"{media.codec}: sent {media.packets_sent} packets, received {media.packets_received}, "
            f"lost {media.lost} ({share:.1f} %), jitter {media.jitter_ms:.1f} ms"
        )
        if report.tone_dbfs is not None:
            level = f"our tone came back at {report.tone_dbfs:.1f} dBFS"
            none = "our tone did not come back: no echo, or it does not hear us"
            lines.append(level if report.tone_dbfs > _NO_TONE_DBFS else none)
        if not media.packets_received and report.talk_s >= _HEARD_WITHIN_S:
            lines.append("nothing was heard: check NAT, firewall and media.advertise at the far end")
    return lines


async def _call(options: CallOptions) -> CallReport:
    plan = make_plan(options)
    edge = build(
        router=Router(TrunkTable(secret=os.urandom(16)), Inventory()),
        agents=lambda _tasks: NoAgents(),
        net=net_settings(options),
        media=MediaSettings(port_low=20002, port_high=29998, drain_s=0.0),
        calls=CallSettings(),
    )
    report = CallReport(options.uri)
    with recording(options.record) as writer:
        try:
            await edge.open()
            await _follow(edge, options, plan, report, writer)
        except TransportError as error:  # no address, or none of ours can be used: there never was a call
            report.status, report.why = 503, str(error)
        finally:
            await say_goodbye(edge)
            await edge.close()
    return report


async def _follow(
    edge: Edge, options: CallOptions, plan: RequestPlan, report: CallReport, writer: WavWriter | None
) -> None:
    def say(line: str) -> None:
        if not options.json:
            print(printable(line), flush=True)

    started = edge.switchboard.now
    stop = _told_to_stop()
    call = await edge.switchboard.place(plan, trunk=make_trunk(options), codecs=options.codecs)
    stop.add_done_callback(lambda _: call.end("we were told to stop"))
    say(f"calling {options.uri} at {call.where}")
    call.on_progress = lambda status, reason: say(
        f"{status} {reason} after {1000 * (edge.switchboard.now - started):.0f} ms"
    )
    try:
        async with asyncio.timeout(options.ring_s):
            await call.wait_answered()
        report.setup_ms = 1000 * (edge.switchboard.now - started)
        say(f"answered after {report.setup_ms:.0f} ms")
        heard = await _talk(call, options, writer)
        report.tone_dbfs = _measure(heard, options)
    except TimeoutError:
        report.status, report.why = 408, f"nobody answered in {options.ring_s:g} s"
    except CallFailed as failed:
        if call.answered and call.ending is None:
            report.status, report.why = failed.status, failed.reason
    finally:
        call.end("we hung up")
    _finish_report(report, call)


def _told_to_stop() -> asyncio.Future[None]:
    """Give what is done with the first Ctrl-C or SIGTERM, so that the call ends with BYE or CANCEL, as a person would.

    It is asked for before anybody is called: from the first INVITE on there is something to end. A second signal ends
    the program.
    """
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def told() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    return stop


async def _talk(call: OutboundCall, options: CallOptions, writer: WavWriter | None) -> bytes:
    """Play and listen until the time is over or the far end hangs up; returns what was heard, 8 kHz s16le."""
    heard = bytearray()
    source = str(options.play) if options.play is not None else tone(options.tone_hz)
    try:
        async with asyncio.timeout(options.seconds), call.playing(source):
            if options.digits:
                await _send_digits(call, options.digits)
            async for frame in call.audio:
                if len(heard) < _KEPT_S * RATE_HZ * 2:
                    heard += frame.pcm
                if writer is not None:
                    writer.write(frame.pcm)
    except (TimeoutError, CallEnded):
        pass  # the time is over, or the far end hung up: both are ends of a good call
    return bytes(heard)


async def _send_digits(call: OutboundCall, digits: str) -> None:
    try:
        await call.send_digits(digits)
    except LocalProtocolError as error:
        raise CallFailed(488, f"answered, but no digits can be sent: {error}") from None


async def tone(hz: int) -> AsyncIterator[bytes]:
    """Yield a tone for ever."""
    second = sine(hz, 1000, level_dbfs=_TONE_DBFS, sample_rate_hz=RATE_HZ)  # whole cycles: it joins without a click
    while True:
        yield second


def _measure(heard: bytes, options: CallOptions) -> float | None:
    """The level of our tone in most of what was heard: neither a stall nor the silence before it makes it weaker."""
    return tone_level(heard, options.tone_hz) if options.play is None else None


def tone_level(heard: bytes, tone_hz: int) -> float | None:
    """The level in dBFS of a tone in most of what was heard, 8 kHz s16le; None where that is too short to say."""
    pieces = [heard[at : at + _PIECE_BYTES] for at in range(0, len(heard) - _PIECE_BYTES + 1, _PIECE_BYTES)]
    if len(pieces) < _FEWEST_PIECES:
        return None
    return round(median(measure_tone(piece, tone_hz, RATE_HZ) for piece in pieces), 1)


def _finish_report(report: CallReport, call: OutboundCall) -> None:
    ending = call.ending
    report.progress = call.provisionals
    report.media = call.statistics
    report.talk_s = call.record.talk_s
    if report.status:  # we know better than the ending: it is our own CANCEL or BYE
        report.exit_status = UNANSWERED if report.status == 408 else REFUSED
        return
    if ending is not None:
        report.status, report.why = ending.status, ending.why
    if report.setup_ms is not None:
        report.exit_status = HEARD if report.media is not None and report.media.packets_received else SILENT
    elif ending is not None and ending.by == "remote":
        report.exit_status = UNANSWERED if ending.status in (408, 480) else REFUSED
    elif ending is not None and (ending.status in (408, 487) or ending.by == "local"):
        report.exit_status = SILENT if call.answered else UNANSWERED


async def say_goodbye(edge: Edge) -> None:
    """Let the last BYE be answered, and the CANCEL be sent that waits for a first response; five seconds at most."""
    for _ in range(100):
        if not edge.ua.counts["dialogs"] and not edge.switchboard.calls:
            return
        await asyncio.sleep(0.05)


class NoAgents:
    """One who only calls out runs no agents."""

    def start(self, call: object, agent: str) -> None:
        """Never happens: without numbers every call in is refused before."""

    def knows(self, agent: str) -> bool:  # noqa: ARG002
        """Know nobody."""
        return False

    def ring_s(self, agent: str) -> float | None:  # noqa: ARG002
        """Say nothing."""
        return None
