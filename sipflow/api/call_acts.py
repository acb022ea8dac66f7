"""What one does to a live call over the API: hang up, press keys, hold, mute, play, record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sipflow.api.call_desk import REGISTERED, CallDesk
from sipflow.api.models.calls import HangUp
from sipflow.calls.call import Call
from sipflow.errors import ApiError, CallEnded, Conflict, LocalProtocolError, MediaError, NotFound
from sipflow.media.recording import Recording
from sipflow.media.sound_file import check_sound
from sipflow.sip.headers.reason import Reason

_NORMAL_CLEARING = 16  # of Q.850


@asynccontextmanager
async def acting(desk: CallDesk, call_id: str) -> AsyncIterator[Call]:
    """Act on a live call; what the call cannot do now is a conflict.

    Raises:
        NotFound: there is no such call.
        Conflict: it is over, not begun, or not ready for this.
        ApiError: the far end refused (502).
    """
    call = await desk.leg(call_id)
    try:
        yield call
    except CallEnded as ended:
        raise Conflict(f"call {call_id} is over: {ended.reason}") from None
    except LocalProtocolError as error:
        raise Conflict(f"call {call_id}: {error}") from None
    except MediaError as error:
        raise ApiError(502, f"call {call_id}: {error}") from None


async def hang_up(desk: CallDesk, call_id: str, wanted: HangUp) -> None:
    """End a call wherever it stands: expected, waiting, ringing or answered.

    Raises:
        NotFound: there is no such call.
        Conflict: it is over.
    """
    found = desk.live_one(call_id)
    if found is not None and found.status == REGISTERED:
        desk.announced.came(call_id)
        return
    call = desk.switchboard.calls.get(call_id)
    record = call.record if call is not None else found.record if found is not None else None
    if record is not None and wanted.custom_end_call_reason:
        record.extra = {**(record.extra or {}), "custom_end_call_reason": wanted.custom_end_call_reason}
    if call is not None and call.ending is None:
        headers = (("Reason", str(Reason("Q.850", _NORMAL_CLEARING, wanted.reason))),)
        call.end(wanted.reason, headers=headers, status=wanted.sip_status)
    elif found is not None and desk.originator is not None:
        try:
            await desk.originator.cancel(call_id)
        except NotFound:
            raise Conflict(f"call {call_id} is over") from None
    else:
        await desk.leg(call_id)  # says why not


async def play(desk: CallDesk, call_id: str, file: str, *, interrupt: bool) -> None:
    """Begin to play a file of the sounds' folder, after what is queued or in its place.

    Raises:
        ApiError: there is no such file, or it cannot be played (400); or there is no such folder (409).
        NotFound: there is no such call.
        Conflict: it is over, or has no audio yet.
    """
    async with acting(desk, call_id) as call:
        path = await sound_of(desk, file)
        if interrupt:
            call.clear()
        elif call.media is None or call.media.agreed is None:
            raise Conflict(f"call {call_id}: there is no audio yet: it has not been answered")
        desk.switchboard.tasks.spawn(_play(call, path), name=f"sound played to call {call_id}")


async def sound_of(desk: CallDesk, file: str) -> str:
    """Return the path of a file of the sounds' folder.

    Raises:
        ApiError: there is no such file, or it cannot be played (400); or there is no such folder (409).
    """
    return await asyncio.to_thread(_sound, desk.sounds, file)


def _sound(folder: str, file: str) -> str:
    """Return the path of a sound that may be played.

    Raises:
        ApiError: it may not, is not there, or is no sound.
    """
    if not folder:
        raise ApiError(409, "nothing can be played over the API: set `calls.sounds` in the configuration to a folder")
    root = Path(folder).resolve()
    path = (root / file).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise ApiError(400, f"file: there is no sound {file[:80]!r} in the folder that `calls.sounds` names")
    try:
        check_sound(str(path))
    except MediaError as error:
        raise ApiError(400, f"file: {str(error).replace(str(root) + '/', '')}") from None
    return str(path)


async def _play(call: Call, path: str) -> None:
    try:
        await call.play(path)
    except CallEnded:
        pass  # what was played is of no use to anybody any more
    except MediaError as error:
        call.log.warning("a sound could not be played", file=path, why=str(error))


async def recording_of(desk: CallDesk, call_id: str) -> Recording:
    """Return the recording that is being made of a live call.

    Raises:
        NotFound: there is no such call.
        Conflict: it is over, or is not being recorded.
    """
    call = await desk.leg(call_id)
    if call.recording is None or call.recording.stopped:
        raise Conflict(f"call {call_id} is not being recorded")
    return call.recording
