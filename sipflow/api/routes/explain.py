"""Why a call is, would be or was answered or refused, without placing one."""

from fastapi import APIRouter

from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.explain import AskWhy, Why
from sipflow.api.routes.calls import desk_of
from sipflow.calls.explain import explain_record, hop_of

router = APIRouter(tags=["Calls"])


@router.post("/v2/explain", dependencies=[requires("calls:read")], responses=documented(404))
async def explain(context: InContext, wanted: AskWhy) -> Enveloped[Why]:
    """Say step by step what becomes of a call: its trunk, number, agent, limits and audio, and the answer."""
    if wanted.call_id:
        found = explain_record((await desk_of(context).find(wanted.call_id)).record)
    else:
        explainer = need(context.explainer, "the telephone side")
        hop = hop_of(wanted.from_address) if wanted.from_address else None
        if wanted.invite:
            found = explainer.explain_text(wanted.invite.encode("utf-8", "replace"), hop)
        else:
            found = explainer.explain_number(wanted.to, hop or hop_of("127.0.0.1"))
    return Enveloped(response=Why.of(found))
