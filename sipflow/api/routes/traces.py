"""What went over the wire in a call: as a ladder, as a capture file, and with all the rest as one bundle."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from sipflow.api.auth import Caller, requires
from sipflow.api.call_acts import acting
from sipflow.api.context import Context, InContext, need
from sipflow.api.envelope import Done, Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.traces import CaptureShown, RungShown, StartCapture, TraceShown
from sipflow.api.routes.calls import CallId, desk_of
from sipflow.api.trace_desk import TraceDesk, gather
from sipflow.errors import Conflict
from sipflow.net.ladder import draw, rungs
from sipflow.net.ring import Traced

router = APIRouter(prefix="/v2/calls/{call_id}", tags=["Traces"])
PCAP, ZIP = "application/vnd.tcpdump.pcap", "application/zip"
_READS = [requires("calls:read")]
_WRITES = [requires("calls:write")]
_HEARS = "recordings:read"
_LADDER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The messages, or a drawing."}
}


def _file(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}, "description": what}}


def _traces(context: Context) -> TraceDesk:
    return need(context.traces, "tracing")


@router.get("/trace", dependencies=_READS, response_model=Enveloped[TraceShown], responses=_LADDER | documented(404))
async def trace_call(
    context: InContext, call_id: CallId, format: Annotated[Literal["json", "text"], Query()] = "json"
) -> Any:
    """Show the SIP messages of a call, of every attempt and every second leg: as JSON, or drawn as a ladder."""
    traces = _traces(context)
    await desk_of(context).find(call_id)
    messages = traces.messages(call_id)
    if format == "text":
        return PlainTextResponse((draw(messages) if messages else traces.why_none()) + "\n")
    shown = TraceShown(
        call_id=call_id,
        messages=_rungs(messages),
        why="" if messages else traces.why_none(),
        capturing=traces.captures.running(call_id),
        captured_packets=len(traces.captures.of(call_id)),
    )
    return Enveloped(response=shown)


def _rungs(messages: tuple[Traced, ...]) -> list[RungShown]:
    return [
        RungShown(
            at=datetime.fromtimestamp(each.at, UTC),
            after_s=round(each.after_s, 6),
            source=each.source,
            target=each.target,
            label=each.label,
            repeated=each.repeated,
            text=each.text,
        )
        for each in rungs(messages)
    ]


@router.get("/pcap", response_class=Response, responses=_file(PCAP, "The capture file.") | documented(404))
async def capture_of_call(
    context: InContext,
    call_id: CallId,
    caller: Annotated[Caller, requires("calls:read")],
    media: Annotated[bool, Query(description="Whether audio packets are in it, if any are kept.")] = True,
) -> Response:
    """Fetch the messages of a call as a capture file that Wireshark and sngrep read, passwords and keys hidden.

    The audio packets that are kept of it are in it for tokens with the scope `recordings:read`.
    """
    traces = _traces(context)
    await desk_of(context).find(call_id)
    packets = traces.captures.of(call_id) if media and caller.may(_HEARS) else ()
    content = await asyncio.to_thread(traces.pcap, traces.messages(call_id), packets)
    return _attached(content, PCAP, f"call-{call_id}.pcap")


@router.get("/evidence", response_class=Response, responses=_file(ZIP, "The bundle.") | documented(404))
async def evidence_of_call(
    context: InContext, call_id: CallId, caller: Annotated[Caller, requires("calls:read")]
) -> Response:
    """Fetch all that is known of a call as one zip file: ladder, messages, capture, record, events, statistics.

    Its recording and its audio packets are in it for tokens with the scope `recordings:read`.
    """
    traces, desk = _traces(context), desk_of(context)
    found = await gather(desk, traces, call_id, may_hear=caller.may(_HEARS))
    content = await asyncio.to_thread(lambda: found.bundle(why_none=traces.why_none()))
    return _attached(content, ZIP, f"call-{call_id}.zip")


def _attached(content: bytes, media_type: str, name: str) -> Response:
    safe = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "-_."))
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{safe}"'})


@router.post("/capture", dependencies=_WRITES, responses=documented(404, 409, 429))
async def start_capture(context: InContext, call_id: CallId, wanted: StartCapture) -> Enveloped[CaptureShown]:
    """Keep the audio packets of a live call from now on, the last seconds of them, for `pcap` and `evidence`."""
    traces = _traces(context)
    async with acting(desk_of(context), call_id) as call:
        seconds = traces.captures.start(call, wanted.seconds)
        call.note("capture_started", by="api", seconds=seconds)
    return Enveloped(response=CaptureShown(seconds=seconds))


@router.delete("/capture", dependencies=_WRITES, responses=documented(404, 409))
async def stop_capture(context: InContext, call_id: CallId) -> Done:
    """Keep no more audio packets of a live call; those that are kept stay for a while."""
    traces = _traces(context)
    async with acting(desk_of(context), call_id) as call:
        if not traces.captures.stop(call_id):
            raise Conflict(f"the audio packets of call {call_id} are not being kept")
        call.note("capture_stopped", by="api")
    return Done()
