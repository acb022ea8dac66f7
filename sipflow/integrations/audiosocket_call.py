"""A call that came over AudioSocket, as an agent sees it, and its audio."""

import asyncio
from datetime import UTC, datetime
from functools import cached_property
from typing import cast
from uuid import UUID

import structlog

from sipflow.agents.audiosocket_connection import AudioSocket
from sipflow.agents.audiosocket_wire import AUDIO_KINDS, FRAME_MS, RATES_HZ, Kind, error_text
from sipflow.agents.stream.dialect import Frames
from sipflow.audio.frame import SAMPLE_BYTES, Frame
from sipflow.audio.tones import dtmf_pcm
from sipflow.calls.ending import Ending
from sipflow.calls.hearing import Hearing
from sipflow.calls.media import LegMedia
from sipflow.calls.speaking import Speaking
from sipflow.errors import LocalProtocolError
from sipflow.media.play_queue import PlayQueue
from sipflow.media.playing import Playing
from sipflow.media.reader import FrameQueue, FrameReader
from sipflow.tasks import Tasks

_QUEUE_FRAMES = 50  # a second, as on every other call
_PLAY_QUEUE_S = 1800.0
_DIGITS = frozenset("0123456789*#ABCDabcd")
_log = structlog.get_logger("sipflow.audiosocket")


class AudioSocketCall(Hearing, Speaking):
    """One call that Asterisk handed over. What is heard and said works as on every call of sipflow's.

    AudioSocket tells nothing of a call but its UUID: there is no caller, no callee and no header, and the answer is
    Asterisk's business. Digits are sent as tones, for the protocol has no other way to Asterisk.

    Attributes:
        uuid: what Asterisk calls the call.
        id: the same as text.
        began_at: when it came, UTC.
        ending: how it ended; None while it lives.
    """

    answered = True

    def __init__(self, tasks: Tasks, connection: AudioSocket, uuid: UUID, *, sample_rate_hz: int = 8000) -> None:
        """Prepare; `AudioSocketServer` does this. `sample_rate_hz` is of what comes and goes at first."""
        super().__init__(tasks)
        self.uuid = uuid
        self.id = str(uuid)
        self.began_at = datetime.now(UTC)
        self.ending: Ending | None = None
        self._connection = connection
        self._over_waiters: list[asyncio.Future[Ending]] = []
        self.session = SocketSession(connection, sample_rate_hz)
        self.media = cast(LegMedia, SocketMedia(self.session))  # it has what hearing and speaking use of a LegMedia

    @cached_property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """A logger that names the call on every line."""
        log: structlog.typing.FilteringBoundLogger = _log.bind(call=self.id)
        return log

    async def ring(self) -> None:
        """Do nothing: Asterisk has done what it wanted to do. It is here for agents that take both kinds of calls.

        Raises:
            CallEnded: the call is over.
        """
        self._lifetime.check()

    async def answer(self) -> None:
        """Do nothing, like `ring`.

        Raises:
            CallEnded: the call is over.
        """
        self._lifetime.check()

    async def send_digits(self, digits: str) -> None:
        """Send DTMF digits as tones, after what is playing; returns when the last has left.

        Raises:
            LocalProtocolError: not digits.
            CallEnded: the call ended meanwhile.

        Cancelling drops what has not been sent.
        """
        if not set(digits) <= _DIGITS:
            raise LocalProtocolError(f"{digits!r} are not all digits: 0-9, *, # and A-D can be sent")
        await self.play(Frame(dtmf_pcm(digits.upper()), 8000))

    async def hangup(self) -> None:
        """End the call, and give Asterisk its channel back. Twice is once."""
        self.end("local", "the agent hung up")

    async def ended(self) -> Ending:
        """Wait until the call is over, and say how it ended. Never raises `CallEnded`.

        Cancelling leaves the call as it is.
        """
        if self.ending is not None:
            return self.ending
        waiter: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._over_waiters.append(waiter)
        try:
            return await waiter
        finally:
            self._over_waiters.remove(waiter)

    # What the server tells

    def end(self, by: str, why: str, *, failed: bool = False) -> None:
        """End it: every wait of the agent, and, unless Asterisk has ended it, the connection. Twice is once."""
        if self.ending is not None:
            return
        self.ending = Ending.of(by, 500 if failed else 200, why)
        if by == "local":
            self._connection.send(Kind.HANGUP)
        self.session.close()
        self._stop_hearing()
        self._lifetime.end(by, why)
        for waiter in self._over_waiters:
            if not waiter.done():
                waiter.set_result(self.ending)

    def received(self, kind: int, payload: bytes) -> None:
        """Take a message of Asterisk's."""
        if self.ending is not None:
            return
        rate_hz = RATES_HZ.get(kind)
        if rate_hz is not None:
            self.session.heard(payload, rate_hz)
        elif kind == Kind.DTMF and payload and chr(payload[0]) in _DIGITS:
            self.digit_pressed(chr(payload[0]).upper())
        elif kind == Kind.HANGUP:
            self.end("remote", "the far end hung up")
        elif kind == Kind.ERROR:
            self.end("remote", f"the far end reports an error: {error_text(payload)}", failed=True)

    def lost(self, *, cleanly: bool, why: str) -> None:
        """Take the end of the connection."""
        self.end("remote", why, failed=not cleanly)


class SocketMedia:
    """Has what calls use of a `LegMedia`.

    Attributes:
        session: the audio.
        agreed: that there is audio.
        held: never: AudioSocket has no hold.
    """

    agreed = True
    held = False

    def __init__(self, session: "SocketSession") -> None:
        self.session = session


class SocketSession(Playing):
    """The audio of one connection; has what calls use of a `MediaSession`.

    Attributes:
        queue, turn, closed: as a `MediaSession` has them.
    """

    def __init__(self, connection: AudioSocket, sample_rate_hz: int) -> None:
        """Begin; a pacer must tick it. The rate follows what the far end sends."""
        self.queue = PlayQueue(sample_rate_hz=sample_rate_hz, limit_s=_PLAY_QUEUE_S)
        self.turn = asyncio.Lock()
        self.closed = False
        self._connection = connection
        self._readers: tuple[FrameQueue, ...] = ()
        self._tune(sample_rate_hz)

    def _tune(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._kind = AUDIO_KINDS[rate_hz]
        self._frames = Frames(rate_hz)
        self._silence = bytes(rate_hz * FRAME_MS // 1000 * SAMPLE_BYTES)

    def heard(self, pcm: bytes, rate_hz: int) -> None:
        """Take audio of the far end's, in pieces of any length, and go over to its rate."""
        if rate_hz != self._rate_hz:
            self._tune(rate_hz)
            self.queue.retune(rate_hz)
            for reader in self._readers:
                reader.switch(rate_hz)
        for piece in self._frames.cut(pcm):
            for reader in self._readers:
                reader.put(piece)

    def tick(self, at: float) -> None:  # noqa: ARG002  (a stream on TCP has no timestamps)
        """Send what is due, silence if that is nothing; while the far end does not read, all stands still."""
        if self.closed or not self._connection.writable:
            return
        self._connection.send(self._kind, self.queue.take(len(self._silence)) or self._silence)
        if self.queue.marks:
            self.queue.settle()

    def skip(self, ticks: int) -> None:
        """Let time pass."""

    def frames(self) -> FrameReader:
        """Read what is heard from now on."""
        queue = FrameQueue(self._rate_hz, limit=_QUEUE_FRAMES)
        self._readers = (*self._readers, queue)
        reader = FrameReader(queue, self._detach)
        if self.closed:
            reader.close()
        return reader

    def close(self) -> None:
        """End every reader and mark."""
        self.closed = True
        self.queue.clear()
        readers, self._readers = self._readers, ()
        for reader in readers:
            reader.end()

    def _detach(self, queue: FrameQueue) -> None:
        self._readers = tuple(other for other in self._readers if other is not queue)
