"""What happens in calls: the history of one, and streams that go on while they live (Server-Sent Events)."""

import json
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from sipflow.api.auth import requires
from sipflow.api.call_desk import CallDesk
from sipflow.api.context import InContext
from sipflow.api.envelope import Enveloped
from sipflow.api.errors import documented
from sipflow.api.live_events import Line, Lost, Reader
from sipflow.api.models.call_records import Event, EventList
from sipflow.api.routes.calls import CallId, desk_of
from sipflow.calls.record import Happening
from sipflow.store.record_json import as_kept

router = APIRouter(prefix="/v2", tags=["Events"])

HEARTBEAT_S = 15.0
_OVER = "ended"
_READS = [requires("calls:read")]
_RETRY_MS = 3000
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "One event for each line, without end; a comment every 15 seconds. `event: lost` tells that "
        "lines are missing, `event: over` that the call is.",
    }
}
LastEventId = Annotated[
    str, Header(alias="Last-Event-ID", max_length=100, description="Of the last line that the client has had.")
]


@router.get("/calls/{call_id}/events", dependencies=_READS, responses=documented(404))
async def list_call_events(context: InContext, call_id: CallId) -> Enveloped[EventList]:
    """List what happened in a call, in order; of a live one so far."""
    lines = await desk_of(context).history(call_id)
    events = [_event(position, line) for position, line in enumerate(lines, 1)]
    return Enveloped(response=EventList(call_id=call_id, events=events))


def _event(position: int, line: Happening) -> Event:
    return Event(position=position, name=line.name, at=line.at, details=as_kept(dict(line.details)))


@router.get(
    "/calls/{call_id}/events/stream",
    dependencies=_READS,
    response_class=StreamingResponse,
    responses={**_STREAM, **documented(404, 429)},
)
async def stream_call_events(context: InContext, call_id: CallId, last_event_id: LastEventId = "") -> StreamingResponse:
    """Stream what happens in a call, from its beginning on, or behind the line that `Last-Event-ID` names.

    The stream ends with the call. Of a call that was over long ago the history is all there is.
    """
    desk = desk_of(context)
    await desk.find(call_id)
    return _streaming(_call_lines(desk, call_id, desk.events.reader(call_id, after=last_event_id)))


@router.get(
    "/events",
    dependencies=_READS,
    response_class=StreamingResponse,
    responses={**_STREAM, **documented(429)},
)
async def stream_events(context: InContext, last_event_id: LastEventId = "") -> StreamingResponse:
    """Stream what happens in all calls, from now on, or behind the line that `Last-Event-ID` names."""
    return _streaming(_lines(desk_of(context).events.reader(after=last_event_id)))


def _streaming(lines: AsyncIterator[str]) -> StreamingResponse:
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def _lines(reader: Reader) -> AsyncIterator[str]:
    """Give the lines of a stream; between them a sign of life, so that no proxy takes it for dead."""
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        while not reader.ended:
            if found := reader.take():
                yield _written(found)
            if not await reader.more(HEARTBEAT_S) and not reader.ended:
                yield ": still here\n\n"
    finally:
        reader.close()


async def _call_lines(desk: CallDesk, call_id: str, reader: Reader) -> AsyncIterator[str]:
    """Give the lines of one call, and say when it is over."""
    try:
        yield f"retry: {_RETRY_MS}\n\n"
        told = over = False
        while not over and not reader.ended:
            live = desk.live_one(call_id) is not None
            if found := reader.take():
                yield _written(found)
                told = told or any(isinstance(line, Line) for line in found)
                over = any(isinstance(line, Line) and line.name == _OVER for line in found)
            if not live and not over:  # it ended before the lines that are kept
                for happening in await desk.history(call_id) if not told else ():
                    yield _old(call_id, happening)
                over = True
            if not over and not await reader.more(HEARTBEAT_S):
                yield ": still here\n\n"
        yield "event: over\ndata: {}\n\n"
    finally:
        reader.close()


def _written(found: Sequence[Line | Lost]) -> str:
    return "".join([_lost(line) if isinstance(line, Lost) else _line(line) for line in found])


@lru_cache(maxsize=1024)  # of those who listen to all calls each gets the same lines
def _line(line: Line) -> str:
    return f"id: {line.id}\ndata: {json.dumps(line.data, default=str)}\n\n"


def _lost(lost: Lost) -> str:
    return f"id: {lost.id}\nevent: lost\ndata: {json.dumps({'lines': lost.lines})}\n\n"


def _old(call_id: str, line: Happening) -> str:
    """Write a line out of the store, which has no id here."""
    data = {"call_id": call_id, "name": line.name, "at": line.at.isoformat(), "details": dict(line.details)}
    return f"data: {json.dumps(data)}\n\n"
