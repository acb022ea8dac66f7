"""How the edge is at the moment, in one answer."""

from datetime import datetime

from pydantic import Field

from sipflow.api.envelope import Answer


class CheckShown(Answer):
    """One thing that must be well."""

    name: str
    ok: bool
    why: str


class Readiness(Answer):
    """Whether a call can be taken."""

    ready: bool
    checks: list[CheckShown] = Field(description="What was looked at, and what was found.")


class CallCounts(Answer):
    """Calls at the moment."""

    live: int
    inbound: int
    outbound: int
    answered: int
    waiting: int = Field(description="Calls out that wait for room.")


class TrunkState(Answer):
    """A trunk that registers, or whose far end is asked with OPTIONS."""

    name: str
    registration: str = Field(description="As in `GET /v2/trunks`, or `off`.")
    why: str
    far_end: str = Field(description="`up`, `down`, `unknown`, or `` where it is not asked.")
    round_trip_ms: float | None
    seen_as: str = Field(description="Our address as the registrar saw it, where it said so.")


class Status(Answer):
    """How the edge is at the moment."""

    version: str
    started_at: datetime
    uptime_s: float
    ready: bool
    checks: list[CheckShown]
    listening: list[str]
    calls: CallCounts
    trunks: list[TrunkState]
    numbers: int
    agents: int
    loop_worst_ms: float = Field(description="How late the event loop was at most within the last minute.")
    pacer_p99_ms: float = Field(description="So late, or less, were 99 of 100 audio packets since the start.")
    sip_messages: int
    sip_retransmissions: int
    faults: int = Field(description="Exceptions that nobody expected.")
    traced_bytes: int
    store: str
