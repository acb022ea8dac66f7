"""A call that came in: the agent sees it before it is answered, and may ring, answer or reject."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.calls.call import Call
from sipflow.calls.ending import Ending
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.usage.uas import UasInvite

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard


class InboundCall(Call):
    """A call somebody placed to one of our numbers. See `Call` for what works once it is answered."""

    def __init__(self, switchboard: "Switchboard", usage: UasInvite, record: CallRecord, media: LegMedia) -> None:
        super().__init__(switchboard, usage, record, usage.request.headers)
        self.media = media
        self._invite = usage
        self._confirmed: asyncio.Future[None] | None = None
        self._answer_body = b""

    def prepare(self) -> None:
        """Settle the media with the caller's offer, so that a call without common ground never reaches an agent.

        Raises:
            RemoteProtocolError: the SDP is broken (400) or has nothing in common with us (488).
        """
        if self.media is not None:
            offer = self._invite.offer_in
            self._answer_body = self.media.accept(offer) if offer else self.media.offer()

    async def ring(self, status: int = 180, *, headers: Mapping[str, str] | None = None) -> None:
        """Tell the caller that it rings (180), or another provisional status from 101 to 199.

        Raises:
            CallEnded: the caller has given up.
            LocalProtocolError: the call is already answered, or the status is no provisional one.
        """
        self._lifetime.check()
        lines = tuple((headers or {}).items())
        self._switchboard.apply(self._invite.ring(now=self._switchboard.now, status=status, headers=lines))

    async def answer(self, *, headers: Mapping[str, str] | None = None) -> None:
        """Answer, and return when the caller's side has acknowledged: from then on it can hear.

        Args:
            headers: further header lines for the 200.

        Raises:
            CallEnded: the caller gave up, or never acknowledged (after 32 s).
            LocalProtocolError: the call is already answered.

        Cancelling leaves the call answered.
        """
        self._lifetime.check()
        lines = tuple((headers or {}).items())
        outputs = self._invite.answer(self._answer_body, now=self._switchboard.now, headers=lines)
        self.was_answered()
        self._switchboard.apply(outputs)
        if self.media is not None and self._invite.offer_in:
            self.media.commit()
        self._confirmed = asyncio.get_running_loop().create_future()
        with self._lifetime.scope():
            await self._confirmed

    async def reject(self, status: int = 486, reason: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """Refuse with any final status from 300 to 699; a 3xx needs a Contact among `headers`.

        Raises:
            CallEnded: the caller has given up.
            LocalProtocolError: the call is already answered, or the status is no refusal.
        """
        self._lifetime.check()
        lines = tuple((headers or {}).items())
        why = reason or f"the agent answered {status}"
        self._switchboard.apply(self._invite.reject(status, reason, now=self._switchboard.now, headers=lines, why=why))

    def end(self, why: str, *, headers: tuple[tuple[str, str], ...] = (), status: int = 603) -> None:
        """Refuse the call with `status` if it is not answered, else send BYE."""
        now = self._switchboard.now
        if self._invite.pending:
            self._switchboard.apply(self._invite.reject(status, now=now, headers=headers, why=why))
        else:
            self._switchboard.apply(self._invite.bye(now=now, headers=headers, why=why))

    def confirmed(self, body: bytes) -> None:
        """Take the ACK: with the SDP answer in it if the INVITE came empty (RFC 3261 §13.3.1)."""
        if self.media is not None and not self._invite.offer_in:
            try:
                self.media.take_answer(body)
            except (RemoteProtocolError, LocalProtocolError) as error:
                self.end(f"the ACK's SDP cannot be used: {error}")
                return
        if self._confirmed is not None and not self._confirmed.done():
            self._confirmed.set_result(None)

    def has_ended(self, ending: Ending) -> None:
        """Also let go of whoever waits for the ACK."""
        super().has_ended(ending)
        if self._confirmed is not None:
            self._confirmed.cancel()
