"""The non-INVITE client transaction (RFC 3261 §17.1.2, figure 6)."""

from sipflow.sip.message import Request, Response
from sipflow.sip.timers import Timers
from sipflow.sip.transaction.machine import COMPLETED, NEVER, PROCEEDING, TRYING, Machine
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed


class NonInviteClient(Machine):
    """One request of ours that is not INVITE or ACK, and its responses (figure 6). CANCEL is one of these (§9.1)."""

    __slots__ = ("_data", "_gives_up_at", "_interval")

    def __init__(self, request: Request, *, reliable: bool, timers: Timers) -> None:
        super().__init__(request, reliable=reliable, timers=timers, state=TRYING)
        self._data = bytes(request)
        self._interval = timers.t1
        self._gives_up_at = NEVER

    def start(self, *, now: float) -> list[MachineOutput]:
        """Send the request, and start timers E (unreliable transports only) and F."""
        if not self._reliable:
            self._resend_at = now + self._interval
        self._gives_up_at = self._expires_at = now + self._timers.timeout
        return [Send(self._data)]

    def hurry(self, *, now: float) -> None:
        """Time out soon unless something is heard before: there is another target to try (RFC 3263 §4.3)."""
        self._expires_at = min(self._expires_at, now + self._timers.patience)

    def receive(self, response: Response, *, now: float) -> list[MachineOutput]:
        """Handle a response that matches; after the final one they are repeats and absorbed."""
        if self.state is not TRYING and self.state is not PROCEEDING:
            return []
        if response.status < 200:
            self.state = PROCEEDING
            self._expires_at = self._gives_up_at  # it is there, and has all the time of timer F
            self._interval = self._timers.t2  # §17.1.2.2: from now on timer E is reset to T2
        else:
            self._linger(COMPLETED, 0 if self._reliable else self._timers.t4, now=now)  # timer K
        return [Deliver(response)]

    def handle_timer(self, *, now: float) -> list[MachineOutput]:
        """Do what timers E, F and K ask for."""
        if now >= self._expires_at:
            unanswered = self.state is not COMPLETED
            self.terminate()
            return [TimedOut()] if unanswered else []
        if now >= self._resend_at:
            self._interval = min(2 * self._interval, self._timers.t2)  # timer E
            self._resend_at = now + self._interval
            return [Send(self._data)]
        return []

    def transport_failed(self, *, now: float) -> list[MachineOutput]:  # noqa: ARG002  (all machines have one shape)
        """Give up unless the final response is in (§17.1.4)."""
        if self.state is not TRYING and self.state is not PROCEEDING:
            return []
        self.terminate()
        return [TransportFailed()]
