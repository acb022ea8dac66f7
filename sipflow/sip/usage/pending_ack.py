"""A 2xx to INVITE on its way to its ACK: the UAS core repeats it, not the transaction (RFC 3261 §13.3.1.4)."""

from sipflow.sip.body import sdp_of
from sipflow.sip.message import Response
from sipflow.sip.timers import Timers
from sipflow.sip.transaction.layer import ServerTransaction


class PendingAck:
    """Says when to repeat a 2xx, and when to stop hoping.

    Attributes:
        transaction, response: what is repeated through what.
        cseq: the number the ACK must carry (§13.2.2.4).
        deadline: monotonic seconds of the next `handle_timer`.
    """

    __slots__ = ("_give_up_at", "_interval", "_resend_at", "_timers", "cseq", "response", "transaction")

    def __init__(self, transaction: ServerTransaction, response: Response, *, now: float, timers: Timers) -> None:
        self.transaction = transaction
        self.response = response
        self.cseq = transaction.request.cseq.number
        self._timers = timers
        self._interval = timers.t1
        self._resend_at = now + timers.t1
        self._give_up_at = now + timers.timeout

    @property
    def deadline(self) -> float:
        return min(self._resend_at, self._give_up_at)

    @property
    def offering(self) -> bool:
        """Whether the 2xx carries our offer, since the INVITE had none: the ACK must carry the answer (§13.2.1).

        A 2xx without SDP offers nothing: offer and answer have passed before, in a provisional response and its PRACK.
        """
        return bool(self.response.body) and not sdp_of(self.transaction.request)

    def lost(self, *, now: float) -> bool:
        """Whether 64*T1 have passed without an ACK."""
        return now >= self._give_up_at

    def due(self, *, now: float) -> bool:
        """Whether the 2xx must go out again now; doubles the interval up to T2 if so."""
        if now < self._resend_at:
            return False
        self._interval = min(2 * self._interval, self._timers.t2)
        self._resend_at = now + self._interval
        return True
