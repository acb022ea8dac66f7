"""How a registration stands, for those who ask from outside: a word, a sentence, and until when."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import RegistrationStatus

_WORDS = {
    RegistrationState.UNREGISTERED: "registering",  # its first REGISTER waits for its turn
    RegistrationState.REGISTERING: "registering",
    RegistrationState.REGISTERED: "registered",
    RegistrationState.FAILED: "failed",
    RegistrationState.REJECTED: "failed",
    RegistrationState.UNREGISTERING: "unregistering",
}


class RegistrationSnapshot(NamedTuple):
    """Where a trunk's registration stands.

    Attributes:
        state: `registered`, `registering`, `failed`, `unregistering`, or `off` for a trunk that does not register.
        sentence: why, for a person.
        until: when it runs out unless it is renewed; UTC wall clock, None where it is not registered.
        retry_at: when it is tried next; UTC wall clock, None where no try is planned.
    """

    state: str
    sentence: str
    until: datetime | None = None
    retry_at: datetime | None = None


OFF = RegistrationSnapshot("off", "this trunk does not register")


def snapshot_of(status: RegistrationStatus, *, now: float, wall: datetime) -> RegistrationSnapshot:
    """Say how a registration stands.

    Args:
        status: of the trunk.
        now: monotonic seconds, the clock of `status`.
        wall: the same moment in UTC.
    """
    until = _wall(status.registered_until, now, wall) if status.state is RegistrationState.REGISTERED else None
    retry_at = None if status.state is RegistrationState.REGISTERED else _wall(status.retry_at, now, wall)
    return RegistrationSnapshot(_WORDS[status.state], _sentence(status), until, retry_at)


def _sentence(status: RegistrationStatus) -> str:
    if status.last_error:
        return status.last_error.removeprefix(f"trunk {status.trunk}: ")
    if status.state is RegistrationState.REGISTERED:
        return status.doubt or "calls reach us"
    return "the registrar has not answered yet"


def _wall(at: float | None, now: float, wall: datetime) -> datetime | None:
    return None if at is None else wall + timedelta(seconds=at - now)
