"""The calling side of an INVITE: progress, forks, PRACK, CANCEL's races, ACK (RFC 3261 §9.1, §13.2; RFC 3262 §4)."""

from typing import TYPE_CHECKING

from sipflow.errors import RemoteProtocolError
from sipflow.sip.body import SDP, sdp_of
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.dialog import Dialog, DialogId, stopgap_dialog, uac_dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.headers.lines import write_line
from sipflow.sip.headers.rack import RAck
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response, make_cancel
from sipflow.sip.outputs import Confirmed, EarlyOffer, Output, Progressed
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.session_timer import Asking
from sipflow.sip.usage.in_dialog import ignore_outcome
from sipflow.sip.usage.invite import InviteUsage, Lines
from sipflow.sip.usage.prack import EarlyDialog, reliable_number
from sipflow.sip.usage.state import CALLING, CONFIRMED, EARLY, ENDING, earliest

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack

_UNANSWERED = (CALLING, EARLY)
_CHALLENGES = (401, 407)
_MOST_FORKS = 16  # a far end that invents forks must not make us send BYEs wherever their Contacts point


class UacInvite(InviteUsage):
    """A call that we place.

    Attributes:
        plan: what was asked for.
        hop: where the INVITE was last sent, None before.
    """

    made_call_id = True

    def __init__(
        self, stack: "Stack", plan: RequestPlan, *, hops: tuple[Hop, ...], digest: DigestClient | None
    ) -> None:
        super().__init__(stack, plan.call_id, advertise=plan.advertise, digest=digest)
        self.plan = plan
        self._cancelling = False
        self._cancel_lines: Lines = ()
        self._give_up_at: float | None = None
        self._forget_at: float | None = None
        self._early: dict[str, EarlyDialog] = {}
        self._answered_by: DialogId | None = None
        self._session = plan.session
        self._asking = Asking(self.session) if self.session.on else None
        self._hung_up: set[DialogId] = set()
        self._invite = ClientRequest(
            stack,
            destination=plan.destination,
            hops=hops,
            build=self._build,
            next_cseq=self._next_cseq,
            on_provisional=self._provisional,
            on_final=self._final,
            on_attempt=self._start_anew,
            digest=digest,
            advertise=plan.advertise,
        )
        self._cseq = plan.cseq - 1

    @property
    def hop(self) -> Hop | None:
        return self._invite.hop

    @property
    def heard(self) -> bool:
        """Whether the target it was last sent to has said anything, if only 100."""
        return self._invite.proceeding or self.state is not CALLING or self.over

    @property
    def next_cseq(self) -> int:
        """The CSeq of an INVITE that follows this one with the same Call-ID (§8.1.3.4)."""
        return self._cseq + 1

    @property
    def calling(self) -> bool:
        return self.state in _UNANSWERED

    @property
    def offering(self) -> bool:
        return (self.state in _UNANSWERED and not self._settled) or super().offering

    @property
    def may_update(self) -> bool:
        return self.state is EARLY and self._settled and not self._cancelling

    @property
    def _settled(self) -> bool:
        """Whether an offer and its answer have passed in the early dialog that is shown (RFC 3262 §5)."""
        early = self._early.get(self.dialog.remote_tag) if self.dialog is not None else None
        return early is not None and early.settled

    @property
    def supported(self) -> str:
        return self._stack.supported(reliable=self.plan.reliable, timers=self._asking is not None)

    @property
    def deadline(self) -> float | None:
        if self._give_up_at is None and self._forget_at is None:
            return super().deadline
        return earliest(super().deadline, self._give_up_at, self._forget_at)

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _build(self, hop: Hop, cseq: int) -> Request:
        session = self._asking.request_lines() if self._asking is not None else ()
        return self._stack.plan_request(self.plan, hop, cseq, session=session)

    def start(self, *, now: float) -> list[Output]:
        """Send the INVITE, or ask for its hops first.

        Raises:
            LocalProtocolError: CR, LF or NUL in what the plan holds; nothing has been sent.
        """
        return self._invite.start(now=now)

    def _start_anew(self) -> None:
        """Forget what an earlier target said: its refusal, or its challenge, ended its early dialogs (§12.3)."""
        self._forget_early()
        self._early.clear()
        self.state = CALLING

    # CANCEL

    def cancel(self, *, now: float, headers: Lines = ()) -> list[Output]:
        """Stop calling (§9.1): at once if anything came back, else as soon as something does; after the answer, BYE.

        Args:
            now: monotonic seconds.
            headers: for the CANCEL, or the BYE; such as Reason (RFC 3326).

        Raises:
            LocalProtocolError: CR, LF or NUL in `headers`; the call goes on.
        """
        if self.state is CONFIRMED:
            return self.bye(now=now, headers=headers)
        if self._cancelling or self.over:
            return []
        for name, value in headers:
            write_line(name, value)
        self._cancelling = True
        self._cancel_lines = headers
        self._invite.give_up()
        if self._invite.sent is None:
            return self._finish("local", 487, "we gave up before the call was sent")
        return self._send_cancel(now) if self._invite.proceeding else []

    def _send_cancel(self, now: float) -> list[Output]:
        sent, hop = self._invite.sent, self._invite.hop
        if self._give_up_at is not None or sent is None or hop is None:
            return []
        self._give_up_at = now + self._stack.timers.timeout  # §9.1: no 487 in 64*T1 is as good as one
        self._stack.schedule(self)
        cancel = make_cancel(sent)
        for name, value in self._cancel_lines:
            cancel.headers.add(name, value)
        return list(self._stack.layer.request(cancel, hop, now=now)[1])

    def handle_timer(self, *, now: float) -> list[Output]:
        """Also give up on an INVITE whose CANCEL led to nothing, and stop waiting for late forks."""
        outputs: list[Output] = []
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up_at = None
            self._invite.abandon()
            self._await_late_forks(now)
            outputs += self._finish("local", 487, "we gave up; the far end never confirmed")
        if self._forget_at is not None and now >= self._forget_at:
            self._forget_at = None
            self._stack.callers.pop(self._caller_id, None)
        return outputs + super().handle_timer(now=now)

    # What comes back

    def _provisional(self, response: Response, hop: Hop, now: float) -> list[Output]:  # noqa: ARG002
        if self.state not in _UNANSWERED:
            return []
        if self._cancelling:
            return self._send_cancel(now)
        if response.status == 100:
            return []
        self.state = EARLY
        if "allow" in response.headers:
            self.peer_allow = response.headers.get("Allow")
        early = self._take_early_dialog(response)
        number = reliable_number(response)
        sdp = sdp_of(response)
        if not number or early is None:
            return [Progressed(self, response, sdp)]
        if not early.takes(number):
            return []
        if sdp and not self.plan.body and not early.settled:
            return [Progressed(self, response), EarlyOffer(self, response, sdp)]
        early.settled = early.settled or bool(sdp)
        return [*self._acknowledge_early(early, response, b"", now), Progressed(self, response, sdp, reliable=True)]

    def answer_early(self, response: Response, body: bytes, *, now: float) -> list[Output]:
        """Answer an `EarlyOffer` in the PRACK (RFC 3262 §5); once, and not after the end."""
        early = self._early.get(response.to.tag or "")
        if early is None or early.settled or self.state not in _UNANSWERED:
            return []
        early.settled = True
        self.described = body
        return self._acknowledge_early(early, response, body, now)

    def _acknowledge_early(self, early: EarlyDialog, response: Response, body: bytes, now: float) -> list[Output]:
        """Send PRACK (RFC 3262 §4). What becomes of it is the far end's to mend: without it, it ends the call."""
        rack = RAck(early.number, response.cseq)
        request = self.client_request(
            "PRACK",
            on_final=ignore_outcome,
            headers=(("RAck", str(rack)),),
            body=body,
            content_type=SDP,
            dialog=early.dialog,
        )
        return request.start(now=now)

    def _take_early_dialog(self, response: Response) -> EarlyDialog | None:
        """Find or make the early dialog of a provisional response (§12.1); the last to speak is the one shown."""
        sent, home, tag = self._invite.sent, self._invite.home, response.to.tag
        if tag is None or sent is None or home is None:
            return None
        early = self._early.get(tag)
        if early is None:
            if len(self._early) >= _MOST_FORKS:
                return None
            try:
                early = EarlyDialog(uac_dialog(sent, response, home, self.plan.contact_user))
            except RemoteProtocolError:
                return None  # it rings all the same; only a 2xx must say where to go on
            self._early[tag] = early
        if self.dialog is not early.dialog:
            self._forget_early()
            self.dialog = early.dialog
            self._stack.remember(self)
        return early

    def _forget_early(self) -> None:
        if self.dialog is not None:
            self._stack.forget(self)
            self.dialog = None

    def _final(self, outcome: Outcome, now: float) -> list[Output]:
        response = outcome.response
        self._give_up_at = None
        if response is not None and response.status < 300:
            return self._answered(response, now)
        if outcome.status == 422 and response is not None and self._asks_again(response):
            return self._invite.again(now=now)
        self._await_late_forks(now)
        if self.state not in _UNANSWERED:
            return []
        if self._modification is not None:
            return self._modification.close(now=now) + self._refused(outcome)
        return self._refused(outcome)

    def _asks_again(self, response: Response) -> bool:
        """Whether a 422 leads to another INVITE, for as long a session as it asks for (RFC 4028 §7.3)."""
        unanswered = self.state in _UNANSWERED and not self._cancelling
        return unanswered and self._asking is not None and self._asking.raise_to(response)

    def _refused(self, outcome: Outcome) -> list[Output]:
        response = outcome.response
        if self._cancelling and (response is None or response.status in _CHALLENGES):
            return self._finish("local", 487, f"we gave up ({outcome.reason})", response)
        by = "local" if self._cancelling else "remote" if response is not None else "system"
        return self._finish(by, outcome.status, outcome.reason, response)

    def _answered(self, response: Response, now: float) -> list[Output]:
        """Acknowledge a 2xx: the first makes the call, its repeats are acknowledged again, other forks are hung up."""
        sent, home = self._invite.sent, self._invite.home
        if sent is None or home is None:
            return []
        why = ""
        try:
            dialog = uac_dialog(sent, response, home, self.plan.contact_user)
        except RemoteProtocolError as error:
            why = str(error)
            dialog = stopgap_dialog(sent, response, home, self.plan.contact_user)
        if dialog.id == self._answered_by:
            return self.acknowledge(sent, now=now)  # its ACK was lost
        early = self._early.pop(dialog.remote_tag, None)
        if early is not None:  # §13.2.2.4: of an early dialog only the route set is new
            dialog.local_cseq = early.dialog.local_cseq
            dialog.remote_cseq = early.dialog.remote_cseq
        if len(self._hung_up) >= _MOST_FORKS and dialog.id not in self._hung_up:
            return []
        outputs = self._stack.send_ack(dialog, sent, self._advertise, now=now)
        if self.state in _UNANSWERED and not why:
            return outputs + self._confirm(dialog, response, now)
        outputs += self._hang_up_fork(dialog, now)  # §13.2.2.4: another fork, or after the end
        if self.state in _UNANSWERED:
            outputs += self._finish("system", 400, why, response)
        return outputs

    def _confirm(self, dialog: Dialog, response: Response, now: float) -> list[Output]:
        self._forget_early()
        self.dialog = dialog
        self.state = CONFIRMED
        self._answered_by = dialog.id
        self._stack.remember(self)
        if not self.described:
            self.described = self.plan.body
        self.peer_allow = response.headers.get("Allow") or self.peer_allow
        timer = self._asking.settle(response, now=now) if self._asking is not None else None
        if timer is not None:
            self._run_session(timer)
        if self._cancelling:  # §9.1: the CANCEL came too late
            return self.bye(now=now, headers=self._cancel_lines, why="we gave up as the far end answered")
        return [Confirmed(self, response, sdp_of(response))]

    def _hang_up_fork(self, dialog: Dialog, now: float) -> list[Output]:
        if dialog.id in self._hung_up:
            return []
        self._hung_up.add(dialog.id)
        fork = InviteUsage(self._stack, self.call_id, advertise=self._advertise, digest=self._digest)
        fork.dialog = dialog
        fork.state = ENDING
        return fork.send("BYE", on_final=ignore_outcome, now=now)

    # After the end

    @property
    def _caller_id(self) -> tuple[str, str | None]:
        return (self.call_id, self.plan.from_.tag)

    def _await_late_forks(self, now: float) -> None:
        """Stay known for 64*T1: a proxy may still pass on a 2xx of another fork (§16.7 step 5)."""
        if self._invite.sent is not None:
            self._forget_at = now + self._stack.timers.timeout
            self._stack.callers[self._caller_id] = self
            self._stack.schedule(self)

    def answered_late(self, response: Response, *, now: float) -> list[Output]:
        """Acknowledge and hang up a 2xx that came when the call was over (§13.2.2.4)."""
        sent = self._invite.sent
        if not self.over or sent is None or response.cseq.number != sent.cseq.number:
            return []
        return self._answered(response, now)

    def _close_invites(self, now: float) -> list[Output]:
        """Also CANCEL an INVITE whose early dialog the far end has ended: other forks may still ring (§15)."""
        outputs = super()._close_invites(now)
        if self.state in _UNANSWERED and not self._cancelling:
            self._cancelling = True
            self._invite.give_up()
            outputs += self._send_cancel(now)
        return outputs
