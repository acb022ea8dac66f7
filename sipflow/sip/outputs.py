"""What the user agent returns: messages for the shell to send, and events for the calls above.

`Transmit` and `Resolve` are for the shell; everything else is an event.
"""

from typing import TYPE_CHECKING, NamedTuple

from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.plan import Outcome
from sipflow.sip.transaction.outputs import Transmit
from sipflow.sip.uri import SipUri

if TYPE_CHECKING:
    from sipflow.sip.transaction.layer import ServerTransaction
    from sipflow.sip.usage.invite import InviteUsage
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
    "OfferAnswered",
    "OfferReceived",
    "Output",
    "Progressed",
    "Refused",
    "RequestReceived",
    "Resolve",
    "Transmit",
]


class Resolve(NamedTuple):
    """Find the hops of `uri` (RFC 3263) and hand them to `UserAgent.resolved(key, hops)`."""

    key: object
    uri: SipUri


class InviteReceived(NamedTuple):
    """A new call wants in. Answer, ring or reject through `usage`; its SDP is `usage.offer_in`."""

    usage: "UasInvite"
    request: Request
    hop: Hop


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

    The offer went out in a re-INVITE, in the 2xx to an empty re-INVITE, or in a reliable provisional response.
    """

    usage: "InviteUsage"
    status: int
    body: bytes


class InfoReceived(NamedTuple):
    """An INFO or other in-dialog request that was answered 200 and may matter to the call (DTMF, RFC 6086)."""

    usage: "InviteUsage"
    request: Request


class InfoAnswered(NamedTuple):
    """An INFO of ours is over: the far end's final status, 408 when it never answered."""

    usage: "InviteUsage"
    status: int


class Ended(NamedTuple):
    """The call is over, answered or not.

    Attributes:
        by: "remote", "local" or "system" (time-outs, transport).
        status: the SIP status that ended it: 200 for a BYE, 487 for a cancelled call, else the refusal.
        why: one sentence for a person.
        cause: the peer's Reason header, if it sent one (RFC 3326).
        message: the message that ended it, if there was one.
    """

    usage: "InviteUsage"
    by: str
    status: int
    why: str
    cause: Reason | None = None
    message: Request | Response | None = None


class Finished(NamedTuple):
    """A request outside a dialog that we sent is over; `key` is what the sender gave."""

    key: object
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
    | InfoReceived
    | InfoAnswered
    | Ended
    | Finished
)
Output = Transmit | Resolve | Event
