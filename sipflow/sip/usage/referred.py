"""A REFER of a peer, and what we report of it (RFC 3515 §2.4.2 to §2.4.5, RFC 6665 §4.2, RFC 4488)."""

from math import inf
from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.admission import one_line, warning
from sipflow.sip.client_request import ClientRequest
from sipflow.sip.dialog import Dialog
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.headers.reason import Reason
from sipflow.sip.headers.subscription import EventType, SubscriptionState
from sipflow.sip.message import Request
from sipflow.sip.outputs import Output
from sipflow.sip.plan import Outcome
from sipflow.sip.sipfrag import CONTENT_TYPE, Fragment, write_sipfrag
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.in_dialog import request_in

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

EXPIRES_S = 180  # how long we report unless the end comes first; a call that nobody takes is over by then
_LONGEST_S = 3600  # that a peer may prolong it to
_TRYING = Fragment(100, "Trying")


class Referred:
    """One REFER that we got: undecided, refused, or accepted and reported on until its end.

    Attributes:
        request: the REFER.
        usage: the call it came in, None outside one.
        call_id, local_tag: of its dialog.
        subscribes: whether its sender wants reports (RFC 4488 §4).
        alarm, alarm_at: for `Alarms`.
    """

    __slots__ = (
        "_advertise",
        "_dialog",
        "_digest",
        "_expires_at",
        "_finished",
        "_last",
        "_news",
        "_stack",
        "_transaction",
        "_under_way",
        "alarm",
        "alarm_at",
        "call_id",
        "local_tag",
        "request",
        "subscribes",
        "usage",
    )

    def __init__(
        self,
        stack: "Stack",
        request: Request,
        transaction: ServerTransaction,
        dialog: Dialog,
        usage: "InviteUsage | None",
        *,
        now: float,
    ) -> None:
        self._stack = stack
        self._transaction: ServerTransaction | None = transaction
        self._dialog = dialog
        self._advertise = ""
        self._digest: DigestClient | None = None
        self._expires_at: float | None = now + stack.timers.timeout  # RFC 4320 §4.2: nobody hears an answer after that
        self._news: tuple[Fragment, str] | None = None  # what is to be reported next; with the reason of the last one
        self._last = _TRYING
        self._under_way = False
        self._finished = False
        self.request = request
        self.usage = usage
        self.call_id = dialog.call_id
        self.local_tag = dialog.local_tag
        asked = request.headers.get("Refer-Sub") or ""
        self.subscribes = asked.partition(";")[0].strip(" \t").lower() != "false"
        self.alarm = 0
        self.alarm_at = inf

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`; None if nothing is pending."""
        return self._expires_at

    @property
    def undecided(self) -> bool:
        """Whether it can still be accepted or refused."""
        return self._transaction is not None

    def handle_timer(self, *, now: float) -> list[Output]:
        """End the reports whose time is over; an undecided one was lost when its sender stopped waiting."""
        if self._expires_at is None or now < self._expires_at:
            return []
        self._expires_at = None
        if self._transaction is not None:
            self._transaction = None
            self._leave()
            return []
        return self._tell(self._last, "timeout", now)

    # The decision

    def accept(
        self,
        *,
        now: float,
        expires_s: int = EXPIRES_S,
        headers: tuple[tuple[str, str], ...] = (),
        advertise: str = "",
        accounts: tuple[Account, ...] = (),
    ) -> list[Output]:
        """Answer 202, and report 100 (RFC 3515 §2.4.4); whoever wants no reports gets none (RFC 4488 §4).

        Args:
            now: monotonic seconds.
            expires_s: how long reports will come.
            headers: further lines of the 202.
            advertise: outside a call, "host" or "host:port" for our Via and Contact.
            accounts: outside a call, what answers challenges to our NOTIFYs.

        Raises:
            LocalProtocolError: it is decided already, or its sender waits no more; or CR, LF or NUL in `headers`.
        """
        transaction = self._decide()
        stack, dialog = self._stack, self._dialog
        if self.usage is None:
            self._advertise = advertise
            self._digest = stack.digest(accounts, dialog.next_hop_uri())
            contact = stack.contact(dialog, dialog.flow, advertise)
        else:
            contact = self.usage.contact_line()
        silent = () if self.subscribes else (("Refer-Sub", "false"),)
        response = stack.response(self.request, 202, to_tag=self.local_tag, headers=(contact, *silent, *headers))
        self._transaction = None
        outputs: list[Output] = list(stack.layer.respond(transaction, response, now=now))
        dialog.refresh_target(self.request, "REFER")
        if not self.subscribes:
            self._finished = True
            self._leave()
            return outputs
        self._expires_at = now + expires_s
        stack.schedule(self)
        return outputs + self._tell(_TRYING, "", now)

    def refuse(self, status: int = 603, why: str = "", *, now: float) -> list[Output]:
        """Refuse it, with any status from 300 to 699; nothing is ever reported of it.

        Raises:
            LocalProtocolError: it is decided already, or its sender waits no more; or `status` is no refusal.
        """
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is not a refusal (300-699)")
        transaction = self._decide()
        self._transaction = None
        self._leave()
        lines = (warning(why), ("Reason", str(Reason("SIP", status, one_line(why))))) if why else ()
        return self._stack.respond(transaction, status, headers=lines, now=now)

    def _decide(self) -> ServerTransaction:
        if self._transaction is None:
            raise LocalProtocolError("the REFER is decided already, or nobody waits for the answer any more")
        return self._transaction

    # The reports

    def progress(self, status: int, reason: str = "", *, now: float) -> list[Output]:
        """Report how far the call has come: 100 to 199. After the end it does nothing.

        Raises:
            LocalProtocolError: `status` is no provisional one, or the REFER was not accepted yet.
        """
        if not 100 <= status < 200:
            raise LocalProtocolError(f"{status} is not a provisional status (100-199)")
        return self._report(Fragment(status, reason), "", now)

    def finish(self, status: int, reason: str = "", *, now: float) -> list[Output]:
        """Report the end of the call that we made: 200 to 699 (RFC 3515 §2.4.5). Once; after the end it does nothing.

        Raises:
            LocalProtocolError: `status` is no final one, or the REFER was not accepted yet.
        """
        if not 200 <= status < 700:
            raise LocalProtocolError(f"{status} is not a final status (200-699)")
        return self._report(Fragment(status, reason), "noresource", now)

    def _report(self, fragment: Fragment, end: str, now: float) -> list[Output]:
        if self._transaction is not None:
            raise LocalProtocolError("the REFER is not accepted yet")
        return self._tell(fragment, end, now)

    def _tell(self, fragment: Fragment, end: str, now: float) -> list[Output]:
        """Send it, or after what is on its way; of what waits only the newest counts."""
        if self._finished:
            return []
        self._last, self._news = fragment, (fragment, end)
        if end:
            self._finished = True
            self._expires_at = None
            self._stack.schedule(self)
        return self._send_news(now)

    def _send_news(self, now: float) -> list[Output]:
        if self._under_way or self._news is None:
            return []
        (fragment, end), self._news = self._news, None
        self._under_way = True
        left_s = max(1, round((self._expires_at or now) - now))
        state = SubscriptionState("terminated", None, end) if end else SubscriptionState("active", left_s)
        lines = (
            ("Event", str(EventType("refer", str(self.request.cseq.number)))),
            ("Subscription-State", str(state)),
        )
        return self._notify(lines, write_sipfrag(*fragment)).start(now=now)

    def _notify(self, lines: tuple[tuple[str, str], ...], body: bytes) -> ClientRequest:
        if self.usage is not None:
            return self.usage.client_request(
                "NOTIFY",
                on_final=self._notified,
                headers=lines,
                body=body,
                content_type=CONTENT_TYPE,
                dialog=self._dialog,
            )
        return request_in(
            self._stack,
            self._dialog,
            "NOTIFY",
            on_final=self._notified,
            headers=lines,
            body=body,
            content_type=CONTENT_TYPE,
            advertise=self._advertise,
            digest=self._digest,
        )

    def _notified(self, outcome: Outcome, now: float) -> list[Output]:
        self._under_way = False
        if not 200 <= outcome.status < 300:  # RFC 6665 §4.2.2: nobody listens any more
            self._news = None
            self._finished = True
        if self._news is not None:
            return self._send_news(now)
        if self._finished:
            self._leave()
        return []

    # What the peer asks of its subscription

    def is_from(self, request: Request) -> bool:
        """Whether a request comes from the peer of this dialog."""
        return (request.from_.tag or "") == self._dialog.remote_tag

    def accepts(self, request: Request) -> bool:
        """Note a request of the peer; False if its CSeq is not newer than the last (RFC 3261 §12.2.2)."""
        return self._dialog.accepts(request)

    def subscribed(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Prolong the reports, or end them (RFC 6665 §4.2.1.4): either way one follows."""
        wanted_s = request.expires
        expires_s = EXPIRES_S if wanted_s is None else min(wanted_s, _LONGEST_S)
        line = ("Expires", str(expires_s))
        contact = self._stack.contact(self._dialog, self._dialog.flow, self._advertise)
        outputs = self._stack.respond(transaction, 200, headers=(line, contact), now=now)
        if not self._finished:
            self._expires_at = now + expires_s
            self._stack.schedule(self)
        return outputs + self._tell(self._last, "" if expires_s else "timeout", now)

    def _leave(self) -> None:
        self._expires_at = None
        self._stack.schedule(self)
        self._stack.subscriptions.discard(self)
