"""What both ends of a call share once there is a dialog: BYE, ACK, INFO, and the end (RFC 3261 §12 to §15)."""

from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.admission import one_line
from sipflow.sip.body import sdp_of
from sipflow.sip.client_request import ClientRequest, OnFinal, OnProvisional
from sipflow.sip.dialog import Dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.headers.lines import write_line
from sipflow.sip.headers.reason import Reason, reasons_in
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import (
    Confirmed,
    Ended,
    InfoAnswered,
    InfoReceived,
    MessageAnswered,
    MessageReceived,
    OfferAnswered,
    Output,
    UpdateAnswered,
)
from sipflow.sip.plan import Outcome
from sipflow.sip.session_timer import SessionSettings, SessionTimer, concerns_timers, settle_again, settle_as_uas
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.in_dialog import ignore_provisional, request_in
from sipflow.sip.usage.modification import Modification
from sipflow.sip.usage.pending_ack import PendingAck
from sipflow.sip.usage.referral import PATIENCE_S, Referral, refer_lines
from sipflow.sip.usage.refresher import Refresher
from sipflow.sip.usage.state import ANSWERED, CALLING, CONFIRMED, ENDED, ENDING, State, earliest

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack

Lines = Sequence[tuple[str, str]]
_INFO_PACKAGES: frozenset[str] = frozenset()  # RFC 6086: none; INFO without a package is taken as in RFC 2976
_GONE = (408, 481)  # §12.2.1.2: what says that the far end has no such dialog any more


class InviteUsage:
    """One call's use of a dialog, from either side.

    Attributes:
        call_id: the Call-ID of every message of the call.
        dialog: None until one exists (a call out before its first tagged response).
        state: see `State`.
        app: for whoever owns the call above; never read here.
        made_call_id: whether the Call-ID is ours, which decides glare (§14.1).
        described: our session description that was sent last.
        describe: gives our session description as it is now, for a refresh by re-INVITE, whose answer then comes as
            `OfferAnswered`; None sends `described` again, and takes the answer for the one that was there before.
        peer_allow: the Allow that the far end sent last, None where it never sent one.
        alarm, alarm_at: for `Alarms`.
    """

    made_call_id = False
    # What most calls never set costs them nothing here.
    described = b""
    describe: Callable[[], bytes] | None = None
    peer_allow: str | None = None
    _refresher: Refresher | None = None
    _session: SessionSettings | None = None

    def __init__(self, stack: "Stack", call_id: str, *, advertise: str, digest: DigestClient | None) -> None:
        self._stack = stack
        self._advertise = advertise
        self._digest = digest
        self._pending_ack: PendingAck | None = None
        self._bye_wanted: Lines | None = None
        self._modification: Modification | None = None
        self.alarm = 0
        self.alarm_at = inf
        self.app: object = None
        self.call_id = call_id
        self.dialog: Dialog | None = None
        self.over = False
        self.state: State = CALLING

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`; None if nothing is pending."""
        pending, modification = self._pending_ack, self._modification
        at = pending.deadline if pending is not None else None
        if self._refresher is not None:
            at = earliest(at, self._refresher.deadline)
        return at if modification is None else earliest(at, modification.deadline)

    @property
    def established(self) -> Dialog:
        """The dialog, where there must be one.

        Raises:
            LocalProtocolError: there is none yet.
        """
        if self.dialog is None:
            raise LocalProtocolError("the call has no dialog yet")
        return self.dialog

    @property
    def awaiting_ack(self) -> bool:
        """Whether a 2xx of ours to an INVITE has had no ACK yet."""
        return self._pending_ack is not None

    @property
    def offering(self) -> bool:
        """Whether an offer of ours outside a re-INVITE, or our INVITE itself, has had no answer yet."""
        return self._pending_ack is not None and self._pending_ack.offering

    @property
    def negotiating(self) -> bool:
        """Whether an offer of either side inside the call is open, or waits for its turn."""
        return self.awaiting_ack or (self._modification is not None and not self._modification.idle)

    @property
    def calling(self) -> bool:
        """Whether our first INVITE has had no final response yet."""
        return False

    @property
    def may_update(self) -> bool:
        """Whether we may offer in an UPDATE before the call is answered (RFC 3311 §5.1)."""
        return False

    @property
    def answering(self) -> bool:
        """Whether the offer of the peer's first INVITE has had no answer of ours yet that is sure to arrive."""
        return False

    @property
    def pending(self) -> bool:
        """Whether the peer's first INVITE has had no final response of ours yet."""
        return False

    # What the peer sends inside the dialog

    def receive(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a request of the peer inside the dialog, ACK and CANCEL excepted (§12.2.2)."""
        if not self.established.accepts(request):
            return self.reply(transaction, 500, "CSeq Out of Order", now=now)
        if request.method == "BYE":
            return self._receive_bye(request, transaction, now)
        if request.method == "PRACK":
            return self._receive_prack(request, transaction, now)
        if request.method == "NOTIFY":  # RFC 5057 §3: what was asked before the BYE goes on after it
            return self._stack.subscriptions.receive(request, transaction, now=now)
        if self.over:
            return self.reply(transaction, 481, now=now)  # RFC 5407 §3.2: our BYE is on its way
        match request.method:
            case "INVITE" | "UPDATE":
                return self._modifying.receive(request, transaction, now=now)
            case "INFO":
                return self._receive_info(request, transaction, now)
            case "MESSAGE":
                outputs = self.reply(transaction, 200, now=now)
                return [*outputs, MessageReceived(self, transaction, request, transaction.hop)]
            case "REFER":
                return self._stack.subscriptions.referred(request, transaction, transaction.hop, self, now=now)
            case _:  # OPTIONS: the stack refused every method that it does not know before it came here
                return self._stack.respond_options(transaction, now=now)

    def _receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:
        outputs = self.reply(transaction, 200, now=now)
        if self.state is ENDING or self.state is ENDED:
            return outputs  # the two BYEs crossed
        transaction.forget_request()
        answered = self.state is ANSWERED or self.state is CONFIRMED
        outputs += self._close_invites(now)
        if answered:
            return [*outputs, *self._finish("remote", 200, "the far end hung up", request)]
        return [*outputs, *self._finish("remote", 487, "the far end hung up before the call was answered", request)]

    def _receive_prack(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:  # noqa: ARG002
        return self.reply(transaction, 481, "No Such Response", now=now)  # RFC 3262 §3: nothing waits for it

    def _receive_info(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:
        package = request.headers.get("Info-Package")
        if package is not None and package.partition(";")[0].strip().lower() not in _INFO_PACKAGES:
            taken = ", ".join(sorted(_INFO_PACKAGES))
            return self.reply(transaction, 469, headers=(("Recv-Info", taken),), now=now)  # RFC 6086 §4.2.2
        return [*self.reply(transaction, 200, now=now), InfoReceived(self, request)]

    def cancelled(self, transaction: ServerTransaction, cancel: Request, *, now: float) -> list[Output]:  # noqa: ARG002
        """Handle a CANCEL of the INVITE `transaction` (§9.2); the CANCEL itself is answered by the user agent."""
        return self._modifying.cancelled(transaction, now=now)

    # Offers of the peer and of ours

    @property
    def _modifying(self) -> Modification:
        if self._modification is None:
            self._modification = Modification(self._stack, self)
        return self._modification

    def answer_offer(self, transaction: ServerTransaction, body: bytes, *, now: float) -> list[Output]:
        """Accept a re-INVITE or UPDATE with our SDP (§14.2); one that is over meanwhile is not answered."""
        return self._modifying.answer(transaction, body, now=now)

    def refuse_offer(self, transaction: ServerTransaction, status: int, why: str, *, now: float) -> list[Output]:
        """Refuse new media; the call goes on with the old (§14.2)."""
        return self._modifying.refuse(transaction, status, why, now=now)

    def offer(
        self,
        make_body: Callable[[], bytes],
        *,
        now: float,
        method: str = "",
        on_end: Callable[[Outcome, float], list[Output]] | None = None,
    ) -> list[Output]:
        """Offer new media (§14.1, RFC 3311 §5.1); the end comes as `OfferAnswered`.

        In a call that is up it goes in a re-INVITE, before the answer in an UPDATE. While it is the peer's turn the
        offer waits, and glare (491) is tried again, both by itself.

        Args:
            make_body: gives the SDP; asked at each attempt, for what the peer offers in between counts.
            now: monotonic seconds.
            method: "UPDATE" for an UPDATE in a call that is up, too.
            on_end: told the end, instead of the event.

        Raises:
            LocalProtocolError: an offer of ours is still open, the call has not come so far, or UPDATE is needed and
                the far end does not take it.
        """
        return self._modifying.offer(make_body, now=now, method=method, on_end=on_end)

    def answer_in(self, response: Response) -> bytes:
        """Give the SDP that answers the last offer of ours in the call, of which `response` is the end."""
        return self._modifying.answer_in(response)

    def allows(self, method: str) -> bool:
        """Whether the far end has said that it takes `method`."""
        return method in [token.strip(" \t").upper() for token in (self.peer_allow or "").split(",")]

    # The session timer (RFC 4028)

    @property
    def session(self) -> SessionSettings:
        """What holds for this call's session timer."""
        return self._session or self._stack.settings.session

    @property
    def supported(self) -> str:
        """What we say that we support in this call."""
        return self._stack.supported(timers=self.session.on)

    def _session_lines(self) -> Lines:
        return self._refresher.timer.request_lines() if self._refresher is not None else ()

    def settle_session(self, request: Request, *, now: float) -> Lines:
        """Give the lines of our 2xx to an INVITE or UPDATE about its session timer, which starts now (§9)."""
        if not self.session.on or (self._refresher is None and not concerns_timers(request)):
            return ()
        timer = self._refresher.timer if self._refresher is not None else None
        settled = settle_as_uas(request, self.session, timer, now=now)
        if settled.timer is not None:
            self._run_session(settled.timer)
        return settled.lines

    def session_confirmed(self, response: Response, *, now: float) -> None:
        """Begin the session anew: the far end has accepted a re-INVITE or UPDATE of ours (§7.2)."""
        if self._refresher is not None:
            settle_again(self._refresher.timer, response, now=now)
            self._stack.schedule(self)

    def raise_session(self, response: Response) -> bool:
        """Take the Min-SE of a 422 (§7.3); False where there is nothing to be gained from asking again."""
        return self._refresher is not None and self._refresher.timer.raise_to(response)

    def _run_session(self, timer: SessionTimer) -> None:
        if self._refresher is None:
            self._refresher = Refresher(self._stack, self, timer)
        self._stack.schedule(self)

    # ACK

    def expect_ack(self, transaction: ServerTransaction, response: Response, *, now: float) -> None:
        """Repeat a 2xx of ours until its ACK comes (§13.3.1.4)."""
        self._pending_ack = PendingAck(transaction, response, now=now, timers=self._stack.timers)
        self._stack.schedule(self)

    def receive_ack(self, request: Request, *, now: float) -> list[Output]:
        """Handle the ACK to a 2xx of ours (§13.3.1.4); a repeated one changes nothing."""
        pending = self._pending_ack
        if pending is None or request.cseq.number != pending.cseq:
            return []
        self._pending_ack = None  # its alarm is corrected when it comes up, within T2
        if self.state is not ANSWERED:
            # The ACK of an empty re-INVITE carries the answer to the offer in our 2xx (§14.2, RFC 3264 §8).
            return [OfferAnswered(self, 200, sdp_of(request))] if pending.offering else []
        self.state = CONFIRMED
        if self._bye_wanted is not None:
            return self._send_wanted_bye(now)
        return [Confirmed(self, request, sdp_of(request))]

    def presume_acknowledged(self, reinvite: Request) -> list[Output]:
        """Take a re-INVITE for the ACK to our 2xx that has not come yet (RFC 5407 §3.1.4).

        Who begins another INVITE has had that 2xx; the ACK may be lost, or late. Not for a 2xx that offers something:
        its ACK brings the answer.
        """
        self._pending_ack = None
        if self.state is not ANSWERED:
            return []
        self.state = CONFIRMED
        return [Confirmed(self, reinvite, b"")]

    def handle_timer(self, *, now: float) -> list[Output]:
        """Repeat a 2xx, or hang up when its ACK never came (§13.3.1.4); offer again after glare."""
        outputs = self._modification.handle_timer(now=now) if self._modification is not None else []
        if self._refresher is not None:
            outputs += self._refresher.handle_timer(now=now)
        pending = self._pending_ack
        if pending is None:
            return outputs
        if pending.lost(now=now):
            return outputs + self._ack_lost(now)
        if pending.due(now=now):
            outputs += self._stack.layer.respond(pending.transaction, pending.response, now=now)
        return outputs

    def _ack_lost(self, now: float) -> list[Output]:
        self._pending_ack = None
        if self._bye_wanted is not None:
            return self._send_wanted_bye(now)
        reason = Reason("SIP", 408, "ACK missing")
        why = f"the far end never acknowledged our answer (no ACK in {self._stack.timers.timeout:g} s)"
        return [*self._send_bye((("Reason", str(reason)),), now), *self._finish("system", 408, why)]

    # What we send inside the dialog

    def bye(self, *, now: float, headers: Lines = (), why: str = "we hung up") -> list[Output]:
        """End an answered call. Before the ACK it waits for it (§15); after the end it does nothing.

        Raises:
            LocalProtocolError: CR, LF or NUL in `headers`; the call goes on.
        """
        if self.over or (self.state is not ANSWERED and self.state is not CONFIRMED):
            return []
        for name, value in headers:
            write_line(name, value)
        if self.state is ANSWERED:
            self._bye_wanted = headers
            return self._tell_end("local", 200, why)
        return [*self._send_bye(headers, now), *self._finish("local", 200, why)]

    def _send_wanted_bye(self, now: float) -> list[Output]:
        outputs = self._send_bye(self._bye_wanted or (), now)
        return outputs + self._finish("local", 200, "")

    def _send_bye(self, headers: Lines, now: float) -> list[Output]:
        outputs = self._close_invites(now)
        outputs += self.send("BYE", headers=headers, on_final=self._bye_answered, now=now)
        self.state = ENDING
        return outputs

    def _bye_answered(self, outcome: Outcome, now: float) -> list[Output]:  # noqa: ARG002  (a final handler's shape)
        self.state = ENDED
        self._stack.forget(self)
        return []

    def lost_if_gone(self, outcome: Outcome, *, now: float) -> list[Output]:
        """Hang up if the outcome of a request of ours says that the far end has no such call (§12.2.1.2)."""
        if outcome.status not in _GONE or self.over or self.state is not CONFIRMED:
            return []
        why = f"the far end lost the call ({outcome.status} {outcome.reason})"
        return self._lose(outcome.status, why, outcome.response, now)

    def session_expired(self, interval_s: int, *, now: float) -> list[Output]:
        """Hang up since no refresh of the session came or got through (RFC 4028 §10)."""
        return self._lose(408, f"nobody refreshed the session: nothing was heard in {interval_s} s", None, now)

    def _lose(self, status: int, why: str, response: Response | None, now: float) -> list[Output]:
        reason = Reason("SIP", status, one_line(why))
        outputs = self._send_bye((("Reason", str(reason)),), now)
        return outputs + self._finish("system", status, why, response, lost=True)

    def info(self, body: bytes, content_type: str, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send an INFO (RFC 6086), such as a DTMF digit; its end comes as `InfoAnswered`.

        Args:
            body: of any type, perhaps empty.
            content_type: its type.
            now: monotonic seconds.
            headers: further lines, such as Info-Package.

        Raises:
            LocalProtocolError: there is no dialog yet, the call is over, or CR, LF or NUL in `headers`.
        """
        return self._say("INFO", self._info_answered, now, body=body, content_type=content_type, headers=headers)

    def _info_answered(self, outcome: Outcome, now: float) -> list[Output]:
        if self.over:
            return []
        return [InfoAnswered(self, outcome.status, outcome.response), *self._lost_if_481(outcome, now)]

    def message(self, body: bytes, content_type: str, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send a MESSAGE (RFC 3428); its end comes as `MessageAnswered`.

        Raises:
            LocalProtocolError: there is no dialog yet, the call is over, or CR, LF or NUL in `headers`.
        """
        return self._say("MESSAGE", self._message_answered, now, body=body, content_type=content_type, headers=headers)

    def _message_answered(self, outcome: Outcome, now: float) -> list[Output]:
        return [] if self.over else [MessageAnswered(self, outcome.status), *self._lost_if_481(outcome, now)]

    def update(self, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send an UPDATE that offers nothing (RFC 3311), such as for a new P-Asserted-Identity, also while it rings.

        Its end comes as `UpdateAnswered`.

        Raises:
            LocalProtocolError: there is no dialog yet, the call is over, the far end takes no UPDATE, or CR, LF or NUL
                in `headers`.
        """
        if not self.allows("UPDATE"):
            raise LocalProtocolError("the far end does not say that it takes UPDATE (RFC 3311 §4)")
        return self._say("UPDATE", self._update_answered, now, headers=headers)

    def _update_answered(self, outcome: Outcome, now: float) -> list[Output]:
        if self.over:
            return []
        response = outcome.response
        if response is not None and response.status < 300 and self.dialog is not None:
            self.dialog.refresh_target(response, "UPDATE")
            self.session_confirmed(response, now=now)
        return [UpdateAnswered(self, outcome.status), *self._lost_if_481(outcome, now)]

    def refer(
        self,
        refer_to: str,
        *,
        now: float,
        referred_by: str = "",
        subscribes: bool = True,
        headers: Lines = (),
        patience_s: float = PATIENCE_S,
    ) -> tuple[Referral, list[Output]]:
        """Ask the far end to call somebody (RFC 3515); see `ReferProgressed` and `ReferEnded` for what becomes of it.

        The call goes on; a BYE of either side ends the call and not the referral (RFC 5057 §3).

        Args:
            refer_to: whom; from `write_refer_to`, with `replaces_for` the dialog of an attended transfer.
            now: monotonic seconds.
            referred_by: who wants that, as an address (RFC 3892).
            subscribes: whether we want to hear what comes of it (RFC 4488).
            headers: further lines.
            patience_s: how long we wait to hear the end.

        Raises:
            LocalProtocolError: there is no dialog yet, the call is over, or CR, LF or NUL in what was to be sent.
        """
        if self.over:
            raise LocalProtocolError("the call is over")
        dialog, lines = self.established, (*headers, *refer_lines(refer_to, referred_by, subscribes=subscribes))
        referral = Referral(
            self._stack,
            lambda on_final: self.client_request("REFER", on_final=on_final, headers=lines),
            call_id=dialog.call_id,
            local_tag=dialog.local_tag,
            usage=self,
            patience_s=patience_s,
        )
        return referral, referral.start(now=now)

    def _say(
        self, method: str, on_final: OnFinal, now: float, *, headers: Lines, body: bytes = b"", content_type: str = ""
    ) -> list[Output]:
        if self.over:
            raise LocalProtocolError("the call is over")
        return self.send(method, on_final=on_final, now=now, headers=headers, body=body, content_type=content_type)

    def _lost_if_481(self, outcome: Outcome, now: float) -> list[Output]:
        """A far end may leave unanswered what it does not know: only its own 481 ends the call."""
        return self.lost_if_gone(outcome, now=now) if outcome.status == 481 else []

    def acknowledge(self, invite: Request, *, now: float) -> list[Output]:
        """Acknowledge a 2xx to `invite` (§13.2.2.4)."""
        return self._stack.send_ack(self.established, invite, self._advertise, now=now)

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
        """Send any request inside the dialog (§12.2.1); `on_final` gets its outcome.

        Raises:
            LocalProtocolError: there is no dialog yet, or CR, LF or NUL in `headers`.
        """
        request = self.client_request(method, on_final=on_final, headers=headers, body=body, content_type=content_type)
        return request.start(now=now)

    def client_request(
        self,
        method: str,
        *,
        on_final: OnFinal,
        on_provisional: OnProvisional = ignore_provisional,
        headers: Lines = (),
        body: bytes = b"",
        content_type: str = "",
        dialog: Dialog | None = None,
    ) -> ClientRequest:
        """Make a request inside the dialog, or inside another early one of the call; not sent yet.

        Raises:
            LocalProtocolError: there is no dialog yet.
        """
        refreshes = method in ("INVITE", "UPDATE")
        return request_in(
            self._stack,
            dialog or self.established,
            method,
            on_final=on_final,
            on_provisional=on_provisional,
            headers=(*headers, *self._session_lines()) if refreshes else headers,
            body=body,
            content_type=content_type,
            advertise=self._advertise,
            digest=self._digest,
            supported=self.supported if refreshes else "",
        )

    # The end

    def _close_invites(self, now: float) -> list[Output]:
        """End the INVITEs that are open when the dialog goes (§15.1.2: 487 for the peer's)."""
        return self._modification.close(now=now) if self._modification is not None else []

    def _finish(
        self, by: str, status: int, why: str, message: Request | Response | None = None, *, lost: bool = False
    ) -> list[Output]:
        """Leave every table (a dialog whose BYE is under way stays until it is answered) and say so once."""
        self._pending_ack = None
        self._bye_wanted = None
        if self._refresher is not None:
            self._refresher = None
        if self.state is not ENDING:
            self.state = ENDED
            self._stack.forget(self)
        if self.alarm or self._modification is not None:
            self._stack.schedule(self)
        return self._tell_end(by, status, why, message, lost=lost)

    def _tell_end(
        self, by: str, status: int, why: str, message: Request | Response | None = None, *, lost: bool = False
    ) -> list[Output]:
        if self.over:
            return []
        self.over = True
        return [Ended(self, by, status, why, reason_of(message), message, lost)]

    def contact_line(self) -> tuple[str, str]:
        """Our Contact in this dialog."""
        dialog = self.established
        return self._stack.contact(dialog, dialog.flow, self._advertise)

    def reply(
        self, transaction: ServerTransaction, status: int, reason: str = "", *, now: float, headers: Lines = ()
    ) -> list[Output]:
        """Answer a request of the peer, without body."""
        return self._stack.respond(transaction, status, reason, headers=headers, now=now)


def reason_of(message: Request | Response | None) -> Reason | None:
    """The first Reason of a message that can be read; a broken one is as good as none."""
    reasons = reasons_in(message.headers) if message is not None else []
    return reasons[0] if reasons else None
