"""A call without a network, for unit tests of agents: the real `Call` over a far end that follows a script."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import structlog

from sipflow.agents.runner import ended_alone
from sipflow.agents.spec import HandOver
from sipflow.audio.answering import Verdict, Who
from sipflow.audio.frame import Frame
from sipflow.audio.resample import to_rate
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending
from sipflow.calls.history import History
from sipflow.calls.inbound import InboundCall
from sipflow.calls.media import LegMedia
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord
from sipflow.calls.transfer.outcome import TransferStatus
from sipflow.calls.transfer.request import TransferRequest
from sipflow.errors import CallEnded, LocalProtocolError, TransportError
from sipflow.media.player import Source
from sipflow.media.sound_file import read_sound
from sipflow.sdp.agreement import Codec
from sipflow.sip.message import Headers
from sipflow.tasks import Tasks
from sipflow.testing.caller import Caller, Said
from sipflow.testing.fake_session import PTIME_MS, FakeSession
from sipflow.testing.fake_transfer import FakeTransfer, Result

if TYPE_CHECKING:
    from sipflow.calls.transfer.transfer import Transfer

_FIRST_DIGIT_S, _BETWEEN_DIGITS_S = 1.0, 0.3
_ROUNDS = 12  # of the loop, in which everybody who was woken comes to wait for something again


class FakeCall(InboundCall):
    """A call whose far end follows a script; hand it to an agent with `run(agent, call)`.

    Time is virtual: it passes in steps of 20 ms, only while the agent waits for something of the call, and as fast as
    the machine can; so `play` of a minute takes milliseconds, and every count is exact. `asyncio.sleep` is real, and
    the call stands still meanwhile unless another task of the agent waits for the call; give `speed=1.0` to agents
    that must live in real time.

    Attributes:
        played: every sample the agent had sent, at `wire_hz`, without the silence between them.
        provisionals: statuses of `ring` and `progress`, in order.
        rejected: the status the agent refused with; None if it did not.
        digits_sent: DTMF digits of `send_digits`.
        transfers: what was asked for with each transfer, in order.
        sent_headers: further header lines of the last answer, refusal or BYE.
        handed_to: the agent of the `HandOver` that was returned; "" where there was none.
        clock_s: virtual seconds since the call began.
    """

    handed_to = ""

    def __init__(
        self,
        *,
        caller: str = "+12065550123",
        callee: str = "+12065550100",
        headers: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        direction: str = "inbound",
        options: Mapping[str, object] | None = None,
        audio: Said | None = None,
        digits: str = "",
        transfers: Iterable[Result] = (),
        answered_by: Who | Verdict | None = None,
        patience_s: float = 30.0,
        wire_hz: int = 8000,
        speed: float | None = None,
    ) -> None:
        """Make a call in that nobody has answered yet, or a call out that was answered just now.

        Args:
            caller, callee: numbers.
            headers: of the INVITE, for `call.headers` and `call.variables`.
            variables: what the call was ordered or announced with, for `call.variables`.
            direction: "inbound", or "outbound": a call that sipflow has placed, whose far end (`callee`) follows the
                script. As on a real one `ring`, `progress` and `answer` do nothing, and `reject` hangs up.
            options: what the configuration would say about the agent.
            audio: what the caller says from the answer on: samples at `wire_hz`, a frame of any rate, or an iterable
                or async iterator of either. Silence follows.
            digits: keys the caller presses: the first one second after the call began, the others 0.3 s apart; see
                also `at`.
            transfers: what comes of each transfer, in order, such as `TransferStatus.BUSY`; after the last every one
                succeeds, which ends the call.
            answered_by: what `answered_by` gives, at once; None has it listen to `audio`, as on a real call.
            patience_s: the caller hangs up after so many virtual seconds without anything left to say or press.
            wire_hz: the rate of the codec that was agreed, as it were: 8000, 16000 or 48000.
            speed: None is virtual time; 1.0 real time, 10.0 ten times as fast.
        """
        record = _record(direction, caller, callee)
        record.variables = dict(variables) if variables else None
        Call.__init__(self, cast(Any, _board()), cast(Any, SimpleNamespace()), record, _headers(headers or {}))
        self.options = dict(options or {})
        self.handed_over = False
        self.provisionals: list[int] = []
        self.rejected: int | None = None
        self.sent_headers: dict[str, str] = {}
        self.transfers: list[TransferRequest] = []
        self._results = list(transfers)
        self._who = answered_by
        self._speed = speed
        self._patience_s = patience_s
        self._session = FakeSession(wire_hz)
        self._fake_media = FakeMedia(self._session)
        self._placed = direction == "outbound"
        self.media = cast(LegMedia, self._fake_media)
        self._far_end = Caller(audio, sample_rate_hz=wire_hz, frame_bytes=self._session.frame_bytes)
        for number, digit in enumerate(digits):
            self.at(_FIRST_DIGIT_S + number * _BETWEEN_DIGITS_S, self.press, digit)
        if self._placed:
            self.was_answered()
            self._open()

    @property
    def played(self) -> bytes:
        """Every sample that was sent, without the silence between them."""
        return bytes(self._session.played)

    @property
    def digits_sent(self) -> str:
        """Every digit the agent sent."""
        return self._session.digits

    @property
    def clock_s(self) -> float:
        """Virtual seconds since the call began."""
        return self._far_end.clock_s

    # What the far end does

    def at(self, seconds: float, action: Callable[..., object], *arguments: object) -> None:
        """Have something happen when the clock shows `seconds`, such as `call.at(2.5, call.press, "1")`."""
        self._far_end.at(seconds, lambda: action(*arguments))

    def press(self, digit: str) -> None:
        """The caller presses a key."""
        self.digit_pressed(digit)

    def hold_agent(self) -> None:
        """The caller puts the agent on hold: nothing is sent, and playing stands still."""
        self._session.held = True
        self.media_changed()

    def end_hold(self) -> None:
        """The caller ends the hold."""
        self._session.held = False
        self.media_changed()

    def caller_hangs_up(self, why: str = "the far end hung up") -> None:
        """The caller hangs up, or gives up before the answer."""
        self.has_ended(Ending.of("remote", 200 if self.answered else 487, why))

    # What an agent does, without a network

    async def ring(self, status: int = 180, *, headers: Mapping[str, str] | None = None) -> None:
        """Note the status; see `InboundCall.ring`."""
        if self._nothing_to_do():
            return
        if not 101 <= status <= 199:
            raise LocalProtocolError(f"{status} is no provisional status")
        self.provisionals.append(status)
        self.sent_headers = dict(headers or {})

    async def progress(self, status: int = 183, *, headers: Mapping[str, str] | None = None) -> None:
        """Note the status; the caller's script begins. See `InboundCall.progress`."""
        if self._nothing_to_do():
            return
        await self.ring(status, headers=headers)
        self._open()

    async def answer(self, *, headers: Mapping[str, str] | None = None) -> None:
        """Answer; the caller's script begins. See `InboundCall.answer`."""
        if self._nothing_to_do():
            return
        self.sent_headers = dict(headers or {})
        self.was_answered()
        self._open()

    async def reject(self, status: int = 486, reason: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """Note the refusal, and end; see `InboundCall.reject`."""
        self._lifetime.check()
        if self.answered and not self._placed:
            raise LocalProtocolError("the call is already answered")
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal")
        self.end(reason or f"the agent answered {status}", headers=tuple((headers or {}).items()), status=status)

    async def dial(
        self,
        uri: str,
        *,
        trunk: str = "",  # noqa: ARG002  (nobody is reached by any way)
        caller: str = "",  # noqa: ARG002
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        codecs: tuple[str, ...] = (),  # noqa: ARG002
    ) -> "OutboundCall":
        """Reach nobody: what an agent does then can be tested here; see `InboundCall.dial`."""
        self._lifetime.check()
        raise TransportError(f"{uri} cannot be reached from a fake call")

    def begin_transfer(self, request: "TransferRequest") -> "Transfer":
        """Keep what is asked for; what comes of it is what the test said. See `Call.begin_transfer`."""
        self._lifetime.check()
        self.transfers.append(request)
        result = self._results.pop(0) if self._results else TransferStatus.SUCCESS
        self._transfer = cast("Transfer", FakeTransfer(self, request, result))
        return self._transfer

    @property
    def region(self) -> str | None:
        """No country's: national numbers are extensions to it."""
        return None

    def end(self, why: str, *, headers: tuple[tuple[str, str], ...] = (), status: int = 603) -> None:
        """End the call from the agent's side; twice is once."""
        if self.ending is not None:
            return
        self.sent_headers = dict(headers)
        if not self.answered:
            self.rejected = status
        self.has_ended(Ending.of("local", 200 if self.answered else status, why))

    def has_ended(self, ending: Ending) -> None:
        """End every wait of the agent, and complete the record; see `Call.has_ended`."""
        Call.has_ended(self, ending)

    async def answered_by(self, *, timeout_s: float = 30.0) -> Verdict:
        """Give what the test said, or listen; see `Call.answered_by`."""
        if self._who is None:
            return await super().answered_by(timeout_s=timeout_s)
        _ = self._live_media
        return self._who if isinstance(self._who, Verdict) else Verdict(self._who, ("the test said so",))

    async def _offer(self, write: Callable[[LegMedia], bytes]) -> int:
        write(cast(LegMedia, self._fake_media))
        return 200

    async def play(self, source: Source) -> int:
        """Play; files are read at once, so that virtual time need not wait for a disk. See `Call.play`."""
        return await super().play(self._at_once(source))

    @asynccontextmanager
    async def playing(self, source: Source) -> AsyncIterator[None]:
        """Play while the block runs; see `Call.playing`."""
        async with super().playing(self._at_once(source)):
            yield

    # Time

    async def elapse(self, seconds: float) -> None:
        """Let so much virtual time pass, whether or not anybody waits: for tests that run the agent themselves."""
        until_s = self.clock_s + seconds
        while self.clock_s < until_s - PTIME_MS / 2000 and self.ending is None:
            await self._settle()
            await self._step()
        await self._settle()

    async def _settle(self) -> None:
        """Let everybody who was woken act."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    async def _step(self) -> None:
        if self._live:
            self._session.tick(await self._far_end.next_frame())
        self._far_end.pass_time(self._far_end.frame_s())
        if self.ending is None and self.clock_s >= self._far_end.busy_until_s + self._patience_s:
            self.caller_hangs_up()
        if self._speed is not None:
            await asyncio.sleep(PTIME_MS / 1000 / self._speed)

    @property
    def _live(self) -> bool:
        return self.media is not None and self.media.agreed is not None and self.ending is None

    @property
    def _waited_for(self) -> bool:
        """Whether the agent waits for something of the call, so that time may pass."""
        return (
            self._session.waited_for
            or self._digit_waiter is not None
            or bool(self._waiting_for_end)
            or any(mailbox.waited_for for mailbox in self._mailboxes)
        )

    def _timeout(self, seconds: float) -> asyncio.Timeout:
        timeout = asyncio.timeout(None)

        def expire() -> None:
            with suppress(RuntimeError):  # it was left before
                timeout.reschedule(asyncio.get_running_loop().time())

        self._far_end.at(self.clock_s + seconds, expire, counts=False)
        return timeout

    def _open(self) -> None:
        codec = SimpleNamespace(name="PCMU" if self._session.queue.sample_rate_hz == 8000 else "L16")
        self._fake_media.agreed = SimpleNamespace(ptime_ms=PTIME_MS, telephone_event_send=101, codec=codec)

    def _nothing_to_do(self) -> bool:
        """Say whether the call is answered and an agent before this one did it."""
        self._lifetime.check()
        if self.answered and not self.handed_over and not self._placed:
            raise LocalProtocolError("the call is already answered")
        return self.answered

    def _at_once(self, source: Source) -> Source:
        rate_hz = self._session.queue.sample_rate_hz
        if isinstance(source, str | os.PathLike):
            return Frame(read_sound(os.fspath(source), rate_hz), rate_hz)
        if isinstance(source, bytes | bytearray):
            source = Frame(bytes(source), self._rate())
        return to_rate(source, rate_hz) if isinstance(source, Frame) else source


def _record(direction: str, caller: str, callee: str) -> CallRecord:
    ours = caller if direction == "outbound" else callee
    return CallRecord("fake", "fake@sipflow.test", direction, caller, callee, "fake", ours, "agent", datetime.now(UTC))


def _headers(lines: Mapping[str, str]) -> Headers:
    headers = Headers()
    for name, value in lines.items():
        headers.add(name, value)
    return headers


def _board() -> SimpleNamespace:
    """Stand in for the switchboard."""
    return SimpleNamespace(tasks=Tasks(), call_log=structlog.get_logger("sipflow.call"), history=History())


class FakeMedia:
    """Has what calls use of a `LegMedia`.

    Attributes:
        session, agreed, dtmf: as there.
        holding: whether the agent has put the far end on hold.
    """

    def __init__(self, session: FakeSession) -> None:
        self.session = session
        self.agreed: object = None
        self.dtmf = "rfc4733"
        self.holding = False

    @property
    def held(self) -> bool:
        """Whether the far end wants to hear nothing."""
        return self.session.held

    def offer(self, *, hold: bool | None = None, quiet: bool = False) -> bytes:  # noqa: ARG002  (nothing is sent)
        """Hold the far end, or take it back; None changes nothing."""
        if hold is not None:
            self.holding = self.session.deaf = hold
        return b""

    def favour(self, codec: Codec) -> None:
        """Have one codec alone."""

    def close(self) -> None:
        """Stop."""
        self.session.close()


async def run(agent: Callable[[InboundCall], Awaitable[HandOver | None]], call: FakeCall) -> Ending:
    """Run an agent on a fake call until it returns, as the daemon would: returning hangs up, `CallEnded` is quiet.

    An agent that hands the call over is at its end here, too; `handed_to` says to whom.

    Returns:
        How the call ended.

    Raises:
        Exception: whatever the agent raised; the call has ended then.

    Cancelling cancels the agent.
    """
    failures: list[Exception] = []

    async def guarded() -> None:
        try:
            after = await agent(call)
            call.handed_to = after.agent if isinstance(after, HandOver) else ""
        except CallEnded:
            pass
        except Exception as error:  # noqa: BLE001  (the test gets it, not the log)
            if not ended_alone(error):
                failures.append(error)

    tasks = Tasks()
    task = tasks.spawn(guarded(), name="agent of a fake call")
    try:
        while not task.done():
            await call._settle()
            if call._waited_for and call.ending is None:
                await call._step()
            elif not task.done():
                await asyncio.wait([task], timeout=0.001)  # it waits for something that is not ours
    finally:
        await tasks.close()
    call.end("the agent is done", status=480)
    if failures:
        raise failures[0]
    assert call.ending is not None
    return call.ending
