"""What the user agent returns: messages for the shell to send, and events for the calls above.

`Transmit` and `Resolve` are for the shell; everything else is an event.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.reason import Reason
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.plan import Outcome
from sipflow.sip.transaction.outputs import Transmit
from sipflow.sip.uri import SipUri

if TYPE_CHECKING:
    from sipflow.sip.transaction.layer import ServerTransaction
    from sipflow.sip.usage.invite import InviteUsage
    from sipflow.sip.usage.referral import Referral
    from sipflow.sip.usage.referred import Referred
    from sipflow.sip.usage.uac import UacInvite
    from sipflow.sip.usage.uas import UasInvite

__all__ = [
    "Confirmed",
    "EarlyOffer",
    "Ended",
    "Finished",
    "InfoAnswered",
    "InfoReceived",
    "InviteReceived",
    "MessageAnswered",
    "MessageReceived",
    "OfferAnswered",
    "OfferReceived",
    "Output",
    "Progressed",
    "ReferEnded",
    "ReferOutcome",
    "ReferProgressed",
    "ReferReceived",
    "Refused",
    "RequestReceived",
    "Resolve",
    "Transmit",
    "UpdateAnswered",
    "UpdateReceived",
]


class Resolve(NamedTuple):
    """Find the hops of `uri` (RFC 3263) and hand them to `UserAgent.resolved(key, hops)`."""

    key: Any
    uri: SipUri


class InviteReceived(NamedTuple):
    """A new call wants in. Answer, ring or reject through `usage`; its SDP is `usage.offer_in`.

    Attributes:
        replaces: the call that it is to take the place of (RFC 3891): once the new one is answered, hang that up. It is
            for the domain to decide whether this caller may.
    """

    usage: "UasInvite"
    request: Request
    hop: Hop
    replaces: "InviteUsage | None" = None


class RequestReceived(NamedTuple):
    """A request outside a dialog that the user agent does not answer by itself; answer with `UserAgent.respond`."""

    transaction: "ServerTransaction"
    request: Request
    hop: Hop


class Refused(NamedTuple):
    """The user agent itself answered a request with an error; for the log."""

    request: Request | None
    hop: Hop
    status: int
    why: str


class Progressed(NamedTuple):
    """Our call rings or has early media: a provisional response other than 100.

    Attributes:
        body: its SDP, b"" if none.
        reliable: whether we acknowledge it (RFC 3262): its SDP is the answer, and no preview of it.
    """

    usage: "UacInvite"
    response: Response
    body: bytes = b""
    reliable: bool = False


class EarlyOffer(NamedTuple):
    """A reliable provisional response to an INVITE of ours without SDP offers media (RFC 3262 §5).

    Answer with `usage.answer_early(response, body)`, or cancel the call.
    """

    usage: "UacInvite"
    response: Response
    body: bytes


class Confirmed(NamedTuple):
    """The call is up: for a call in, the ACK came; for a call out, the 2xx came and was acknowledged.

    Attributes:
        body: SDP of the message that completed it (ACK or 2xx), b"" if none.
    """

    usage: "InviteUsage"
    message: Request | Response
    body: bytes


class OfferReceived(NamedTuple):
    """The peer offers new media, in re-INVITE, UPDATE or PRACK: `usage.answer_offer` it, or `usage.refuse_offer`.

    Attributes:
        body: the offer; b"" when the peer asks us to make one (a re-INVITE without SDP).
    """

    usage: "InviteUsage"
    transaction: "ServerTransaction"
    request: Request
    body: bytes


class OfferAnswered(NamedTuple):
    """The far end ended an offer of ours: status and, if 2xx, its SDP answer.

    The offer went out in a re-INVITE or UPDATE, in the 2xx to an empty re-INVITE, or in a reliable provisional
    response.
    """

    usage: "InviteUsage"
    status: int
    body: bytes


class UpdateAnswered(NamedTuple):
    """An UPDATE of ours that offered nothing is over: the far end's final status, 408 when it never answered."""

    usage: "InviteUsage"
    status: int


class UpdateReceived(NamedTuple):
    """An UPDATE that offers nothing and was answered 200: its headers may say who talks now (RFC 5876 §4.4)."""

    usage: "InviteUsage"
    request: Request


class InfoReceived(NamedTuple):
    """An INFO that was answered 200 and may matter to the call (DTMF, RFC 6086): any type, in `request`."""

    usage: "InviteUsage"
    request: Request


class InfoAnswered(NamedTuple):
    """An INFO of ours is over: the far end's final status, 408 when it never answered.

    Attributes:
        response: with the far end's own body, None when it never answered.
    """

    usage: "InviteUsage"
    status: int
    response: Response | None = None


class MessageReceived(NamedTuple):
    """A text of the far end (RFC 3428).

    Attributes:
        usage: the call it came in, where it was answered 200; None outside a call.
        transaction: to be answered with `UserAgent.respond` outside a call, within half a minute.
    """

    usage: "InviteUsage | None"
    transaction: "ServerTransaction"
    request: Request
    hop: Hop


class MessageAnswered(NamedTuple):
    """A MESSAGE of ours inside a call is over: the far end's final status, 408 when it never answered."""

    usage: "InviteUsage"
    status: int


class ReferReceived(NamedTuple):
    """The far end asks us to call somebody (RFC 3515): `referred.accept` it, or `referred.refuse`.

    Attributes:
        usage: the call it came in, or that its Target-Dialog names (RFC 4538); None where it is about no call of ours.
        refer_to: whom, with `replaces` where that ends an attended transfer.
        referred_by: who wants it (RFC 3892), None where nobody says, or nobody can read it.
    """

    referred: "Referred"
    usage: "InviteUsage | None"
    request: Request
    hop: Hop
    refer_to: ReferTo
    referred_by: NameAddr | None = None


class ReferProgressed(NamedTuple):
    """The far end has accepted a REFER of ours, or says how far the call it makes has come.

    Attributes:
        status, reason: of its 2xx to the REFER; then of what it has heard, from 100 to 199.
    """

    referral: "Referral"
    status: int
    reason: str


class ReferOutcome(StrEnum):
    """How a REFER of ours ended."""

    SUCCEEDED = "succeeded"  # the far end says that whom it called has answered
    FAILED = "failed"  # it called, and was refused or heard nothing
    REFUSED = "refused"  # it does not take the REFER, or could not be asked
    UNREPORTED = "unreported"  # it took the REFER, and agreed that nothing is reported (RFC 4488)
    UNKNOWN = "unknown"  # it stopped reporting before the end
    TIMED_OUT = "timed_out"  # it took the REFER, and said nothing of its end for too long


class ReferEnded(NamedTuple):
    """A REFER of ours is over.

    Attributes:
        status: of the call that the far end made, or of its refusal to make one; 0 where nothing is known.
        why: one sentence for a person.
    """

    referral: "Referral"
    outcome: ReferOutcome
    status: int
    why: str


class Ended(NamedTuple):
    """The call is over, answered or not.

    Attributes:
        by: "remote", "local" or "system" (time-outs, transport).
        status: the SIP status that ended it: 200 for a BYE, 487 for a cancelled call, else the refusal.
        why: one sentence for a person.
        cause: the peer's first Reason, if it sent one (RFC 3326).
        message: the message that ended it, if there was one.
        lost: whether the far end was found to be gone while the call was up: no refresh of the session came or got
            through (RFC 4028 §10), or it answered a request of ours with 481 or not at all.
    """

    usage: "InviteUsage"
    by: str
    status: int
    why: str
    cause: Reason | None = None
    message: Request | Response | None = None
    lost: bool = False


class Finished(NamedTuple):
    """A request outside a dialog that we sent is over; `key` is what the sender gave."""

    key: Any
    outcome: Outcome


Event = (
    InviteReceived
    | RequestReceived
    | Refused
    | Progressed
    | EarlyOffer
    | Confirmed
    | OfferReceived
    | OfferAnswered
    | UpdateAnswered
    | UpdateReceived
    | InfoReceived
    | InfoAnswered
    | MessageReceived
    | MessageAnswered
    | ReferReceived
    | ReferProgressed
    | ReferEnded
    | Ended
    | Finished
)
Output = Transmit | Resolve | Event
