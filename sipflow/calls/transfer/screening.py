"""A target that has answered is asked: is it a person, does it know who is there, does it take the call."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sipflow.calls.transfer.extension import press
from sipflow.calls.transfer.outcome import Decider, FailedReason, TransferStatus
from sipflow.calls.transfer.request import PHONE_MENU, VOICEMAIL, TransferRequest
from sipflow.errors import CallEnded, LocalProtocolError, MediaError

if TYPE_CHECKING:
    from sipflow.calls.outbound import OutboundCall
    from sipflow.tasks import Tasks

_MACHINES = {
    VOICEMAIL: (TransferStatus.VOICEMAIL, "a voicemail box answered"),
    PHONE_MENU: (TransferStatus.PHONE_MENU, "a phone menu answered"),
}


class Declined(NamedTuple):
    """Why somebody who answered does not get the call.

    Attributes:
        status: one word.
        failed_reason: the API's.
        why: one sentence.
        decided_by: who decided.
    """

    status: TransferStatus
    failed_reason: FailedReason
    why: str
    decided_by: Decider


async def screen(leg: "OutboundCall", request: TransferRequest, tasks: "Tasks") -> Declined | None:
    """Press the extension, look who is there, whisper, and ask for acceptance; None is a yes.

    The caller hears nothing of this, and the target nothing of the caller.

    Raises:
        CallEnded: the target hung up meanwhile.
    """
    try:
        await press(leg, request.steps)
    except (MediaError, LocalProtocolError) as error:
        why = f"the extension could not be dialled: {error}"
        return Declined(TransferStatus.CONNECTION_ERROR, FailedReason.DESTINATION_UNAVAILABLE, why, Decider.SIPFLOW)
    declined = await _look_who(leg, request)
    if declined is not None:
        return declined
    if request.whisper_pause_s:
        await asyncio.sleep(request.whisper_pause_s)
    if request.key:
        return await _ask_for_key(leg, request, tasks)
    await _whisper(leg, request)
    if request.accept is None or isinstance(request.accept, str):
        return None
    return await _ask_agent(leg, request)


async def _look_who(leg: "OutboundCall", request: TransferRequest) -> Declined | None:
    """Ask the detector; what it cannot tell in time counts as a person."""
    if request.who is None:
        return None
    try:
        async with asyncio.timeout(request.who_s):
            found = await request.who(leg)
    except TimeoutError:
        return None
    if found not in _MACHINES:
        return None
    status, why = _MACHINES[found]
    return Declined(status, FailedReason.DESTINATION_UNAVAILABLE, why, Decider.DESTINATION)


async def _whisper(leg: "OutboundCall", request: TransferRequest) -> None:
    whisper = request.whisper
    if whisper is None:
        return
    try:
        if callable(whisper):
            await whisper(leg)
        else:
            await leg.play(whisper)
    except MediaError as error:  # the call matters more than the announcement
        leg.log.warning("the whisper could not be played", why=str(error))


async def _ask_for_key(leg: "OutboundCall", request: TransferRequest, tasks: "Tasks") -> Declined | None:
    """Wait for the key; it may come while the whisper is still heard, and so long after it."""
    loop = asyncio.get_running_loop()
    whisper = tasks.spawn(_whisper_quietly(leg, request), name=f"whisper of call {leg.id}")
    try:
        async with asyncio.timeout(None) as limit:
            whisper.add_done_callback(lambda _: _count_from_now(limit, loop.time() + request.patience_s))
            digit = await leg.read_digit(timeout=float(24 * 3600))
    except TimeoutError:
        why = f"whoever answered pressed nothing in {request.patience_s:g} s"
        return Declined(TransferStatus.NO_ANSWER, FailedReason.DESTINATION_UNAVAILABLE, why, Decider.DESTINATION)
    finally:
        whisper.cancel()
    if digit == request.key:
        return None
    why = f"whoever answered declined: not {request.key} was pressed"
    return Declined(TransferStatus.DECLINED, FailedReason.REJECTED_BY_DESTINATION, why, Decider.DESTINATION)


def _count_from_now(limit: asyncio.Timeout, until: float) -> None:
    with suppress(RuntimeError):  # the key has come already
        limit.reschedule(until)


async def _whisper_quietly(leg: "OutboundCall", request: TransferRequest) -> None:
    """Whisper while the key is waited for, which may come whatever becomes of this."""
    try:
        await _whisper(leg, request)
    except CallEnded:
        return  # whoever waits for the key is told
    except Exception:  # of an agent's own function
        leg.log.exception("the whisper raised; who answered may press the key all the same")


async def _ask_agent(leg: "OutboundCall", request: TransferRequest) -> Declined | None:
    accept = request.accept
    assert accept is not None
    assert not isinstance(accept, str)
    try:
        async with asyncio.timeout(request.patience_s):
            if await accept(leg):
                return None
    except TimeoutError:
        why = f"it was not decided in {request.patience_s:g} s whether the call is taken"
        return Declined(TransferStatus.NO_ANSWER, FailedReason.DESTINATION_UNAVAILABLE, why, Decider.SIPFLOW)
    why = "the agent asked whoever answered, and was told no"
    return Declined(TransferStatus.DECLINED, FailedReason.REJECTED_BY_DESTINATION, why, Decider.AGENT)
