"""What every usage of the user agent shares: transactions, dialogs, ids, names of ours, timers."""

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count

from sipflow.sip.addressing import DEFAULT_PORTS, Addressing
from sipflow.sip.admission import ALLOW, SDP
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.dialog import Dialog, DialogId
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.outputs import Output, Resolve, Transmit
from sipflow.sip.plan import RequestPlan
from sipflow.sip.timers import DEFAULT_TIMERS, Timers
from sipflow.sip.transaction.layer import ClientTransaction, ServerTransaction, TransactionLayer
from sipflow.sip.uri import SipUri
from sipflow.sip.usage.invite import InviteUsage

_TCP_REFUSED_S = 60.0  # how long a peer that took no TCP is sent big requests by UDP; short, for it must not stick
_MAX_REMEMBERED = 4096  # accounts with live nonces, and peers that refuse TCP: one per trunk is normal
Lines = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the user agent names itself and paces itself.

    Attributes:
        user_agent: value of Server and User-Agent; "" leaves both out.
        addressing: what we advertise.
        timers: RFC 3261 table 4.
        max_transactions: beyond this, requests are refused with 503 without any state.
        allow_md5: whether MD5 challenges are answered.
    """

    user_agent: str = "sipflow"
    addressing: Addressing = field(default_factory=Addressing)
    timers: Timers = DEFAULT_TIMERS
    max_transactions: int = 50_000
    allow_md5: bool = True


class Stack:
    """Shared state of one user agent.

    Attributes:
        layer: the transactions.
        ids: the only randomness.
        dialogs: INVITE usages by dialog.
        listen_ports: our listening port per transport; a transport without one is missing.
    """

    def __init__(self, settings: Settings, ids: Ids) -> None:
        self.settings = settings
        self.timers = settings.timers
        self.ids = ids
        self.layer = TransactionLayer(timers=settings.timers, max_transactions=settings.max_transactions)
        self.dialogs: dict[DialogId, InviteUsage] = {}
        self.listen_ports: dict[str, int] = {}
        self._server_line = (("Server", settings.user_agent),) if settings.user_agent else ()
        self._timers: list[tuple[float, int, InviteUsage]] = []
        self._order = count()
        self._waiting: dict[int, ClientRequest | _WaitingAck] = {}
        self._digests: OrderedDict[tuple[tuple[Account, ...], str], DigestClient] = OrderedDict()
        self._tcp_refused: OrderedDict[tuple[str, int], float] = OrderedDict()

    # Usages

    def remember(self, usage: InviteUsage) -> None:
        """Let requests inside the usage's dialog reach it."""
        self.dialogs[usage.established.id] = usage

    def forget(self, usage: InviteUsage) -> None:
        """Let requests inside the usage's dialog be answered 481."""
        if usage.dialog is not None:
            self.dialogs.pop(usage.dialog.id, None)

    def schedule(self, usage: InviteUsage) -> None:
        """Note the usage's deadline; one that it no longer has is skipped when it comes up."""
        if usage.deadline is not None:
            heapq.heappush(self._timers, (usage.deadline, next(self._order), usage))

    @property
    def deadline(self) -> float | None:
        """The next moment of `due`; monotonic seconds."""
        while self._timers and self._timers[0][2].deadline is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def due(self, *, now: float) -> list[Output]:
        """Run the usages whose time has come."""
        outputs: list[Output] = []
        while self._timers and self._timers[0][0] <= now:
            usage = heapq.heappop(self._timers)[2]
            if usage.deadline is not None and usage.deadline <= now:
                outputs += usage.handle_timer(now=now)
            self.schedule(usage)
        return outputs

    def below(self, limit: int) -> int:
        """A random number from 0 to `limit` - 1."""
        return int(self.ids.token(4), 16) % limit

    # Requests of ours

    def own(self, transaction: ClientTransaction, request: ClientRequest) -> None:
        transaction.owner = request

    def await_hops(self, request: "ClientRequest | _WaitingAck") -> int:
        key = next(self._order)
        self._waiting[key] = request
        return key

    def resolved(self, key: object, hops: tuple[Hop, ...], *, now: float) -> list[Output]:
        """Hand the hops of a `Resolve` to whoever waits for them."""
        request = self._waiting.pop(key, None) if isinstance(key, int) else None
        return request.resolved(hops, now=now) if request is not None else []

    def unresolved(self, key: object, reason: str, *, now: float) -> list[Output]:
        """Tell whoever waits that a `Resolve` found nothing."""
        request = self._waiting.pop(key, None) if isinstance(key, int) else None
        return request.unresolved(reason, now=now) if request is not None else []

    def digest(self, accounts: tuple[Account, ...], destination: SipUri) -> DigestClient | None:
        """The digest memory of these accounts at this destination, so that live nonces are used again."""
        if not accounts:
            return None
        key = (accounts, str(destination))
        client = self._digests.get(key)
        if client is None:
            client = DigestClient(accounts, cnonce=self.ids.token, allow_md5=self.settings.allow_md5)
            self._digests[key] = client
            if len(self._digests) > _MAX_REMEMBERED:
                self._digests.popitem(last=False)
        else:
            self._digests.move_to_end(key)
        return client

    def stream_variant(self, hop: Hop, *, now: float) -> Hop | None:
        if self._tcp_refused.get((hop.host, hop.port), 0.0) > now:
            return None
        return hop._replace(transport="tcp", local_port=self.listen_ports.get("tcp", 0), connection=0)

    def stream_refused(self, hop: Hop, *, now: float) -> None:
        self._tcp_refused[hop.host, hop.port] = now + _TCP_REFUSED_S
        self._tcp_refused.move_to_end((hop.host, hop.port))
        if len(self._tcp_refused) > _MAX_REMEMBERED:
            self._tcp_refused.popitem(last=False)

    def via(self, hop: Hop, advertise: str) -> str:
        return self.settings.addressing.via(hop, self.ids.branch(), advertise)

    def local(self, hop: Hop, advertise: str) -> tuple[str, int]:
        return self.settings.addressing.own(hop, advertise)

    def contact(self, hop: Hop, user: str, advertise: str) -> list[tuple[str, str]]:
        """Our Contact line on `hop`."""
        return [("Contact", f"<{self.settings.addressing.contact_uri(hop, user, (), advertise)}>")]

    def plan_request(self, plan: RequestPlan, hop: Hop, cseq: int) -> Request:
        """Build a request outside a dialog for one hop, without Via (RFC 3261 §8.1.1)."""
        request = Request(plan.method, str(plan.uri))
        headers = request.headers
        for route in plan.routes:
            headers.add("Route", route)
        headers.add("Max-Forwards", "70")
        headers.add("From", str(plan.from_))
        headers.add("To", str(plan.to))
        headers.add("Call-ID", plan.call_id)
        headers.add("CSeq", f"{cseq} {plan.method}")
        if plan.with_contact:
            uri = self.settings.addressing.contact_uri(hop, plan.contact_user, plan.contact_params, plan.advertise)
            headers.add("Contact", f"<{uri}>{plan.contact_header_params}")
        for name, value in plan.headers:
            headers.add(name, value)
        if plan.method == "INVITE":
            headers.add("Allow", ALLOW)  # §13.2.1
        self.complete(request, plan.body, plan.content_type)
        return request

    def complete(self, request: Request, body: bytes, content_type: str) -> None:
        """Add who we are, and the body."""
        if self.settings.user_agent:
            request.headers.add("User-Agent", self.settings.user_agent)
        if body:
            request.set_body(body, content_type or SDP)
        else:
            request.headers.add("Content-Length", "0")

    def known_hops(self, dialog: Dialog) -> tuple[Hop, ...]:
        """The hop of a request inside `dialog` where no look-up is needed, else nothing.

        A peer behind NAT gives a private Contact: without a route set its requests' source is the better address.
        """
        uri, flow = dialog.next_hop_uri(), dialog.flow
        host, port = uri.host, uri.port or DEFAULT_PORTS.get(flow.transport, 5060)
        if transport_of(uri) == flow.transport and host == flow.host:
            return (flow._replace(port=port),)
        if dialog.routes or not (flow.reliable or _behind_nat(host, flow.host)):
            return ()
        return (flow,)

    def send_ack(self, dialog: Dialog, invite: Request, advertise: str, *, now: float) -> list[Output]:
        """Acknowledge a 2xx (§13.2.2.4): not a transaction, sent afresh for every repeat of the 2xx."""
        ack = dialog.request("ACK", cseq=invite.cseq.number)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.all(name):  # §13.2.2.4: the same credentials as the INVITE
                ack.headers.add(name, value)
        self.complete(ack, b"", "")
        waiting = _WaitingAck(self, ack, advertise)
        hops = self.known_hops(dialog)
        if hops:
            return waiting.resolved(hops, now=now)
        return [Resolve(self.await_hops(waiting), dialog.next_hop_uri())]

    # Responses of ours

    def response(
        self,
        request: Request,
        status: int,
        reason: str = "",
        *,
        to_tag: str | None = None,
        headers: Lines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> Response:
        """Build a response (§8.2.6); a 2xx to INVITE or OPTIONS says what we allow (§13.3.1.4)."""
        lines = [*headers, *self._server_line]
        if 200 <= status < 300 and request.method in ("INVITE", "OPTIONS"):
            lines.append(("Allow", ALLOW))
        tag = to_tag or (self.ids.tag() if status > 100 else None)
        return make_response(
            request, status, reason or None, to_tag=tag, headers=lines, body=body, content_type=content_type or None
        )

    def respond(
        self, transaction: ServerTransaction, status: int, reason: str = "", *, now: float, headers: Lines = ()
    ) -> list[Output]:
        """Build and send a response without body."""
        response = self.response(transaction.request, status, reason, headers=headers)
        return list(self.layer.respond(transaction, response, now=now))

    def trying(self, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Stop the retransmissions of an INVITE (§17.2.1)."""
        return list(self.layer.respond(transaction, make_response(transaction.request, 100), now=now))

    def respond_options(self, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Say what we can do (§11.2)."""
        return self.respond(transaction, 200, headers=(("Accept", SDP), ("Accept-Encoding", "identity")), now=now)


class _WaitingAck:
    """An ACK whose next hop is being looked up."""

    __slots__ = ("_ack", "_advertise", "_stack")

    def __init__(self, stack: Stack, ack: Request, advertise: str) -> None:
        self._stack = stack
        self._ack = ack
        self._advertise = advertise

    def resolved(self, hops: tuple[Hop, ...], *, now: float) -> list[Output]:  # noqa: ARG002  (shape of ClientRequest)
        if not hops:
            return []
        self._ack.headers.insert("Via", self._stack.via(hops[0], self._advertise))
        return [Transmit(bytes(self._ack), hops[0], None)]

    def unresolved(self, reason: str, *, now: float) -> list[Output]:  # noqa: ARG002
        return []  # the far end repeats its 2xx, and each repeat looks the hop up again


def transport_of(uri: SipUri) -> str:
    """The transport a URI asks for; UDP where it says nothing and needs no look-up (RFC 3263 §4.1)."""
    asked = (uri.param("transport") or "").lower()
    if uri.scheme == "sips":
        return "tls"
    return asked or "udp"


def _behind_nat(contact_host: str, source_host: str) -> bool:
    try:
        contact, source = ip_address(contact_host), ip_address(source_host)
    except ValueError:
        return False
    return contact.is_private and not source.is_private
