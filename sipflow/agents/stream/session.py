"""One call's conversation with a bot: connect, answer, carry audio and digits across, until one of them has enough."""

import asyncio
import time
from collections import deque
from dataclasses import asdict, dataclass
from enum import Enum

from sipflow.agents.stream.connection import Connection, Limits, connect
from sipflow.agents.stream.dialect import FRAME_MS, Dialect, Frames
from sipflow.agents.stream.messages import Audio, Clear, ClearMarks, Command, Hangup, Mark, Start, Unknown
from sipflow.agents.stream.options import StreamOptions
from sipflow.agents.stream.signing import signed_headers
from sipflow.agents.stream.throttle import Throttle
from sipflow.calls.call import Call
from sipflow.calls.variables import fill
from sipflow.errors import (
    CallEnded,
    LocalProtocolError,
    MediaError,
    RemoteProtocolError,
    SipflowError,
    TransportError,
)
from sipflow.media.reader import FrameReader

RETRY_S = 0.25
_MOST_GARBAGE = 100  # messages that cannot be read; then whatever is at the other end is no bot
_MOST_MARKS = 1000  # that wait at once
_MOST_DROPPED_MS = 60_000  # of audio that had no room in the play queue; then the bot does not know when to stop
_COMMANDS_AT_ONCE, _COMMANDS_PER_S = 1000.0, 50.0  # messages other than audio
_DRIFT_MS = 200  # how far the count of frames may lag behind the clock, as it does after a hold


class How(Enum):
    """How a conversation ended."""

    CALL_ENDED = "the call is over"
    DONE = "the bot is done"
    FAILED = "the bot failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a conversation.

    Attributes:
        how: whose end it was.
        why: one sentence, without secrets.
    """

    how: How
    why: str = ""


@dataclass(slots=True)
class Counts:
    """What happened, for the log.

    Attributes:
        sent: audio messages to the bot.
        unread: of them, those that the bot had no room for.
        received: audio messages of the bot.
        dropped_ms: audio of the bot that had no room in the play queue.
        garbage: messages that could not be read.
        unknown: messages that mean nothing here.
    """

    sent: int = 0
    unread: int = 0
    received: int = 0
    dropped_ms: int = 0
    garbage: int = 0
    unknown: int = 0


@dataclass(slots=True)
class _Pending:
    """A mark that waits. `told`: the bot knows already."""

    mark: Mark
    reached: asyncio.Task[bool]
    told: bool = False


class Session:
    """One conversation. It is the connection's listener.

    Attributes:
        counts: what happened so far.
    """

    def __init__(self, call: Call, options: StreamOptions) -> None:
        self._call = call
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[Outcome] = self._loop.create_future()
        self._spoke: asyncio.Future[None] = self._loop.create_future()
        self._dialect: Dialect = options.speak(_start(call, options))
        self._connection: Connection | None = None
        self._reader: FrameReader | None = None
        self._ready = False  # to carry commands out; else they are kept
        self._kept: deque[Command] = deque()
        self._group: asyncio.TaskGroup | None = None
        self._marks: deque[_Pending] = deque()
        self._marked = asyncio.Event()
        self._commands = Throttle(_COMMANDS_AT_ONCE, _COMMANDS_PER_S, now=self._loop.time())
        self.counts = Counts()

    async def run(self) -> Outcome:
        """Hold the conversation. The connection is closed at the end, the call is not.

        Raises:
            SipflowError: the call could not be answered; not `CallEnded`, which is an outcome.
        """
        failed: SipflowError | None = None
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [group.create_task(self._until_the_call_ends())]
            try:
                outcome = await self._converse(group, tasks)
            except SipflowError as error:
                failed = error  # raised outside of the group, which would wrap it
            finally:
                for task in (*tasks, *(pending.reached for pending in self._marks)):
                    task.cancel()
                await self._hang_up_on_the_bot()
        if failed is not None:
            raise failed
        if self._connection is not None:
            self.counts.unread = self._connection.lost_frames
            self._call.log.info("stream over", why=outcome.why or outcome.how.value, **asdict(self.counts))
        return outcome

    # What happens, in order

    async def _converse(self, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> Outcome:
        answer = self._options.answer
        try:
            if not self._call.answered:
                await (self._call.answer() if answer == "at_once" else self._call.ring())
            failed = await self._reach(group)
            if failed is not None:
                return failed
            for text in self._dialect.opening():
                self._send(text)
            if answer == "first_audio" and not self._call.answered and not await self._first_word():
                return self._over.result()
            if not self._call.answered:
                await self._call.answer()
            tasks += [group.create_task(each) for each in (self._digits(), self._tell_marks())]
            self._hear()
            self._begin()
            outcome = await self._over
            if outcome.how is How.DONE:
                await self._call.mark()  # the bot's last words
        except CallEnded as ended:
            return Outcome(How.CALL_ENDED, ended.reason)
        if outcome.how is How.FAILED:
            self._clear()
        return outcome

    async def _reach(self, group: asyncio.TaskGroup) -> Outcome | None:
        """Connect while the caller hears ringing; None when that has worked."""
        connecting = group.create_task(self._connect())
        try:
            either: set[asyncio.Future[Outcome | None] | asyncio.Future[Outcome]] = {connecting, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connecting.cancel()
        if not connecting.done():
            await asyncio.wait({connecting})
        failed = None if connecting.cancelled() else connecting.result()
        return self._over.result() if self._over.done() else failed

    async def _connect(self) -> Outcome | None:
        options, began = self._options, self._loop.time()
        while True:
            left_s = began + options.connect_timeout_s - self._loop.time()
            try:
                self._connection = await connect(
                    options.url,
                    headers=self._headers(),
                    subprotocols=self._dialect.subprotocols,
                    limits=Limits(options.ping_s, options.drop_s, options.max_message_bytes),
                    trust=options.trust(),
                    timeout_s=max(left_s, RETRY_S),
                )
            except TransportError as error:
                left_s = began + options.connect_timeout_s - self._loop.time()
                if error.final or left_s <= RETRY_S:
                    return Outcome(How.FAILED, f"no stream to {options.host}: {error}")
                await asyncio.sleep(RETRY_S)
            else:
                self._call.log.info("stream connected", host=options.host, dialect=options.dialect)
                return None

    def _headers(self) -> list[tuple[str, str]]:
        options = self._options
        lines = list(options.headers.items())
        if options.sign_secret:
            lines += signed_headers(options.sign_secret, url=options.url, call_id=self._call.id, at=time.time())
        return lines

    async def _first_word(self) -> bool:
        """Wait until the bot speaks; False when the conversation is over before that."""
        if self._connection is not None:
            self._connection.listen(self)
        timeout_s = self._options.first_audio_timeout_s
        both: set[asyncio.Future[None] | asyncio.Future[Outcome]] = {self._spoke, self._over}
        done, _ = await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self._finish(How.FAILED, f"the bot said nothing for {timeout_s:g} s")
        return not self._over.done()

    def _begin(self) -> None:
        """Play what the bot has said already, and listen to it from now on."""
        self._go_on()
        if self._connection is not None:
            if self._options.answer == "first_audio" and self._spoke.done():
                self._connection.release()
            else:
                self._connection.listen(self)

    async def _hang_up_on_the_bot(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._connection is not None:
            closing = self._dialect.closing()
            if closing is not None:
                self._send(closing)
            await self._connection.close()

    # From the call to the bot

    async def _until_the_call_ends(self) -> None:
        ending = await self._call.ended()
        self._finish(How.CALL_ENDED, ending.why)

    def _hear(self) -> None:
        """Send on what the caller says, in the tick in which it is heard: a task for each frame would cost as much."""
        connection, counts, clock = self._connection, self.counts, self._loop.time
        assert connection is not None
        rate_hz, is_text = self._dialect.sample_rate_hz, self._dialect.audio_is_text
        cut, written, send = Frames(rate_hz).cut, self._dialect.audio, connection.send_audio
        began, at_ms = clock(), 0

        def take(heard: bytes) -> None:
            nonlocal at_ms
            for pcm in cut(heard):
                at_ms = max(at_ms, int((clock() - began) * 1000) - _DRIFT_MS)
                send(written(pcm, at_ms), is_text=is_text)
                at_ms += FRAME_MS
                counts.sent += 1

        self._reader = self._call.frames(sample_rate_hz=rate_hz)
        self._reader.hand_to(take)

    async def _digits(self) -> None:
        try:
            async for digit in self._call.dtmf:
                self._send(self._dialect.digit(digit))
        except CallEnded:
            return

    async def _tell_marks(self) -> None:
        """Tell the bot of each mark when it is reached or cleared, in order."""
        try:
            while True:
                while not self._marks:
                    self._marked.clear()
                    await self._marked.wait()
                played = await self._marks[0].reached
                pending = self._marks.popleft()
                if not pending.told:
                    self._tell(pending, played=played)
        except CallEnded:
            return

    def _tell(self, pending: _Pending, *, played: bool) -> None:
        pending.told = True
        text = self._dialect.marked(pending.mark, played=played)
        if text is not None:
            self._send(text)

    def _send(self, text: str) -> None:
        if self._connection is not None:
            self._connection.send(text)

    # From the bot to the call

    def heard(self, data: bytes, *, is_text: bool) -> None:
        """Take a message of the bot."""
        if self._over.done():
            return
        try:
            commands = self._dialect.read_text(data) if is_text else self._dialect.read_binary(data)
        except RemoteProtocolError as error:
            self._take_garbage(str(error))
            return
        for command in commands:
            if type(command) is Audio and self._ready and not self._kept:
                self._play(command)
            elif type(command) is not Audio and self._commands.take(1, self._loop.time()) > 0:
                self._finish(How.FAILED, "the bot floods us with messages")
            elif self._ready and not self._kept:
                self._carry_out(command)
            else:
                self._keep(command)

    def lost(self, *, normally: bool, why: str) -> None:
        """Take the end of the connection."""
        if normally and self._options.on_close == "hangup":
            self._finish(How.DONE, why)
        else:
            self._finish(How.FAILED, why)

    def _go_on(self) -> None:
        """Carry out what was kept."""
        self._ready = True
        while self._kept and self._ready and not self._over.done():
            self._carry_out(self._kept.popleft())

    def _keep(self, command: Command) -> None:
        """Keep a command: before the answer, which the first audio may bring about, or while a mark is set."""
        self._kept.append(command)
        if self._call.answered:
            return
        if isinstance(command, Audio) and not self._spoke.done():
            self._spoke.set_result(None)
            if self._connection is not None:
                self._connection.hold()
        elif isinstance(command, Hangup):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Audio):
            self._play(command)
            return
        match command:
            case Mark():
                self._mark(command)
            case Clear():
                self._clear()
            case ClearMarks():
                for pending in self._marks:
                    if not pending.told:
                        self._tell(pending, played=False)
            case Hangup():
                self._finish(How.DONE, "the bot hung up")
            case Unknown(what):
                self.counts.unknown += 1
                if self.counts.unknown == 1:
                    self._call.log.info("the bot said something unknown", what=what[:100])

    def _play(self, audio: Audio) -> None:
        self.counts.received += 1
        try:
            if audio.pcm:
                self._call.write(audio.pcm, sample_rate_hz=audio.sample_rate_hz)
        except MediaError as error:
            if not self.counts.dropped_ms:
                self._call.log.warning("the bot's audio is dropped", why=str(error))
            self.counts.dropped_ms += 500 * len(audio.pcm) // audio.sample_rate_hz
            if self.counts.dropped_ms > _MOST_DROPPED_MS:
                self._finish(How.FAILED, f"the bot floods us with audio: {error}")
        except (CallEnded, LocalProtocolError):
            return  # the call has just ended; whoever waits for that is told

    def _mark(self, mark: Mark) -> None:
        if len(self._marks) >= _MOST_MARKS:
            self._finish(How.FAILED, f"the bot floods us with marks: {_MOST_MARKS} wait")
        elif self._group is not None:
            self._marks.append(_Pending(mark, self._group.create_task(self._reach_mark())))
            self._marked.set()
            # The task takes the mark's place in the queue in its first step, which comes before this; audio must wait.
            self._ready = False
            self._loop.call_soon(self._go_on)

    async def _reach_mark(self) -> bool:
        try:
            return await self._call.mark()
        except (CallEnded, LocalProtocolError):
            return False

    def _clear(self) -> None:
        try:
            self._call.clear()
        except (CallEnded, LocalProtocolError):
            return  # as above
        text = self._dialect.cleared()
        if text is not None:
            self._send(text)

    def _take_garbage(self, why: str) -> None:
        self.counts.garbage += 1
        if self.counts.garbage == 1:
            self._call.log.warning("the bot sends what cannot be read", why=why)
        text = self._dialect.refused(why)
        if text is not None:
            self._send(text)
        if self.counts.garbage >= _MOST_GARBAGE:
            self._finish(How.FAILED, f"the bot sends garbage: {why}")

    def _finish(self, how: How, why: str) -> None:
        if not self._over.done():
            self._over.set_result(Outcome(how, why))


def _start(call: Call, options: StreamOptions) -> Start:
    """Gather what the bot is told: the call's variables, and over them what the configuration adds."""
    known = {**call.variables, "call_id": call.id, "caller": call.caller, "callee": call.callee}
    parameters = dict(call.variables)
    parameters |= {name: fill(value, known) for name, value in options.parameters.items()}
    return Start(call.id, call.caller, call.callee, call.record.sip_call_id, parameters)
