"""One dialog: its identity, CSeq numbers, remote target and route set (RFC 3261 §12)."""

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.lines import Written, write_lines
from sipflow.sip.hop import Hop
from sipflow.sip.ids import MAGIC_COOKIE
from sipflow.sip.message import Headers, Request, Response
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
        flow: where the dialog's first message came from; `connection` is that of a stream which the peer opened, and 0
            where we did: the shell finds that by its address.
        secure: whether our Contact must be a SIPS URI (§12.1.1, §12.1.2).
        astray: whether the peer has named no Contact yet, so that `target` is a guess: without a route set everything
            goes where `flow` says.
    """

    __slots__ = (
        "_first_route",
        "_lines",
        "_local",
        "_remote",
        "astray",
        "call_id",
        "contact_user",
        "flow",
        "local_cseq",
        "local_tag",
        "remote_cseq",
        "remote_tag",
        "routes",
        "secure",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str | NameAddr,
        local_tag: str,
        remote: str | NameAddr,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        target: SipUri,
        routes: list[str],
        contact_user: str,
        flow: Hop,
        secure: bool = False,
    ) -> None:
        """Put a dialog together; `local` and `remote` are written when they are needed, which is seldom in calls to us.

        Raises:
            RemoteProtocolError: the first route is no SIP URI, so that nothing could ever be sent (status 400).
        """
        self.call_id = call_id
        self.contact_user = contact_user
        self._local = local
        self.local_tag = local_tag
        self._remote = remote
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.target = target
        self.routes = routes
        self.flow = flow
        self.secure = secure
        self.astray = False
        self._lines: Written | None = None  # that all our requests have in common
        self._first_route = _sip_uri(NameAddr.parse(routes[0]), "Record-Route") if routes else None

    @property
    def local(self) -> str:
        if not isinstance(self._local, str):
            self._local = _with_tag(self._local, self.local_tag)
        return self._local

    @property
    def remote(self) -> str:
        if not isinstance(self._remote, str):
            self._remote = _with_tag(self._remote, self.remote_tag)
        return self._remote

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
        """Take over a new Contact from a target refresh request or its 2xx (§12.2.1.2, §12.2.2), if it can be read."""
        if method not in _TARGET_REFRESH:
            return
        try:
            contact = message.contact
        except RemoteProtocolError:
            return
        if contact is not None and isinstance(contact.uri, SipUri):
            self.target = _as_request_uri(contact.uri)
            self.astray = False

    def next_hop_uri(self) -> SipUri:
        """Say where a request goes first: the top route, or the target (§12.2.1.1)."""
        return self._first_route or self.target

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
        if routes:
            headers.add_all([("Route", route) for route in routes])
        lines = self._lines
        if lines is None:
            names = (("From", self.local), ("To", self.remote), ("Call-ID", self.call_id))
            lines = self._lines = write_lines((("Max-Forwards", "70"), *names))
        headers.add_written(lines)
        headers.add("CSeq", f"{cseq} {method}")
        return request

    def _strict_or_loose(self) -> tuple[str, list[str]]:
        first = self._first_route
        if first is None or first.has_param("lr"):
            return str(self.target), self.routes
        # A strict router wants itself in the Request-URI and the target at the end (§12.2.1.1).
        return str(_as_request_uri(first)), [*self.routes[1:], f"<{self.target}>"]


def uas_dialog(request: Request, local_tag: str, flow: Hop) -> Dialog:
    """Make the dialog of a request that we answer (§12.1.1).

    Raises:
        RemoteProtocolError: the request has no usable Contact or Record-Route (status 400).
    """
    from_ = request.from_
    to = request.to
    target = _contact_of(request)
    routes = request.headers.values("Record-Route") if "record-route" in request.headers else []
    uri = request.request_uri
    dialog = Dialog(
        call_id=request.call_id,
        local=to,
        local_tag=local_tag,
        remote=from_,
        remote_tag=from_.tag or "",
        local_cseq=0,
        remote_cseq=request.cseq.number,
        target=target,
        routes=routes,
        contact_user=uri.user or "" if isinstance(uri, SipUri) else "",
        flow=flow,
    )
    # §12.1.1: SIPS in the Request-URI, else in what the peer's requests and ours go to first.
    dialog.secure = "sips" in (getattr(uri, "scheme", ""), dialog.next_hop_uri().scheme)
    return dialog


def uac_dialog(request: Request, response: Response, flow: Hop, contact_user: str) -> Dialog:
    """Make the dialog of a response to our request (§12.1.2).

    A response without Contact breaks §13.3.1.4, and comes from peers that work all the same: what follows goes where
    the request went.

    Raises:
        RemoteProtocolError: the response has an unusable Contact or Record-Route; see `stopgap_dialog`.
    """
    astray = response.contact is None
    target = _asked_for(request, flow) if astray else _contact_of(response)
    _ = response.record_routes  # each is sent back to the peers later on, so each must be sound
    dialog = _uac_dialog(request, response, flow, contact_user, target, response.headers)
    dialog.astray = astray
    return dialog


def stopgap_dialog(request: Request, response: Response, flow: Hop, contact_user: str) -> Dialog:
    """Make the dialog of a 2xx that says nonsense about where to go on: ACK and BYE go where the INVITE went."""
    dialog = _uac_dialog(request, response, flow, contact_user, _asked_for(request, flow), None)
    dialog.astray = True
    return dialog


def _asked_for(request: Request, flow: Hop) -> SipUri:
    """Say whom a request of ours was for; of one for no SIP URI, where it went."""
    uri = request.request_uri
    return _as_request_uri(uri) if isinstance(uri, SipUri) else SipUri("sip", None, None, flow.host, flow.port)


def _uac_dialog(
    request: Request, response: Response, flow: Hop, contact_user: str, target: SipUri, routed: Headers | None
) -> Dialog:
    from_, to = request.from_, response.to
    routes = routed.values("Record-Route")[::-1] if routed is not None and "record-route" in routed else []
    return Dialog(
        call_id=request.call_id,
        local=from_,
        local_tag=from_.tag or "",
        remote=to,
        remote_tag=to.tag or "",
        local_cseq=request.cseq.number,
        remote_cseq=None,
        target=target,
        routes=routes,
        contact_user=contact_user,
        flow=flow._replace(connection=0) if flow.connection else flow,
        secure=request.uri[:5].lower() == "sips:",
    )


def _with_tag(address: NameAddr, tag: str) -> str:
    return str(address) if address.tag or not tag else f"{address};tag={tag}"


def _contact_of(message: Request | Response) -> SipUri:
    contact = message.contact
    if contact is None and isinstance(message, Request) and not message.branch.startswith(MAGIC_COOKIE):
        contact = message.from_  # RFC 2543 §6.22: a caller of those days without Contact is reached by its From
    if contact is None:
        raise RemoteProtocolError("a message that makes a dialog needs a Contact (RFC 3261 §12.1.1)")
    return _as_request_uri(_sip_uri(contact, "Contact"))


def _sip_uri(address: NameAddr, header: str) -> SipUri:
    if not isinstance(address.uri, SipUri):
        raise RemoteProtocolError(f"{header} {str(address)[:80]} is not a SIP URI")
    return address.uri


def _as_request_uri(uri: SipUri) -> SipUri:
    """Leave out what may not stand in a Request-URI: headers and the method parameter (§19.1.1 table 1)."""
    if not uri.headers and not (uri.params and uri.has_param("method")):
        return uri
    return uri.without_params("method")._replace(headers="")


def dialog_id_of(request: Request) -> DialogId:
    """Say which dialog of ours a request of the peer names (§12.2.2): its To tag is our tag."""
    tag = request.to.tag
    if tag is None:
        raise LocalProtocolError("only a request with a To tag names a dialog")
    return (request.call_id, tag, request.from_.tag or "")
