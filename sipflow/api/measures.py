"""What can be measured of an edge: handed in by the daemon, read by metrics, readiness and status."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sipflow.calls.limits import Limits
from sipflow.calls.switchboard import Switchboard
from sipflow.calls.tally import CallTally
from sipflow.media.desk import MediaDesk
from sipflow.media.lateness import Lateness
from sipflow.net.endpoint import Endpoint
from sipflow.net.tracers import Tracers
from sipflow.sip.user_agent import UserAgent
from sipflow.store.writer import RecordWriter
from sipflow.trunks.runner import HealthStatus, RegistrationStatus


class Beats(Protocol):
    """Whoever knows how late the event loop is."""

    @property
    def lateness(self) -> Lateness:
        """How late each beat was, since the start."""

    @property
    def worst_lately_s(self) -> float:
        """The latest beat of the last minute."""

    @property
    def typical_now_s(self) -> float:
        """The median lateness of the last two seconds or so."""


@dataclass(kw_only=True, slots=True)
class Measures:
    """Where the figures are.

    Attributes:
        switchboard, endpoint, ua, media, limits, tally, tracers, pulse: see their rooms.
        started_at: when the daemon started; UTC wall clock.
        waiting: says how many calls wait for room.
        registrations, healths: give the states of trunks.
        writer: of records; None where nothing is kept.
        deliveries: counts the deliveries of webhooks that wait, and gives the age of the oldest in seconds; None where
            there are none. It raises StoreError while the store is away.
        delivered: says how many tries of webhooks ended how, by the delivery's status.
        place: where the store is, for people.
        now: monotonic seconds, the clock of the registrations.
        wall: UTC wall clock.
    """

    switchboard: Switchboard
    endpoint: Endpoint
    ua: UserAgent
    media: MediaDesk
    limits: Limits
    tally: CallTally
    tracers: Tracers
    pulse: Beats
    started_at: datetime
    waiting: Callable[[], int]
    registrations: Callable[[], Sequence[RegistrationStatus]]
    healths: Callable[[], Sequence[HealthStatus]]
    writer: RecordWriter | None = None
    deliveries: Callable[[], Awaitable[tuple[int, float]]] | None = None
    delivered: Callable[[], dict[str, int]] = field(default=dict)
    place: str = ""
    now: Callable[[], float]
    wall: Callable[[], datetime]
