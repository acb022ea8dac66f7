"""Recordings: made and stopped while a call lives, fetched by links that expire, deleted."""

import asyncio
import os
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, RedirectResponse, Response

from sipflow.api.auth import requires
from sipflow.api.call_acts import acting, recording_of
from sipflow.api.call_desk import CallDesk
from sipflow.api.context import InContext
from sipflow.api.envelope import Done
from sipflow.api.errors import documented
from sipflow.api.recording_links import PATH
from sipflow.api.routes.calls import CallId, base_of, desk_of
from sipflow.errors import ApiError, Conflict, NotFound
from sipflow.store.recording_rows import forget_recording

router = APIRouter(tags=["Recordings"])
MEDIA_TYPES = {".wav": "audio/wav", ".ogg": "audio/ogg"}
LINK_PATH = f"{PATH}{{name}}"
_READS = [requires("recordings:read")]
_WRITES = [requires("calls:write")]
_RANGE = re.compile(r"(?:([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18})?")
_LONGEST_RANGES = 1000
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}, "description": "The recording."},
    206: {"description": "The part of it that `Range` asks for."},
}
_FOUND: dict[int | str, dict[str, Any]] = {
    302: {"description": "`Location` is a link that opens the recording for 24 hours, without a token."}
}


@router.get(
    "/v2/calls/{call_id}/recording",
    dependencies=_READS,
    status_code=302,
    response_class=RedirectResponse,
    responses={**_FOUND, **documented(404)},
)
async def get_call_recording(context: InContext, request: Request, call_id: CallId) -> RedirectResponse:
    """Find the recording of a call. While its link is good, everybody who asks is sent to the same one."""
    desk = desk_of(context)
    path = await _file_of(desk, call_id)
    return RedirectResponse(base_of(desk, request) + desk.links.link(f"{call_id}{path.suffix}"), 302)


router.head("/v2/calls/{call_id}/recording", dependencies=_READS, status_code=302, include_in_schema=False)(
    get_call_recording
)


@router.delete("/v2/calls/{call_id}/recording", dependencies=_WRITES, responses=documented(404, 409))
async def delete_call_recording(context: InContext, call_id: CallId) -> Done:
    """Delete the recording of a call, file and all; links to it open nothing any more."""
    desk = desk_of(context)
    if desk.live_one(call_id) is not None:
        raise Conflict(f"call {call_id} is not over; its recording can be stopped, and deleted when it is")
    path = await _file_of(desk, call_id)
    await asyncio.to_thread(path.unlink, missing_ok=True)
    await forget_recording(context.database, call_id)
    return Done()


@router.get(LINK_PATH, response_class=FileResponse, responses={**_FILE, **documented(404, 416)})
async def open_recording(
    context: InContext,
    request: Request,
    name: Annotated[str, InPath(max_length=100)],
    expires: Annotated[str, Query(max_length=20)] = "",
    signature: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Fetch a recording by its link, whole or in part: `Range`, `If-Range` and HEAD are understood."""
    desk = desk_of(context)
    desk.links.check(name, expires, signature)
    call_id, _, suffix = name.rpartition(".")
    path = await _file_of(desk, call_id)
    if path.suffix != f".{suffix}":
        raise NotFound(f"call {call_id} has no recording of this kind")
    return _served(path, request)


router.head(LINK_PATH, include_in_schema=False)(open_recording)


def _served(path: Path, request: Request) -> Response:
    headers = {"cache-control": "private, max-age=3600"}
    try:
        found = os.stat(path)
    except OSError:
        raise NotFound("the file of this recording is gone") from None
    response = FileResponse(
        path, headers=headers, media_type=MEDIA_TYPES.get(path.suffix), filename=path.name,
        content_disposition_type="inline", stat_result=found,
    )  # fmt: skip
    etag = response.headers["etag"]
    if _has_it(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers | {"etag": etag})
    asked = _ranges(request.headers.get("range", ""))
    ranges = [each for each in asked if _has_some(each, found.st_size)]
    if asked and not ranges:
        if "if-range" in request.headers:
            return response  # which looks whether that holds
        where = {"Content-Range": f"bytes */{found.st_size}"}
        raise ApiError(416, f"Range: the recording has {found.st_size} octets", headers=where)
    others = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    followed = [(b"range", f"bytes={','.join(each[0] for each in ranges)}".encode())] if ranges else []
    request.scope["headers"] = others + followed
    return response


def _has_it(known: str, etag: str) -> bool:
    """Whether the client has this already (RFC 9110 §13.1.2: compared weakly)."""
    return known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]


def _ranges(asked: str) -> list[re.Match[str]]:
    """Return the ranges of a header; one that cannot be followed is as good as none (RFC 9110 §14.1.1, §14.2)."""
    unit, _, ranges = asked.partition("=")
    if unit != "bytes" or len(ranges) > _LONGEST_RANGES:
        return []
    found = [_RANGE.fullmatch(each.strip(" \t")) for each in ranges.split(",")]
    if None in found or any(int(each[1]) > int(each[2]) for each in found if each and each[1] and each[2]):
        return []
    return [each for each in found if each and each[0]]


def _has_some(asked: re.Match[str], size: int) -> bool:
    """Whether a range has an octet of the file (RFC 9110 §14.1.2)."""
    return int(asked[1]) < size if asked[1] else int(asked[0]) < 0 < size


async def _file_of(desk: CallDesk, call_id: str) -> Path:
    """Return the path of a finished recording.

    Raises:
        NotFound: there is no such call, it has none, or it is still being made.
    """
    if not await desk.recorder.finished(call_id):
        raise NotFound(f"call {call_id} is still being recorded; there is a recording when it is over or stopped")
    record = (await desk.find(call_id)).record
    path = Path(record.recording)
    if not record.recording:
        raise NotFound(f"call {call_id} has no recording")
    if record.ending is None and desk.recorder.being_made(call_id) is not None:
        raise NotFound(f"call {call_id} is still being recorded")
    if not await asyncio.to_thread(path.is_file):
        raise NotFound(f"the recording of call {call_id} is gone: its file was deleted")
    return path


@router.post("/v2/calls/{call_id}/recording/start", dependencies=_WRITES, responses=documented(404, 409))
async def start_recording(context: InContext, call_id: CallId) -> Done:
    """Record a live call from now on."""
    desk = desk_of(context)
    call = await desk.leg(call_id)
    if call.record.recording:
        raise Conflict(f"call {call_id} was recorded already, and has one recording; pause and resume leave parts out")
    async with acting(desk, call_id):
        await desk.recorder.start(call)
    return Done()


@router.post("/v2/calls/{call_id}/recording/pause", dependencies=_WRITES, responses=documented(404, 409))
async def pause_recording(context: InContext, call_id: CallId) -> Done:
    """Record nothing until `resume`, as while a card number is said. Twice is once."""
    await _pause(desk_of(context), call_id, paused=True)
    return Done()


@router.post("/v2/calls/{call_id}/recording/resume", dependencies=_WRITES, responses=documented(404, 409))
async def resume_recording(context: InContext, call_id: CallId) -> Done:
    """Go on recording."""
    await _pause(desk_of(context), call_id, paused=False)
    return Done()


async def _pause(desk: CallDesk, call_id: str, *, paused: bool) -> None:
    recording = await recording_of(desk, call_id)
    if recording.paused != paused:
        (recording.pause if paused else recording.resume)()
        call = await desk.leg(call_id)
        call.note("recording_paused" if paused else "recording_resumed", by="api")


@router.post("/v2/calls/{call_id}/recording/stop", dependencies=_WRITES, responses=documented(404, 409))
async def stop_recording(context: InContext, call_id: CallId) -> Done:
    """Record no more of this call; what there is can be fetched at once."""
    desk = desk_of(context)
    recording = await recording_of(desk, call_id)
    async with acting(desk, call_id):
        await recording.stop()
    return Done()
