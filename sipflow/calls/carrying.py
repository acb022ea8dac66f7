"""What the far end of one call does, carried to the far end of the call that it is joined with."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from sipflow.calls.call import Call
from sipflow.calls.events import CallEvent, DigitPressed, HoldChanged, IdentityChanged, InfoReceived, TextReceived
from sipflow.calls.header_policy import crossing
from sipflow.calls.lane import Lane
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError
from sipflow.sdp.agreement import Codec
from sipflow.sip.message import Headers
from sipflow.tasks import Tasks

T = TypeVar("T")
_MOST_WAITING = 64  # of one kind; a far end that floods us must not fill memory
_ALWAYS = ("hold", "info", "messages")  # what crosses from a call that goes by no trunk


class Errands(Generic[T]):
    """Things to do for one call, one after the other, in a task that lives only while there are any."""

    def __init__(self, tasks: Tasks, run: Callable[[T], Awaitable[None]], *, name: str) -> None:
        self._tasks = tasks
        self._run = run
        self._name = name
        self._waiting: deque[T] | None = None  # made when there is something
        self._task: asyncio.Task[None] | None = None

    def put(self, item: T) -> None:
        """Do this after what waits; of too much that waits, the newest is left out."""
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting.append(item)
        if self._task is None:
            self._task = self._tasks.spawn(self._work(), name=self._name)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._run(self._waiting.popleft())
        finally:
            self._task = None

    def close(self) -> None:
        """Do nothing more, and forget whose they are: he knows us."""
        self._run = _nothing
        self._waiting = None
        if self._task is not None:
            self._task.cancel()


async def _nothing(_item: object) -> None:
    """Do nothing: it stands in for the errand once they are closed."""


class Carrier:
    """One direction of two calls that are joined: what is heard, and what is done about it on the other.

    Every offer of a far end is answered here, at once, with what this side has: another address or packet time is no
    matter of the other call. What its trunk says in `carry` is then done on the other call too, as far as that differs.

    Args:
        lane: the two calls, and how sound crosses.
        tasks: owner of what is sent.
        over: told when the call that is heard is over.
    """

    def __init__(self, lane: Lane, tasks: Tasks, over: Callable[[], None]) -> None:
        self._lane = lane
        self._heard, self._said = lane.heard, lane.said
        self._tasks = tasks
        self._over = over
        trunk = lane.heard.trunk
        self._words = trunk.carry if trunk is not None else _ALWAYS
        self._holds = False  # whether the other far end is on hold because this one holds
        self._codec = lane.heard.media.codec if lane.heard.media is not None else None
        self._errands: dict[str, Errands[Any]] | None = {}  # by what they are about; None once it is closed
        self._heard.tell(self)
        if self._heard.held and "hold" in self._words:
            self._bring_in_line(None)

    # What the call tells

    def offer(self, event: CallEvent) -> None:
        """Carry what happens."""
        match event:
            case DigitPressed():
                if not self._crossed(event):
                    self._later("digits", self._send_digit, event.digit)
            case HoldChanged():
                if "hold" in self._words:
                    self._bring_in_line(None)
            case TextReceived():
                if "messages" in self._words:
                    self._later("texts", self._send, event)
            case InfoReceived():
                if "info" in self._words:
                    self._later("texts", self._send, event)
            case IdentityChanged():
                if "identity" in self._words:
                    self._later("texts", self._send, event)

    def agreed_anew(self) -> None:
        """Ask the other far end for the codec that this one has changed to, and hold it as this one does now."""
        if self._holds and self._out_of_line:
            self._bring_in_line(None)
        media = self._heard.media
        codec = media.codec if media is not None else None
        was, self._codec = self._codec, codec
        if codec is not None and was is not None and codec.name != was.name and "codec" in self._words:
            self._bring_in_line(codec)

    def end(self) -> None:
        """Learn that the call is over."""
        self._over()

    def close(self) -> None:
        """Carry nothing more, and take back the hold that came from here, if the other call goes on."""
        self._heard.untell(self)
        errands, self._errands = self._errands, None
        for each in errands.values() if errands else ():
            each.close()
        if self._holds and self._said.ending is None:
            self._tasks.spawn(self._release(), name=f"resuming call {self._said.id}")

    def _bring_in_line(self, codec: Codec | None) -> None:
        self._later("changes", self._change, codec)

    def _later(self, what: str, run: Callable[[T], Awaitable[None]], item: T) -> None:
        """Do something for the other call, after what waits of its kind; most calls never carry anything."""
        if self._errands is None:
            return
        if what not in self._errands:
            name = f"{what} of call {self._heard.id} to {self._said.id}"
            self._errands[what] = Errands(self._tasks, run, name=name)
        self._errands[what].put(item)

    # Digits

    async def _send_digit(self, digit: str) -> None:
        """Send on what is pressed; a digit that cannot be sent is lost, and the call goes on."""
        lane, said = self._lane, self._said
        try:
            lane.muted = said.media is not None and said.media.dtmf != "info"  # events and tones take its place
            await said.send_digits(digit)
        except (LocalProtocolError, MediaError) as error:
            self._heard.log.warning("a digit could not be sent on", to=said.id, why=str(error))
        except CallEnded:
            return
        finally:
            lane.muted = False

    def _crossed(self, digit: DigitPressed) -> bool:
        """Whether a digit has reached the other side already."""
        lane = self._lane
        if lane.relay is not None and lane.relay.events and digit.kind == "rfc4733":
            return True
        return _both_as_tones(lane.heard, lane.said)

    # Hold and codec

    async def _change(self, codec: Codec | None) -> None:
        """Bring the other call in line: with a codec, or with this one's hold."""
        try:
            if codec is not None:
                await self._change_codec(codec)
                return
            if isinstance(self._said, OutboundCall):
                await self._said.answer()  # who holds while the other rings still holds when it answers
            if self._said.answered and self._out_of_line:
                await self._hold(self._heard.held)
        except (LocalProtocolError, MediaError) as error:
            self._heard.log.info("not carried to the other call", to=self._said.id, why=str(error))
        except (CallEnded, CallFailed):
            return

    @property
    def _out_of_line(self) -> bool:
        """Whether the other far end is to be held or taken back, or held in another way: with music, or without."""
        said = self._said.media
        if self._heard.held != self._said.holding:
            return True
        alone = self._holds and self._heard.held and not self._heard.holding  # where both hold, nothing flows at all
        return alone and said is not None and said.quiet is not self._quiet

    @property
    def _quiet(self) -> bool:
        """Whether nothing is heard from the far end of this call."""
        media = self._heard.media
        return media is not None and media.agreed is not None and not media.agreed.receives

    async def _hold(self, wanted: bool) -> None:
        if wanted:
            self._holds = True  # from now on: who cancels this does not know what has become of it
            await self._said.put_on_hold(quiet=self._quiet)
        elif self._holds:
            await self._said.take_off_hold()
            self._holds = False

    async def _release(self) -> None:
        try:
            await self._said.take_off_hold()
        except (CallEnded, MediaError, LocalProtocolError) as error:
            self._said.log.info("not taken off hold", why=str(error))

    async def _change_codec(self, codec: Codec) -> None:
        said, trunk = self._said, self._said.trunk
        if said.media is None or (said.media.codec is not None and said.media.codec.name == codec.name):
            return
        allowed = trunk.codecs if trunk is not None else ()
        if allowed and codec.name.upper() not in [name.partition("/")[0].upper() for name in allowed]:
            return  # the trunk of the other call does not have it: sound is turned from one into the other here
        await said.change_codec(codec)

    # Texts

    async def _send(self, what: TextReceived | InfoReceived | IdentityChanged) -> None:
        try:
            match what:
                case TextReceived():
                    await self._said.send_message(what.body, content_type=what.content_type)
                case InfoReceived():
                    await self._said.send_info(what.body, what.content_type)
                case IdentityChanged():
                    self._identify(what.value)
        except (LocalProtocolError, MediaError) as error:
            self._heard.log.info("not carried to the other call", to=self._said.id, why=str(error))
        except CallEnded:
            return

    def _identify(self, value: str) -> None:
        """Say to the other far end who talks now, if its trunk lets it be known."""
        came = Headers()
        came.add("P-Asserted-Identity", value)
        lines = crossing(came, self._said.trunk)
        if lines:
            self._said.say_update(lines)


def _both_as_tones(heard: Call, said: Call) -> bool:
    """Whether a digit crosses as sound already: neither side has agreed on events, and INFO is not asked for."""
    if heard.media is None or said.media is None or heard.media.agreed is None or said.media.agreed is None:
        return False
    in_band = heard.media.on_tone is not None and heard.media.agreed.telephone_event_receive is None
    return in_band and said.media.dtmf in ("auto", "inband") and said.media.agreed.telephone_event_send is None
