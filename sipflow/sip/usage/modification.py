"""Re-INVITE and UPDATE of one call, both ways: one offer at a time, glare, and CANCEL (RFC 3261 §14, RFC 3311)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.admission import warning
from sipflow.sip.body import SDP, sdp_of
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.message import Request
from sipflow.sip.outputs import OfferAnswered, OfferReceived, Output
from sipflow.sip.plan import Outcome
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.state import CONFIRMED, earliest

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

_MOST_GLARES = 4  # of one offer; a peer that answers 491 each time is stuck


class Modification:
    """What the two sides of a call are about to change."""

    __slots__ = ("_abandon_at", "_again_at", "_glares", "_incoming", "_make_body", "_outgoing", "_stack", "_usage")

    def __init__(self, stack: "Stack", usage: "InviteUsage") -> None:
        self._stack = stack
        self._usage = usage
        self._incoming: ServerTransaction | None = None
        self._outgoing: ClientRequest | None = None
        self._make_body: Callable[[], bytes] = bytes
        self._glares = 0
        self._again_at: float | None = None
        self._abandon_at: float | None = None

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
        if self._incoming is not None or self._usage.awaiting_ack:
            self._again_at = now + self._stack.timers.t1  # it is the peer's turn: that is what the pause is for
            return []
        self._again_at = None
        return self._send(now)

    # The peer's offers

    def receive(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a re-INVITE or UPDATE, or a PRACK with an offer."""
        usage = self._usage
        offer = sdp_of(request)
        is_invite = request.method == "INVITE"
        if not is_invite and not offer:  # RFC 3311 §5.2: it offers nothing; a new Contact, or a sign of life
            usage.established.refresh_target(request, "UPDATE")
            return usage.reply(transaction, 200, headers=(usage.contact_line(),), now=now)
        if self._outgoing is not None or usage.offering:
            return usage.reply(transaction, 491, now=now)  # §14.2, RFC 3311 §5.2: our own offer is open
        if self._incoming is not None or usage.answering or (is_invite and (usage.pending or usage.awaiting_ack)):
            retry = (("Retry-After", str(self._stack.below(11))),)  # §14.2: 0 to 10 seconds
            return usage.reply(transaction, 500, "Overlapping Requests", headers=retry, now=now)
        self._incoming = transaction
        transaction.owner = usage  # so that a CANCEL finds it
        outputs: list[Output] = self._stack.trying(transaction, now=now) if is_invite else []
        return [*outputs, OfferReceived(usage, transaction, request, offer)]

    def answer(self, transaction: ServerTransaction, body: bytes, *, now: float) -> list[Output]:
        """Accept with our SDP: the answer, or to an empty re-INVITE our offer."""
        if transaction is not self._incoming:
            return []
        self._incoming = None
        usage, request = self._usage, transaction.request
        usage.established.refresh_target(request, request.method)  # RFC 6141 §4: not before it is accepted
        lines = (usage.contact_line(),) if request.method != "PRACK" else ()
        response = self._stack.response(request, 200, headers=lines, body=body, content_type=SDP)
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

    def offer(self, make_body: Callable[[], bytes], *, now: float) -> list[Output]:
        """Offer new media in a re-INVITE (§14.1); see `InviteUsage.offer`."""
        usage = self._usage
        if usage.state is not CONFIRMED or self._outgoing is not None or self._again_at is not None:
            raise LocalProtocolError("no re-INVITE now: the call is not up, or an offer is still open (RFC 3261 §14.1)")
        self._make_body = make_body
        self._glares = 0
        if self._incoming is None and not usage.awaiting_ack:
            return self._send(now)
        self._again_at = now + self._stack.timers.t1  # §14.1: not while an INVITE of the peer is in progress
        self._stack.schedule(usage)
        return []

    def _send(self, now: float) -> list[Output]:
        def answered(outcome: Outcome, now: float) -> list[Output]:
            return self._answered(request, outcome, now)

        request = self._usage.client_request("INVITE", on_final=answered, body=self._make_body(), content_type=SDP)
        self._outgoing = request
        return request.start(now=now)

    def _answered(self, request: ClientRequest, outcome: Outcome, now: float) -> list[Output]:
        usage, response = self._usage, outcome.response
        outputs: list[Output] = []
        is_new = request is self._outgoing
        if response is not None and response.status < 300 and request.sent is not None:
            if is_new:
                usage.established.refresh_target(response, "INVITE")
            outputs += usage.acknowledge(request.sent, now=now)
        if not is_new:
            return outputs  # a repeated 2xx: only its ACK is repeated
        self._outgoing = self._abandon_at = None
        if usage.over:
            return outputs
        if outcome.status == 491 and self._glares < _MOST_GLARES:
            self._glares += 1
            self._again_at = now + self._glare_pause()
            self._stack.schedule(usage)
            return outputs
        outputs.append(OfferAnswered(usage, outcome.status, sdp_of(response) if response is not None else b""))
        return outputs + usage.lost_if_gone(outcome, now=now)

    def _glare_pause(self) -> float:
        """Seconds to wait after 491: who made the Call-ID waits longer, so that the two do not meet again (§14.1)."""
        if self._usage.made_call_id:
            return 2.1 + self._stack.below(191) / 100
        return self._stack.below(201) / 100

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
