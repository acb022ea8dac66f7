"""A call that came in: the agent sees it before it is answered, and may ring, answer or reject."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Word
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.errors import LocalProtocolError, MediaError, RemoteProtocolError
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
        self._offer_answered: asyncio.Future[None] | None = None
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
        if self.handed_over and self.answered:
            return
        lines = tuple((headers or {}).items())
        self._switchboard.apply(self._invite.ring(now=self._switchboard.now, status=status, headers=lines))
        self._note_ringing("ringing", status)

    async def progress(self, status: int = 183, *, headers: Mapping[str, str] | None = None) -> None:
        """Begin early media: from here on audio flows both ways, before anybody has answered.

        The caller hears what is played, and can be heard, without the call counting as answered. The response carries
        our SDP; a caller who supports 100rel acknowledges it (RFC 3262), unless the trunk says `prack: false`. Where
        the caller's INVITE came without SDP ours is the offer, and this returns when the answer has come. Called again,
        it only says the status.

        Args:
            status: 101 to 199.
            headers: further header lines.

        Raises:
            CallEnded: the caller has given up.
            LocalProtocolError: the call is already answered, the status is no provisional one, or the INVITE came
                without SDP from a caller who supports no 100rel: nothing can be agreed before the answer then.
        """
        self._lifetime.check()
        if self.handed_over and self.answered:
            return
        if self.media is None:
            raise LocalProtocolError("this call has no media")
        board, lines = self._switchboard, tuple((headers or {}).items())
        outputs = self._invite.ring(
            now=board.now, status=status, body=self._answer_body, headers=lines, reliable=self.media.prack
        )
        if not self._invite.offer_in and self.media.agreed is None and self._offer_answered is None:
            self._offer_answered = asyncio.get_running_loop().create_future()
        board.apply(outputs)
        self._note_ringing("progress", status)
        if self._invite.offer_in:
            self.media.commit()
            self.media_changed()
        elif self._offer_answered is not None:
            with self._lifetime.scope():
                await asyncio.shield(self._offer_answered)

    def _note_ringing(self, name: str, status: int) -> None:
        if self.record.ringing_at is None:
            self.record.ringing_at = self.record.now
        self.note(name, status=status)

    def early_answered(self, body: bytes) -> None:
        """Take the PRACK: with the SDP answer to the offer in our provisional response (RFC 3262 §5)."""
        if self.media is not None and self.media.agreed is None:
            try:
                self.media.take_answer(body)
            except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
                self.end_for(Word.MEDIA_FAILED, f"the PRACK's SDP cannot be used: {error}", status=488)
                return
            self.media_changed()
        if self._offer_answered is not None and not self._offer_answered.done():
            self._offer_answered.set_result(None)

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
        if self.handed_over and self.answered:
            return
        if self.manners is not None:
            with self._lifetime.scope():
                await self.manners.before_answer()
        lines = tuple((headers or {}).items())
        outputs = self._invite.answer(self._answer_body, now=self._switchboard.now, headers=lines)
        if not self._invite.pending:  # else the 200 waits for a PRACK (RFC 3262 §3), and is sent in its time
            self.was_answered()
        self._switchboard.apply(outputs)
        if self.media is not None and self._invite.offer_in:
            self.media.commit()
        self._confirmed = asyncio.get_running_loop().create_future()
        with self._lifetime.scope():
            await self._confirmed
            if self.manners is not None:
                await self.manners.after_answer()

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
        if self.record.ending is not None:
            return
        now = self._switchboard.now
        if self._invite.pending:
            self._switchboard.apply(self._invite.reject(status, now=now, headers=headers, why=why))
        else:
            self._switchboard.apply(self._invite.bye(now=now, headers=headers, why=why))

    def confirmed(self, body: bytes) -> None:
        """Take the ACK: with the SDP answer in it if the INVITE came empty (RFC 3261 §13.3.1)."""
        self.was_answered()
        if self.media is not None and not self._invite.offer_in and self.media.agreed is None:
            try:
                self.media.take_answer(body)
            except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
                self.end_for(Word.MEDIA_FAILED, f"the ACK's SDP cannot be used: {error}", status=488)
                return
        if self._confirmed is not None and not self._confirmed.done():
            self._confirmed.set_result(None)

    def has_ended(self, ending: Ending) -> None:
        """Also let go of whoever waits for the ACK."""
        super().has_ended(ending)
        if self._offer_answered is not None:
            self._offer_answered.cancel()
        if self._confirmed is not None:
            self._confirmed.cancel()
