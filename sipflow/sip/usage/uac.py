"""The calling side of an INVITE: progress, forks, CANCEL's races, ACK (RFC 3261 §9.1, §13.2)."""

from typing import TYPE_CHECKING

from sipflow.errors import RemoteProtocolError
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.dialog import Dialog, uac_dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response, make_cancel
from sipflow.sip.outputs import Confirmed, Output, Progressed
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.usage.invite import InviteUsage, State, ignore_outcome

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack


class UacInvite(InviteUsage):
    """A call that we place.

    Attributes:
        plan: what was asked for.
        hop: where the INVITE was last sent, None before.
    """

    def __init__(
        self, stack: "Stack", plan: RequestPlan, *, hops: tuple[Hop, ...], digest: DigestClient | None
    ) -> None:
        super().__init__(stack, plan.call_id, advertise=plan.advertise, digest=digest)
        self.plan = plan
        self._cancelling = False
        self._cancel_sent = False
        self._give_up_at: float | None = None
        self._last_status = 0
        self._invite = ClientRequest(
            stack,
            destination=plan.destination,
            hops=hops,
            build=lambda hop, cseq: stack.plan_request(plan, hop, cseq),
            next_cseq=self._next_cseq,
            on_provisional=self._provisional,
            on_final=self._final,
            digest=digest,
            advertise=plan.advertise,
        )
        self._cseq = plan.cseq - 1

    @property
    def hop(self) -> Hop | None:
        return self._invite.hop

    @property
    def deadline(self) -> float | None:
        times = [at for at in (super().deadline, self._give_up_at) if at is not None]
        return min(times, default=None)

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def start(self, *, now: float) -> list[Output]:
        """Send the INVITE, or ask for its hops first."""
        return self._invite.start(now=now)

    def cancel(self, *, now: float) -> list[Output]:
        """Stop calling (§9.1): at once if anything came back, else as soon as something does; after the answer, BYE."""
        if self.state in (State.CONFIRMED, State.ANSWERED):
            return self.bye(now=now)
        if self._cancelling or self.state in (State.ENDING, State.ENDED):
            return []
        self._cancelling = True
        self._invite.give_up()
        if self._last_status:
            return self._send_cancel(now)
        if self._invite.sent is None:
            return self._finish("local", 487, "we gave up before the call was sent")
        return []

    def _send_cancel(self, now: float) -> list[Output]:
        sent, hop = self._invite.sent, self._invite.hop
        if self._cancel_sent or sent is None or hop is None:
            return []
        self._cancel_sent = True
        self._give_up_at = now + self._stack.timers.timeout  # §9.1: no 487 in 64*T1 is as good as one
        self._stack.schedule(self)
        _, outputs = self._stack.layer.request(make_cancel(sent), hop, now=now)
        return list(outputs)

    def handle_timer(self, *, now: float) -> list[Output]:
        """Also give up on an INVITE whose CANCEL led to nothing."""
        if self._give_up_at is not None and now >= self._give_up_at and self.state in (State.CALLING, State.EARLY):
            self._give_up_at = None
            return self._finish("local", 487, "we gave up; the far end never confirmed")
        return super().handle_timer(now=now)

    def _provisional(self, response: Response, hop: Hop, now: float) -> list[Output]:
        if self.state not in (State.CALLING, State.EARLY):
            return []
        self._last_status = response.status
        if self._cancelling:
            return self._send_cancel(now)
        if response.status == 100:
            return []
        self.state = State.EARLY
        if response.to.tag and response.contact is not None:
            self._take_early_dialog(response, hop)
        return [Progressed(self, response)]

    def _take_early_dialog(self, response: Response, hop: Hop) -> None:
        sent = self._invite.sent
        if sent is None:
            return
        dialog = uac_dialog(sent, response, hop, self.plan.contact_user)
        if self.dialog is not None and self.dialog.id == dialog.id:
            return
        self._stack.forget(self)  # of several early dialogs the last to speak is the one that is shown
        self.dialog = dialog
        self._stack.remember(self)

    def _final(self, outcome: Outcome, now: float) -> list[Output]:
        response = outcome.response
        if response is not None and response.status < 300:
            return self._answered(response, outcome.hop or self._invite.hop, now)
        if self.state not in (State.CALLING, State.EARLY):
            return []
        self._give_up_at = None
        by = "local" if self._cancelling else "remote" if response is not None else "system"
        return self._finish(by, outcome.status, outcome.reason, response)

    def _answered(self, response: Response, hop: Hop | None, now: float) -> list[Output]:
        """Acknowledge a 2xx: the first makes the call, its repeats are acknowledged again, other forks are hung up."""
        sent = self._invite.sent
        if hop is None or sent is None:
            return []
        try:
            dialog = uac_dialog(sent, response, hop, self.plan.contact_user)
        except RemoteProtocolError as error:
            # Without a Contact there is nowhere to send ACK or BYE: the far end gives up after 64*T1.
            return self._finish("system", 400, str(error), response)
        if self.state is State.CONFIRMED and self.dialog is not None and self.dialog.id == dialog.id:
            return self._stack.send_ack(self.dialog, sent, self._advertise, now=now)
        acknowledged = self._stack.send_ack(dialog, sent, self._advertise, now=now)
        if self.state not in (State.CALLING, State.EARLY):
            return acknowledged + self._hang_up_fork(dialog, now)  # §13.2.2.4: another fork, or after our CANCEL
        self._stack.forget(self)
        self.dialog = dialog
        self.state = State.CONFIRMED
        self._give_up_at = None
        self._stack.remember(self)
        if self._cancelling:  # §9.1: the CANCEL came too late
            return acknowledged + self.bye(now=now, why="we gave up as the far end answered")
        return [*acknowledged, Confirmed(self, response, response.body)]

    def _hang_up_fork(self, dialog: Dialog, now: float) -> list[Output]:
        if self.dialog is not None and self.dialog.id == dialog.id:
            return []  # a repeated 2xx of the call that we are hanging up already
        fork = InviteUsage(self._stack, self.call_id, advertise=self._advertise, digest=self._digest)
        fork.dialog = dialog
        fork.state = State.ENDING
        return fork.send("BYE", on_final=ignore_outcome, now=now)
