"""`sipflow call`: a user agent for one call, whose exit status a script can use."""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import WavWriter
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import Edge, build
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, RemoteProtocolError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.media.statistics import MediaStatistics
from sipflow.net.settings import ListenAddress, TlsSettings
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri, TelUri, parse_uri
from sipflow.trunks.proxy import parse_outbound_proxy
from sipflow.trunks.table import TrunkTable

HEARD, SILENT, REFUSED, UNANSWERED, UNREACHABLE = 0, 1, 3, 4, 5
_RATE_HZ = 8000
_TONE_DBFS = -12.0
_KEPT_S = 30  # seconds of what is heard, for measuring the tone


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What was asked for on the command line; see `sipflow call --help`."""

    uri: str
    play: Path | None = None
    tone_hz: int = 440
    seconds: float = 5.0
    caller: str = "sipflow"
    proxy: str = ""
    username: str = ""
    listen: str = ""
    codecs: tuple[str, ...] = ()
    digits: str = ""
    headers: tuple[str, ...] = ()
    record: Path | None = None
    ring_s: float = 60.0
    ca: str = ""
    json: bool = False
    verbose: bool = False


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
        TransportError: the far end has no address.
        MediaError: the file to play cannot be read.
    """
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
    lines = [
        f"{report.status} {report.why}" if report.status >= 300 else f"over after {report.talk_s:.1f} s: {report.why}"
    ]
    media = report.media
    if report.setup_ms is not None and media is not None:
        expected = media.packets_received + media.lost
        share = 100 * media.lost / expected if expected else 0.0
        lines.append(
            f"{media.codec}: sent {media.packets_sent} packets, received {media.packets_received}, "
            f"lost {media.lost} ({share:.1f} %), jitter {media.jitter_ms:.1f} ms"
        )
        if report.tone_dbfs is not None:
            lines.append(f"our tone came back at {report.tone_dbfs:.1f} dBFS")
        if not media.packets_received:
            lines.append("nothing was heard: check NAT, firewall and media.advertise at the far end")
    return lines


async def _call(options: CallOptions) -> CallReport:
    plan = make_plan(options)
    edge = build(
        router=Router(TrunkTable(secret=os.urandom(16)), Inventory()),
        agents=lambda _tasks: _NoAgents(),
        net=_net_settings(options),
        media=MediaSettings(port_low=20002, port_high=29998, drain_s=0.0),
        calls=CallSettings(),
    )
    await edge.open()
    try:
        return await _follow(edge, options, plan)
    finally:
        await _say_goodbye(edge)
        await edge.close()


def _net_settings(options: CallOptions) -> NetSettings:
    if options.listen:
        hosts = [options.listen.strip("[]")]
    else:
        hosts = ["0.0.0.0", "::"] if "[" in options.uri or "[" in options.proxy else ["0.0.0.0"]  # noqa: S104
    listen = [ListenAddress(transport, host, 0) for host in hosts for transport in ("udp", "tcp")]
    return NetSettings(listen=tuple(listen), tls=TlsSettings(ca=options.ca))


def make_plan(options: CallOptions) -> RequestPlan:
    """Turn the options into an INVITE.

    Raises:
        LocalProtocolError: an option cannot be used as written.
    """
    target = _target(options)
    token = os.urandom(8).hex()
    caller = options.caller if ":" in options.caller else f"sip:{options.caller}@{target.host}"
    try:
        from_ = NameAddr.parse(caller).with_param("tag", token)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"--from {options.caller!r}: {error}") from None
    password = os.environ.get("SIPFLOW_PASSWORD", "")
    return RequestPlan(
        method="INVITE",
        uri=target,
        destination=parse_outbound_proxy(options.proxy) if options.proxy else target,
        from_=from_,
        to=NameAddr("", target),
        call_id=f"{token}@sipflow",
        cseq=1,
        headers=tuple(_header(line) for line in options.headers),
        contact_user=getattr(from_.uri, "user", None) or "sipflow",
        accounts=(Account(options.username, password, None),) if options.username else (),
    )


def _target(options: CallOptions) -> SipUri:
    try:
        uri = parse_uri(options.uri if ":" in options.uri else f"sip:{options.uri}")
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{options.uri!r} is no address to call ({error}); write sip:user@host") from None
    if isinstance(uri, TelUri) and options.proxy:
        proxy = parse_outbound_proxy(options.proxy)
        return SipUri("sip", uri.number, None, proxy.host, params=(("user", "phone"),))
    if not isinstance(uri, SipUri):
        raise LocalProtocolError(f"{options.uri!r} cannot be called from here: write sip:user@host, or give --proxy")
    return uri


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise LocalProtocolError(f"--header {line!r} is not 'Name: value'")
    return name.strip(), value.strip()


async def _follow(edge: Edge, options: CallOptions, plan: RequestPlan) -> CallReport:
    report = CallReport(options.uri)

    def say(line: str) -> None:
        if not options.json:
            print(line, flush=True)

    started = edge.switchboard.now
    call = await edge.switchboard.place(plan, codecs=options.codecs)
    say(f"calling {options.uri} at {call.where}")
    call.on_progress = lambda status, reason: say(
        f"{status} {reason} after {1000 * (edge.switchboard.now - started):.0f} ms"
    )
    try:
        async with asyncio.timeout(options.ring_s):
            await call.wait_answered()
        report.setup_ms = 1000 * (edge.switchboard.now - started)
        say(f"answered after {report.setup_ms:.0f} ms")
        heard = await _talk(call, options)
        report.tone_dbfs = _measure(heard, options)
    except TimeoutError:
        call.end(f"nobody answered in {options.ring_s:.0f} s")
        report.exit_status = UNANSWERED
    except CallFailed:
        pass
    finally:
        call.end("we hung up")
    _finish_report(report, call)
    return report


async def _talk(call: OutboundCall, options: CallOptions) -> bytes:
    """Play and listen until the time is over or the far end hangs up; returns what was heard, 8 kHz s16le."""
    heard = bytearray()
    file = options.record.open("wb") if options.record is not None else None
    writer = WavWriter(file, _RATE_HZ) if file is not None else None
    source = str(options.play) if options.play is not None else _tone(options)
    try:
        async with asyncio.timeout(options.seconds), call.playing(source):
            if options.digits:
                await call.send_digits(options.digits)
            async for frame in call.audio:
                if len(heard) < _KEPT_S * _RATE_HZ * 2:
                    heard += frame.pcm
                if writer is not None:
                    writer.write(frame.pcm)
    except (TimeoutError, CallEnded):
        pass  # the time is over, or the far end hung up: both are ends of a good call
    finally:
        if writer is not None and file is not None:
            writer.finish()
            file.close()
    return bytes(heard)


def _tone(options: CallOptions) -> bytes:
    return sine(options.tone_hz, int(1000 * options.seconds) + 500, level_dbfs=_TONE_DBFS, sample_rate_hz=_RATE_HZ)


def _measure(heard: bytes, options: CallOptions) -> float | None:
    middle = heard[len(heard) // 4 : 3 * len(heard) // 4]
    middle = middle[: len(middle) // 2 * 2]
    if options.play is not None or len(middle) < _RATE_HZ // 5:
        return None
    return round(measure_tone(middle, options.tone_hz, _RATE_HZ), 1)


def _finish_report(report: CallReport, call: OutboundCall) -> None:
    ending = call.ending
    report.progress = call.progress
    report.media = call.statistics
    report.talk_s = call.record.talk_s
    if ending is not None:
        report.status, report.why = ending.status, ending.why
    if report.setup_ms is not None:
        report.exit_status = HEARD if report.media is not None and report.media.packets_received else SILENT
    elif ending is not None and ending.by == "remote":
        report.exit_status = UNANSWERED if ending.status in (408, 480) else REFUSED
    elif ending is not None and ending.status == 408:
        report.exit_status = UNANSWERED


async def _say_goodbye(edge: Edge) -> None:
    """Let the last BYE or CANCEL be answered, for at most two seconds."""
    for _ in range(40):
        if not edge.ua.counts["dialogs"]:
            return
        await asyncio.sleep(0.05)


class _NoAgents:
    """One who only calls out runs no agents."""

    def start(self, call: object, agent: str) -> None:
        """Never happens: without numbers every call in is refused before."""
