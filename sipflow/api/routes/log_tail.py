"""The last lines of the log."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Enveloped
from sipflow.api.models.log_tail import LogLineShown, LogTail

router = APIRouter(prefix="/v2", tags=["Health"])
_FURTHEST = 2**53


@router.get("/log", dependencies=[requires("logs:read")])
async def tail_log(
    context: InContext,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many lines at most, the newest ones.")] = 200,
    after: Annotated[int, Query(ge=0, le=_FURTHEST, description="Only lines with a higher `number`.")] = 0,
    level: Annotated[Literal["debug", "info", "warning", "error"], Query(description="As serious or more.")] = "info",
    text: Annotated[str, Query(max_length=200, description="Only lines that have it anywhere.")] = "",
) -> Enveloped[LogTail]:
    """Show the last lines of the log: as many as are kept in memory, since the start."""
    ring = need(context.log, "the log")
    lines = [LogLineShown(**line._asdict()) for line in ring.tail(limit, after=after, level=level, text=text)]
    return Enveloped(response=LogTail(last=ring.last, lines=lines))
