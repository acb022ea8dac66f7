"""The INVITE client transaction (RFC 3261 §17.1.1, figure 5, as changed by RFC 6026 §7.2)."""

from sipflow.sip.message import Request, Response, make_ack
from sipflow.sip.timers import Timers
from sipflow.sip.transaction.machine import ACCEPTED, CALLING, COMPLETED, NEVER, PROCEEDING, Machine
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed


class InviteClient(Machine):
    """One INVITE of ours, its responses and the ACK to a refusal: figure 5, with RFC 6026's ACCEPTED.

    In PROCEEDING no timer runs: how long a phone may ring is for the user of the transaction to say, who then cancels
    (§9.1). After a 2xx every further 2xx is handed up until timer M, because each fork's must be acknowledged.
    """

    __slots__ = ("_ack", "_data", "_interval")

    def __init__(self, request: Request, *, reliable: bool, timers: Timers) -> None:
        super().__init__(request, reliable=reliable, timers=timers, state=CALLING)
        self._data = bytes(request)
        self._ack = b""
        self._interval = timers.t1

    def start(self, *, now: float) -> list[MachineOutput]:
        """Send the INVITE, and start timers A (unreliable transports only) and B."""
        if not self._reliable:
            self._resend_at = now + self._interval
        self._expires_at = now + self._timers.timeout
        return [Send(self._data)]

    def receive(self, response: Response, *, now: float) -> list[MachineOutput]:
        """Handle a response that matches; every 2xx is handed up, of the rest what is new."""
        if self.state is CALLING or self.state is PROCEEDING:
            return self._first_answer(response, now)
        if self.state is ACCEPTED and 200 <= response.status < 300:
            return [Deliver(response)]  # RFC 6026 §7.2: a repeat, or another fork
        if self.state is COMPLETED and response.status >= 300:
            return [Send(self._ack)]  # §17.1.1.2: the ACK was lost
        return []

    def _first_answer(self, response: Response, now: float) -> list[MachineOutput]:
        if response.status < 200:
            self.state = PROCEEDING
            self._resend_at = self._expires_at = NEVER
            return [Deliver(response)]
        if response.status < 300:
            self._linger(ACCEPTED, self._timers.timeout, now=now)  # timer M, on every transport
            return [Deliver(response)]
        self._ack = bytes(make_ack(self.request, response))  # §17.1.1.3
        self._linger(COMPLETED, 0 if self._reliable else self._timers.timer_d, now=now)
        return [Send(self._ack), Deliver(response)]

    def handle_timer(self, *, now: float) -> list[MachineOutput]:
        """Do what timers A, B, D and M ask for."""
        if now >= self._expires_at:
            unanswered = self.state is CALLING
            self.terminate()
            return [TimedOut()] if unanswered else []
        if now >= self._resend_at:
            self._interval *= 2  # timer A doubles without limit; timer B ends it
            self._resend_at = now + self._interval
            return [Send(self._data)]
        return []

    def transport_failed(self, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (all machines have one shape)
        """Give up if there was something to send: the INVITE or an ACK (§17.1.4); a ringing call goes on."""
        if self.state is not CALLING and self.state is not COMPLETED:
            return []
        self.terminate()
        return [TransportFailed()]
