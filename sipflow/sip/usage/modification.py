"""Re-INVITE and UPDATE of one call, both ways: one offer at a time, glare, and CANCEL (RFC 3261 §14, RFC 3311)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.admission import warning
from sipflow.sip.body import SDP, sdp_of
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.headers.rack import RAck
from sipflow.sip.headers.scalars import parse_retry_after
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import OfferAnswered, OfferReceived, Output, UpdateReceived
from sipflow.sip.plan import Outcome
from sipflow.sip.session_timer import is_too_small
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.in_dialog import ignore_outcome
from sipflow.sip.usage.prack import reliable_number
from sipflow.sip.usage.state import CONFIRMED, earliest

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

OnEnd = Callable[[Outcome, float], list[Output]]
_MOST_REPEATS = 4  # of one offer; a peer that answers 491 each time is stuck
_LONGEST_RETRY_AFTER_S = 10  # §14.2, RFC 3311 §5.2: what a far end that is busy with an offer asks for


class _Asked:
    """The request that a callback belongs to. It is let go with the first answer: they would keep each other alive."""

    __slots__ = ("request", "sent")

    def __init__(self, request: ClientRequest) -> None:
        self.request: ClientRequest | None = request
        self.sent: Request | None = None


class Modification:
    """What the two sides of a call are about to change."""

    __slots__ = (
        "_abandon_at",
        "_again_at",
        "_early_answer",
        "_incoming",
        "_make_body",
        "_method",
        "_offered",
        "_on_end",
        "_outgoing",
        "_repeats",
        "_rseq",
        "_stack",
        "_usage",
    )

    def __init__(self, stack: "Stack", usage: "InviteUsage") -> None:
        self._stack = stack
        self._usage = usage
        self._incoming: ServerTransaction | None = None
        self._outgoing: ClientRequest | None = None
        self._make_body: Callable[[], bytes] = bytes
        self._method = "INVITE"
        self._on_end: OnEnd | None = None
        self._offered = b""
        self._early_answer = b""  # in a reliable provisional response
        self._rseq = 0  # of the last one that was acknowledged, 0 before the first
        self._repeats = 0
        self._again_at: float | None = None
        self._abandon_at: float | None = None

    @property
    def idle(self) -> bool:
        """Whether no offer of either side is open, and none of ours waits."""
        return self._incoming is None and self._outgoing is None and self._again_at is None

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`; None if nothing is pending."""
        return earliest(self._again_at, self._abandon_at)

    def handle_timer(self, *, now: float) -> list[Output]:
        """Offer again after glare, and stop waiting for the end of a re-INVITE whose call is over."""
        if self._abandon_at is not None and now >= self._abandon_at:
            self._abandon_at = None
            if self._outgoing is not None:
                self._outgoing.abandon()
        if self._again_at is None or now < self._again_at:
            return []
        usage = self._usage
        if usage.over:
            self._again_at = None
            return []
        if self._incoming is not None or usage.awaiting_ack:
            self._again_at = now + self._stack.timers.t1  # it is the peer's turn: that is what the pause is for
            return []
        self._again_at = None
        if usage.state is CONFIRMED:
            return self._send(now)
        if usage.may_update and usage.allows("UPDATE"):
            self._method = "UPDATE"
            return self._send(now)
        return self._end(Outcome(491, "the call has changed meanwhile", None, None, "", 0, 0, None), now)

    # The peer's offers

    def receive(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a re-INVITE or UPDATE, or a PRACK with an offer."""
        usage = self._usage
        if "allow" in request.headers:
            usage.peer_allow = request.headers.get("Allow")
        offer = sdp_of(request)
        is_invite = request.method == "INVITE"
        refusal = self._refuse_for_now(request, transaction, offer, now)
        if refusal:
            return refusal
        if not is_invite and not offer:  # RFC 3311 §5.2: it offers nothing; a new Contact, or a sign of life
            usage.established.refresh_target(request, "UPDATE")
            outputs = usage.reply(transaction, 200, headers=self._accepting(request, now), now=now)
            return [*outputs, UpdateReceived(usage, request)] if request.method == "UPDATE" else outputs
        outputs = usage.presume_acknowledged(request) if is_invite and usage.awaiting_ack else []
        self._incoming = transaction
        transaction.owner = usage  # so that a CANCEL finds it
        if is_invite:
            outputs += self._stack.trying(transaction, now=now)
        return [*outputs, OfferReceived(usage, transaction, request, offer)]

    def _refuse_for_now(
        self, request: Request, transaction: ServerTransaction, offer: bytes, now: float
    ) -> list[Output]:
        """Refuse what cannot be decided on while something else is open; empty where it can."""
        usage = self._usage
        is_invite = request.method == "INVITE"
        if (offer or is_invite) and (self._outgoing is not None or usage.offering or (is_invite and usage.calling)):
            return usage.reply(transaction, 491, now=now)  # §14.2, RFC 3311 §5.2: our own offer is open
        busy = self._incoming is not None and (is_invite or offer or self._incoming.request.method == "UPDATE")
        unanswered = (offer or is_invite) and usage.answering
        if busy or unanswered or (is_invite and usage.pending):
            retry = (("Retry-After", str(self._stack.below(11))),)  # §14.2, RFC 3311 §5.2: 0 to 10 seconds
            return usage.reply(transaction, 500, "Overlapping Requests", headers=retry, now=now)
        if "session-expires" in request.headers and usage.session.on and is_too_small(request, usage.session):
            lines = (("Min-SE", str(usage.session.min_s)),)  # RFC 4028 §9
            return usage.reply(transaction, 422, headers=lines, now=now)
        return []

    def _accepting(self, request: Request, now: float) -> tuple[tuple[str, str], ...]:
        if request.method == "PRACK":
            return ()
        return (self._usage.contact_line(), *self._usage.settle_session(request, now=now))

    def answer(self, transaction: ServerTransaction, body: bytes, *, now: float) -> list[Output]:
        """Accept with our SDP: the answer, or to an empty re-INVITE our offer."""
        if transaction is not self._incoming:
            return []
        self._incoming = None
        usage, request = self._usage, transaction.request
        usage.established.refresh_target(request, request.method)  # RFC 6141 §4: not before it is accepted
        usage.described = body
        response = self._stack.response(
            request,
            200,
            headers=self._accepting(request, now),
            body=body,
            content_type=SDP,
            timers=usage.session.on,
        )
        if request.method == "INVITE":
            usage.expect_ack(transaction, response, now=now)
        return list(self._stack.layer.respond(transaction, response, now=now))

    def refuse(self, transaction: ServerTransaction, status: int, why: str, *, now: float) -> list[Output]:
        """Refuse: the session stays as it was (§14.2)."""
        if transaction is not self._incoming:
            return []
        self._incoming = None
        return self._usage.reply(transaction, status, headers=(warning(why),), now=now)

    def cancelled(self, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a CANCEL of a re-INVITE (§9.2); it ends the re-INVITE and not the call."""
        if transaction is not self._incoming:
            return []
        self._incoming = None
        return self._usage.reply(transaction, 487, now=now)

    # Our offers

    def offer(
        self, make_body: Callable[[], bytes], *, now: float, method: str = "", on_end: OnEnd | None = None
    ) -> list[Output]:
        """Offer new media; see `InviteUsage.offer`."""
        usage = self._usage
        if self._outgoing is not None or self._again_at is not None:
            raise LocalProtocolError("an offer of ours is still open (RFC 3261 §14.1)")
        if usage.over or (usage.state is not CONFIRMED and not usage.may_update):
            raise LocalProtocolError("no new offer now: the call is not up (RFC 3261 §14.1, RFC 3311 §5.1)")
        method = (method or "INVITE") if usage.state is CONFIRMED else "UPDATE"
        if method == "UPDATE" and not usage.allows("UPDATE"):
            raise LocalProtocolError("the far end does not say that it takes UPDATE (RFC 3311 §4)")
        self._make_body, self._method, self._on_end = make_body, method, on_end
        self._repeats = 0
        if self._incoming is None and not usage.awaiting_ack:
            return self._send(now)
        self._again_at = now + self._stack.timers.t1  # §14.1: not while an INVITE of the peer is in progress
        self._stack.schedule(usage)
        return []

    def _send(self, now: float) -> list[Output]:
        def answered(outcome: Outcome, now: float) -> list[Output]:
            return self._answered(asked, outcome, now)

        self._offered, self._early_answer, self._rseq = self._make_body(), b"", 0
        request = self._usage.client_request(
            self._method, on_final=answered, on_provisional=self._progressed, body=self._offered, content_type=SDP
        )
        self._outgoing = request
        asked = _Asked(request)
        return request.start(now=now)

    def _progressed(self, response: Response, hop: Hop, now: float) -> list[Output]:  # noqa: ARG002
        """Acknowledge a reliable provisional response to our re-INVITE, once and in order (RFC 3262 §4)."""
        number = reliable_number(response)
        if not number or (self._rseq and number != self._rseq + 1) or self._usage.dialog is None:
            return []
        self._rseq = number
        self._early_answer = self._early_answer or sdp_of(response)
        rack = ("RAck", str(RAck(number, response.cseq)))
        return self._usage.send("PRACK", on_final=ignore_outcome, now=now, headers=(rack,))

    def answer_in(self, response: Response) -> bytes:
        """Give the answer to our offer: in its final response, or before that in a reliable one (RFC 3262 §5)."""
        return sdp_of(response) or self._early_answer

    def _answered(self, asked: _Asked, outcome: Outcome, now: float) -> list[Output]:
        usage, response = self._usage, outcome.response
        outputs: list[Output] = []
        request = asked.request
        is_new = request is not None and request is self._outgoing
        if request is not None:
            asked.sent, asked.request = request.sent, None
        sent = asked.sent
        if response is not None and response.status < 300 and sent is not None:
            if is_new:
                self._accepted(sent.method, response, now)
            if sent.method == "INVITE":
                outputs += usage.acknowledge(sent, now=now)
        if not is_new:
            return outputs  # a repeated 2xx: only its ACK is repeated
        self._outgoing = self._abandon_at = None
        if usage.over:
            return outputs
        pause_s = self._pause(outcome)
        if pause_s is not None and self._repeats < _MOST_REPEATS:
            self._repeats += 1
            if not pause_s:
                return outputs + self._send(now)
            self._again_at = now + pause_s
            self._stack.schedule(usage)
            return outputs
        return outputs + self._end(outcome, now)

    def _accepted(self, method: str, response: Response, now: float) -> None:
        usage = self._usage
        if usage.dialog is None:  # the fork that was asked has gone, and the call rings on elsewhere
            return
        usage.dialog.refresh_target(response, method)
        usage.described = self._offered
        usage.session_confirmed(response, now=now)

    def _end(self, outcome: Outcome, now: float) -> list[Output]:
        usage, response = self._usage, outcome.response
        if self._on_end is not None:
            return self._on_end(outcome, now)
        body = self.answer_in(response) if response is not None else b""
        return [OfferAnswered(usage, outcome.status, body), *usage.lost_if_gone(outcome, now=now)]

    def _pause(self, outcome: Outcome) -> float | None:
        """Seconds until an offer that was refused is made again; None where that would change nothing."""
        response = outcome.response
        if outcome.status == 491:
            return self._glare_pause()
        if outcome.status == 422 and response is not None and self._usage.raise_session(response):
            return 0.0  # RFC 4028 §7.3: at once, with the interval that it asks for
        if outcome.status == 500 and response is not None and "retry-after" in response.headers:
            wanted_s = parse_retry_after(response.headers.get("Retry-After") or "")  # the far end's offer is open
            if wanted_s is not None and wanted_s <= _LONGEST_RETRY_AFTER_S:
                return max(float(wanted_s), self._stack.timers.t1)
        return None

    def _glare_pause(self) -> float:
        """Seconds to wait after 491: who made the Call-ID waits longer, so that the two do not meet again (§14.1)."""
        if self._usage.made_call_id:
            return 2.1 + self._stack.below(191) / 100
        return max(self._stack.below(201) / 100, 0.01)

    # The end

    def close(self, *, now: float) -> list[Output]:
        """End what is open when the dialog goes: 487 for the peer's (§15.1.2), a last 64*T1 for the end of ours."""
        self._again_at = None
        if self._outgoing is not None:
            self._abandon_at = now + self._stack.timers.timeout
        if self._incoming is None:
            return []
        transaction, self._incoming = self._incoming, None
        return self._usage.reply(transaction, 487, now=now)
