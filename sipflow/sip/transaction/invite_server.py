"""The INVITE server transaction (RFC 3261 §17.2.1, figure 7, as changed by RFC 6026 §7.1)."""

from sipflow.sip.message import Request, Response
from sipflow.sip.timers import Timers
from sipflow.sip.transaction.machine import ACCEPTED, COMPLETED, CONFIRMED, NEVER, PROCEEDING, TERMINATED, Machine
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed


class InviteServer(Machine):
    """One INVITE of the peer, our responses and the ACK to a refusal: figure 7, with RFC 6026's ACCEPTED.

    In PROCEEDING no timer runs: whoever answers the call owns it, and sends the 100 too (§17.2.1). A 2xx is sent once
    per `respond`; repeating it until the ACK comes is for the transaction's user (§13.3.1.4).
    """

    __slots__ = ("_interval", "_response")

    def __init__(self, request: Request, *, reliable: bool, timers: Timers) -> None:
        super().__init__(request, reliable=reliable, timers=timers, state=PROCEEDING)
        self._response = b""
        self._interval = timers.t1

    @property
    def last_response(self) -> bytes:
        """What was sent last; b"" before the first response."""
        return self._response

    def forget(self) -> None:
        """Also let go of a 2xx that only a broken connection would have sent again."""
        super().forget()
        if self.state is ACCEPTED and not self._reliable:
            self._response = b""

    def start(self, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (all machines have one shape)
        """Hand up the INVITE."""
        return [Deliver(self.request)]

    def receive(self, request: Request, *, now: float) -> list[MachineOutput]:
        """Handle a repeated INVITE, or an ACK that matches."""
        if request.method == "ACK":
            return self._receive_ack(request, now)
        if self._response and (self.state is PROCEEDING or self.state is COMPLETED):
            return [Send(self._response)]
        return []  # RFC 6026 §7.1: absorbed in ACCEPTED; §17.2.1: nothing to repeat before the first response

    def _receive_ack(self, ack: Request, now: float) -> list[MachineOutput]:
        if self.state is ACCEPTED:
            return [Deliver(ack)]  # RFC 6026 §7.1: it acknowledges a 2xx, and is the dialog's
        if self.state is COMPLETED:
            self._linger(CONFIRMED, 0 if self._reliable else self._timers.t4, now=now)  # timer I
        return []

    def respond(self, response: Response, *, now: float) -> list[MachineOutput]:
        """Send a response; what a transaction in this state may not send any more is dropped (§17.2.1)."""
        status = response.status
        if self.state is PROCEEDING:
            self._response = bytes(response)
            if status >= 300:
                self._refuse(now)
            elif status >= 200:
                self._linger(ACCEPTED, self._timers.timeout, now=now)  # timer L, on every transport
            return [Send(self._response)]
        if self.state is ACCEPTED and 200 <= status < 300:
            self._response = bytes(response)
            return [Send(self._response)]
        return []

    def _refuse(self, now: float) -> None:
        self.state = COMPLETED
        self._resend_at = NEVER if self._reliable else now + self._interval  # timer G
        self._expires_at = now + self._timers.timeout  # timer H

    def handle_timer(self, *, now: float) -> list[MachineOutput]:
        """Do what timers G, H, I and L ask for."""
        if now >= self._expires_at:
            unacknowledged = self.state is COMPLETED
            self.terminate()
            return [TimedOut()] if unacknowledged else []
        if now >= self._resend_at:
            self._interval = min(2 * self._interval, self._timers.t2)  # timer G
            self._resend_at = now + self._interval
            return [Send(self._response)]
        return []

    def transport_failed(self, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (all machines have one shape)
        """Say so, and stay: a later response, or timer G, may get through (RFC 6026 §7.1)."""
        if self.state is CONFIRMED or self.state is TERMINATED:
            return []
        return [TransportFailed()]
