"""Whether the edge is well, for load balancers and people."""

from typing import Literal

from fastapi import APIRouter

from sipflow import __version__
from sipflow.api.envelope import Answer

router = APIRouter(tags=["Health"])


class Health(Answer):
    """sipflow is alive, which the answer itself proves."""

    status: Literal["ok"] = "ok"
    version: str


@router.get("/v2/health")
async def health() -> Health:
    """Say that the API runs; needs no token."""
    return Health(version=__version__)
