"""The non-INVITE server transaction (RFC 3261 §17.2.2, figure 8)."""

from sipflow.sip.message import Request, Response
from sipflow.sip.timers import Timers
from sipflow.sip.transaction.machine import COMPLETED, PROCEEDING, TRYING, Machine
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed


class NonInviteServer(Machine):
    """One request of the peer that is not INVITE or ACK, and our responses (figure 8).

    Beyond the figure it does not wait for our own answer for ever: after 64*T1 the peer's timer F has fired, a final
    response must not be sent any more (RFC 4320 §4.2), and the transaction ends.
    """

    __slots__ = ("_response",)

    def __init__(self, request: Request, *, reliable: bool, timers: Timers) -> None:
        super().__init__(request, reliable=reliable, timers=timers, state=TRYING)
        self._response = b""

    @property
    def last_response(self) -> bytes:
        """What was sent last; b"" before the first response."""
        return self._response

    def start(self, *, now: float) -> list[MachineOutput]:
        """Hand up the request."""
        self._expires_at = now + self._timers.timeout
        return [Deliver(self.request)]

    def receive(self, request: Request, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (one shape)
        """Handle a repeated request: repeat the last response, if there is one."""
        if self.state is PROCEEDING or self.state is COMPLETED:
            return [Send(self._response)]
        return []  # §17.2.2: discarded in TRYING

    def respond(self, response: Response, *, now: float) -> list[MachineOutput]:
        """Send a response; after the final one any other is dropped (§17.2.2)."""
        if self.state is not TRYING and self.state is not PROCEEDING:
            return []
        self._response = bytes(response)
        if response.status < 200:
            self.state = PROCEEDING
        else:
            self._linger(COMPLETED, 0 if self._reliable else self._timers.timeout, now=now)  # timer J
        return [Send(self._response)]

    def handle_timer(self, *, now: float) -> list[MachineOutput]:
        """Do what timer J asks for, or end a request that was never answered."""
        if now < self._expires_at:
            return []
        unanswered = self.state is not COMPLETED
        self.terminate()
        return [TimedOut()] if unanswered else []

    def transport_failed(self, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (all machines have one shape)
        """Give up if there was a response to send (§17.2.4)."""
        if self.state is not PROCEEDING and self.state is not COMPLETED:
            return []
        self.terminate()
        return [TransportFailed()]
