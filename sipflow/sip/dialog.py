"""One dialog: its identity, CSeq numbers, remote target and route set (RFC 3261 §12)."""

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.ids import MAGIC_COOKIE
from sipflow.sip.message import Request, Response
from sipflow.sip.uri import SipUri

DialogId = tuple[str, str, str]  # Call-ID, local tag, remote tag

_TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})  # §12.2, RFC 3311 §5.1


class Dialog:
    """The state two user agents share for one call; the same in both roles.

    Attributes:
        call_id, local_tag, remote_tag: identify it (§12). A peer of RFC 2543 has no tag: "".
        local, remote: our and the peer's From or To values, as they must be repeated.
        local_cseq: number of our last request.
        remote_cseq: number of the peer's last request, None before the first.
        target: the peer's Contact (§12.1); where requests finally go.
        routes: Route values in the order they are sent (§12.1.1, §12.1.2).
        contact_user: user part of our Contact for the whole dialog.
        flow: what the dialog's first message came on; reused by streams.
    """

    __slots__ = (
        "call_id",
        "contact_user",
        "flow",
        "local",
        "local_cseq",
        "local_tag",
        "remote",
        "remote_cseq",
        "remote_tag",
        "routes",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        target: SipUri,
        routes: list[str],
        contact_user: str,
        flow: Hop,
    ) -> None:
        self.call_id = call_id
        self.contact_user = contact_user
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.target = target
        self.routes = routes
        self.flow = flow

    @property
    def id(self) -> DialogId:
        return (self.call_id, self.local_tag, self.remote_tag)

    def accepts(self, request: Request) -> bool:
        """Note a request of the peer; False if its CSeq is not newer than the last (§12.2.2: answer 500)."""
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response, method: str) -> None:
        """Take over a new Contact from a target refresh request or its 2xx (§12.2.1.2, §12.2.2)."""
        if method not in _TARGET_REFRESH:
            return
        contact = message.contact
        if contact is not None and isinstance(contact.uri, SipUri):
            self.target = contact.uri

    def next_hop_uri(self) -> SipUri:
        """Say where a request goes first: the top route, or the target (§12.2.1.1)."""
        if not self.routes:
            return self.target
        uri = NameAddr.parse(self.routes[0]).uri
        if not isinstance(uri, SipUri):
            raise RemoteProtocolError(f"route {self.routes[0]!r} is not a SIP URI")
        return uri

    def next_cseq(self) -> int:
        """Take the number of our next request; a request retried with credentials takes another (§22.2)."""
        self.local_cseq += 1
        return self.local_cseq

    def request(self, method: str, *, cseq: int) -> Request:
        """Build a request inside the dialog, without Via and Contact (§12.2.1.1).

        An ACK carries the CSeq of its INVITE (§13.2.2.4); every other request one from `next_cseq`.
        """
        uri, routes = self._strict_or_loose()
        request = Request(method, uri)
        headers = request.headers
        for route in routes:
            headers.add("Route", route)
        headers.add("Max-Forwards", "70")
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        return request

    def _strict_or_loose(self) -> tuple[str, list[str]]:
        if not self.routes:
            return str(self.target), []
        first = self.next_hop_uri()
        if first.has_param("lr"):
            return str(self.target), self.routes
        # A strict router wants itself in the Request-URI and the target at the end (§12.2.1.1).
        return str(first), [*self.routes[1:], f"<{self.target}>"]


def uas_dialog(request: Request, local_tag: str, flow: Hop) -> Dialog:
    """Make the dialog of a request that we answer (§12.1.1).

    Raises:
        RemoteProtocolError: the request has no usable Contact (status 400).
    """
    from_ = request.from_
    to = request.to
    return Dialog(
        call_id=request.call_id,
        local=str(to) if to.tag else f"{to};tag={local_tag}",
        local_tag=local_tag,
        remote=str(from_),
        remote_tag=from_.tag or "",
        local_cseq=0,
        remote_cseq=request.cseq.number,
        target=_contact_of(request),
        routes=request.headers.values("Record-Route"),
        contact_user=uri.user or "" if isinstance(uri := request.request_uri, SipUri) else "",
        flow=flow,
    )


def uac_dialog(request: Request, response: Response, flow: Hop, contact_user: str) -> Dialog:
    """Make the dialog of a response to our request (§12.1.2).

    Raises:
        RemoteProtocolError: the response has no usable Contact; the caller hangs up.
    """
    return Dialog(
        call_id=request.call_id,
        local=str(request.from_),
        local_tag=request.from_.tag or "",
        remote=str(response.to),
        remote_tag=response.to.tag or "",
        local_cseq=request.cseq.number,
        remote_cseq=None,
        target=_contact_of(response),
        routes=response.headers.values("Record-Route")[::-1],
        contact_user=contact_user,
        flow=flow,
    )


def _contact_of(message: Request | Response) -> SipUri:
    contact = message.contact
    if contact is None and isinstance(message, Request) and not message.branch.startswith(MAGIC_COOKIE):
        contact = message.from_  # RFC 2543 §6.22: a caller of those days without Contact is reached by its From
    if contact is None:
        raise RemoteProtocolError("a message that makes a dialog needs a Contact (RFC 3261 §12.1.1)")
    if not isinstance(contact.uri, SipUri):
        raise RemoteProtocolError(f"Contact {contact} is not a SIP URI")
    return contact.uri


def dialog_id_of(request: Request) -> DialogId:
    """Say which dialog of ours a request of the peer names (§12.2.2): its To tag is our tag."""
    tag = request.to.tag
    if tag is None:
        raise LocalProtocolError("only a request with a To tag names a dialog")
    return (request.call_id, tag, request.from_.tag or "")
