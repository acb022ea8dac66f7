"""Watches one trunk's far end with OPTIONS (RFC 3261 §11): takes outcomes and time, returns what to send."""

from collections.abc import Callable

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.trunks.outputs import HealthState, Output, Send, StateChanged
from sipflow.trunks.settings import HealthSettings
from sipflow.trunks.trunk import Trunk

_SILENT = (
    408,
    503,
)  # RFC 3261 §8.1.3.1: how a missing answer and an unreachable host are told; and a host that is full


class Health:
    """Asks the far end at intervals whether it is there. Any final answer but 408 and 503 says yes.

    Attributes:
        trunk: may be replaced by one with the same `health` and destination.
        state: whether it answers.
        misses: unanswered questions in a row.
        last_error: what came of the last question that went unanswered, one sentence; "" after an answer.
        round_trip_s: from the last question to its answer; None before the first answer.
    """

    __slots__ = (
        "_aor", "_asked_at", "_call_id", "_cseq", "_destination", "_domain", "_jitter", "_next_at", "_settings", "_tag",
        "_wanted", "last_error", "misses", "round_trip_s", "state", "trunk",
    )  # fmt: skip

    def __init__(self, trunk: Trunk, *, call_id: str, tag: str, jitter: Callable[[], float]) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            trunk: one that wants its health watched.
            call_id: of all its OPTIONS.
            tag: of their From.
            jitter: returns a number from 0 to 1, each time another one.

        Raises:
            LocalProtocolError: the trunk has no `health`.
        """
        domain, aor, destination, settings = trunk.domain, trunk.aor, trunk.destination, trunk.health
        if domain is None or aor is None or destination is None or settings is None:
            raise LocalProtocolError(f"trunk {trunk.name} has no health check")
        self.trunk = trunk
        self.state = HealthState.UNKNOWN
        self.misses = 0
        self.last_error = ""
        self.round_trip_s: float | None = None
        self._domain, self._aor, self._destination = domain, aor, destination
        self._settings: HealthSettings = settings
        self._call_id, self._tag = call_id, tag
        self._jitter = jitter
        self._cseq = 0
        self._asked_at: float | None = None
        self._next_at: float | None = None
        self._wanted = False

    @property
    def name(self) -> str:
        return self.trunk.name

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`: monotonic seconds, None while a question is under way or none is wanted."""
        return self._next_at

    @property
    def idle(self) -> bool:
        """Whether nothing is on the wire."""
        return self._asked_at is None

    def start(self, *, now: float) -> list[Output]:
        """Ask now, and again at intervals until `stop`."""
        if self._wanted:
            return []
        self._wanted = True
        return [] if self._asked_at is not None else [self._ask(now)]

    def stop(self, *, now: float) -> list[Output]:  # noqa: ARG002  (every input of every machine takes the time)
        """Ask no more."""
        self._wanted = False
        self._next_at = None
        self.state = HealthState.UNKNOWN
        return []

    def handle_timer(self, *, now: float) -> list[Output]:
        """Ask again when it is time."""
        if self._next_at is None or now < self._next_at:
            return []
        return [self._ask(now)]

    def outcome(self, outcome: Outcome, *, now: float) -> list[Output]:
        """Handle the end of the question that is under way; any other outcome is ignored."""
        if self._asked_at is None or 0 < outcome.cseq < self._cseq:
            return []
        asked_at, self._asked_at = self._asked_at, None
        if not self._wanted:
            return []
        # A tenth early at most: 500 trunks started together drift apart.
        pause_s = self._settings.interval_s * (1 - 0.1 * self._jitter())
        self._next_at = max(now, asked_at + pause_s)
        if outcome.response is None or outcome.status in _SILENT:
            return self._missed(outcome)
        self.round_trip_s = now - asked_at
        return self._answered(outcome)

    def _answered(self, outcome: Outcome) -> list[Output]:
        self.misses = 0
        self.last_error = ""
        if self.state is HealthState.UP:
            return []
        self.state = HealthState.UP
        host = outcome.hop.host if outcome.hop is not None else self._destination.host
        return [StateChanged(self.state, f"trunk {self.name}: {host} answers ({outcome.status} to OPTIONS)")]

    def _missed(self, outcome: Outcome) -> list[Output]:
        self.misses += 1
        if outcome.response is None:
            self.last_error = f"trunk {self.name}: OPTIONS to {self._destination}: {outcome.reason or 'no answer'}"
        else:
            host = outcome.hop.host if outcome.hop is not None else self._destination.host
            self.last_error = f"trunk {self.name}: {outcome.status} {outcome.reason} from {host} to OPTIONS"
        if self.state is HealthState.DOWN or self.misses < self._settings.misses:
            return []
        self.state = HealthState.DOWN
        return [StateChanged(self.state, f"{self.last_error} ({self.misses} times in a row)", trouble=True)]

    def _ask(self, now: float) -> Send:
        self._asked_at = now
        self._next_at = None
        self._cseq += 1
        return Send(
            RequestPlan(
                method="OPTIONS",
                uri=self._domain,
                destination=self._destination,
                from_=NameAddr("", self._aor.uri, (("tag", self._tag),)),
                to=NameAddr("", self._domain),
                call_id=self._call_id,
                cseq=self._cseq,
                headers=(("Accept", "application/sdp"),),  # RFC 3261 §11.1
                contact_user=self.trunk.contact_user,
                advertise=self.trunk.advertise,
                routes=self.trunk.routes,
            )
        )
