"""Calls: placed, listed, shown, and acted on while they live."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from sipflow.api.auth import Caller, requires
from sipflow.api.call_acts import acting, hang_up, play
from sipflow.api.call_desk import CallDesk, Found
from sipflow.api.context import Context, InContext, need
from sipflow.api.envelope import Done, Enveloped, Limit, Offset, Pagination
from sipflow.api.errors import documented
from sipflow.api.models.call_records import CallList, OneCall, item, shown
from sipflow.api.models.calls import HangUp, PlaceCall, Placed, PlaySound, SendDigits
from sipflow.api.once import Outcome
from sipflow.calls.order import CallOrder
from sipflow.errors import ApiError, LocalProtocolError
from sipflow.store.calls import CallFilter

router = APIRouter(prefix="/v2/calls", tags=["Calls"])

CallId = Annotated[str, Path(max_length=80, description="`call_id`.")]
_KEY, _LONGEST_KEY = r"^[!-~]*$", 255
IDEMPOTENCY_KEY = re.compile(rf"[!-~]{{0,{_LONGEST_KEY}}}")
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=_LONGEST_KEY,
        pattern=_KEY,
        description="Ours: the same key with the same body is carried out once within 24 hours, and answered the same.",
    ),
]
_WRITES = [requires("calls:write")]
_READS = [requires("calls:read")]
_NOT_LIVE = documented(404, 409)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MOMENT = re.compile(r"[0-9]{1,14}")
_FIELD = re.compile(r"^to: ")  # as orders call the field that is `phone` here
_DATE = "Milliseconds since 1970, or a day in UTC as YYYY-MM-DD"
Status = Literal[
    "pending", "ringing", "in-progress", "completed", "no-answer", "busy", "failed", "canceled", "user-canceled",
    "hangup_on_voicemail", "left_voicemail", "spam", "paused", "registered",
]  # fmt: skip
_Number = Annotated[str, Query(max_length=200)]
_Seconds = Annotated[float | None, Query(ge=0, le=10**7, description="Seconds from the answer to the end, or so far.")]


def desk_of(context: Context) -> CallDesk:
    """Return the desk of calls.

    Raises:
        ApiError: there are no calls here (503).
    """
    return need(context.calls, "the telephone side")


def base_of(desk: CallDesk, request: Request) -> str:
    """Return where clients reach us: as configured, or where this one did."""
    return desk.public_url or str(request.base_url).rstrip("/")


@router.post("", responses=documented(404, 409, 422, 429))
async def place_call(
    context: InContext,
    caller: Annotated[Caller, requires("calls:write")],
    wanted: PlaceCall,
    response: Response,
    idempotency_key: IdempotencyKey = "",
) -> Placed:
    """Call somebody; the agent talks once the call is answered. This answers before the call has reached anybody.

    429 with Retry-After: a limit refuses it for now, or sipflow has more to do than it can handle. No call was placed.
    """
    outcome = await order(desk_of(context), caller, wanted, idempotency_key)
    response.headers.update(outcome.headers)
    return Placed.model_validate(outcome.response)


async def order(desk: CallDesk, caller: Caller, wanted: PlaceCall, key: str) -> Outcome:
    """Order a call, once under one key ("" for none); the outcome is the answer's body.

    Raises:
        SipflowError: it cannot be placed.
    """
    await desk.settled()
    return await desk.once.run(
        caller.token_id, f"calls {key}" if key else "", wanted.model_dump(mode="json") if key else None,
        partial(_place, desk, wanted, caller.token_id), partial(_placed, 0),
    )  # fmt: skip


async def _place(desk: CallDesk, wanted: PlaceCall, token_id: str, call_id: str) -> Mapping[str, object]:
    originator = need(desk.originator, "the placing of calls")
    order = CallOrder(
        to=wanted.phone,
        agent=wanted.model_id,
        from_number=wanted.from_phone_number or "",
        name=wanted.name,
        variables=wanted.variables,
        headers=wanted.headers,
        ring_s=wanted.ring_timeout_seconds,
        privacy=wanted.privacy,
        queue_s=wanted.queue_seconds,
        extra=wanted.passed,
        id=call_id,
        token=token_id,
    )
    try:
        record = originator.order(order)
    except LocalProtocolError as error:
        raise ApiError(400, _FIELD.sub("phone: ", str(error))) from None
    waits = any(each.name == "queued" for each in record.history)
    return _placed(round(wanted.queue_seconds) if waits else 0, record.id)


def _placed(eta: int, call_id: str) -> Mapping[str, object]:
    """Write the answer, as `Placed` has it."""
    answer = "the call waits for its turn" if eta else "the call is under way"
    return {"status": "ok", "response": {"answer": answer, "call_id": call_id}, "eta": eta}


@router.get("", dependencies=_READS)
async def list_calls(
    context: InContext,
    request: Request,
    model_id: Annotated[str, Query(max_length=80, description="Left out: of all agents.")] = "",
    limit: Limit = 20,
    offset: Offset = 0,
    from_date: Annotated[str, Query(max_length=20, description=f"{_DATE}: begun then or later.")] = "",
    to_date: Annotated[str, Query(max_length=20, description=f"{_DATE}: begun by then; a day counts whole.")] = "",
    call_status: Annotated[Status | None, Query()] = None,
    duration_min: _Seconds = None,
    duration_max: _Seconds = None,
    lead_phone_number: Annotated[str, Query(max_length=200, description="Of the person; write + as %2B.")] = "",
    direction: Annotated[Literal["inbound", "outbound"] | None, Query(description="Ours: in, or out.")] = None,
    number: Annotated[str, Query(max_length=200, description="Ours: a number of ours, or either party's.")] = "",
    trunk: Annotated[str, Query(max_length=80, description="Ours: its name.")] = "",
    text: Annotated[str, Query(max_length=200, description="Ours: a part of a number, an id or a SIP Call-ID.")] = "",
    live: Annotated[bool, Query(description="Ours: only calls that are not over.")] = False,
) -> Enveloped[CallList]:
    """List calls, the newest first, live ones as they are now.

    Calls that begin while a client turns pages move the others on; with `to_date` set to when it began, none does.
    """
    desk = desk_of(context)
    wanted = CallFilter(
        agent=model_id,
        status=call_status or "",
        direction=direction or "",
        trunk=trunk,
        number=_number(number),
        lead_number=_number(lead_phone_number),
        from_at=_moment("from_date", from_date, whole_day=False) if from_date else None,
        to_at=_moment("to_date", to_date, whole_day=True) if to_date else None,
        duration_min_s=duration_min,
        duration_max_s=duration_max,
        text=_number(text),
    )
    page, base_url = await desk.page(wanted, limit=limit, offset=offset, only_live=live), base_of(desk, request)
    now = desk.wall()
    calls = [item(each.record, now=now, base_url=base_url, status=each.status) for each in page.calls]
    return Enveloped(
        response=CallList(pagination=Pagination(total_records=page.total, limit=limit, offset=offset), calls=calls)
    )


def _number(text: str) -> str:
    """Mend a + that was not encoded, and so became a space."""
    return f"+{text[1:]}" if text.startswith(" ") else text


def _moment(name: str, text: str, *, whole_day: bool) -> datetime:
    """Read a date; as an end, the moment after the day, or after the millisecond.

    Raises:
        ApiError: it is none.
    """
    try:
        day = _DAY.fullmatch(text)
        if day is not None:
            moment, step = datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC), timedelta(days=1)
        elif _MOMENT.fullmatch(text) is not None:
            moment, step = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(text)), timedelta(milliseconds=1)
        else:
            raise ValueError(text)
        last = datetime.max.replace(tzinfo=UTC)  # after which there is no day
        return moment + step if whole_day and moment < last - step else moment
    except (ValueError, OverflowError):
        raise ApiError(400, f"{name}: write milliseconds since 1970, or a day as YYYY-MM-DD") from None


@router.get("/{call_id}", dependencies=_READS, responses=documented(404))
async def get_call(context: InContext, request: Request, call_id: CallId) -> Enveloped[OneCall]:
    """Show a call: an array of one, as in the reference."""
    desk = desk_of(context)
    return Enveloped(response=_one(desk, await desk.find(call_id), base_of(desk, request)))


def _one(desk: CallDesk, found: Found, base_url: str) -> OneCall:
    call = shown(found.record, now=desk.wall(), base_url=base_url, status=found.status, error=found.error)
    return OneCall(pagination=Pagination(total_records=1, limit=1, offset=0), calls=[call])


@router.post("/{call_id}/hangup", dependencies=_WRITES, responses=_NOT_LIVE)
async def hang_up_call(context: InContext, call_id: CallId, wanted: HangUp | None = None) -> Done:
    """End a call: with BYE, CANCEL or a refusal, whichever it takes. An announced call is expected no more."""
    await hang_up(desk_of(context), call_id, wanted or HangUp())
    return Done()


@router.post("/{call_id}/dtmf", dependencies=_WRITES, responses=documented(404, 409, 502))
async def send_dtmf(context: InContext, call_id: CallId, wanted: SendDigits) -> Done:
    """Press keys, as the call's trunk has them sent; the answer comes when the last has left."""
    async with acting(desk_of(context), call_id) as call:
        await call.send_digits(wanted.digits.upper())
        call.note("digits_sent", digits=len(wanted.digits), by="api")
    return Done()


@router.post("/{call_id}/hold", dependencies=_WRITES, responses=documented(404, 409, 502))
async def hold_call(context: InContext, call_id: CallId) -> Done:
    """Put the far end on hold; the answer comes when it has agreed."""
    async with acting(desk_of(context), call_id) as call:
        if not call.holding:
            await call.put_on_hold()
            call.note("hold", by="api")
    return Done()


@router.post("/{call_id}/resume", dependencies=_WRITES, responses=documented(404, 409, 502))
async def resume_call(context: InContext, call_id: CallId) -> Done:
    """Take the far end off hold; the answer comes when it has agreed."""
    async with acting(desk_of(context), call_id) as call:
        if call.holding:
            await call.take_off_hold()
            call.note("resumed", by="api")
    return Done()


@router.post("/{call_id}/mute", dependencies=_WRITES, responses=_NOT_LIVE)
async def mute_call(context: InContext, call_id: CallId) -> Done:
    """Send silence in the place of what the agent says; the agent still hears."""
    async with acting(desk_of(context), call_id) as call:
        call.mute()
        call.note("muted", by="api")
    return Done()


@router.post("/{call_id}/unmute", dependencies=_WRITES, responses=_NOT_LIVE)
async def unmute_call(context: InContext, call_id: CallId) -> Done:
    """Let the agent be heard again."""
    async with acting(desk_of(context), call_id) as call:
        call.unmute()
        call.note("unmuted", by="api")
    return Done()


@router.post("/{call_id}/play", dependencies=_WRITES, responses=_NOT_LIVE)
async def play_sound(context: InContext, call_id: CallId, wanted: PlaySound) -> Done:
    """Play a sound file to the far end, after what is queued; this answers before it is heard."""
    await play(desk_of(context), call_id, wanted.file, interrupt=wanted.interrupt)
    return Done()


@router.post("/{call_id}/play/stop", dependencies=_WRITES, responses=_NOT_LIVE)
async def stop_playing(context: InContext, call_id: CallId) -> Done:
    """Drop whatever is queued to be played, what the agent says among it."""
    async with acting(desk_of(context), call_id) as call:
        call.clear()
    return Done()
