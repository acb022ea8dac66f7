"""The called side of an INVITE: ring, answer, reject, and CANCEL's races (RFC 3261 §9.2, §13.3)."""

from typing import TYPE_CHECKING

from sipflow.errors import LocalProtocolError
from sipflow.sip.dialog import uas_dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Output
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.invite import SDP, InviteUsage, Lines, State

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack


class UasInvite(InviteUsage):
    """A call that came in.

    Attributes:
        request: the INVITE.
        hop: where it came from.
    """

    def __init__(self, stack: "Stack", transaction: ServerTransaction, request: Request, hop: Hop) -> None:
        """Take an INVITE that no dialog knows.

        Raises:
            RemoteProtocolError: it has no usable Contact (status 400).
        """
        super().__init__(stack, request.call_id, advertise="", digest=None)
        self.transaction = transaction
        self.request = request
        self.hop = hop
        self.dialog = uas_dialog(request, stack.ids.tag(), hop)
        stack.remember(self)

    def adopt(self, *, advertise: str = "", digest: DigestClient | None = None) -> None:
        """Learn, before anything but 100 is sent, how the trunk that owns the call names us and authenticates us."""
        self._advertise = advertise
        self._digest = digest

    @property
    def pending(self) -> bool:
        """Whether the INVITE has had no final response yet."""
        return self.state in (State.CALLING, State.EARLY)

    def ring(self, *, now: float, status: int = 180, body: bytes = b"", headers: Lines = ()) -> list[Output]:
        """Send a provisional response (§13.3.1.1); with `body`, early media.

        Raises:
            LocalProtocolError: the INVITE is already answered, or `status` is not 101 to 199.
        """
        if not self.pending:
            raise LocalProtocolError("the call is already answered or over")
        if not 100 < status < 200:
            raise LocalProtocolError(f"{status} is not a provisional status (101-199)")
        self.state = State.EARLY
        return self._respond(status, now, body, (*self._contact(), *headers))

    def answer(self, body: bytes, *, now: float, headers: Lines = ()) -> list[Output]:
        """Send 200 with our SDP and repeat it until the ACK (§13.3.1.4).

        Raises:
            LocalProtocolError: the INVITE is already answered.
        """
        if not self.pending:
            raise LocalProtocolError("the call is already answered or over")
        lines = (*self._contact(), *headers)
        response = self._stack.response(
            self.request, 200, to_tag=self.established.local_tag, headers=lines, body=body, content_type=SDP
        )
        self.state = State.ANSWERED
        outputs: list[Output] = list(self._stack.layer.respond(self.transaction, response, now=now))
        self._expect_ack(self.transaction, response, now)
        return outputs

    def reject(self, status: int, reason: str = "", *, now: float, headers: Lines = (), why: str = "") -> list[Output]:
        """Send a final refusal, 300 to 699 (§13.3.1.2, §13.3.1.3); `why` goes into a Reason header (RFC 3326).

        Raises:
            LocalProtocolError: the INVITE is already answered, or `status` is no refusal.
        """
        if not self.pending:
            raise LocalProtocolError("the call is already answered or over")
        if not 300 <= status < 700:
            raise LocalProtocolError(f"{status} is not a refusal (300-699)")
        lines = (*headers, ("Reason", str(Reason("SIP", status, why)))) if why else tuple(headers)
        outputs = self._respond(status, now, b"", lines, reason)
        return [*outputs, *self._finish("local", status, why or f"we answered {status}")]

    def cancelled(self, cancel: Request, *, now: float) -> list[Output]:
        """Handle a CANCEL that matched our INVITE (§9.2); the CANCEL itself is answered by the user agent."""
        if not self.pending:
            return []  # it crossed our final response: too late
        outputs = self._respond(487, now, b"", ())
        return [*outputs, *self._finish("remote", 487, "the caller gave up before the call was answered", cancel)]

    def _close_invite(self, now: float) -> list[Output]:
        if self.pending:
            return self._respond(487, now, b"", ())  # §15.1.2: BYE in an early dialog ends the INVITE too
        return super()._close_invite(now)

    def _respond(self, status: int, now: float, body: bytes, headers: Lines, reason: str = "") -> list[Output]:
        response = self._stack.response(
            self.request,
            status,
            reason,
            to_tag=self.established.local_tag,
            headers=headers,
            body=body,
            content_type=SDP if body else "",
        )
        return list(self._stack.layer.respond(self.transaction, response, now=now))
