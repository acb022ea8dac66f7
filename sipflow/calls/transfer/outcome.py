"""How a transfer ended: what the far end did, and not what it promised."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class TransferStatus(StrEnum):
    """The one word for a transfer."""

    SUCCESS = "transfer-success"
    CONNECTION_ERROR = "transfer-failed-connection-error"
    BUSY = "transfer-failed-busy"
    NO_ANSWER = "transfer-failed-no-answer"
    DECLINED = "transfer-failed-declined"  # a person answered, and did not want the call
    VOICEMAIL = "transfer-failed-voicemail"  # a machine answered that takes messages
    PHONE_MENU = "transfer-failed-phone-menu"  # a machine answered that asks for keys
    OUTSIDE_AVAILABILITY = "transfer-failed-outside-availability"
    CALLER_GONE = "transfer-failed-caller-hung-up"
    TAKEN_BACK = "transfer-taken-back"  # by the agent, or over the API, before anybody had it


class FailedReason(StrEnum):
    """Why it failed, in the words of the API."""

    OUTSIDE_AVAILABILITY = "transfer_outside_availability"
    NUMBER_NOT_FOUND = "number_not_found"
    NUMBER_INCOMPLETE = "number_incomplete"
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    REJECTED_BY_DESTINATION = "rejected_by_destination"
    BLOCKED_BY_CARRIER = "transfer_blocked_by_carrier"
    CARRIER_UNAVAILABLE = "carrier_unavailable"
    ROUTING_LOOP = "routing_loop"
    MEDIA_NEGOTIATION_FAILED = "media_negotiation_failed"
    METHOD_UNSUPPORTED = "transfer_method_unsupported"


class Method(StrEnum):
    """How somebody was asked to take the call: told to go there (RFC 3515), or called by us."""

    REFER = "REFER"
    INVITE = "INVITE"


class Decider(StrEnum):
    """Who decided how an attempt ended."""

    DESTINATION = "destination"
    CARRIER = "carrier"
    CALLER = "caller"
    AGENT = "agent"
    SIPFLOW = "sipflow"


_UNSUPPORTED = frozenset({405, 420, 489, 501})  # as an answer to REFER: it does not know how, which is not a no
_REASONS = {
    400: FailedReason.CARRIER_UNAVAILABLE,
    401: FailedReason.BLOCKED_BY_CARRIER,
    402: FailedReason.BLOCKED_BY_CARRIER,
    403: FailedReason.BLOCKED_BY_CARRIER,
    404: FailedReason.NUMBER_NOT_FOUND,
    405: FailedReason.CARRIER_UNAVAILABLE,
    407: FailedReason.BLOCKED_BY_CARRIER,
    408: FailedReason.DESTINATION_UNAVAILABLE,
    410: FailedReason.NUMBER_NOT_FOUND,
    415: FailedReason.MEDIA_NEGOTIATION_FAILED,
    416: FailedReason.NUMBER_NOT_FOUND,
    480: FailedReason.DESTINATION_UNAVAILABLE,
    482: FailedReason.ROUTING_LOOP,
    483: FailedReason.ROUTING_LOOP,
    484: FailedReason.NUMBER_INCOMPLETE,
    485: FailedReason.NUMBER_INCOMPLETE,
    486: FailedReason.DESTINATION_UNAVAILABLE,
    487: FailedReason.DESTINATION_UNAVAILABLE,
    488: FailedReason.MEDIA_NEGOTIATION_FAILED,
    600: FailedReason.DESTINATION_UNAVAILABLE,
    603: FailedReason.REJECTED_BY_DESTINATION,
    604: FailedReason.NUMBER_NOT_FOUND,
    606: FailedReason.MEDIA_NEGOTIATION_FAILED,
    607: FailedReason.BLOCKED_BY_CARRIER,  # RFC 8197: unwanted
    608: FailedReason.BLOCKED_BY_CARRIER,  # RFC 8688: rejected by analytics
}
_STATUSES = {
    486: TransferStatus.BUSY,
    600: TransferStatus.BUSY,
    408: TransferStatus.NO_ANSWER,
    480: TransferStatus.NO_ANSWER,
    487: TransferStatus.NO_ANSWER,
}
_BY_DESTINATION = frozenset({480, 486, 488, 600, 603, 606})


class TransferAttempt(NamedTuple):
    """One try to have one target take the call.

    Attributes:
        target: as it was given.
        method: how it was tried.
        status: SIP status that the target's side gave; 200 for one that answered, whether or not it took the call; 0
            where none came.
        why: one sentence for a person.
        decided_by: who decided.
        failed_reason: None for one that was taken.
        started_at, ended_at: UTC wall clock.
    """

    target: str
    method: Method
    status: int
    why: str
    decided_by: Decider
    failed_reason: FailedReason | None
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """What became of a transfer.

    Attributes:
        status: one word.
        failed_reason: None for a success.
        attempts: in order; of targets that rang at once in the order in which they ended.
        human_connected_at: when caller and target could talk (UTC), None where they never did, or where nobody told us.
        target: who took it, "" for nobody.
    """

    status: TransferStatus
    failed_reason: FailedReason | None
    attempts: tuple[TransferAttempt, ...] = ()
    human_connected_at: datetime | None = None
    target: str = ""

    @property
    def ok(self) -> bool:
        """Whether somebody took the call."""
        return self.status is TransferStatus.SUCCESS

    @property
    def why(self) -> str:
        """How the last attempt ended, one sentence."""
        return self.attempts[-1].why if self.attempts else ""


def failed_reason_of(status: int, method: Method) -> FailedReason:
    """Say in the API's words what a final SIP status means for a transfer."""
    if method is Method.REFER and status in _UNSUPPORTED:
        return FailedReason.METHOD_UNSUPPORTED
    if status in _REASONS:
        return _REASONS[status]
    if 300 <= status < 400:
        return FailedReason.DESTINATION_UNAVAILABLE  # moved to where we were not allowed to follow
    # RFC 3261 §8.1.3.2: an unknown status is taken as the x00 of its class; 600 is about who is called.
    return FailedReason.CARRIER_UNAVAILABLE if 500 <= status < 600 else FailedReason.DESTINATION_UNAVAILABLE


def transfer_status_of(status: int) -> TransferStatus:
    """Give the one word for a failed attempt that ended with this SIP status."""
    return _STATUSES.get(status, TransferStatus.CONNECTION_ERROR)


def decider_of(status: int) -> Decider:
    """Say who gives such a status: the person or device that was called, or whoever was to carry the call there."""
    return Decider.DESTINATION if status in _BY_DESTINATION else Decider.CARRIER
