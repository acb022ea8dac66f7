"""Transfers of live calls: begun, watched, taken back."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Path

from sipflow.api.auth import requires
from sipflow.api.call_acts import acting, sound_of
from sipflow.api.call_desk import CallDesk
from sipflow.api.context import InContext
from sipflow.api.envelope import Done, Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.transfers import TransferAttemptShown, TransferCall, TransferShown
from sipflow.api.routes.calls import desk_of
from sipflow.calls.call import Call
from sipflow.calls.transfer.music import is_address
from sipflow.calls.transfer.outcome import TransferStatus
from sipflow.calls.transfer.request import TransferRequest, read_targets
from sipflow.calls.transfer.transfer import Transfer
from sipflow.calls.transfer.wording import variables_of_transfer
from sipflow.calls.variables import fill
from sipflow.errors import ApiError, CallEnded, Conflict, LocalProtocolError, MediaError, NotFound, StoreError
from sipflow.media.player import Source

router = APIRouter(prefix="/v2/calls", tags=["Calls"])
CallId = Annotated[str, Path(max_length=80, description="`call_id`.")]
_WRITES = [requires("calls:write")]
_READS = [requires("calls:read")]
_RUNNING = "transfer-started"


@router.post("/{call_id}/transfer", dependencies=_WRITES, responses=documented(404, 409))
async def transfer_call(context: InContext, call_id: CallId, wanted: TransferCall) -> Enveloped[TransferShown]:
    """Begin to hand a live call to a person; this answers before anybody has been asked. GET says how it goes.

    The agent goes on until somebody has the call, and is there again if nobody takes it.
    """
    desk = desk_of(context)
    call = await desk.leg(call_id)
    request, words, not_done = await _request(desk, call, wanted)
    async with acting(desk, call_id):
        transfer = call.begin_transfer(request)
        desk.switchboard.tasks.spawn(_run(call, transfer, words), name=f"transfer of call {call_id}")
    return Enveloped(response=_shown(call, transfer, not_done))


class _Words(NamedTuple):
    """What the caller is told: before anybody is called, and when nobody took the call."""

    first: Source | None
    failed: Source | None


async def _request(desk: CallDesk, call: Call, wanted: TransferCall) -> tuple[TransferRequest, _Words, list[str]]:
    """Make what is wanted into a request, have its texts spoken, and say what of it is not done here.

    Raises:
        LocalProtocolError: a field cannot be used; the sentence begins with its name.
        ApiError: there is no such sound (400), or no folder of sounds (409).
    """
    not_done = [f"{name}: what the agent says is for the agent" for name in wanted.left_to_the_agent]
    whisper: Source | None = await _sound(desk, wanted.whisper)
    texts = {
        "message_to_transfer_target": None if wanted.whisper else wanted.message_to_transfer_target,
        "initiating_msg": wanted.initiating_msg,
        "failed_msg": wanted.failed_msg,
    }
    spoken, not_spoken = await _spoken(desk, call, texts)
    not_done += not_spoken
    if wanted.enable_background_music and not wanted.music and desk.switchboard.transfers.music is None:
        not_done.append("enable_background_music: there is no music; name a sound file in `music`")
    who = desk.switchboard.transfers.who if wanted.human_detection else None
    if wanted.human_detection and who is None:
        not_done.append("human_detection: there is no detector here")
    region = call.region
    request = TransferRequest(
        targets=read_targets(wanted.targets, region=region, raw=wanted.raw),
        mode=wanted.wanted_mode,
        trunk=wanted.trunk,
        whisper=whisper or spoken.get("message_to_transfer_target"),
        whisper_pause_s=wanted.whisper_pause,
        accept=wanted.key,
        accept_s=wanted.accept_seconds,
        who=who,
        who_s=wanted.human_detection_timeout_seconds,
        caller_id=wanted.shown,
        headers=dict(wanted.headers),
        ring_s=wanted.timeout,
        extension=wanted.digits,
        music=await _music(desk, wanted.music),
        simultaneous=wanted.simultaneous,
        hours=wanted.hours,
        after_hours=read_targets(wanted.after_hours, region=region),
        fallback_on_refer=wanted.fallback_on_refer,
        hand_back=wanted.hand_back,
        stop_recording=wanted.stop_recording_after_transfer,
    )
    return request, _Words(spoken.get("initiating_msg"), spoken.get("failed_msg")), not_done


async def _sound(desk: CallDesk, file: str | None) -> str | None:
    return await sound_of(desk, file) if file else None


async def _music(desk: CallDesk, named: str | None) -> str | None:
    """Look at the music as far as that goes without fetching it.

    Raises:
        ApiError: there is no such file, or no such URL may be asked (400); or there is no folder of sounds (409).
    """
    if not is_address(named):
        return await _sound(desk, named)
    fetcher = desk.switchboard.transfers.fetcher
    if fetcher is None:
        raise ApiError(409, "music: nobody here can fetch it from a URL")
    try:
        fetcher.check(named)
    except LocalProtocolError as error:
        raise ApiError(400, f"music: {error}") from None
    return named


async def _spoken(desk: CallDesk, call: Call, texts: Mapping[str, str | None]) -> tuple[dict[str, Source], list[str]]:
    """Have texts spoken in which the call's variables are filled in; of those with which that fails, say why."""
    voice, said, failed = desk.switchboard.transfers.voice, dict[str, Source](), list[str]()
    for name, text in texts.items():
        if not text:
            continue
        if voice is None:
            failed.append(f"{name}: nobody here can speak a text; name a program in `calls.speak`")
            continue
        try:
            said[name] = await voice.say(fill(text, variables_of_transfer(call)))
        except MediaError as error:
            failed.append(f"{name}: {error}")
    return said, failed


async def _run(call: Call, transfer: Transfer, words: _Words) -> None:
    try:
        outcome = await transfer.run(first=lambda: _tell(call, words.first))
    except CallEnded:
        return  # the record says it
    except (NotFound, LocalProtocolError, StoreError) as error:  # a phone book that is empty, broken, or out of reach
        call.log.warning("a transfer could not be begun", why=str(error))
        return
    if not outcome.ok and outcome.status is not TransferStatus.TAKEN_BACK:
        await _tell(call, words.failed)


async def _tell(call: Call, words: Source | None) -> None:
    """Tell the caller something; where that does not work, the transfer matters more."""
    if words is None or call.ending is not None:
        return
    try:
        await call.play(words)
    except (CallEnded, MediaError, LocalProtocolError) as error:
        call.log.info("the caller could not be told of the transfer", why=str(error))


@router.get("/{call_id}/transfer", dependencies=_READS, responses=documented(404, 409))
async def get_transfer(context: InContext, call_id: CallId) -> Enveloped[TransferShown]:
    """Show the transfer of a live call that was begun last. What is over for good stands in `executed_actions`."""
    call = await desk_of(context).leg(call_id)
    if call.transferring is None:
        raise NotFound(f"call {call_id[:80]} has not been transferred")
    return Enveloped(response=_shown(call, call.transferring, []))


@router.delete("/{call_id}/transfer", dependencies=_WRITES, responses=documented(404, 409))
async def take_back_call(context: InContext, call_id: CallId) -> Done:
    """Give a call back to its agent, from a person or from whoever is being asked; they are hung up on."""
    call = await desk_of(context).leg(call_id)
    transfer = call.transferring
    if transfer is None or transfer.outcome is not None:
        raise Conflict(f"call {call_id} is not being transferred")
    transfer.take_back("the call was taken back over the API")
    await transfer.over()
    return Done()


def _shown(call: Call, transfer: Transfer, not_done: list[str]) -> TransferShown:
    outcome, request = transfer.outcome, transfer.request
    connected = "transfer-success" if transfer.human_connected_at is not None else _RUNNING
    return TransferShown(
        call_id=call.id,
        phase=transfer.phase.value,
        mode=request.mode,
        targets=[each.text for each in request.targets],
        target=outcome.target if outcome is not None else transfer.target,
        status=outcome.status.value if outcome is not None else connected,
        failed_reason=outcome.failed_reason.value if outcome is not None and outcome.failed_reason else None,
        human_connected_at=transfer.human_connected_at,
        attempts=[TransferAttemptShown.of(each) for each in transfer.attempts],
        not_done=not_done,
    )
