"""The called side of an INVITE: ring, answer, reject, and CANCEL's races (RFC 3261 §9.2, §13.3)."""

from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.admission import one_line
from sipflow.sip.body import SDP, sdp_of
from sipflow.sip.dialog import uas_dialog
from sipflow.sip.digest import Account, DigestClient
from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Output
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.invite import InviteUsage, Lines
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
        self._provisional: Response | None = None
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
    ) -> None:
        """Learn, before anything but 100 is sent, how the trunk that owns the call names us and authenticates us.

        Args:
            advertise: "host" or "host:port" for Via and Contact.
            digest: what answers challenges to our BYE and re-INVITE.
            accounts: the same, where the stack is to keep the memory of nonces.
            allow_md5: whether these accounts answer a challenge that knows only MD5.
        """
        self._advertise = advertise
        self._digest = digest or self._stack.digest(accounts, self.established.next_hop_uri(), allow_md5=allow_md5)

    @property
    def offer_in(self) -> bytes:
        """The SDP of the INVITE, taken out of a multipart body if need be; b"" when the caller wants our offer."""
        return sdp_of(self.request)

    @property
    def pending(self) -> bool:
        """Whether the INVITE has had no final response yet."""
        return self.state is CALLING or self.state is EARLY

    @property
    def answering(self) -> bool:
        return self.pending

    @property
    def deadline(self) -> float | None:
        if self.state is CALLING or self.state is EARLY:
            return self._ring_again_at if self._expires_at is None else earliest(self._ring_again_at, self._expires_at)
        return super().deadline

    def handle_timer(self, *, now: float) -> list[Output]:
        """Also say again that it rings, and end an INVITE that has expired."""
        if not self.pending:
            return super().handle_timer(now=now)
        if self._expires_at is not None and now >= self._expires_at:
            outputs = self._respond(487, now, b"", ())  # §13.3.1 item 1
            return [*outputs, *self._finish("system", 487, "the caller's INVITE expired before it was answered")]
        if self._ring_again_at is None or self._provisional is None or now < self._ring_again_at:
            return []
        self._ring_again_at = now + _RING_AGAIN_S
        return list(self._stack.layer.respond(self.transaction, self._provisional, now=now))

    def ring(self, *, now: float, status: int = 180, body: bytes = b"", headers: Lines = ()) -> list[Output]:
        """Send a provisional response (§13.3.1.1), and again each minute; with `body`, early media.

        Raises:
            LocalProtocolError: the INVITE is already answered, `status` is not 101 to 199, or there is CR, LF or NUL in
                `headers`.
        """
        self._check_pending()
        if not 100 < status < 200:
            raise LocalProtocolError(f"{status} is not a provisional status (101-199)")
        self._provisional = self._response(status, body, (self.contact_line(), *headers))
        self._ring_again_at = now + _RING_AGAIN_S
        self.state = EARLY
        self._stack.schedule(self)
        return list(self._stack.layer.respond(self.transaction, self._provisional, now=now))

    def answer(self, body: bytes, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send 200 with our SDP and repeat it until the ACK (§13.3.1.4).

        Raises:
            LocalProtocolError: the INVITE is already answered, or CR, LF or NUL in `headers`.
        """
        self._check_pending()
        response = self._response(200, body, (self.contact_line(), *headers))
        outputs: list[Output] = list(self._stack.layer.respond(self.transaction, response, now=now))
        self.state = ANSWERED
        self._provisional = None  # nothing repeats it any more
        self.expect_ack(self.transaction, response, now=now)
        return outputs

    def reject(self, status: int, reason: str = "", *, now: float, headers: Lines = (), why: str = "") -> list[Output]:
        """Send a final refusal, 300 to 699 (§13.3.1.2, §13.3.1.3); `why` goes into a Reason header (RFC 3326).

        Raises:
            LocalProtocolError: the INVITE is already answered, `status` is no refusal, or CR, LF or NUL in `reason` or
                `headers`.
        """
        self._check_pending()
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
        if not self.pending:
            raise LocalProtocolError("the call is already answered or over")

    def _close_invites(self, now: float) -> list[Output]:
        if self.pending:
            return self._respond(487, now, b"", ())  # §15.1.2: BYE in an early dialog ends the INVITE too
        return super()._close_invites(now)

    def _respond(self, status: int, now: float, body: bytes, headers: Lines, reason: str = "") -> list[Output]:
        response = self._response(status, body, headers, reason)
        return list(self._stack.layer.respond(self.transaction, response, now=now))

    def _response(self, status: int, body: bytes, headers: Lines, reason: str = "") -> Response:
        tag = self.established.local_tag
        return self._stack.response(
            self.request, status, reason, to_tag=tag, headers=headers, body=body, content_type=SDP if body else ""
        )


def _expiry(request: Request, now: float) -> float | None:
    """When the caller says that nobody need answer any more (§13.3.1); "Expires: 0" is a mistake, not a wish."""
    expires = request.expires
    return now + expires if expires else None
