"""One call as an agent sees it: hear, speak, read digits, hang up."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.answered_by import Answering
from sipflow.calls.branching import Branching
from sipflow.calls.digits import DigitInbox, Kind
from sipflow.calls.ending import Ending, Word
from sipflow.calls.holding import Holding
from sipflow.calls.keeping import Keeping
from sipflow.calls.manners import Manners
from sipflow.calls.record import CallRecord
from sipflow.calls.stats import CallStats, sum_up
from sipflow.calls.texting import Texting
from sipflow.calls.transfer.transferring import Transferring
from sipflow.calls.variables import variables_of
from sipflow.media.statistics import MediaStatistics
from sipflow.sip.headers.reason import Reason
from sipflow.sip.message import Headers
from sipflow.sip.usage.invite import InviteUsage
from sipflow.tasks import Tasks
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.bridge import Joint
    from sipflow.calls.switchboard import Switchboard


class Call(Transferring, Answering, Texting, Holding, Keeping, Branching, ABC):
    """What inbound and outbound calls have in common. Every await raises `CallEnded` once the call is over.

    What is heard stands in `hearing.py`, what is said in `speaking.py`, hold from our side in `holding.py`, recording
    in `keeping.py`, texts in `texting.py`, second calls in `branching.py`, transfers in `transfer/transferring.py`;
    here is what the call is, and its end.

    Attributes:
        id: ours, unique; on every log line of the call.
        caller, callee: user parts of From and To, unescaped.
        headers: of the INVITE.
        options: what the configuration gives the agent beside its handler.
        record: what will be kept of the call.
        last_words: headers of the message that ended it; None while it lives, or where no message did.
        handed_over: whether another agent had it before. This one may ring and answer as if it were the first: on a
            call that is answered, neither does anything.
        word: our word for the ending where we know better than the status tells.
        manners: how the agent behaves on it whatever its code does; None where nobody minds.
        joint: what joins it with another call; None while nothing does.
    """

    handed_over = False
    _switchboard: "Switchboard"

    def __init__(self, switchboard: "Switchboard", usage: InviteUsage, record: CallRecord, headers: Headers) -> None:
        super().__init__(switchboard.tasks)
        self._switchboard = switchboard
        self._waiting_for_end: list[asyncio.Future[Ending]] = []
        self.usage = usage
        self.id = record.id
        self.record = record
        self.caller = record.from_number
        self.callee = record.to_number
        self.headers = headers
        self.options: Mapping[str, object] = {}
        self.word: Word | None = None
        self.manners: Manners | None = None
        self.joint: Joint | None = None
        self.last_words: Headers | None = None
        self.recording = None
        usage.app = self

    # What it is

    @cached_property
    def inbox(self) -> DigitInbox:
        """Tells new presses of digits from further reports of known ones."""
        return DigitInbox()

    @cached_property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """A logger that names the call on every line."""
        return self._switchboard.call_log.bind(call=self.id)

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Every `X-*` header (name and case kept), X-EI, Diversion and P-Asserted-Identity of the INVITE.

        And what the call was ordered or announced with, which counts more where both have a name.
        """
        return {**variables_of(self.headers), **(self.record.variables or {})}

    def give(self, variables: Mapping[str, str]) -> None:
        """Add to what the agent knows of the call, before it runs; the record keeps it."""
        self.record.variables = {**(self.record.variables or {}), **variables}
        self.variables = {**self.variables, **variables}

    @property
    def tasks(self) -> Tasks:
        """Owner of what runs beside it."""
        return self._tasks

    @property
    def trunk(self) -> Trunk | None:
        """The trunk that carries it, as it is configured now; None where it has none."""
        return self._switchboard.doorkeeper.router.trunks.get(self.record.trunk) if self.record.trunk else None

    @property
    def answered(self) -> bool:
        """Whether the call has been answered, by either side."""
        return self.record.answered_at is not None

    @property
    def ending(self) -> Ending | None:
        """How the call ended; None while it lives."""
        return self.record.ending

    @property
    def stats(self) -> CallStats:
        """How its audio fares, as of now: codec, packets, loss, jitter and more; good after its end too."""
        media = self.media
        if media is None:
            return CallStats()
        return CallStats.of(
            media.session.statistics(),
            ptime_ms=media.agreed.ptime_ms if media.agreed is not None else 0,
            queued_ms=self.queued_ms,
        )

    @property
    def statistics(self) -> MediaStatistics | None:
        """Every counter of the media stream, what `stats` is made of; None where there is no media."""
        return self.media.session.statistics() if self.media is not None else None

    def note(self, name: str, /, **details: object) -> None:
        """Add a line to the call's history; `details` hold JSON values and never a secret."""
        self._switchboard.history.note(self.record, name, **details)

    def say_update(self, lines: tuple[tuple[str, str], ...]) -> None:
        """Tell the far end something in an UPDATE that changes no audio (RFC 3311), such as a new identity.

        Raises:
            LocalProtocolError: it takes no UPDATE, the call has no dialog, or a line cannot be written.
        """
        self._switchboard.apply(self.usage.update(now=self._switchboard.now, headers=lines))

    # Ending

    async def hangup(self, *, headers: Mapping[str, str] | None = None) -> None:
        """End the call: BYE if it is answered; a call in that is not is refused with 603, a call out cancelled.

        Args:
            headers: further header lines for the BYE, such as `X-Result`. Twice is once.
        """
        self.end("the agent hung up", headers=tuple((headers or {}).items()))

    # What only one kind of call needs, and an agent may do on either

    @abstractmethod
    async def ring(self, status: int = 180, *, headers: Mapping[str, str] | None = None) -> None:
        """Tell whoever called that it rings; see `InboundCall.ring`."""

    @abstractmethod
    async def progress(self, status: int = 183, *, headers: Mapping[str, str] | None = None) -> None:
        """Begin early media; see `InboundCall.progress`."""

    @abstractmethod
    async def answer(self, *, headers: Mapping[str, str] | None = None) -> None:
        """Answer; see `InboundCall.answer`."""

    @abstractmethod
    async def reject(self, status: int = 486, reason: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """Refuse; see `InboundCall.reject`."""

    @abstractmethod
    def end(self, why: str, *, headers: tuple[tuple[str, str], ...] = (), status: int = 603) -> None:
        """End the call from inside, at once; `status` is for a call in that was never answered. Twice is once."""

    def end_for(self, word: Word, why: str, *, status: int) -> None:
        """End the call with a word of our own for the record."""
        self.word = word
        self.end(
            why, status=status, headers=() if not self.answered else (("Reason", str(Reason("SIP", status, why))),)
        )

    async def ended(self) -> Ending:
        """Wait until the call is over, and say how it ended. Never raises `CallEnded`.

        Cancelling leaves the call as it is.
        """
        if self.record.ending is not None:
            return self.record.ending
        waiter: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._waiting_for_end.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting_for_end.remove(waiter)

    # What the switchboard tells

    def digit_heard(self, digit: str, kind: Kind, now: float, *, lasted_s: float = 0.0) -> None:
        """Take a digit of the far end that came in one of several ways; each press counts once."""
        if self.inbox.receive(digit, kind, now, lasted_s=lasted_s):
            self._switchboard.note_digit(self.record, digit)
            self.digit_pressed(digit, kind)

    def was_answered(self) -> None:
        """Note the moment of the answer."""
        if self.record.answered_at is None:
            self.record.answered_at = self.record.now
            self.note("answered")

    def has_ended(self, ending: Ending) -> None:
        """Stop the media, end every wait of the agent, and complete the record. Only the first time counts."""
        if self.record.ending is not None:
            return
        self.record.ending = ending
        self.record.ended_at = self.record.now
        if self.media is not None:
            self.media.close()
            sum_up(self.record, self.media)
        self._stop_hearing()
        self._lifetime.end(ending.by, ending.why)
        for waiter in self._waiting_for_end:
            if not waiter.done():
                waiter.set_result(ending)
        self._end_legs(ending)
