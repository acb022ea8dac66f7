"""A request outside a dialog as its sender means it, and how it ended."""

from dataclasses import dataclass

from sipflow.sip.body import SDP
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response
from sipflow.sip.session_timer import SessionSettings
from sipflow.sip.uri import SipUri


@dataclass(slots=True)  # frozen, making one would take four times as long, and each call makes some
class RequestPlan:
    """A request before its Via, Contact host and credentials are known.

    Attributes:
        method: REGISTER, OPTIONS, INVITE, MESSAGE and so on.
        uri: the Request-URI.
        destination: where to send it: the outbound proxy, or the Request-URI itself (RFC 3263).
        from_, to: with the tags they should carry.
        call_id, cseq: the CSeq of the first attempt; each answered challenge adds one (RFC 3261 §22.2).
        headers: further lines, in order.
        contact_user, contact_params: user part and URI parameters of our Contact.
        contact_header_params: text after the `>` of our Contact, such as `;expires=300`.
        with_contact: whether there is a Contact at all; in a MESSAGE there is none (RFC 3428 §4).
        accounts: what may answer a challenge.
        allow_md5: whether a challenge that knows only MD5 is answered.
        advertise: "host" or "host:port" that stands in Via and Contact instead of our own address.
        routes: Route header values, outermost first.
        reliable: whether an INVITE says that we acknowledge provisional responses (RFC 3262).
        session: session timers of this call (RFC 4028); None for what the user agent is set to.
        max_forwards: how many proxies it may pass; one less than what came, where it is sent on (RFC 3261 §16.6).
    """

    method: str
    uri: SipUri
    destination: SipUri
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = ""
    contact_user: str = ""
    contact_params: tuple[tuple[str, str | None], ...] = ()
    contact_header_params: str = ""
    with_contact: bool = True
    accounts: tuple[Account, ...] = ()
    allow_md5: bool = True
    advertise: str = ""
    routes: tuple[str, ...] = ()
    reliable: bool = True
    session: SessionSettings | None = None
    max_forwards: int = 70

    def offering(self, body: bytes, *, reliable: bool) -> "RequestPlan":
        """Give the same INVITE with an offer in it.

        Args:
            body: SDP.
            reliable: as the attribute.
        """
        # Written out: `replace` costs four times as much, and every call out comes by here.
        return RequestPlan(
            self.method,
            self.uri,
            self.destination,
            self.from_,
            self.to,
            self.call_id,
            self.cseq,
            self.headers,
            body,
            SDP,
            self.contact_user,
            self.contact_params,
            self.contact_header_params,
            self.with_contact,
            self.accounts,
            self.allow_md5,
            self.advertise,
            self.routes,
            reliable,
            self.session,
            self.max_forwards,
        )


@dataclass(slots=True)  # frozen, making one would take four times as long, and each call makes some
class Outcome:
    """How a request outside a dialog ended.

    Attributes:
        status: the final status; 408 when nobody answered, 503 when no target could be reached.
        reason: the far end's words, or ours.
        response: the final response, if there was one.
        hop: who answered, or who was tried last.
        realm: of the last challenge, "" if there was none.
        cseq: the last one used.
        challenges_answered: how many times we sent credentials.
        local: host and port that our Contact carried.
    """

    status: int
    reason: str
    response: Response | None
    hop: Hop | None
    realm: str
    cseq: int
    challenges_answered: int
    local: tuple[str, int] | None
