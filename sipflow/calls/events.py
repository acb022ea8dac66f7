"""What happens on a call beside its audio, and the bounded queues in which it reaches an agent."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from sipflow.calls.referred import ReferAsked
from sipflow.errors import LocalProtocolError
from sipflow.media.speech import SpeechStarted, SpeechStopped

T = TypeVar("T")
KEPT = 256  # things nobody has read yet; an agent that forgot to read must not fill memory


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The far end pressed a key.

    Attributes:
        digit: one of `0-9 * # A-D`.
        kind: how it came: "rfc4733", "info" or "inband"; in the first of them, if it came in several.
    """

    digit: str
    kind: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The far end has put us on hold, or taken us back.

    Attributes:
        held: True while it wants to hear nothing; playing stands still meanwhile.
    """

    held: bool


@dataclass(frozen=True, slots=True)
class AudioLost:
    """A reader of the call's audio was too slow, and its oldest frames were dropped.

    Attributes:
        frames: how many since the last such event; one frame is one packet time, 20 ms unless agreed otherwise.
    """

    frames: int


@dataclass(frozen=True, slots=True)
class TextReceived:
    """The far end has sent a text beside the audio (MESSAGE, RFC 3428).

    Attributes:
        text: decoded as its type says, else as UTF-8; what cannot be read is replaced.
        content_type: in small letters, without parameters; `text/plain` most often.
        body: the octets.
    """

    text: str
    content_type: str = "text/plain"
    body: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """The far end has sent an INFO that is no digit (RFC 6086).

    Attributes:
        body: as it came, perhaps empty.
        content_type: as written, "" for none.
    """

    body: bytes
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """The far end says in the middle of the call that it is somebody else now (RFC 3311, RFC 5876 §4.4).

    Attributes:
        value: of its P-Asserted-Identity.
    """

    value: str


CallEvent = (
    DigitPressed
    | HoldChanged
    | SpeechStarted
    | SpeechStopped
    | AudioLost
    | TextReceived
    | InfoReceived
    | IdentityChanged
    | ReferAsked
)


class Ear(Protocol):
    """Whoever is told at once of what happens on a call, without a queue: another call that it is joined with."""

    def offer(self, event: CallEvent) -> None:
        """Learn of something. Must neither wait nor raise."""

    def agreed_anew(self) -> None:
        """Learn that something was agreed anew about its audio."""

    def end(self) -> None:
        """Learn that the call is over; nothing comes after it."""


class Mailbox(Generic[T]):
    """What waits for one subscription: `events` puts, the subscription takes.

    Attributes:
        items: what nobody has read yet, oldest first.
        lost: how much was dropped, oldest first, because nobody read it.
        speech: whether it wants to hear of speech.
    """

    __slots__ = ("_pick", "_waiting", "ended", "items", "lost", "speech")

    def __init__(self, pick: Callable[[CallEvent], T | None], *, speech: bool = False) -> None:
        """Start empty; `pick` gives what of an event concerns this subscription, None for nothing."""
        self._pick = pick
        self._waiting: asyncio.Future[None] | None = None
        self.items: deque[T] = deque()
        self.lost = 0
        self.ended = False
        self.speech = speech

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for the next item now."""
        return self._waiting is not None and not self._waiting.done()

    def offer(self, event: CallEvent) -> None:
        """Keep what concerns this subscription, and wake it."""
        item = self._pick(event)
        if item is None:
            return
        if len(self.items) >= KEPT:
            self.items.popleft()
            self.lost += 1
        self.items.append(item)
        self._wake()

    def end(self) -> None:
        """Let the subscription have what waits, and then end."""
        self.ended = True
        self._wake()

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done when there is something to take, or the end has come.

        Raises:
            LocalProtocolError: another task waits already.
        """
        if self.waited_for:
            raise LocalProtocolError("two tasks read the same subscription: let each have its own")
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


class Subscription(AsyncIterator[T]):
    """Iterates over what happens from the moment it was made until the call ends; the end is quiet.

    It holds at most 256 unread things; then the oldest are lost and counted. Cancelling a wait loses nothing. It ends
    early when closed, or when nothing refers to it any more.
    """

    __slots__ = ("__weakref__", "_detach", "_mailbox")

    def __init__(self, mailbox: Mailbox[T], detach: Callable[[Mailbox[T]], None]) -> None:
        self._mailbox = mailbox
        self._detach = detach

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Wait for the next thing to happen.

        Raises:
            StopAsyncIteration: the call is over, or this is closed, and everything was read.
            LocalProtocolError: another task waits on this subscription already.
        """
        mailbox = self._mailbox
        while not mailbox.items:
            if mailbox.ended:
                raise StopAsyncIteration
            await mailbox.change()
        return mailbox.items.popleft()

    @property
    def waiting(self) -> int:
        """How much has happened that was not read yet."""
        return len(self._mailbox.items)

    @property
    def lost(self) -> int:
        """How much was dropped, oldest first, because 256 things waited already."""
        return self._mailbox.lost

    def close(self) -> None:
        """Hear of nothing more; what waits can still be read."""
        self._detach(self._mailbox)
        self._mailbox.end()

    def __del__(self) -> None:
        self._detach(self._mailbox)
