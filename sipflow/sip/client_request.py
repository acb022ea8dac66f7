"""One request as its sender means it: tries target after target, answers challenges, ends in one outcome.

Below it are transactions (one per target and per answered challenge); above it is whoever wanted the request sent.
"""

from collections.abc import Callable
from typing import Protocol

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import DigestClient
from sipflow.sip.headers.via import Via
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Output, Resolve
from sipflow.sip.plan import Outcome
from sipflow.sip.resting import Resting
from sipflow.sip.status import reason_phrase
from sipflow.sip.transaction.layer import ClientTransaction, TransactionLayer
from sipflow.sip.transaction.machine import PROCEEDING
from sipflow.sip.uri import SipUri

UDP_LIMIT_BYTES = 1300  # RFC 3261 §18.1.1: larger requests take a congestion-controlled transport
_CHALLENGES = (401, 407)
_BESIDE_LINES = 64  # at most: method, version, Content-Length, line ends; no method of ours is longer than ten letters
_MAX_CHALLENGES = 4  # a proxy chain may ask once per realm, plus one stale nonce; more is a loop
_ANYWHERE = Hop("udp", "0.0.0.0", 5060, "0.0.0.0", 5060)  # noqa: S104  (nothing is sent there, and nothing bound)
OnProvisional = Callable[[Response, Hop, float], list[Output]]
OnFinal = Callable[[Outcome, float], list[Output]]


class RequestContext(Protocol):
    """What a client request needs of the stack it runs in."""

    layer: TransactionLayer
    resting: Resting

    def own(self, transaction: ClientTransaction, request: "ClientRequest") -> None:
        """Have the responses of `transaction` handed to `request`."""

    def await_hops(self, request: "ClientRequest") -> object:
        """Give a key under which `resolved` or `unresolved` will reach `request`."""

    def stream_variant(self, hop: Hop, *, now: float) -> Hop | None:
        """The TCP hop beside a UDP one; None where TCP was refused lately."""

    def stream_refused(self, hop: Hop, *, now: float) -> None:
        """Remember that `hop` takes no TCP."""

    def via(self, hop: Hop, advertise: str) -> Via:
        """A fresh Via value for `hop`."""

    def local(self, hop: Hop, advertise: str) -> tuple[str, int]:
        """Host and port of our Contact on `hop`."""


class ClientRequest:
    """Sends one request and follows it to its end (RFC 3261 §8.1, §22.2; RFC 3263 §4.3).

    Args:
        destination: what `Resolve` asks for when `hops` is empty or, with `look_up_after`, none of them could be
            reached.
        hops: where to send, best first, when that is known already.
        build: makes the request, without Via and credentials, for one hop and CSeq number.
        next_cseq: gives that number; asked once, and again for each answered challenge.
        on_provisional, on_final: told what came of it. A 2xx to INVITE is final each time it is repeated.
        on_attempt: told before each sending, the first one too: what an earlier target said is void.
        digest: answers challenges, None to hand them up.
        advertise: "host" or "host:port" that stands in the Via instead of our own address.
        flow: the connection to prefer where a hop leads to the same host.
        fail_over: whether a 408 or 5xx tries the next hop.
        look_up_after: whether `hops` is a guess, and `destination` is asked for when it cannot be reached.

    Attributes:
        sent: the request as last sent, with its Via; None before the first attempt.
        hop: where it was last sent.
        home: the hop our Contact was made for: `hop`, or its UDP twin where only the size asked for TCP.
        transaction: the last client transaction, None before the first.
    """

    def __init__(
        self,
        context: RequestContext,
        *,
        destination: SipUri,
        hops: tuple[Hop, ...] = (),
        build: Callable[[Hop, int], Request],
        next_cseq: Callable[[], int],
        on_provisional: OnProvisional,
        on_final: OnFinal,
        on_attempt: Callable[[], None] | None = None,
        digest: DigestClient | None = None,
        advertise: str = "",
        flow: Hop | None = None,
        fail_over: bool = True,
        look_up_after: bool = False,
    ) -> None:
        self._context = context
        self._destination = destination
        self._hops = list(hops)
        self._build = build
        self._next_cseq = next_cseq
        self._on_provisional = on_provisional
        self._on_final = on_final
        self._on_attempt = on_attempt
        self._digest = digest
        self._advertise = advertise
        self._flow = flow
        self._fail_over = fail_over
        self._look_up_after = look_up_after
        self._cseq = 0
        self._credentials: list[tuple[str, str]] = []
        self._challenges = 0
        self._udp_fallback: Hop | None = None
        self._given_up = False
        self._heard = False
        self.sent: Request | None = None
        self.hop: Hop | None = None
        self.home: Hop | None = None
        self.transaction: ClientTransaction | None = None

    def start(self, *, now: float) -> list[Output]:
        """Send to the first known hop, or ask for the hops of the destination.

        Raises:
            LocalProtocolError: CR, LF or NUL in what was to be sent; nothing has been sent or kept.
        """
        if self._hops:
            self._cseq = self._next_cseq()
            return self._try_next(now)
        bytes(self._build(_ANYWHERE, 0))  # whoever asks for a broken request hears of it now, not from the resolver
        self._cseq = self._next_cseq()
        return self._look_up()

    def _look_up(self) -> list[Output]:
        self._look_up_after = False
        return [Resolve(self._context.await_hops(self), self._destination)]

    @property
    def proceeding(self) -> bool:
        """Whether the target it was last sent to has answered, but not finally: what CANCEL waits for (§9.1)."""
        return self.transaction is not None and self.transaction.state is PROCEEDING

    def give_up(self) -> None:
        """Try no further target and answer no further challenge; what is under way goes on to its end."""
        self._given_up = True

    def abandon(self) -> None:
        """Forget what is under way too: a final response that comes after all finds nobody (§9.1)."""
        self._given_up = True
        if self.transaction is not None:
            self._context.layer.discard(self.transaction)

    def hush(self) -> None:
        """Send it nowhere again; an answer that comes after all still counts."""
        self._given_up = True
        if self.transaction is not None:
            self._context.layer.hush(self.transaction)

    def again(self, *, now: float) -> list[Output]:
        """Send once more where it went last, with the next CSeq: what it says has changed (RFC 4028 §7.3).

        Raises:
            LocalProtocolError: it was never sent.
        """
        if self.hop is None:
            raise LocalProtocolError("what was never sent cannot be sent again")
        self._cseq = self._next_cseq()
        return self._send(self.hop, now, home=self._udp_fallback)

    def resolved(self, hops: tuple[Hop, ...], *, now: float) -> list[Output]:
        """Take the hops of the destination, best first."""
        if self._given_up:
            return self._end(487, "Request Terminated", None, now)
        if self.hop is None:
            self._hops = [self._on_open_flow(hop) for hop in hops]
        else:  # the open flow was tried before anything was looked up, and failed
            tried = self.hop[:3]
            self._hops = [hop for hop in hops if hop[:3] != tried]
        if self._hops:
            self._hops = list(self._context.resting.order(tuple(self._hops), now=now, flow=self._flow))
            return self._try_next(now)
        return self.unresolved(f"no {'other ' if self.hop else ''}address for {self._destination.host}", now=now)

    def unresolved(self, reason: str, *, now: float) -> list[Output]:
        """End: the destination has no address."""
        return self._end(503, reason, None, now)

    def receive(self, response: Response, hop: Hop, *, now: float) -> list[Output]:
        """Handle a response of the live transaction."""
        status = response.status
        if status < 200:
            self._heard = True
            return self._on_provisional(response, hop, now)
        if self.hop is not None:
            self._context.resting.note(self.hop, response, now=now)
        if status in _CHALLENGES and not self._given_up and self._answer_challenge(response):
            self._cseq = self._next_cseq()
            return self._send(hop_again(self.hop, hop), now, home=self._udp_fallback)
        if self._digest is not None and status not in _CHALLENGES:
            self._digest.observe(response)
        if self._may_fail_over(status):
            return self._try_next(now)
        return self._end(status, response.reason or reason_phrase(status), response, now)

    def timed_out(self, *, now: float) -> list[Output]:
        """Handle timer B or F: this target never answered (§8.1.3.1: as a 408)."""
        if self.hop is not None and not self._heard:
            self._context.resting.silent(self.hop, now=now)
        if self._hops and not self._given_up:
            return self._try_next(now)
        return self._end(408, f"no answer from {self.hop}", None, now)

    def failed(self, reason: str, *, now: float) -> list[Output]:
        """Handle a transport failure: this target could not be reached (§8.1.3.1: as a 503)."""
        if self._given_up:
            return self._end(503, reason or f"could not reach {self.hop}", None, now)
        if self._udp_fallback is not None:
            hop = self._udp_fallback
            self._context.stream_refused(hop, now=now)
            return self._send(hop, now)
        if self.hop is not None:
            self._context.resting.silent(self.hop, now=now)
        if self._hops:
            return self._try_next(now)
        if self._look_up_after:
            return self._look_up()
        return self._end(503, reason or f"could not reach {self.hop}", None, now)

    def _on_open_flow(self, hop: Hop) -> Hop:
        """Prefer the connection the dialog came on, where it leads to the same host."""
        flow = self._flow
        if flow is None or not hop.reliable or (hop.transport, hop.host) != (flow.transport, flow.host):
            return hop
        return hop._replace(connection=flow.connection)

    def _may_fail_over(self, status: int) -> bool:
        # 486, 600 and 603 are the callee's own words and never tried elsewhere; 5xx and 408 are a target's.
        retryable = status == 408 or 500 <= status < 600
        return retryable and self._fail_over and bool(self._hops) and not self._given_up

    def _answer_challenge(self, response: Response) -> bool:
        if self._digest is None or self.sent is None or self._challenges >= _MAX_CHALLENGES:
            return False
        credentials = self._digest.authorize(response, method=self.sent.method, uri=self.sent.uri, body=self.sent.body)
        if not credentials:
            return False
        self._challenges += 1
        self._credentials = credentials
        return True

    def _try_next(self, now: float) -> list[Output]:
        return self._send(self._hops.pop(0), now)

    def _send(self, hop: Hop, now: float, *, home: Hop | None = None) -> list[Output]:
        """Send to `hop`; `home` is its UDP twin where the request has been moved to TCP already."""
        request = self._prepare(home or hop)
        if home is not None:
            request.via = self._context.via(hop, self._advertise)
        else:
            home, hop = hop, self._upgraded(request, hop, now)
        self._udp_fallback = home if home is not hop else None
        if self._on_attempt is not None:
            self._on_attempt()
        self.sent, self.hop, self.home = request, hop, home
        self.transaction, outputs = self._context.layer.request(request, hop, now=now)
        self._context.own(self.transaction, self)
        self._heard = False
        if self._hops:
            self._context.layer.hurry(self.transaction, now=now)
        return list(outputs)

    def _upgraded(self, request: Request, hop: Hop, now: float) -> Hop:
        """Move a request too large for a datagram to TCP (§18.1.1). Its Contact stays: what follows is small again."""
        if hop.reliable or _is_small(request) or len(bytes(request)) <= UDP_LIMIT_BYTES:
            return hop
        stream = self._context.stream_variant(hop, now=now)
        if stream is None:
            return hop
        request.via = self._context.via(stream, self._advertise)
        return stream

    def _prepare(self, hop: Hop) -> Request:
        request = self._build(hop, self._cseq)
        request.push_via(self._context.via(hop, self._advertise))
        credentials, self._credentials = self._credentials or self._reused(request), []
        for name, value in credentials:
            request.headers.add(name, value)
        return request

    def _reused(self, request: Request) -> list[tuple[str, str]]:
        """Credentials from a nonce that is known to be good; each use counts it on, so none is sent twice."""
        if self._digest is None:
            return []
        return self._digest.reuse(method=request.method, uri=request.uri, body=request.body)

    def _end(self, status: int, reason: str, response: Response | None, now: float) -> list[Output]:
        transaction = self.transaction
        if transaction is not None and transaction.request.method != "INVITE":  # which may hear of forks yet
            transaction.owner = None  # or the two would hold each other until garbage is collected
        local = self._context.local(self.home, self._advertise) if self.home is not None else None
        realm = self._digest.realm if self._digest is not None else ""
        outcome = Outcome(status, reason, response, self.hop, realm, self._cseq, self._challenges, local)
        return self._on_final(outcome, now)


def _is_small(request: Request) -> bool:
    """Whether a request is so short that it need not be written to know that it fits into a datagram."""
    lines = request.headers._lines
    characters = len(request.uri) + sum(map(len, lines)) + 2 * len(lines) + _BESIDE_LINES + len(request.body)
    return characters <= UDP_LIMIT_BYTES and all(map(str.isascii, lines)) and request.uri.isascii()


def hop_again(tried: Hop | None, answered: Hop) -> Hop:
    """Choose where the answer to a challenge goes: the same target, on the connection that challenged us."""
    if tried is None:
        return answered
    return tried._replace(connection=answered.connection) if tried.reliable else tried
