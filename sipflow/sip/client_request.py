"""One request as its sender means it: tries target after target, answers challenges, ends in one outcome.

Below it are transactions (one per target and per answered challenge); above it is whoever wanted the request sent.
"""

from collections.abc import Callable
from typing import Protocol

from sipflow.sip.digest import DigestClient
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Output, Resolve
from sipflow.sip.plan import Outcome
from sipflow.sip.status import reason_phrase
from sipflow.sip.transaction.layer import ClientTransaction, TransactionLayer
from sipflow.sip.uri import SipUri

UDP_LIMIT_BYTES = 1300  # RFC 3261 §18.1.1: larger requests take a congestion-controlled transport
_CHALLENGES = (401, 407)
OnProvisional = Callable[[Response, Hop, float], list[Output]]
OnFinal = Callable[[Outcome, float], list[Output]]
_MAX_CHALLENGES = 4  # a proxy chain may ask once per realm, plus one stale nonce; more is a loop


class RequestContext(Protocol):
    """What a client request needs of the stack it runs in."""

    layer: TransactionLayer

    def own(self, transaction: ClientTransaction, request: "ClientRequest") -> None:
        """Have the responses of `transaction` handed to `request`."""

    def await_hops(self, request: "ClientRequest") -> object:
        """Give a key under which `resolved` or `unresolved` will reach `request`."""

    def stream_variant(self, hop: Hop, *, now: float) -> Hop | None:
        """The TCP hop beside a UDP one; None where TCP was refused lately."""

    def stream_refused(self, hop: Hop, *, now: float) -> None:
        """Remember that `hop` takes no TCP."""

    def via(self, hop: Hop, advertise: str) -> str:
        """A fresh Via value for `hop`."""

    def local(self, hop: Hop, advertise: str) -> tuple[str, int]:
        """Host and port of our Contact on `hop`."""


class ClientRequest:
    """Sends one request and follows it to its end (RFC 3261 §8.1, §22.2; RFC 3263 §4.3).

    Attributes:
        sent: the request as last sent, with its Via; None before the first attempt.
        hop: where it was last sent.
        transaction: the live client transaction, None before the first and after the last.
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
        digest: DigestClient | None = None,
        advertise: str = "",
        flow: Hop | None = None,
        fail_over: bool = True,
    ) -> None:
        self._context = context
        self._destination = destination
        self._hops = list(hops)
        self._build = build
        self._next_cseq = next_cseq
        self._on_provisional = on_provisional
        self._on_final = on_final
        self._digest = digest
        self._advertise = advertise
        self._flow = flow
        self._fail_over = fail_over
        self._cseq = 0
        self._credentials: list[tuple[str, str]] = []
        self._challenges = 0
        self._udp_fallback: Hop | None = None
        self._given_up = False
        self.sent: Request | None = None
        self.hop: Hop | None = None
        self.transaction: ClientTransaction | None = None

    def start(self, *, now: float) -> list[Output]:
        """Send to the first known hop, or ask for the hops of the destination."""
        self._cseq = self._next_cseq()
        if self._hops:
            return self._try_next(now)
        return [Resolve(self._context.await_hops(self), self._destination)]

    def give_up(self) -> None:
        """Try no further target and answer no further challenge; what is under way goes on to its end."""
        self._given_up = True

    def resolved(self, hops: tuple[Hop, ...], *, now: float) -> list[Output]:
        """Take the hops of the destination, best first."""
        if self._given_up:
            return self._end(487, "Request Terminated", None, now)
        self._hops = [self._on_open_flow(hop) for hop in hops]
        if not self._hops:
            return self.unresolved(f"no address for {self._destination.host}", now=now)
        return self._try_next(now)

    def unresolved(self, reason: str, *, now: float) -> list[Output]:
        """End: the destination has no address."""
        return self._end(503, reason, None, now)

    def receive(self, response: Response, hop: Hop, *, now: float) -> list[Output]:
        """Handle a response of the live transaction."""
        status = response.status
        if status < 200:
            return self._on_provisional(response, hop, now)
        if status in _CHALLENGES and not self._given_up and self._answer_challenge(response):
            self._cseq = self._next_cseq()
            return self._send(hop_again(self.hop, hop), now)
        if self._digest is not None and status not in _CHALLENGES:
            self._digest.observe(response)
        if self._may_fail_over(status):
            return self._try_next(now)
        return self._end(status, response.reason or reason_phrase(status), response, now)

    def timed_out(self, *, now: float) -> list[Output]:
        """Handle timer B or F: this target never answered (§8.1.3.1: as a 408)."""
        if self._hops and not self._given_up:
            return self._try_next(now)
        return self._end(408, f"no answer from {self.hop}", None, now)

    def failed(self, reason: str, *, now: float) -> list[Output]:
        """Handle a transport failure: this target could not be reached (§8.1.3.1: as a 503)."""
        if self._udp_fallback is not None and not self._given_up:
            hop, self._udp_fallback = self._udp_fallback, None
            self._context.stream_refused(hop, now=now)
            return self._send(hop, now)
        if self._hops and not self._given_up:
            return self._try_next(now)
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

    def _send(self, hop: Hop, now: float) -> list[Output]:
        request = self._prepare(hop)
        self._udp_fallback = None
        if not hop.reliable and len(bytes(request)) > UDP_LIMIT_BYTES:
            stream = self._context.stream_variant(hop, now=now)
            if stream is not None:
                self._udp_fallback = hop
                hop = stream
                request = self._prepare(hop)
        self.sent, self.hop = request, hop
        self.transaction, outputs = self._context.layer.request(request, hop, now=now)
        self._context.own(self.transaction, self)
        return list(outputs)

    def _prepare(self, hop: Hop) -> Request:
        request = self._build(hop, self._cseq)
        request.headers.insert("Via", self._context.via(hop, self._advertise))
        for name, value in self._credentials or self._reused(request):
            request.headers.add(name, value)
        return request

    def _reused(self, request: Request) -> list[tuple[str, str]]:
        if self._digest is None:
            return []
        return self._digest.reuse(method=request.method, uri=request.uri, body=request.body)

    def _end(self, status: int, reason: str, response: Response | None, now: float) -> list[Output]:
        hop = self.hop
        local = self._context.local(hop, self._advertise) if hop is not None else None
        realm = self._digest.realm if self._digest is not None else ""
        outcome = Outcome(status, reason, response, hop, realm, self._cseq, self._challenges, local)
        return self._on_final(outcome, now)


def hop_again(tried: Hop | None, answered: Hop) -> Hop:
    """Choose where the answer to a challenge goes: the same target, on the connection that challenged us."""
    if tried is None:
        return answered
    return tried._replace(connection=answered.connection) if tried.reliable else tried
