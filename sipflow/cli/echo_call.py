"""Dials an echo through a trunk and tries what calls need: audio both ways, a digit, hold, and a goodbye."""

import asyncio

from sipflow.calls.dialling import plan_call
from sipflow.calls.echo_findings import EchoCall
from sipflow.calls.outbound import OutboundCall
from sipflow.cli.call import say_goodbye, tone, tone_level
from sipflow.cli.plan import RATE_HZ
from sipflow.cli.trunk_probe import ProbeEdge
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError, TransportError
from sipflow.media.statistics import MediaStatistics
from sipflow.sip.message import Response
from sipflow.sip.parser import parse_datagram

_TONE_HZ = 440
_LISTEN_S, _HOLD_S, _SETTLE_S = 2.0, 0.6, 0.2


async def call_echo(probe: ProbeEdge, number: str, *, ring_s: float) -> EchoCall:
    """Call a number that gives back what it hears, and say what happened.

    Args:
        probe: through which.
        number: as people write it, or a whole `sip:` URI.
        ring_s: how long it may ring.

    Raises:
        LocalProtocolError: the number cannot be called.
    """
    found = EchoCall(number)
    board = probe.edge.switchboard
    plan = plan_call(number, ids=probe.edge.ua.ids, trunk=probe.trunk)
    began = board.now
    try:
        call = await board.place(plan, trunk=probe.trunk)
    except TransportError as error:
        found.status, found.why = 503, str(error)
        return found
    try:
        async with asyncio.timeout(ring_s):
            await call.wait_answered()
        found.setup_ms = 1000 * (board.now - began)
        await _try_out(call, found)
    except TimeoutError:
        found.status, found.why = 408, f"nobody answered in {ring_s:g} s"
    except CallFailed as failed:
        found.status, found.why = failed.status, failed.reason
    except CallEnded as ended:
        found.status, found.why = 487, str(ended)
    finally:
        call.end("the test is over")
    await say_goodbye(probe.edge)
    if call.statistics is not None and not found.media.packets_received:
        found.media = call.statistics
    if found.setup_ms is not None:
        found.session = call.headers.get("Session-Expires") or ""
        found.answers = _answers(probe, call.record.sip_call_id)
        found.goodbye = not probe.edge.ua.counts["dialogs"]
    return found


async def _try_out(call: OutboundCall, found: EchoCall) -> None:
    async with call.playing(tone(_TONE_HZ)):
        found.tone_dbfs = tone_level(await _listen(call, _LISTEN_S), _TONE_HZ)
        await _press(call, found)
        if call.statistics is not None:
            found.media = call.statistics  # a far end that goes on sending while it is held would be judged as lossy
        await _hold(call, found)


async def _listen(call: OutboundCall, seconds: float) -> bytes:
    heard = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for frame in call.audio:
                heard += frame.pcm
    except TimeoutError:
        pass  # the time is over
    return bytes(heard[: int(seconds * RATE_HZ * 2)])


async def _press(call: OutboundCall, found: EchoCall) -> None:
    agreed = call.media.agreed if call.media is not None else None
    try:
        await call.send_digits("5")
    except (LocalProtocolError, MediaError) as error:
        found.digits_failed = f"a digit could not be sent: {error}"
        return
    dtmf = call.media.dtmf if call.media is not None else ""
    if dtmf == "info":
        found.digits = "in SIP INFO, and the far end took it"
    elif agreed is not None and agreed.telephone_event_send is not None and dtmf != "inband":
        found.digits = f"as events in RTP (RFC 4733), payload type {agreed.telephone_event_send}"
    else:
        found.digits = "as tones in the audio: the far end takes no events"


async def _hold(call: OutboundCall, found: EchoCall) -> None:
    try:
        await call.put_on_hold()
        await asyncio.sleep(_SETTLE_S)  # what was under way arrives
        before = _received(call)
        await asyncio.sleep(_HOLD_S)
        found.held = _received(call) - before
        await call.take_off_hold()
    except MediaError as error:
        found.hold_failed = str(error)
        return
    before = _received(call)
    await asyncio.sleep(_HOLD_S)
    found.after_hold = _received(call) - before


def _received(call: OutboundCall) -> int:
    statistics: MediaStatistics | None = call.statistics
    return statistics.packets_received + statistics.unexpected if statistics is not None else 0


def _answers(probe: ProbeEdge, call_id: str) -> int:
    """Count the copies of the first 200 to our INVITE; 0 where nobody kept them."""
    if probe.tracers.ring is None:
        return 0
    copies: dict[int, int] = {}
    for traced in probe.tracers.ring.of(call_id):
        if not traced.sent:
            message = parse_datagram(traced.data)
            if isinstance(message, Response) and message.status == 200 and message.cseq.method == "INVITE":
                copies[message.cseq.number] = copies.get(message.cseq.number, 0) + 1
    return max(copies.values(), default=0)
