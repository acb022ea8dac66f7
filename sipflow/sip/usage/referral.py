"""A REFER of ours and the subscription that comes with it (RFC 3515, RFC 6665 §4.1, RFC 4488)."""

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from sipflow.errors import RemoteProtocolError
from sipflow.sip.client_request import ClientRequest, OnFinal
from sipflow.sip.dialog import Dialog
from sipflow.sip.headers.subscription import EventType, SubscriptionState
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Output, ReferEnded, ReferOutcome, ReferProgressed
from sipflow.sip.plan import Outcome
from sipflow.sip.sipfrag import read_sipfrag
from sipflow.sip.transaction.layer import ServerTransaction

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

PATIENCE_S = 180.0  # a call that nobody takes is given up by most in three minutes
ALLOW_EVENTS = ("Allow-Events", "refer")
Lines = tuple[tuple[str, str], ...]


class Referral:
    """What became of one REFER of ours.

    Attributes:
        usage: the call it went out in, None outside one.
        call_id, local_tag: of its dialog.
        app: for whoever asked for it; never read here.
        over: whether its end was told.
        status: of the last report, 0 where there was none.
        alarm, alarm_at: for `Alarms`.
    """

    __slots__ = (
        "_dialog",
        "_forget_at",
        "_give_up_at",
        "_heard",
        "_patience_s",
        "_patient_until",
        "_remote_cseq",
        "_remote_tag",
        "_replied",
        "_request",
        "_stack",
        "alarm",
        "alarm_at",
        "app",
        "call_id",
        "local_tag",
        "over",
        "status",
        "usage",
    )

    def __init__(
        self,
        stack: "Stack",
        make: Callable[[OnFinal], ClientRequest],
        *,
        call_id: str,
        local_tag: str,
        usage: "InviteUsage | None" = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Prepare it; `make` makes the request, told where its end goes."""
        self._stack = stack
        self._request = make(self._answered)
        self._patience_s = patience_s
        self._patient_until = inf
        self._give_up_at: float | None = None
        self._forget_at: float | None = None
        self._replied = False  # whether the REFER itself has had its answer
        self._heard = False  # whether a NOTIFY has shown that the far end took the REFER
        self.status = 0
        self._dialog: Dialog | None = usage.established if usage is not None else None
        self._remote_tag = self._dialog.remote_tag if self._dialog is not None else None
        self._remote_cseq = -1
        self.usage = usage
        self.call_id = call_id
        self.local_tag = local_tag
        self.app: object = None
        self.over = False
        self.alarm = 0
        self.alarm_at = inf

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`; None if nothing is pending."""
        return self._forget_at if self.over else self._give_up_at

    @property
    def id(self) -> str:
        """What tells it from other REFERs of its dialog (RFC 3515 §2.4.6)."""
        return str(self._request.sent.cseq.number) if self._request.sent is not None else ""

    def start(self, *, now: float) -> list[Output]:
        """Send it.

        Raises:
            LocalProtocolError: CR, LF or NUL in a header; nothing has been sent.
        """
        outputs = self._request.start(now=now)
        self._stack.subscriptions.add(self)
        return outputs

    def abandon(self) -> None:
        """Wait for nothing any more; the far end learns of it by 481 to its next NOTIFY. Its end is not told.

        A REFER that was never answered is not repeated any more: it must not be taken when its time is over.
        """
        self.over = True
        if not self._replied:
            self._request.abandon()
        self._give_up_at = self._forget_at = None
        self._stack.schedule(self)
        self._stack.subscriptions.discard(self)

    def hush(self) -> None:
        """Repeat a REFER that was not answered no more; a far end that has taken it may still say so."""
        if not self._replied:
            self._request.hush()

    # The answer to the REFER itself

    def _answered(self, outcome: Outcome, now: float) -> list[Output]:
        response = outcome.response
        self._replied = True
        if self.over:
            return []  # the end was reported before the 202 came
        if response is not None and response.status < 300:
            return self._accepted(response, now)
        if response is None and self._heard:
            return []  # its 202 was lost, its reports were not
        why = f"the far end did not take the REFER ({outcome.status} {outcome.reason})"
        outputs = self._end(ReferOutcome.REFUSED, outcome.status if response is not None else 0, why, None)
        if self.usage is not None and outcome.status == 481:
            outputs += self.usage.lost_if_gone(outcome, now=now)
        return outputs

    def _accepted(self, response: Response, now: float) -> list[Output]:
        if self.usage is not None and self._dialog is not None:
            self._dialog.refresh_target(response, "REFER")
        elif self._remote_tag is None:
            self._remote_tag = response.to.tag
        progress = ReferProgressed(self, response.status, response.reason)
        if (response.headers.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false":
            why = "the far end took the REFER; it was agreed that it does not report (RFC 4488)"
            return [progress, *self._end(ReferOutcome.UNREPORTED, response.status, why, None)]
        self._be_patient(now)
        return [progress]

    def _be_patient(self, now: float, expires_s: int | None = None) -> None:
        """Wait for reports as long as we want, and not long after the far end has said that none will come."""
        if self._patient_until == inf:
            self._patient_until = now + self._patience_s
        last = inf if expires_s is None else now + expires_s + self._stack.timers.timeout
        self._give_up_at = min(self._patient_until, last)
        self._stack.schedule(self)

    # What the far end reports

    def is_from(self, request: Request) -> bool:
        """Whether a request comes from the far end of this dialog; of several that were asked, the first counts."""
        return self._remote_tag is None or request.from_.tag == self._remote_tag

    def accepts(self, request: Request) -> bool:
        """Note a request of the far end; False if its CSeq is not newer than the last (RFC 3261 §12.2.2)."""
        if self._dialog is not None:
            return self._dialog.accepts(request)
        if request.cseq.number <= self._remote_cseq:
            return False
        self._remote_cseq = request.cseq.number
        return True

    def notified(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Take a NOTIFY (RFC 3515 §2.4.4)."""
        try:
            event = EventType.parse(request.headers.get("Event") or "")
        except RemoteProtocolError:
            event = EventType("")
        if event.package != "refer":
            return self._stack.respond(transaction, 489, headers=(ALLOW_EVENTS,), now=now)  # RFC 6665 §4.1.3
        outputs = self._stack.respond(transaction, 200, now=now)
        state = _state_of(request)
        self._remote_tag = request.from_.tag if self._remote_tag is None else self._remote_tag
        if self.over:
            if state.terminated:
                self.abandon()
            return outputs
        return outputs + self._reported(request, state, now)

    def _reported(self, request: Request, state: SubscriptionState, now: float) -> list[Output]:
        self._heard = True
        fragment = read_sipfrag(request.body)
        if fragment is not None:
            self.status = fragment.status
            said = f"{fragment.status} {fragment.reason}".rstrip()
            lingering = None if state.terminated else now
            if 200 <= fragment.status < 300:
                why = f"the far end reached whom it was to call ({said})"
                return self._end(ReferOutcome.SUCCEEDED, fragment.status, why, lingering)
            if fragment.status >= 300:
                why = f"the far end could not reach whom it was to call ({said})"
                return self._end(ReferOutcome.FAILED, fragment.status, why, lingering)
        if state.terminated:
            why = f"the far end stopped reporting before the end ({state.reason or 'no reason given'})"
            return self._end(ReferOutcome.UNKNOWN, self.status, why, None)
        self._be_patient(now, state.expires_s)
        return [ReferProgressed(self, fragment.status, fragment.reason)] if fragment is not None else []

    def handle_timer(self, *, now: float) -> list[Output]:
        """Give up on a far end that does not report, and stop answering one whose last report is known."""
        if self._forget_at is not None and now >= self._forget_at:
            self.abandon()
        if self.over or self._give_up_at is None or now < self._give_up_at:
            return []
        last = f"the last was {self.status}" if self.status else "not even that it is trying"
        why = f"the far end took the REFER and reported no end of it ({last})"
        return self._end(ReferOutcome.TIMED_OUT, self.status, why, None)

    def _end(self, outcome: ReferOutcome, status: int, why: str, lingering: float | None) -> list[Output]:
        """Say how it ended; with `lingering`, the moment of now, a report that still follows is answered."""
        self.over = True
        if lingering is None:
            self.abandon()
        else:
            self._forget_at = lingering + self._stack.timers.timeout
            self._stack.schedule(self)
        return [ReferEnded(self, outcome, status, why)]


def _state_of(request: Request) -> SubscriptionState:
    """Read Subscription-State; a NOTIFY that lacks it, or breaks it, is one of many."""
    try:
        return SubscriptionState.parse(request.headers.get("Subscription-State") or "")
    except RemoteProtocolError:
        return SubscriptionState("active")


def refer_lines(refer_to: str, referred_by: str = "", *, subscribes: bool = True) -> Lines:
    """Write what a REFER says (RFC 3515 §2.1, RFC 3892 §2.1); without `subscribes`, that we want no reports."""
    by = (("Referred-By", referred_by),) if referred_by else ()
    silent = () if subscribes else (("Refer-Sub", "false"), ("Supported", "norefersub"))  # RFC 4488 §4
    return (("Refer-To", refer_to), *by, *silent)
