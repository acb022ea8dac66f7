"""A call without a network: it remembers what the agent did, and says what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from sipflow.calls.ending import Ending, Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError


@dataclass
class _Record:
    sip_call_id: str = "abc@pbx"


class Reader:
    """Hands on what the far end says, until it is closed."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._take: Callable[[bytes], None] = _ignore

    def hand_to(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def put(self, pcm: bytes) -> None:
        self._take(pcm)

    def close(self) -> None:
        self._take = _ignore


def _ignore(_pcm: bytes) -> None:
    """Nobody listens."""


@dataclass
class FakeCall:
    """See `InboundCall`.

    Attributes:
        did: what the agent did, in order.
        room_ms: how much audio may wait.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    id: str = "call-1"
    caller: str = "+12065550199"
    callee: str = "+12065550100"
    variables: Mapping[str, str] = field(default_factory=lambda: {"X-Customer": "42"})
    answered: bool = False
    did: list[object] = field(default_factory=list)
    room_ms: int = 60_000
    record: _Record = field(default_factory=_Record)

    def __post_init__(self) -> None:
        self.log = structlog.get_logger("fake")
        self.written = b""
        self.readers: list[Reader] = []
        self._pressed: list[asyncio.Queue[str | None]] = []
        self._marks: list[asyncio.Future[bool]] = []
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    # What the test does

    @property
    def as_call(self) -> InboundCall:
        return cast(InboundCall, self)

    def say(self, pcm: bytes) -> None:
        for reader in self.readers:
            reader.put(pcm)

    def press(self, digit: str) -> None:
        for queue in self._pressed:
            queue.put_nowait(digit)

    def hang_up(self) -> None:
        """The caller hangs up."""
        self._end(Ending.of("remote", 200, "the caller hung up"))

    def all_played(self) -> None:
        """Let time pass until what is queued has been sent."""
        self._settle(True)

    async def until(self, thing: object) -> None:
        """Wait until the agent has done something."""
        async with asyncio.timeout(10):
            while thing not in self.did:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    # What the agent does

    async def ring(self, status: int = 180) -> None:
        self._check()
        self.did.append("ring")

    async def answer(self) -> None:
        self._check()
        assert not self.answered
        self.answered = True
        self.did.append("answer")

    async def ended(self) -> Ending:
        return await asyncio.shield(self._over)

    def frames(self, *, sample_rate_hz: int) -> Reader:
        self._check_answered()
        self.readers.append(Reader(sample_rate_hz))
        self.did.append("listen")
        return self.readers[-1]

    @property
    def dtmf(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._pressed.append(queue)
        return self._digits(queue)

    async def _digits(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        while (digit := await queue.get()) is not None:
            yield digit

    def write(self, pcm: bytes, *, sample_rate_hz: int) -> int:
        self._check_answered()
        self.written += pcm
        if len(self.written) > 16 * self.room_ms:
            self.written = self.written[: -len(pcm)]
            raise MediaError("60 s of audio wait to be played")
        self.did.append(("write", len(pcm), sample_rate_hz))
        return len(self.written) // 16

    def clear(self) -> int:
        self._check_answered()
        self.written = b""
        self.did.append("clear")
        self._settle(False)
        return 0

    async def mark(self) -> bool:
        self._check_answered()
        self.did.append("mark")
        if not self.written:
            return True
        self._marks.append(asyncio.get_running_loop().create_future())
        return await self._marks[-1]

    async def play(self, source: str) -> int:
        self._check_answered()
        self.did.append(("play", source))
        return 0

    def end_for(self, word: Word, why: str, *, status: int) -> None:
        self.did.append(("end", word, status, why))
        self._end(Ending.of("local", status, why, word=word))

    # The rest

    def _settle(self, played: bool) -> None:
        marks, self._marks, self.written = self._marks, [], b""
        for mark in marks:
            if not mark.done():
                mark.set_result(played)

    def _end(self, ending: Ending) -> None:
        if self._over.done():
            return
        self._over.set_result(ending)
        self._settle(False)
        for queue in self._pressed:
            queue.put_nowait(None)

    def _check(self) -> None:
        if self._over.done():
            raise CallEnded

    def _check_answered(self) -> None:
        self._check()
        if not self.answered:
            raise LocalProtocolError("there is no audio yet: answer the call first")


def played(call: FakeCall) -> list[Any]:
    """What was done but for ringing, answering and listening."""
    return [thing for thing in call.did if thing not in ("ring", "answer", "listen")]
