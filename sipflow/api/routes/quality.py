"""How the audio of a call fared over its time."""

from fastapi import APIRouter

from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.quality import QualityPointShown, QualityTrack
from sipflow.api.routes.calls import CallId, desk_of

router = APIRouter(prefix="/v2/calls/{call_id}", tags=["Calls"])


@router.get("/quality", dependencies=[requires("calls:read")], responses=documented(404))
async def quality_of_call(context: InContext, call_id: CallId) -> Enveloped[QualityTrack]:
    """Show how the audio of a call fared over its time: of a live one, or one of the last ones."""
    tracks = need(context.quality, "the watch over the quality of calls")
    await desk_of(context).find(call_id)
    points = [QualityPointShown(**point._asdict()) for point in tracks.of(call_id)]
    return Enveloped(response=QualityTrack(call_id=call_id, points=points))
