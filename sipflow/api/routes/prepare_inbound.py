"""Calls that are announced before they come: who takes them, and what the agent is told."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response

from sipflow.api.auth import Caller, requires
from sipflow.api.call_desk import CallDesk
from sipflow.api.context import Context, InContext
from sipflow.api.errors import documented
from sipflow.api.models.calls import PreparedInbound, PrepareInbound
from sipflow.api.routes.calls import IdempotencyKey, desk_of
from sipflow.calls.announced import Announced
from sipflow.errors import ApiError, LocalProtocolError

router = APIRouter(tags=["Calls"])


@router.post("/v2/prepare_inbound", responses=documented(404, 409, 422, 429))
async def prepare_inbound(
    context: InContext,
    caller: Annotated[Caller, requires("calls:write")],
    wanted: PrepareInbound,
    response: Response,
    idempotency_key: IdempotencyKey = "",
) -> PreparedInbound:
    """Announce a call: its INVITE carries the id in `X-EI: S.<id>;`, and so finds its agent and its variables."""
    desk = desk_of(context)
    await desk.settled()  # the INVITE may come as soon as we have answered
    outcome = await desk.once.run(
        caller.token_id, f"prepare_inbound {idempotency_key}" if idempotency_key else "",
        wanted.model_dump(mode="json"), partial(_announce, context, desk, wanted), partial(_again, desk, wanted),
    )  # fmt: skip
    if outcome.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return PreparedInbound.model_validate(outcome.response)


async def _announce(context: Context, desk: CallDesk, wanted: PrepareInbound, call_id: str) -> Mapping[str, object]:
    agent = context.directory.agent(wanted.model_id).model_id
    _check_number(context, wanted.to_number)
    call = _announced(desk, wanted, call_id, agent)
    await desk.announcements.keep(call)  # first: a restart right after our answer must not forget it
    desk.announced.announce(call)
    return PreparedInbound.of(call).model_dump(mode="json")


def _announced(desk: CallDesk, wanted: PrepareInbound, call_id: str, agent: str) -> Announced:
    now = desk.wall()
    return Announced(
        id=call_id,
        agent=agent,
        from_number=wanted.from_number,
        to_number=wanted.to_number,
        variables=wanted.variables,
        created_at=now,
        expires_at=now + timedelta(seconds=wanted.expires_in_seconds),
        workspace_id=wanted.workspace_id,
    )


def _again(desk: CallDesk, wanted: PrepareInbound, call_id: str) -> Mapping[str, object]:
    """Answer for an announcement that was made before a crash."""
    expected = desk.announced.expected(call_id) or _announced(desk, wanted, call_id, wanted.model_id)
    return PreparedInbound.of(expected).model_dump(mode="json")


def _check_number(context: Context, number: str) -> None:
    """Refuse a number that no call can come to; how a PBX writes its own numbers, only its trunk knows.

    Raises:
        ApiError: it is in E.164, and none of ours.
    """
    if not number.startswith("+"):
        return
    try:
        known = context.directory.numbers.lookup(number).number
    except LocalProtocolError:
        known = None
    if known is None:
        raise ApiError(400, f"to_number: {number} is none of our numbers; import it first, or declare it")
