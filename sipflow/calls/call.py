"""One call as an agent sees it: hear, speak, read digits, hang up."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from sipflow.audio.frame import Frame
from sipflow.calls.alive import Lifetime
from sipflow.calls.ending import Ending, Word
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.calls.variables import variables_of
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media.player import Source, play
from sipflow.media.statistics import MediaStatistics
from sipflow.sip.headers.reason import Reason
from sipflow.sip.message import Headers
from sipflow.sip.usage.invite import InviteUsage

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard

_MAX_DIGITS = 64  # digits nobody has read yet; a stuck key must not fill memory


class Call(ABC):
    """What inbound and outbound calls have in common. Every await raises `CallEnded` once the call is over.

    Attributes:
        id: ours, unique; on every log line of the call.
        caller, callee: user parts of From and To, unescaped.
        headers: of the INVITE.
        options: what the configuration gives the agent beside its handler.
        record: what will be kept of the call.
        word: our word for the ending where we know better than the status tells.
    """

    def __init__(self, switchboard: "Switchboard", usage: InviteUsage, record: CallRecord, headers: Headers) -> None:
        self._switchboard = switchboard
        self._lifetime = Lifetime()
        self._digits: deque[str] = deque(maxlen=_MAX_DIGITS)
        self._digit_waiter: asyncio.Future[None] | None = None
        self._waiting_for_end: list[asyncio.Future[Ending]] = []
        self.usage = usage
        self.media: LegMedia | None = None
        self.id = record.id
        self.record = record
        self.caller = record.from_number
        self.callee = record.to_number
        self.headers = headers
        self.options: Mapping[str, object] = {}
        self.word: Word | None = None
        usage.app = self

    # What it is

    @cached_property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """A logger that names the call on every line."""
        return self._switchboard.call_log.bind(call=self.id)

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Every `X-*` header (name and case kept), X-EI, Diversion and P-Asserted-Identity of the INVITE."""
        return variables_of(self.headers)

    @property
    def answered(self) -> bool:
        """Whether the call has been answered, by either side."""
        return self.record.answered_at is not None

    @property
    def ending(self) -> Ending | None:
        """How the call ended; None while it lives."""
        return self.record.ending

    @property
    def held(self) -> bool:
        """Whether the far end has put us on hold: nothing is sent, and playing stands still."""
        return self.media is not None and self.media.held

    @property
    def statistics(self) -> MediaStatistics | None:
        """Packets, loss and jitter so far; None before there is media."""
        return self.media.session.statistics() if self.media is not None else None

    # Hearing

    @property
    def audio(self) -> AsyncIterator[Frame]:
        """What the far end says: `async for frame in call.audio`, one frame (20 ms unless agreed otherwise) at a time.

        Frames are 16-bit little-endian mono. The queue behind them is bounded to a second: a slow agent loses the
        oldest audio, never slows another call. The iteration ends, quietly, with the call.

        Raises:
            LocalProtocolError: the call has not been answered.
        """
        return self._live_media.session.frames()

    async def read_digit(self, *, timeout: float = 5.0) -> str | None:  # noqa: ASYNC109  (what every IVR calls it)
        """Wait for the next DTMF digit the far end presses.

        Digits come from telephone-event packets (RFC 4733); tones inside the audio are not detected. A digit is
        reported once, at its first packet, not at its end.

        Args:
            timeout: seconds, counted from this call.

        Returns:
            One of `0-9 * # A-D`, or None if nothing was pressed in time.

        Raises:
            CallEnded: either side hung up while we waited.

        Cancelling loses no digit: one that arrives later stays queued for the next `read_digit`.
        """
        self._lifetime.check()
        if not self._digits:
            loop = asyncio.get_running_loop()
            self._digit_waiter = loop.create_future()
            try:
                with self._lifetime.scope():
                    async with asyncio.timeout(timeout):
                        await self._digit_waiter
            except TimeoutError:
                return None
            finally:
                self._digit_waiter = None
        return self._digits.popleft()

    # Speaking

    async def play(self, source: Source) -> None:
        """Play to the far end, after whatever is already queued, until the last sample has left.

        Args:
            source: path of a WAV file, 16-bit little-endian mono samples at 8 kHz as bytes, or an async iterator of
                frames or bytes, faster or slower than real time.

        Raises:
            CallEnded: either side hung up meanwhile.
            MediaError: the file cannot be read or played.
            LocalProtocolError: the call has not been answered.

        Cancelling stops at once: what has not been sent is dropped. On hold, playing stands still.
        """
        with self._lifetime.scope():
            await play(self._live_media.session, source)

    @asynccontextmanager
    async def playing(self, source: Source) -> AsyncIterator[None]:
        """Play while the block runs; leaving the block stops the prompt, so barge-in is a block, not a flag.

        Raises:
            MediaError: at the block's end, if the source could not be played.
            CallEnded: from the awaits inside.
        """
        failures: list[MediaError] = []
        session = self._live_media.session

        async def prompt() -> None:
            try:
                await play(session, source)
            except MediaError as error:
                failures.append(error)

        task = self._switchboard.tasks.spawn(prompt(), name=f"prompt of call {self.id}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if failures:
            raise failures[0]

    def clear(self) -> int:
        """Drop what is queued to be played. Returns how many milliseconds of it were really sent."""
        return self._live_media.session.clear()

    async def send_digits(self, digits: str) -> None:
        """Send DTMF digits as telephone-event packets (RFC 4733), one after the other; returns when the last has left.

        Raises:
            MediaError: not digits, or the far end takes no telephone-event.
            CallEnded: the call ended meanwhile.
        """
        with self._lifetime.scope():
            await self._live_media.session.send_digits(digits)

    # Ending

    async def hangup(self, *, headers: Mapping[str, str] | None = None) -> None:
        """End the call: BYE if it is answered; a call in that is not is refused with 603, a call out cancelled.

        Args:
            headers: further header lines for the BYE, such as `X-Result`. Twice is once.
        """
        self.end("the agent hung up", headers=tuple((headers or {}).items()))

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
        """Wait until the call is over, and say how it ended. Never raises `CallEnded`."""
        if self.record.ending is not None:
            return self.record.ending
        waiter: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._waiting_for_end.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting_for_end.remove(waiter)

    # What the switchboard tells

    def digit_pressed(self, digit: str) -> None:
        """Queue a digit of the far end; the oldest of 64 unread ones is lost."""
        self._digits.append(digit)
        waiter = self._digit_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def was_answered(self) -> None:
        """Note the moment of the answer."""
        if self.record.answered_at is None:
            self.record.answered_at = datetime.now(UTC)

    def has_ended(self, ending: Ending) -> None:
        """Stop the media, end every wait of the agent, and complete the record. Only the first time counts."""
        if self.record.ending is not None:
            return
        self.record.ending = ending
        self.record.ended_at = datetime.now(UTC)
        if self.media is not None:
            self.media.close()
        self._lifetime.end(ending.by, ending.why)
        for waiter in self._waiting_for_end:
            if not waiter.done():
                waiter.set_result(ending)

    @property
    def _live_media(self) -> LegMedia:
        self._lifetime.check()
        if self.media is None or self.media.agreed is None:
            raise LocalProtocolError("there is no audio yet: answer the call first")
        return self.media
