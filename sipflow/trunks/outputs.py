"""What the machines of this room return: requests to send, and changes worth telling."""

from enum import StrEnum
from typing import NamedTuple

from sipflow.sip.plan import RequestPlan


class RegistrationState(StrEnum):
    """Where a registration stands.

    UNREGISTERED: nobody asked for one, or it was taken back.
    REGISTERING: the first attempt is under way, or follows soon.
    REGISTERED: the registrar has our Contact; calls reach us.
    FAILED: not registered for a passing reason (no answer, 503 ...); the next attempt is scheduled.
    REJECTED: the registrar refused us (wrong password, unknown user ...); tried again, but seldom.
    UNREGISTERING: our Contact is being taken back.
    """

    UNREGISTERED = "unregistered"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    REJECTED = "rejected"
    UNREGISTERING = "unregistering"


class HealthState(StrEnum):
    """Whether a far end answers: UNKNOWN until the first answer or the last allowed miss."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Send(NamedTuple):
    """Send a request and hand its `Outcome` back to the machine."""

    plan: RequestPlan


class StateChanged(NamedTuple):
    """The state, or the reason for it, is another one than before.

    Attributes:
        state: the state now.
        why: one sentence for an operator.
        trouble: whether something needs an operator's eye.
    """

    state: RegistrationState | HealthState
    why: str
    trouble: bool = False


Output = Send | StateChanged
