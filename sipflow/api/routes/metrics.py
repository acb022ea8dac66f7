"""Figures for Prometheus, and whether the edge lives and is ready, for whoever supervises it."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from sipflow import __version__
from sipflow.api.auth import requires
from sipflow.api.context import InContext, need
from sipflow.api.envelope import Answer
from sipflow.api.exposition import scrape
from sipflow.api.models.status import CheckShown, Readiness
from sipflow.api.readiness import checks

router = APIRouter(tags=["Health"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus's text format."}
}


class Alive(Answer):
    """sipflow is alive, which the answer itself proves."""

    status: Literal["ok"] = "ok"
    version: str


@router.get("/healthz")
async def alive() -> Alive:
    """Say that the process lives and its event loop turns; needs no token. Whoever gets no answer may restart it."""
    return Alive(version=__version__)


@router.get("/readyz", responses={503: {"model": Readiness, "description": "No call should be sent here just now."}})
async def ready(context: InContext, request: Request, response: Response) -> Readiness:
    """Say whether a call can be taken: sockets, ports, limits, trunks, store. Needs no token.

    It is answered with 503 when one of them is not well; the list says which, and, to this machine itself, why.
    """
    found = checks(need(context.measures, "the telephone side"))
    near = bool(request.scope.get("near"))
    is_ready = all(each.ok for each in found)
    response.status_code = 200 if is_ready else 503
    shown = [CheckShown(name=each.name, ok=each.ok, why=each.why if near else "") for each in found]
    return Readiness(ready=is_ready, checks=shown)


@router.get("/metrics", dependencies=[requires("status:read")], response_class=Response, responses=_TEXT)
async def metrics(context: InContext) -> Response:
    """Give every metric. From this machine itself no token is needed."""
    content = await scrape(need(context.measures, "the telephone side"))
    return Response(content, media_type=CONTENT_TYPE_LATEST)
