"""A call that we place."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Word
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed, LocalProtocolError, MediaError, RemoteProtocolError
from sipflow.net.endpoint import Endpoint
from sipflow.sip.headers.reason import Reason
from sipflow.sip.message import Headers, Request, Response
from sipflow.sip.outputs import Ended
from sipflow.sip.usage.uac import UacInvite

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard

_MOST_PLACES = 16  # that ring at once, as in sip.usage.uac
_FAREWELL_S = 5.0  # how long the far end has to confirm a CANCEL before the call is over for us


class Tries(Protocol):
    """Whoever knows where else a call can go; `sipflow.calls.placing` does."""

    def over(self, event: Ended) -> bool:
        """Take the end of an INVITE that was not answered; say whether the call goes on elsewhere."""

    def progressed(self, status: int) -> None:
        """Learn of a provisional response."""

    def answered(self) -> None:
        """Learn that the far end has answered."""

    def ended(self, ending: Ending) -> None:
        """Learn that the call is over."""


class OutboundCall(Call):
    """A call to somebody. `await call.wait_answered()` first; then as any `Call`.

    Early media, such as an announcement of the network, is heard through `call.audio` from the first provisional
    response with SDP on; what is played is sent from then on too. Where it rings in several places the one that spoke
    up last is heard, and from the answer on whoever answered.

    To an agent that runs on it, it is a call that is answered already: `ring`, `progress` and `answer` do nothing, and
    `reject` hangs up.

    Attributes:
        provisionals: provisional statuses so far, in order.
        on_progress: told status and reason of each as it comes.
        tries: where else it can go, None where nowhere.
        given_up: whether we have cancelled it.
    """

    def __init__(self, switchboard: "Switchboard", usage: UacInvite, record: CallRecord, media: LegMedia) -> None:
        super().__init__(switchboard, usage, record, Headers())
        self.media = media
        self.provisionals: list[int] = []
        self.on_progress: Callable[[int, str], None] = lambda _status, _reason: None
        self.tries: Tries | None = None
        self.given_up = False
        self._because: tuple[str, str] | None = None  # who gave it up, and why
        self._farewell: asyncio.TimerHandle | None = None
        self._calling = usage
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: dict[str, tuple[bytes, bool]] = {}  # of each place that rings: its SDP, and whether it is settled
        self._heard = ""  # tag of the place that is heard now

    @property
    def where(self) -> str:
        """Where the INVITE went, such as `udp:10.0.0.5:5060`."""
        return str(self._calling.hop)

    def unreachable_because(self, endpoint: Endpoint) -> str:
        """Why the last target could not be reached, "" where nobody knows."""
        return endpoint.why(self._calling.hop) if self._calling.hop is not None else ""

    async def wait_answered(self) -> None:
        """Wait until the far end answers.

        Raises:
            CallFailed: it refused, never answered, or could not be reached; or we hung up meanwhile.

        Cancelling leaves the call ringing: `hangup` ends it.
        """
        try:
            await asyncio.shield(self._answer)
        except CallFailed as failed:
            failed.__traceback__ = None  # the call keeps it, and it would keep the call, through whoever waited
            raise CallFailed(failed.status, failed.reason) from None

    # What an agent may do without asking whether it called or was called

    async def ring(self, status: int = 180, *, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Do nothing: it is the far end that rings. See `InboundCall.ring`.

        Raises:
            CallEnded: the call is over.
        """
        self._lifetime.check()

    async def progress(self, status: int = 183, *, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Do nothing: early media is the far end's to begin. See `InboundCall.progress`.

        Raises:
            CallEnded: the call is over.
        """
        self._lifetime.check()

    async def answer(self, *, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Wait until the far end has answered, which it has where an agent of the configuration runs.

        Raises:
            CallEnded: the call is over.
        """
        with self._lifetime.scope():
            await asyncio.shield(self._answer)

    async def reject(self, status: int = 486, reason: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """Hang up, and say why in a Reason (RFC 3326); see `InboundCall.reject`.

        Raises:
            CallEnded: the call is over.
        """
        self._lifetime.check()
        why = reason or f"the agent answered {status}"
        lines = dict(headers or {})
        lines.setdefault("Reason", str(Reason("SIP", status, why)))
        self.end(why, headers=tuple(lines.items()))

    # The end from our side

    def end(self, why: str, *, headers: tuple[tuple[str, str], ...] = (), status: int = 603) -> None:  # noqa: ARG002
        """Send CANCEL, or BYE once it is answered, with `headers`; `status` means nothing for a call of ours."""
        if self.answered:
            now = self._switchboard.now
            self._switchboard.apply(self._calling.bye(now=now, headers=headers, why=why))
        else:
            self.give_up(why, headers=headers)

    def give_up(
        self, why: str, *, by: str = "local", word: Word = Word.CANCELLED, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Call no longer: CANCEL, and no further target; the call ends when the far end has confirmed that."""
        if self.given_up or self.ending is not None:
            return
        self.given_up = True
        self.word = self.word or word
        self._because = (by, why)
        if self._calling.over or self._calling.app is not self:  # between two targets
            self._switchboard.close(self, Ending.of(by, 487, why, word=self.word))
            return
        self._farewell = asyncio.get_running_loop().call_later(_FAREWELL_S, self._forsake)
        self._switchboard.apply(self._calling.cancel(now=self._switchboard.now, headers=headers))

    def _forsake(self) -> None:
        """Take the call for over although nobody confirms the CANCEL; should it be answered yet, it is hung up."""
        by, why = self._because or ("local", "we gave up")
        self._switchboard.close(self, Ending.of(by, 487, why, word=self.word))

    def goes_on(self, event: Ended) -> bool:
        """Take the end of an INVITE that was not answered; say whether the call goes on elsewhere."""
        return self.tries is not None and not self.answered and self.tries.over(event)

    def judged(self, event: Ended) -> Ended:
        """Say how a call that we gave up ended: by whom, and why; an answer that crossed our CANCEL changes nothing."""
        if self._because is None or self.answered:
            return event
        by, why = self._because
        return event._replace(by=by, why=why, status=event.status if event.status >= 300 else 487)

    def renew(self, usage: UacInvite, media: LegMedia) -> None:
        """Go on with another INVITE; what an earlier one still hears is not for this call any more."""
        self._calling.app = None
        if self.media is not None:
            self.media.close()
        self._calling = usage
        self.usage = usage
        usage.app = self
        self.media = media
        self._early.clear()
        self._heard = ""
        if self.joint is not None:
            self.joint.swap(self, self)  # its lanes lead to and from the audio that was closed

    # What the switchboard tells

    def progressed(self, response: Response, body: bytes, *, reliable: bool = False) -> None:
        """Note ringing; with SDP, hear early media: of several places that ring, the last one that spoke up."""
        self._note_progress(response.status, early_media=bool(body))
        self.headers = response.headers
        self.on_progress(response.status, response.reason)
        self.log.debug("ringing", status=response.status, reason=response.reason)
        tag = response.to.tag or ""
        known, settled = self._early.get(tag, (b"", False))
        if not body or settled or (known == body and tag == self._heard) or (not known and self._full):
            return  # RFC 3261 §13.2.1: the first answer of a place counts, where it was sure to arrive
        self._early[tag] = (body, reliable)
        self._hear(tag, body)

    def confirmed(self, message: Request | Response, body: bytes) -> None:
        """Take the answer; a call whose SDP cannot be used is hung up (RFC 3261 §13.2.2.4)."""
        self.headers = message.headers
        self.was_answered()
        tag = message.to.tag or ""
        known, settled = self._early.get(tag, (b"", False))
        self._early.clear()
        if settled or not body:
            body = known  # RFC 3262 §5: the answer came before; another place may have been heard since
        if (tag != self._heard or body != known or not body) and not self._hear(tag, body):
            return
        if self.tries is not None:
            self.tries.answered()
        if not self._answer.done():
            self._answer.set_result(None)

    def _note_progress(self, status: int, *, early_media: bool) -> None:
        if self.record.ringing_at is None:
            self.record.ringing_at = self.record.now
        if status not in self.provisionals:  # repetitions fill no history
            self.note("ringing" if status == 180 else "progress", status=status, early_media=early_media)
        self.provisionals.append(status)
        if self.tries is not None:
            self.tries.progressed(status)

    @property
    def _full(self) -> bool:
        return len(self._early) >= _MOST_PLACES

    def _hear(self, tag: str, body: bytes) -> bool:
        """Let the audio be what a place that rings, or has answered, wants."""
        if self.media is None:
            return True
        try:
            self.media.take_answer(body)
        except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
            self.end_for(Word.MEDIA_FAILED, f"the far end's SDP cannot be used: {error}", status=488)
            return False
        self._heard = tag
        self.media_changed()
        return True

    def has_ended(self, ending: Ending) -> None:
        """Also tell whoever waits for the answer that there will be none."""
        super().has_ended(ending)
        if self._farewell is not None:
            self._farewell.cancel()
        tries, self.tries = self.tries, None  # they know us: without garbage collection we would keep each other
        if tries is not None:
            tries.ended(ending)
        if not self._answer.done():
            status = ending.status if ending.status >= 300 else 487
            self._answer.set_exception(CallFailed(status, ending.why))
            self._answer.exception()  # whoever never waits for the answer needs no warning about it
