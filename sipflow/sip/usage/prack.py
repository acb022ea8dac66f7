"""Provisional responses that are acknowledged (RFC 3262): what the called side repeats, what the caller expects."""

from collections import deque

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.dialog import Dialog
from sipflow.sip.headers.rack import RAck, parse_rseq
from sipflow.sip.message import Request, Response
from sipflow.sip.timers import Timers

RELIABLE = "100rel"
_MOST_WAITING = 16  # responses behind one that is not acknowledged; an agent that rings on and on must not fill memory


def supports_reliable(request: Request) -> bool:
    """Whether a caller can acknowledge provisional responses, or insists on it (RFC 3262 §3)."""
    return _has_tag(request, "supported") or requires_reliable(request)


def requires_reliable(message: Request | Response) -> bool:
    """Whether `message` says `Require: 100rel`: a caller wants nothing else, a callee waits for our PRACK."""
    return _has_tag(message, "require")


def reliable_number(response: Response) -> int:
    """The RSeq of a provisional response that wants a PRACK; 0 for one that does not, or cannot be told apart (§4)."""
    if response.status <= 100 or not requires_reliable(response):  # §4: the tag means nothing in a 100
        return 0
    try:
        return parse_rseq(response.headers.get("RSeq") or "")
    except RemoteProtocolError:
        return 0


def _has_tag(message: Request | Response, header: str) -> bool:
    if header not in message.headers:
        return False
    try:
        return any(tag.lower() == RELIABLE for tag in message.headers.values(header))
    except RemoteProtocolError:  # a quote that is not closed
        return False


class ReliableResponses:
    """Our provisional responses to one INVITE: sent one at a time, each repeated until its PRACK comes (§3).

    Attributes:
        described: whether one with a session description was sent.
        deadline: monotonic seconds of the next `due` or `lost`; None while nothing waits for a PRACK.
    """

    __slots__ = (
        "_give_up_at",
        "_interval",
        "_next",
        "_queue",
        "_resend_at",
        "_timers",
        "_unacknowledged",
        "deadline",
        "described",
    )

    def __init__(self, first: int, timers: Timers) -> None:
        """Begin with RSeq `first`, 1 to 2**31 - 1, drawn at random (§3)."""
        self._next = first
        self._timers = timers
        self._queue: deque[Response] = deque()
        self._unacknowledged: tuple[int, Response] | None = None
        self._interval = self._resend_at = self._give_up_at = 0.0
        self.deadline: float | None = None
        self.described = False

    @property
    def unacknowledged(self) -> Response | None:
        """What waits for its PRACK; it is not repeated any more once `stop` was called."""
        return self._unacknowledged[1] if self._unacknowledged is not None else None

    @property
    def describing(self) -> bool:
        """Whether one with a session description was sent, or waits to be."""
        return self.described or any(response.body for response in self._queue)

    def send(self, response: Response, *, now: float) -> Response | None:
        """Take a response; give it back, numbered, if it is to be sent now and not after the one before it (§3).

        Raises:
            LocalProtocolError: too many wait already.
        """
        if self._unacknowledged is None:
            return self._start(response, now)
        if len(self._queue) >= _MOST_WAITING:
            raise LocalProtocolError("too many provisional responses wait for the PRACK of the one before them")
        self._queue.append(response)
        return None

    def _start(self, response: Response, now: float) -> Response:
        response.headers.add("Require", RELIABLE)
        response.headers.add("RSeq", str(self._next))
        self._unacknowledged = (self._next, response)
        self._next += 1
        self.described = self.described or bool(response.body)
        self._interval = self._timers.t1
        self._resend_at = now + self._interval
        self._give_up_at = now + self._timers.timeout
        self.deadline = min(self._resend_at, self._give_up_at)
        return response

    def acknowledge(self, rack: RAck, invite: Request) -> Response | None:
        """Take a PRACK; give the response it is for, None if that is not waiting (§3: answer 481)."""
        if self._unacknowledged is None or rack != RAck(self._unacknowledged[0], invite.cseq):
            return None
        acknowledged = self._unacknowledged[1]
        self._unacknowledged = self.deadline = None
        return acknowledged

    def next(self, *, now: float) -> Response | None:
        """Give what may be sent since the one before it has been acknowledged."""
        return self._start(self._queue.popleft(), now) if self._queue and self._unacknowledged is None else None

    def lost(self, *, now: float) -> bool:
        """Whether 64*T1 have passed without a PRACK (§3)."""
        return self.deadline is not None and now >= self._give_up_at

    def due(self, *, now: float) -> Response | None:
        """Give what must go out again now; the interval doubles each time, without bound (§3)."""
        if self.deadline is None or now < self._resend_at or self._unacknowledged is None:
            return None
        self._interval *= 2
        self._resend_at = now + self._interval
        self.deadline = min(self._resend_at, self._give_up_at)
        return self._unacknowledged[1]

    def drop_waiting(self) -> None:
        """Forget what has not been sent: the answer says more (§3: nothing new after it)."""
        self._queue.clear()

    def stop(self) -> None:
        """Repeat nothing any more, after a final response; a PRACK that is under way is still welcome (§3)."""
        self._queue.clear()
        self.deadline = None


class EarlyDialog:
    """One early dialog of a call of ours, and how far its provisional responses have come (§4).

    Attributes:
        dialog: with the CSeq numbers of its PRACKs.
        number: RSeq of the last response taken, 0 before the first.
        settled: whether an offer and its answer have passed in it.
    """

    __slots__ = ("dialog", "number", "settled")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.number = 0
        self.settled = False

    def takes(self, number: int) -> bool:
        """Note a reliable response; False for a repeated one, and for one after a gap, which must wait (§4)."""
        if self.number and number != self.number + 1:
            return False
        self.number = number
        return True
