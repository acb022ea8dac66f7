"""What every usage of the user agent shares: transactions, dialogs, ids, names of ours, timers."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import ip_address
from itertools import count

from sipflow.sip.addressing import DEFAULT_PORTS, Addressing
from sipflow.sip.admission import Abilities
from sipflow.sip.alarms import Alarms
from sipflow.sip.body import ACCEPT, SDP
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.dialog import Dialog, DialogId
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.headers.lines import Written, write_lines
from sipflow.sip.headers.via import Via
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.outputs import Output, Resolve, Transmit
from sipflow.sip.plan import RequestPlan
from sipflow.sip.resting import Resting
from sipflow.sip.session_timer import TIMER, SessionSettings
from sipflow.sip.subscription import Subscription, Subscriptions
from sipflow.sip.timers import DEFAULT_TIMERS, Timers
from sipflow.sip.transaction.layer import ClientTransaction, ServerTransaction, TransactionLayer
from sipflow.sip.uri import SipUri
from sipflow.sip.usage.invite import InviteUsage
from sipflow.sip.usage.prack import RELIABLE
from sipflow.sip.usage.uac import UacInvite

_TCP_REFUSED_S = 60.0  # how long a peer that took no TCP is sent big requests by UDP; short, for it must not stick
_MAX_REMEMBERED = 4096  # accounts with live nonces, and peers that refuse TCP: one per trunk is normal
_ANSWERED_ABLY = frozenset({"INVITE", "OPTIONS", "UPDATE"})
_IDENTITY = ("Via", "From", "Call-ID", "CSeq")  # what the repetitions of a request have in common
Lines = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the user agent names itself and paces itself.

    Attributes:
        user_agent: value of Server and User-Agent; "" leaves both out.
        addressing: what we advertise.
        timers: RFC 3261 table 4.
        max_transactions: beyond this, requests are refused with 503 without any state.
        session: session timers (RFC 4028).
        refer: whether a REFER is handed up, as `ReferReceived`; otherwise it is refused with 405.
        message: whether a MESSAGE is handed up, as `MessageReceived`; otherwise it is refused with 405.
        replaces: whether an INVITE may take the place of a call of ours (RFC 3891), as `InviteReceived.replaces`;
            otherwise one that names a call of ours is refused with 603.
    """

    user_agent: str = "sipflow"
    addressing: Addressing = field(default_factory=Addressing)
    timers: Timers = DEFAULT_TIMERS
    max_transactions: int = 50_000
    session: SessionSettings = field(default_factory=SessionSettings)
    refer: bool = False
    message: bool = False
    replaces: bool = False


class Stack:
    """Shared state of one user agent.

    Attributes:
        layer: the transactions.
        ids: the only randomness.
        dialogs: INVITE usages by dialog.
        callers: calls of ours that are over but may still be answered by a late fork, by Call-ID and From tag.
        subscriptions: REFERs, ours and the peers', whose end is not told yet.
        able: what we take and say that we can.
        listen_ports: our listening port per transport; a transport without one is missing.
        alarms: when which usage wants to be woken.
        resting: which targets are tried last.
    """

    def __init__(self, settings: Settings, ids: Ids) -> None:
        self.settings = settings
        self.timers = settings.timers
        self.ids = ids
        self.layer = TransactionLayer(timers=settings.timers, max_transactions=settings.max_transactions)
        self.dialogs: dict[DialogId, InviteUsage] = {}
        self.callers: dict[tuple[str, str | None], UacInvite] = {}
        self.subscriptions = Subscriptions(self)
        self.resting = Resting()
        self.able = Abilities(
            timers=settings.session.on,
            refer=settings.refer,
            replaces=settings.replaces,
            message=settings.message,
        )
        self.listen_ports: dict[str, int] = {}
        self._tag_prefix = ids.tag()[: -len(ids.token())]  # the node's, as in every id of ours
        self._tag_key = ids.token(16).encode()
        signature = (("Server", settings.user_agent),) if settings.user_agent else ()
        self._signature = write_lines(signature)  # under each response
        self._name = write_lines([("User-Agent", value) for _, value in signature])  # in each request
        self._asked: dict[tuple[str, bool, bool], Written] = {}  # lines, as `_asking` makes them
        self._abilities = self._able_lines(signature, self.able.supported)  # instead, under some
        self._timeless = self._able_lines(signature, self.able.supported_without(TIMER))  # where timers are off
        self.alarms: Alarms[InviteUsage | Subscription] = Alarms()
        self._contacts: dict[tuple[Hop, str, str, bool], tuple[str, str]] = {}  # lines, as `contact` makes them
        self._order = count()
        self._waiting: dict[int, ClientRequest | _WaitingAck] = {}
        self._digests: OrderedDict[tuple[tuple[Account, ...], str, bool], DigestClient] = OrderedDict()
        self._tcp_refused: OrderedDict[tuple[str, int], float] = OrderedDict()

    def _able_lines(self, signature: Lines, supported: str) -> Written:
        return write_lines(
            (*signature, ("Allow", self.able.allow), *((("Supported", supported),) if supported else ()))
        )

    # Usages

    def remember(self, usage: InviteUsage) -> None:
        """Let requests inside the usage's dialog reach it."""
        self.dialogs[usage.established.id] = usage

    def forget(self, usage: InviteUsage) -> None:
        """Let requests inside the usage's dialog be answered 481."""
        if usage.dialog is not None:
            self.dialogs.pop(usage.dialog.id, None)

    def schedule(self, usage: InviteUsage | Subscription) -> None:
        """Take over the deadline that the usage has now."""
        self.alarms.note(usage)

    @property
    def deadline(self) -> float | None:
        """The next moment of `due`; monotonic seconds."""
        return self.alarms.next()

    def due(self, *, now: float) -> list[Output]:
        """Run the usages whose time has come."""
        outputs: list[Output] = []
        for usage in self.alarms.due(now):
            outputs += usage.handle_timer(now=now)
            self.alarms.note(usage)
        return outputs

    @property
    def sizes(self) -> dict[str, int]:
        """How many entries each index has, for gauges and tests; all zero when nothing is going on."""
        return {
            **self.layer.sizes,
            "dialogs": len(self.dialogs),
            "callers": len(self.callers),
            "alarms": len(self.alarms),
            "look_ups": len(self._waiting),
            "subscriptions": len(self.subscriptions),
        }

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

    def digest(
        self, accounts: tuple[Account, ...], destination: SipUri, *, allow_md5: bool = True
    ) -> DigestClient | None:
        """The digest memory of these accounts at this destination, so that live nonces are used again."""
        if not accounts:
            return None
        key = (accounts, str(destination), allow_md5)
        client = self._digests.get(key)
        if client is None:
            client = DigestClient(accounts, cnonce=self.ids.token, allow_md5=allow_md5)
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

    def via(self, hop: Hop, advertise: str) -> Via:
        return self.settings.addressing.via(hop, self.ids.branch(), advertise)

    def local(self, hop: Hop, advertise: str) -> tuple[str, int]:
        return self.settings.addressing.own(hop, advertise)

    def contact(self, dialog: Dialog, hop: Hop, advertise: str) -> tuple[str, str]:
        """Our Contact line in `dialog`, on `hop`."""
        key = (hop, dialog.contact_user, advertise, dialog.secure)
        line = self._contacts.get(key)
        if line is None:
            user, secure = dialog.contact_user, dialog.secure
            uri = self.settings.addressing.contact_uri(hop, user, (), advertise, secure=secure)
            if len(self._contacts) >= _MAX_REMEMBERED:
                self._contacts.clear()
            line = self._contacts[key] = ("Contact", f"<{uri}>")
        return line

    def plan_request(self, plan: RequestPlan, hop: Hop, cseq: int, *, session: Lines = ()) -> Request:
        """Build a request outside a dialog for one hop, without Via (RFC 3261 §8.1.1).

        `session` is what an INVITE says of its session timer; without it, it knows none.
        """
        request = Request(plan.method, str(plan.uri))
        headers, method = request.headers, plan.method
        if plan.routes:
            headers.add_all([("Route", route) for route in plan.routes])
        lines = [
            ("Max-Forwards", str(plan.max_forwards)),
            ("From", str(plan.from_)),
            ("To", str(plan.to)),
            ("Call-ID", plan.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if plan.with_contact and method != "MESSAGE":
            uri = self.settings.addressing.contact_uri(
                hop, plan.contact_user, plan.contact_params, plan.advertise, secure=plan.uri.scheme == "sips"
            )
            lines.append(("Contact", f"<{uri}>{plan.contact_header_params}"))
        headers.add_all((*lines, *plan.headers))
        if method == "INVITE" or method == "REFER":
            headers.add_written(self._asking(method, plan.reliable, bool(session)))
            headers.add_all(session)
        self.complete(request, plan.body, plan.content_type)
        return request

    def _asking(self, method: str, reliable: bool, timers: bool) -> Written:
        """Give the lines that say what we can, in a request that makes a dialog."""
        written = self._asked.get((method, reliable, timers))
        if written is None:
            supported = self.supported(reliable=reliable, timers=timers) if method == "INVITE" else ""
            written = self._asked[method, reliable, timers] = self._able_lines((), supported)  # §13.2.1, RFC 3262 §4,
        return written  # RFC 4028 §7.1

    def supported(self, *, reliable: bool = True, timers: bool = True) -> str:
        """What we say that we support in a call that may have one or the other switched off; "" for nothing."""
        return self.able.supported_without(*(() if reliable else (RELIABLE,)), *(() if timers else (TIMER,)))

    def complete(self, request: Request, body: bytes, content_type: str) -> None:
        """Add who we are, and the body."""
        headers = request.headers
        headers.add_written(self._name)
        if not body:
            return
        if "Content-Type" in headers or "Content-Length" in headers:
            request.set_body(body, content_type or SDP)
            return
        request.body = body
        headers.add_all((("Content-Type", content_type or SDP), ("Content-Length", str(len(body)))))

    def known_hops(self, dialog: Dialog) -> tuple[Hop, ...]:
        """The hop of a request inside `dialog` where no look-up is needed, else nothing.

        A connection that the peer opened serves for all that goes to its host, whatever port its URI names. Without a
        route set the dialog's source serves too where the Contact cannot be reached from outside its own network, and
        where the peer spoke TLS: what follows must not go in the clear.
        """
        uri, flow = dialog.next_hop_uri(), dialog.flow
        if dialog.astray and not dialog.routes:
            return (flow,)  # whom the request was for does not say where it was sent: a proxy may stand in between
        if uri.param("maddr"):
            return ()  # RFC 3263 §4: the target is elsewhere
        transport = transport_of(uri)
        if uri.host == flow.host:
            port = uri.port or DEFAULT_PORTS.get(flow.transport, 5060)
            if transport == flow.transport:
                return (flow if flow.port == port else flow._replace(port=port),)
            unsaid = uri.scheme == "sip" and not uri.param("transport")
            if flow.reliable and unsaid and (flow.connection or port == flow.port):
                return (flow,)
        if dialog.routes:
            return ()
        return (flow,) if _downgraded(uri, flow) or _behind_nat(uri.host, flow.host) else ()

    def destination(self, dialog: Dialog) -> SipUri:
        """What to look up for a request inside `dialog`: its next hop; over TLS if the dialog came over TLS."""
        uri = dialog.next_hop_uri()
        return uri.with_params(("transport", "tls")) if _downgraded(uri, dialog.flow) else uri

    def send_ack(self, dialog: Dialog, invite: Request, advertise: str, *, now: float) -> list[Output]:
        """Acknowledge a 2xx (§13.2.2.4): not a transaction, sent afresh for every repeat of the 2xx."""
        ack = dialog.request("ACK", cseq=invite.cseq.number)
        for name in ("Authorization", "Proxy-Authorization"):
            if name in invite.headers:  # §13.2.2.4: the same credentials as the INVITE
                ack.headers.add_all([(name, value) for value in invite.headers.all(name)])
        self.complete(ack, b"", "")
        waiting = _WaitingAck(self, ack, advertise, dialog.flow)
        hops = self.known_hops(dialog)
        if hops:
            return waiting.resolved(hops, now=now)
        return [Resolve(self.await_hops(waiting), self.destination(dialog))]

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
        timers: bool = True,
    ) -> Response:
        """Build a response (§8.2.6); some 2xx say what we allow and support (§13.3.1.4, RFC 3311 §4).

        With `timers` off, session timers are not among it.
        """
        able = 200 <= status < 300 and request.method in _ANSWERED_ABLY
        written = self._signature if not able else self._abilities if timers else self._timeless
        return make_response(
            request,
            status,
            reason or None,
            to_tag=to_tag or (self.ids.tag() if status > 100 else None),
            headers=headers,
            body=body,
            content_type=content_type or None,
            written=written,
        )

    def respond(
        self, transaction: ServerTransaction, status: int, reason: str = "", *, now: float, headers: Lines = ()
    ) -> list[Output]:
        """Build and send a response without body."""
        response = self.response(transaction.request, status, reason, headers=headers)
        return list(self.layer.respond(transaction, response, now=now))

    def stateless_response(self, request: Request, status: int, headers: Lines) -> Response:
        """Build a response whose To tag is the same for every repetition of the request (§8.2.7). Never raises."""
        identity = "\n".join([value for name in _IDENTITY for value in request.headers.all(name)])
        tag = blake2b(identity.encode("utf-8", "surrogateescape"), key=self._tag_key, digest_size=8)
        tag_text = self._tag_prefix + tag.hexdigest()
        return make_response(request, status, to_tag=tag_text, headers=headers, written=self._signature)

    def trying(self, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Stop the retransmissions of an INVITE (§17.2.1)."""
        return list(self.layer.respond(transaction, make_response(transaction.request, 100), now=now))

    def respond_options(self, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Say what we can do (§11.2)."""
        return self.respond(transaction, 200, headers=(("Accept", ACCEPT), ("Accept-Encoding", "identity")), now=now)


class _WaitingAck:
    """An ACK whose next hop is being looked up."""

    __slots__ = ("_ack", "_advertise", "_flow", "_stack")

    def __init__(self, stack: Stack, ack: Request, advertise: str, flow: Hop) -> None:
        self._stack = stack
        self._ack = ack
        self._advertise = advertise
        self._flow = flow

    def resolved(self, hops: tuple[Hop, ...], *, now: float) -> list[Output]:
        if not hops:
            return []
        hop = self._stack.resting.order(hops, now=now, flow=self._flow)[0]  # an ACK has no answer to wait for
        self._ack.push_via(self._stack.via(hop, self._advertise))
        return [Transmit(bytes(self._ack), hop, None)]

    def unresolved(self, reason: str, *, now: float) -> list[Output]:  # noqa: ARG002
        return []  # the far end repeats its 2xx, and each repeat looks the hop up again


def transport_of(uri: SipUri) -> str:
    """The transport a URI asks for; UDP where it says nothing and needs no look-up (RFC 3263 §4.1)."""
    asked = (uri.param("transport") or "").lower()
    if uri.scheme == "sips":
        return "tls"
    return asked or "udp"


def _downgraded(uri: SipUri, flow: Hop) -> bool:
    """Whether going by `uri` alone would carry a call that came over TLS in the clear."""
    return flow.transport == "tls" and transport_of(uri) != "tls"


def _behind_nat(contact_host: str, source_host: str) -> bool:
    """Whether a Contact names an address that only its own network, or its own machine, can reach."""
    try:
        contact, source = ip_address(contact_host), ip_address(source_host)
    except ValueError:
        return False
    if contact.is_unspecified or (contact.is_loopback and not source.is_loopback):
        return True
    if source.is_loopback:  # whoever is on this machine can be answered here, wherever its Contact means
        return not contact.is_loopback and not contact.is_global
    return source.is_global and not contact.is_global
