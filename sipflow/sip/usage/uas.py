"""The called side of an INVITE: ring, answer, reject, and CANCEL's races (RFC 3261 §9.2, §13.3; RFC 3262 §3)."""

from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.admission import one_line, warning
from sipflow.sip.body import SDP, sdp_of
from sipflow.sip.dialog import uas_dialog
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.headers.lines import write_line
from sipflow.sip.headers.rack import RAck
from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import OfferAnswered, Output
from sipflow.sip.session_timer import SessionSettings
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.invite import InviteUsage, Lines
from sipflow.sip.usage.prack import ReliableResponses, requires_reliable, supports_reliable
from sipflow.sip.usage.state import ANSWERED, CALLING, EARLY, earliest

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack

_RING_AGAIN_S = 60.0  # §13.3.1.1: proxies give an INVITE three minutes, from each provisional response anew


class UasInvite(InviteUsage):
    """A call that came in.

    Attributes:
        request: the INVITE.
        hop: where it came from.
    """

    def __init__(
        self, stack: "Stack", transaction: ServerTransaction, request: Request, hop: Hop, *, now: float
    ) -> None:
        """Take an INVITE that no dialog knows.

        Raises:
            RemoteProtocolError: it has no usable Contact or Record-Route (status 400).
        """
        super().__init__(stack, request.call_id, advertise="", digest=None)
        self._offer_in: bytes | None = None  # looked for once; a call asks three times
        self._provisional: Response | None = None
        self._reliable: ReliableResponses | None = None
        self._offer_open = False  # an offer of ours in a reliable provisional response has had no answer
        self._answer_wanted: tuple[bytes, Lines] | None = None
        self._forget_at: float | None = None
        self._ring_again_at: float | None = None
        self._expires_at = _expiry(request, now)
        self.transaction = transaction
        self.request = request
        self.hop = hop
        self.dialog = uas_dialog(request, stack.ids.tag(), hop)
        stack.remember(self)
        if self._expires_at is not None:
            stack.schedule(self)

    def adopt(
        self,
        *,
        advertise: str = "",
        digest: DigestClient | None = None,
        accounts: tuple[Account, ...] = (),
        allow_md5: bool = True,
        session: SessionSettings | None = None,
    ) -> None:
        """Learn, before anything but 100 is sent, how the trunk that owns the call names us and authenticates us.

        Args:
            advertise: "host" or "host:port" for Via and Contact.
            digest: what answers challenges to our BYE and re-INVITE.
            accounts: the same, where the stack is to keep the memory of nonces.
            allow_md5: whether these accounts answer a challenge that knows only MD5.
            session: session timers of this call; None for what the user agent is set to.
        """
        self._advertise = advertise
        if session is not None:
            self._session = session
        self._digest = digest or self._stack.digest(accounts, self.established.next_hop_uri(), allow_md5=allow_md5)

    @property
    def offer_in(self) -> bytes:
        """The SDP of the INVITE, taken out of a multipart body if need be; b"" when the caller wants our offer."""
        if self._offer_in is None:
            self._offer_in = sdp_of(self.request)
        return self._offer_in

    @property
    def pending(self) -> bool:
        return self.state is CALLING or self.state is EARLY

    @property
    def supports_reliable(self) -> bool:
        """Whether the caller can acknowledge provisional responses (RFC 3262 §3)."""
        return supports_reliable(self.request)

    @property
    def answering(self) -> bool:
        return self.pending and not self._settled

    @property
    def may_update(self) -> bool:
        reliable = self._reliable
        return self.pending and self._settled and reliable is not None and reliable.unacknowledged is None

    def allows(self, method: str) -> bool:
        if self.peer_allow is None:
            self.peer_allow = self.request.headers.get("Allow") or ""
        return super().allows(method)

    @property
    def offering(self) -> bool:
        return self._offer_open or super().offering

    @property
    def _settled(self) -> bool:
        """Whether an offer and its answer have passed before the final response (RFC 3262 §5)."""
        return self._reliable is not None and self._reliable.described and not self._offer_open

    @property
    def deadline(self) -> float | None:
        if self.state is CALLING or self.state is EARLY:
            at = self._ring_again_at if self._expires_at is None else earliest(self._ring_again_at, self._expires_at)
            early = earliest(at, self._reliable.deadline) if self._reliable is not None else at
            return early if self._modification is None else earliest(early, super().deadline)
        return super().deadline if self._forget_at is None else self._forget_at

    def handle_timer(self, *, now: float) -> list[Output]:
        """Also say again that it rings, and end an INVITE that has expired."""
        if self._forget_at is not None and now >= self._forget_at:
            self._forget_at = None
            self._stack.forget(self)
        if not self.pending:
            return super().handle_timer(now=now)
        return self._modified_early(now) + self._ring_on(now)

    def _modified_early(self, now: float) -> list[Output]:
        return self._modification.handle_timer(now=now) if self._modification is not None else []

    def _ring_on(self, now: float) -> list[Output]:
        if self._expires_at is not None and now >= self._expires_at:
            why = "the caller's INVITE expired before it was answered"
            return self._fail(487, why, now)  # §13.3.1 item 1
        if self._reliable is not None and self._reliable.lost(now=now):
            why = f"the caller never acknowledged our progress (no PRACK in {self._stack.timers.timeout:g} s)"
            return self._fail(504, why, now)  # RFC 3262 §3: a 5xx
        again = self._reliable.due(now=now) if self._reliable is not None else None
        if again is not None:
            return self._send_provisional(again, now)
        if self._ring_again_at is None or self._provisional is None or now < self._ring_again_at:
            return []
        self._ring_again_at = now + _RING_AGAIN_S
        if requires_reliable(self.request):
            return self._send_reliably(self._provisional.copy(), now)
        return self._send_provisional(self._provisional, now)

    def ring(
        self, *, now: float, status: int = 180, body: bytes = b"", headers: Lines = (), reliable: bool = False
    ) -> list[Output]:
        """Send a provisional response (§13.3.1.1), and again each minute; with `body`, early media.

        A reliable one is repeated until the caller's PRACK comes; the next one waits until then (RFC 3262 §3). A second
        one leaves `body` out where a reliable one has carried it (§5).

        Args:
            now: monotonic seconds.
            status: 101 to 199.
            body: our SDP: the answer to the caller's offer, or an offer of ours where the INVITE came without.
            headers: further header lines.
            reliable: have it acknowledged if the caller supports that; where the caller requires it, each is.

        Raises:
            LocalProtocolError: the INVITE is answered, `status` is no provisional one, CR, LF or NUL is in `headers`,
                too many wait for PRACK, or `body` is an offer and the caller could not acknowledge it.
        """
        self._check_pending()
        if not 100 < status < 200:
            raise LocalProtocolError(f"{status} is not a provisional status (101-199)")
        reliably = requires_reliable(self.request) or (reliable and self.supports_reliable)
        if self._reliable is not None and self._reliable.describing:
            body = b""  # RFC 3262 §5: offer and answer pass once
        if body and not reliably and not self.offer_in:
            raise LocalProtocolError("an offer must go in a reliable response, and the caller knows none (RFC 3262 §5)")
        lines = (self.contact_line(), *headers)
        if body:
            self.described = body
            if reliably:
                lines = (*lines, ("Allow", self._stack.able.allow))  # RFC 3311 §4: whether UPDATE may follow
        response = self._response(status, body, lines)
        outputs = self._send_reliably(response, now) if reliably else self._send_provisional(response, now)
        self._provisional = self._response(status, b"", lines) if reliably else response
        self._ring_again_at = now + _RING_AGAIN_S
        self.state = EARLY
        self._stack.schedule(self)
        return outputs

    def _send_provisional(self, response: Response, now: float) -> list[Output]:
        return list(self._stack.layer.respond(self.transaction, response, now=now))

    def _send_reliably(self, response: Response, now: float) -> list[Output]:
        """Send it, or have it wait for the PRACK of the one before it (RFC 3262 §3)."""
        if self._reliable is None:  # RFC 3262 §3: RSeq begins anywhere from 1 to 2**31 - 1
            self._reliable = ReliableResponses(1 + self._stack.below(2**31 - 1), self._stack.timers)
        return self._sent_reliably(self._reliable.send(response, now=now), now)

    def _sent_reliably(self, ready: Response | None, now: float) -> list[Output]:
        if ready is None:
            return []
        self._offer_open = bool(ready.body) and not self.offer_in
        self._stack.schedule(self)
        return self._send_provisional(ready, now)

    def _receive_prack(self, request: Request, transaction: ServerTransaction, now: float) -> list[Output]:
        """Take the acknowledgement of a provisional response of ours (RFC 3262 §3), and what waited for it."""
        try:
            rack = RAck.parse(request.headers.get("RAck") or "")
        except (RemoteProtocolError, LocalProtocolError) as error:
            return self.reply(transaction, 400, headers=(warning(str(error)),), now=now)
        acknowledged = self._reliable.acknowledge(rack, self.request) if self._reliable is not None else None
        if acknowledged is None:
            return super()._receive_prack(request, transaction, now)
        if self.over:
            if self._forget_at is not None:
                self._forget_at = None
                self._stack.forget(self)
            return self.reply(transaction, 200, now=now)
        outputs: list[Output] = []
        sdp = sdp_of(request)
        if self._offer_open and acknowledged.body:  # §5: the answer to the offer in our response
            self._offer_open = False
            outputs += [*self.reply(transaction, 200, now=now), OfferAnswered(self, 200, sdp)]
        elif sdp:  # §5: another offer; its answer goes in the 2xx to the PRACK
            outputs += self._modifying.receive(request, transaction, now=now)
        else:
            outputs += self.reply(transaction, 200, now=now)
        return outputs + self._go_on(now)

    def _go_on(self, now: float) -> list[Output]:
        """Send what waited for the PRACK."""
        if self._answer_wanted is not None and self.pending:
            return self._answer_now(*self._answer_wanted, now)
        if self._reliable is None or not self.pending:
            return []
        return self._sent_reliably(self._reliable.next(now=now), now)

    def answer(self, body: bytes, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send 200 with our SDP and repeat it until the ACK (§13.3.1.4).

        While a provisional response with SDP waits for its PRACK, so does the 200 (RFC 3262 §3); `body` is left out
        where a reliable provisional response has carried it.

        Raises:
            LocalProtocolError: the INVITE is already answered, or CR, LF or NUL in `headers`.
        """
        self._check_pending()
        reliable = self._reliable
        if reliable is not None:
            reliable.drop_waiting()
            if reliable.unacknowledged is not None and reliable.unacknowledged.body:
                for name, value in headers:
                    write_line(name, value)
                self._answer_wanted = (body, tuple(headers))
                return []
        return self._answer_now(body, headers, now)

    def _answer_now(self, body: bytes, headers: Lines, now: float) -> list[Output]:
        if self._reliable is not None and self._reliable.described:
            body = b""
        if body:
            self.described = body
        lines = (self.contact_line(), *headers, *self.settle_session(self.request, now=now))
        response = self._response(200, body, lines)
        outputs: list[Output] = list(self._stack.layer.respond(self.transaction, response, now=now))
        if self._reliable is not None:
            self._reliable.stop()
        self.state = ANSWERED
        self._answer_wanted = self._provisional = None  # nothing repeats it any more
        self.expect_ack(self.transaction, response, now=now)
        return outputs

    def _fail(self, status: int, why: str, now: float) -> list[Output]:
        outputs = self._respond(status, now, b"", (("Reason", str(Reason("SIP", status, one_line(why)))),))
        return [*outputs, *self._finish("system", status, why)]

    def reject(self, status: int, reason: str = "", *, now: float, headers: Lines = (), why: str = "") -> list[Output]:
        """Send a final refusal, 300 to 699 (§13.3.1.2, §13.3.1.3); `why` goes into a Reason header (RFC 3326).

        Raises:
            LocalProtocolError: the INVITE is already answered, `status` is no refusal, or CR, LF or NUL in `reason` or
                `headers`.
        """
        if not self.pending:
            raise LocalProtocolError("the call is already answered or over")
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is not a refusal (300-699)")
        lines = (*headers, ("Reason", str(Reason("SIP", status, one_line(why))))) if why else tuple(headers)
        outputs = self._respond(status, now, b"", lines, reason)
        return [*outputs, *self._finish("local", status, why or f"we answered {status}")]

    def cancelled(self, transaction: ServerTransaction, cancel: Request, *, now: float) -> list[Output]:
        """Handle a CANCEL of our INVITE, or of a re-INVITE (§9.2); the CANCEL itself is answered by the user agent."""
        if transaction is not self.transaction:
            return super().cancelled(transaction, cancel, now=now)
        if not self.pending:
            return []  # it crossed our final response: too late
        outputs = self._respond(487, now, b"", ())
        return [*outputs, *self._finish("remote", 487, "the caller gave up before the call was answered", cancel)]

    def _check_pending(self) -> None:
        if not self.pending or self._answer_wanted is not None:
            raise LocalProtocolError("the call is already answered or over")

    def _close_invites(self, now: float) -> list[Output]:
        if self.pending:
            return self._respond(487, now, b"", ())  # §15.1.2: BYE in an early dialog ends the INVITE too
        return super()._close_invites(now)

    def _respond(self, status: int, now: float, body: bytes, headers: Lines, reason: str = "") -> list[Output]:
        """Send a final refusal; a PRACK that it crosses is still answered with 200 (RFC 3262 §3)."""
        response = self._response(status, body, headers, reason)
        self._answer_wanted = None
        if self._reliable is not None and self._reliable.unacknowledged is not None:
            self._forget_at = now + self._stack.timers.timeout
        outputs: list[Output] = list(self._stack.layer.respond(self.transaction, response, now=now))
        return outputs + super()._close_invites(now) if self._modification is not None else outputs

    def _finish(
        self, by: str, status: int, why: str, message: Request | Response | None = None, *, lost: bool = False
    ) -> list[Output]:
        if self._reliable is not None:
            self._reliable.stop()
            self._offer_open = False
        outputs = super()._finish(by, status, why, message, lost=lost)
        self.transaction.response_tag = self.established.local_tag  # §9.2: of a CANCEL that comes too late, as well
        self.transaction.forget_request()
        if self._forget_at is not None:
            self._stack.remember(self)
            self._stack.schedule(self)
        return outputs

    def _response(self, status: int, body: bytes, headers: Lines, reason: str = "") -> Response:
        tag = self.established.local_tag
        return self._stack.response(
            self.request,
            status,
            reason,
            to_tag=tag,
            headers=headers,
            body=body,
            content_type=SDP if body else "",
            timers=self._session is None or self._session.on,
        )


def _expiry(request: Request, now: float) -> float | None:
    """When the caller says that nobody need answer any more (§13.3.1); "Expires: 0" is a mistake, not a wish."""
    expires = request.expires
    return now + expires if expires else None
