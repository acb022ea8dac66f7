"""What both ends of a call share once there is a dialog: BYE, re-INVITE, UPDATE, INFO (RFC 3261 §12 to §15)."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.client_request import ClientRequest, OnFinal
from sipflow.sip.dialog import Dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Confirmed, Ended, InfoReceived, OfferAnswered, OfferReceived, Output
from sipflow.sip.plan import Outcome
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.pending_ack import PendingAck

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack

SDP = "application/sdp"
Lines = Sequence[tuple[str, str]]


class State(Enum):
    """Where an INVITE usage stands."""

    CALLING = auto()  # no answer of any kind, or no provisional of ours, yet
    EARLY = auto()  # a provisional response made an early dialog (§12.1)
    ANSWERED = auto()  # 2xx sent, ACK not seen: no BYE may be sent yet (§15)
    CONFIRMED = auto()  # both sides agree that the call is up
    ENDING = auto()  # our BYE is on its way
    ENDED = auto()


class InviteUsage:
    """One call's use of a dialog, from either side.

    Attributes:
        call_id: the Call-ID of every message of the call.
        dialog: None until one exists (a call out before its first tagged response).
        state: see `State`.
        app: for whoever owns the call above; never read here.
    """

    def __init__(self, stack: "Stack", call_id: str, *, advertise: str, digest: DigestClient | None) -> None:
        self._stack = stack
        self._advertise = advertise
        self._digest = digest
        self._pending_ack: PendingAck | None = None
        self._bye_wanted: tuple[Lines, str] | None = None
        self._offer_in: ServerTransaction | None = None
        self._reinvite: ClientRequest | None = None
        self._last_reinvite: ClientRequest | None = None
        self.call_id = call_id
        self.dialog: Dialog | None = None
        self.state = State.CALLING
        self.app: object = None

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`; None if nothing is pending."""
        return self._pending_ack.deadline if self._pending_ack is not None else None

    @property
    def established(self) -> Dialog:
        """The dialog, where there must be one.

        Raises:
            LocalProtocolError: there is none yet.
        """
        if self.dialog is None:
            raise LocalProtocolError("the call has no dialog yet")
        return self.dialog

    # What the peer sends inside the dialog

    def receive(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a request of the peer inside the dialog, ACK and CANCEL excepted (§12.2.2)."""
        dialog = self.established
        if not dialog.accepts(request):
            return self._reply(transaction, 500, "CSeq Out of Order", now=now)
        match request.method:
            case "BYE":
                return self._receive_bye(request, transaction, now)
            case "INVITE" | "UPDATE":
                return self._receive_offer(request, transaction, now)
            case "INFO":
                outputs = self._reply(transaction, 200, now=now)
                return [*outputs, InfoReceived(self, request)]
            case _:  # OPTIONS: the stack refused every method that it does not know before it came here
                return self._stack.respond_options(transaction, now=now)

    def _receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:
        outputs = self._reply(transaction, 200, now=now)
        if self.state in (State.ENDING, State.ENDED):
            return outputs  # the two BYEs crossed
        outputs += self._close_invite(now)
        return [*outputs, *self._finish("remote", 200, "the far end hung up", request)]

    def _close_invite(self, now: float) -> list[Output]:
        """Answer what is still open when the dialog goes (§15.1.2: 487)."""
        if self._offer_in is None:
            return []
        transaction, self._offer_in = self._offer_in, None
        return self._reply(transaction, 487, now=now)

    def _receive_offer(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:
        if self.state in (State.ENDING, State.ENDED):
            return self._reply(transaction, 481, now=now)
        if self._reinvite is not None:
            return self._reply(transaction, 491, now=now)  # §14.2, RFC 3311 §5.2: our own offer is open
        if self._offer_in is not None or (self._pending_ack is not None and request.method == "INVITE"):
            retry = (("Retry-After", str(self._stack.below(10) + 1)),)
            return self._reply(transaction, 500, "Overlapping Requests", headers=retry, now=now)  # §14.2
        dialog = self.established
        dialog.refresh_target(request, request.method)
        if request.method == "UPDATE" and not request.body:
            return self._reply(transaction, 200, headers=self._contact(), now=now)
        self._offer_in = transaction
        outputs: list[Output] = []
        if request.method == "INVITE":
            outputs += self._stack.trying(transaction, now=now)
        return [*outputs, OfferReceived(self, transaction, request, request.body)]

    def answer_offer(self, transaction: ServerTransaction, body: bytes, *, now: float) -> list[Output]:
        """Accept a re-INVITE or UPDATE with our SDP (§14.2); a call that ended meanwhile answers nothing."""
        if transaction is not self._offer_in:
            return []
        self._offer_in = None
        response = self._stack.response(transaction.request, 200, headers=self._contact(), body=body, content_type=SDP)
        if transaction.request.method == "INVITE":
            self._expect_ack(transaction, response, now)
        return list(self._stack.layer.respond(transaction, response, now=now))

    def refuse_offer(self, transaction: ServerTransaction, status: int, why: str, *, now: float) -> list[Output]:
        """Refuse new media; the call goes on with the old (§14.2)."""
        if transaction is not self._offer_in:
            return []
        self._offer_in = None
        return self._reply(transaction, status, headers=(("Warning", f'399 sipflow "{quotable(why)}"'),), now=now)

    # ACK

    def _expect_ack(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        self._pending_ack = PendingAck(transaction, response, now=now, timers=self._stack.timers)
        self._stack.schedule(self)

    def receive_ack(self, request: Request, *, now: float) -> list[Output]:
        """Handle the ACK to a 2xx of ours (§13.3.1.4); a repeated one changes nothing."""
        pending = self._pending_ack
        if pending is None or request.cseq.number != pending.cseq:
            return []
        self._pending_ack = None
        if self.state is not State.ANSWERED:
            # The ACK of an empty re-INVITE carries the answer to the offer in our 2xx (§14.2, RFC 3264 §8).
            return [OfferAnswered(self, 200, request.body)] if request.body else []
        self.state = State.CONFIRMED
        outputs: list[Output] = [Confirmed(self, request, request.body)]
        return outputs + self._send_wanted_bye(now)

    def handle_timer(self, *, now: float) -> list[Output]:
        """Repeat a 2xx, or hang up when its ACK never came (§13.3.1.4)."""
        pending = self._pending_ack
        if pending is None:
            return []
        if pending.lost(now=now):
            return self._ack_lost(now)
        if pending.due(now=now):
            return list(self._stack.layer.respond(pending.transaction, pending.response, now=now))
        return []

    def _ack_lost(self, now: float) -> list[Output]:
        self._pending_ack = None
        if self._bye_wanted is not None:
            self.state = State.CONFIRMED
            return self._send_wanted_bye(now)
        reason = str(Reason("SIP", 408, "ACK missing"))
        outputs = self._send_bye((("Reason", reason),), now)
        return [*outputs, *self._finish("system", 408, "the far end never acknowledged our answer (no ACK in 32 s)")]

    # What we send inside the dialog

    def bye(self, *, now: float, headers: Lines = (), why: str = "we hung up") -> list[Output]:
        """End an answered call. Before the ACK it waits for it (§15); after the end it does nothing."""
        if self.state is State.ANSWERED:
            if self._bye_wanted is not None:
                return []
            self._bye_wanted = (headers, why)
            return self._ended_event("local", 200, why)
        if self.state is not State.CONFIRMED:
            return []
        outputs = self._close_invite(now)
        outputs += self._send_bye(headers, now)
        return [*outputs, *self._finish("local", 200, why)]

    def _send_wanted_bye(self, now: float) -> list[Output]:
        if self._bye_wanted is None:
            return []
        headers, why = self._bye_wanted
        self._bye_wanted = None
        outputs = self._send_bye(headers, now)
        return [*outputs, *self._finish("local", 200, why, silent=True)]

    def _send_bye(self, headers: Lines, now: float) -> list[Output]:
        self.state = State.ENDING
        return self.send("BYE", headers=headers, on_final=self._bye_answered, now=now)

    def _bye_answered(self, outcome: Outcome, now: float) -> list[Output]:  # noqa: ARG002  (a final handler's shape)
        self.state = State.ENDED
        self._stack.forget(self)
        return []

    def offer(self, body: bytes, *, now: float) -> list[Output]:
        """Offer new media in a re-INVITE (§14.1); the end comes as `OfferAnswered`.

        Raises:
            LocalProtocolError: the call is not up, or an offer of either side is still open.
        """
        if self.state is not State.CONFIRMED or self._reinvite is not None or self._offer_in is not None:
            raise LocalProtocolError("no re-INVITE now: the call is not up, or an offer is still open (RFC 3261 §14.1)")
        self._reinvite = self._request("INVITE", on_final=self._offer_answered, body=body, content_type=SDP)
        return self._reinvite.start(now=now)

    def _offer_answered(self, outcome: Outcome, now: float) -> list[Output]:
        response = outcome.response
        reinvite = self._reinvite or self._last_reinvite
        outputs: list[Output] = []
        if response is not None and response.status < 300 and reinvite is not None and reinvite.sent is not None:
            self.established.refresh_target(response, "INVITE")
            outputs += self._stack.send_ack(self.established, reinvite.sent, self._advertise, now=now)
        if self._reinvite is None:
            return outputs  # a repeated 2xx: only its ACK is repeated
        self._last_reinvite, self._reinvite = self._reinvite, None
        if self.state is not State.CONFIRMED:
            return outputs
        outputs.append(OfferAnswered(self, outcome.status, response.body if response is not None else b""))
        if outcome.status in (408, 481):  # §12.2.1.2: the dialog is gone
            outputs += self.bye(now=now, why=f"the far end lost the call ({outcome.status})")
        return outputs

    def info(self, body: bytes, content_type: str, *, now: float) -> list[Output]:
        """Send an INFO (RFC 6086), such as a DTMF digit."""
        return self.send("INFO", body=body, content_type=content_type, on_final=ignore_outcome, now=now)

    def send(
        self,
        method: str,
        *,
        on_final: OnFinal,
        now: float,
        headers: Lines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> list[Output]:
        """Send any request inside the dialog (§12.2.1); `on_final` gets its outcome."""
        request = self._request(method, on_final=on_final, headers=headers, body=body, content_type=content_type)
        return request.start(now=now)

    def _request(
        self, method: str, *, on_final: OnFinal, headers: Lines = (), body: bytes = b"", content_type: str = ""
    ) -> ClientRequest:
        dialog = self.established

        def build(hop: Hop, cseq: int) -> Request:
            request = dialog.request(method, cseq=cseq)
            for name, value in (*self._stack.contact(hop, dialog.contact_user, self._advertise), *headers):
                request.headers.add(name, value)
            self._stack.complete(request, body, content_type)
            return request

        return ClientRequest(
            self._stack,
            destination=dialog.next_hop_uri(),
            hops=self._stack.known_hops(dialog),
            build=build,
            next_cseq=dialog.next_cseq,
            on_provisional=ignore_provisional,
            on_final=on_final,
            digest=self._digest,
            advertise=self._advertise,
            flow=dialog.flow,
            fail_over=False,
        )

    # The end

    def _finish(
        self, by: str, status: int, why: str, message: Request | Response | None = None, *, silent: bool = False
    ) -> list[Output]:
        """Leave every table (a dialog whose BYE is under way stays until it is answered) and say so once."""
        already_told = silent or self._bye_wanted is not None
        self._pending_ack = None
        self._bye_wanted = None
        if self.state is not State.ENDING:
            self.state = State.ENDED
            self._stack.forget(self)
        return [] if already_told else self._ended_event(by, status, why, message)

    def _ended_event(self, by: str, status: int, why: str, message: Request | Response | None = None) -> list[Output]:
        return [Ended(self, by, status, why, reason_of(message), message)]

    def _contact(self) -> Lines:
        dialog = self.established
        return self._stack.contact(dialog.flow, dialog.contact_user, self._advertise)

    def _reply(
        self, transaction: ServerTransaction, status: int, reason: str = "", *, now: float, headers: Lines = ()
    ) -> list[Output]:
        return self._stack.respond(transaction, status, reason, headers=headers, now=now)


def reason_of(message: Request | Response | None) -> Reason | None:
    """The first Reason of a message that can be read; a broken one is as good as none."""
    values = message.headers.values("Reason") if message is not None else []
    try:
        return Reason.parse(values[0]) if values else None
    except RemoteProtocolError:
        return None


def ignore_provisional(response: Response, hop: Hop, now: float) -> list[Output]:  # noqa: ARG001
    """For requests whose progress interests nobody."""
    return []


def ignore_outcome(outcome: Outcome, now: float) -> list[Output]:  # noqa: ARG001
    """For requests whose end interests nobody."""
    return []


def quotable(text: str) -> str:
    """Make text safe inside a quoted string (§25.1)."""
    return text.replace("\\", "").replace('"', "'").replace("\r", " ").replace("\n", " ")
