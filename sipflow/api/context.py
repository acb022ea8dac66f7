"""What the routes work on: handed in by the daemon, one field for each part of the edge."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from fastapi import Depends, Request

from sipflow.api.homes import Homes
from sipflow.api.listening import Listeners
from sipflow.api.log_ring import LogRing
from sipflow.api.settings import Settings
from sipflow.errors import ApiError
from sipflow.store.database import Database
from sipflow.store.deliveries import Delivery
from sipflow.store.directory import Directory
from sipflow.trunks.snapshot import OFF, RegistrationSnapshot

if TYPE_CHECKING:  # half the edge, which nobody needs who only reads numbers
    from sipflow.api.call_desk import CallDesk
    from sipflow.api.measures import Measures
    from sipflow.api.pool_desk import PoolDesk
    from sipflow.api.trace_desk import TraceDesk
    from sipflow.calls.explain import Explainer
    from sipflow.calls.quality_tracks import QualityTracks

T = TypeVar("T")


class Redelivers(Protocol):
    """Whoever sends a delivery once more; the webhooks room does."""

    async def redeliver(self, delivery_id: str) -> Delivery:
        """Send it now.

        Raises:
            NotFound: there is none with this id.
            Conflict: it cannot be sent again.
        """


@dataclass(kw_only=True, slots=True)
class Context:
    """Everything a route may need. What does not run is None; a route says so with `need`.

    Attributes:
        directory: numbers, agents and trunks.
        database: the store.
        registration: how the registration of the trunk with this name is.
        origination_uri: of ours: where trunks send their calls, "" when unknown.
        calls: live and finished calls, and what is done to them.
        pools: pools of numbers, and limits.
        settings: of the API itself.
        webhooks: sends deliveries once more.
        explainer: says why calls are answered or refused.
        traces: the messages of calls.
        measures: figures, and how the edge is.
        listeners: who listens to live calls.
        log: its last lines.
        quality: how the audio of calls fared over their time.
        homes: finds out where numbers are at home.
    """

    directory: Directory
    database: Database
    registration: Callable[[str], RegistrationSnapshot] = lambda _trunk: OFF
    origination_uri: str = ""
    calls: "CallDesk | None" = None
    pools: "PoolDesk | None" = None
    settings: Settings = field(default_factory=Settings)
    webhooks: Redelivers | None = None
    explainer: "Explainer | None" = None
    traces: "TraceDesk | None" = None
    measures: "Measures | None" = None
    listeners: Listeners = field(default_factory=Listeners)
    log: LogRing | None = None
    quality: "QualityTracks | None" = None
    homes: Homes | None = None


async def context_of(request: Request) -> Context:  # async, or else FastAPI runs it in a thread
    """Return the context of the app that a request came to."""
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(context_of)]  # what a route takes: `async def list_numbers(context: InContext)`


def need(part: T | None, what: str) -> T:
    """Return a part of the edge.

    Raises:
        ApiError: it does not run (503); the sentence says which.
    """
    if part is None:
        raise ApiError(503, f"{what} does not run here")
    return part
