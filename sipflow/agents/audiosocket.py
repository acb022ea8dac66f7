"""`handler: audiosocket`: the audio goes to a bot over TCP, in the words of Asterisk's AudioSocket."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from sipflow.agents.audiosocket_connection import AudioSocket
from sipflow.agents.audiosocket_options import AudioSocketOptions, read_options
from sipflow.agents.audiosocket_wire import AUDIO_KINDS, FRAME_MS, RATES_HZ, Kind, call_uuid, error_text
from sipflow.agents.fallback import fall_back
from sipflow.agents.spec import HandOver
from sipflow.agents.stream.dialect import Frames
from sipflow.agents.stream.session import How, Outcome
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.audio.resample import Resampler
from sipflow.calls.call import Call
from sipflow.calls.leg import RATES_HZ as CALL_RATES_HZ
from sipflow.errors import CallEnded, LocalProtocolError, MediaError, SipflowError

RETRY_S = 0.25
_AHEAD_MS = 200  # of the bot's audio; while so much waits, no more is read
_CUSHION_MS = 2 * FRAME_MS  # of silence before the bot speaks, so that jitter of its own does not break up its words
_USUAL_HZ = 8000


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: one cannot.
    """
    read_options(options)


def refers_to(options: Mapping[str, object]) -> str:
    """Name the agent that takes over where the bot fails, "" for none."""
    return str(options.get("fallback", ""))


async def audiosocket(call: Call) -> HandOver | None:
    """Carry the call's audio to a bot and back until one of them has enough.

    The caller hears ringing until the bot is there. A bot that hangs up, or closes the connection, is done, and the
    call is ended. One that cannot be reached, sends garbage or an error, or does not read is replaced by the fallback,
    or else the call ends: 503 before the answer, BYE with a Reason after it.
    """
    options = read_options(call.options)
    outcome = await Conversation(call, options).run()
    if outcome.how is not How.FAILED:
        return None
    return await fall_back(call, options, what="audiosocket", why=outcome.why)


class Conversation:
    """One call's conversation with a bot. It is the connection's listener.

    Attributes:
        uuid: what the bot knows the call as.
        sent: audio messages to the bot.
        played: audio messages of the bot.
    """

    def __init__(self, call: Call, options: AudioSocketOptions) -> None:
        self._call = call
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[Outcome] = self._loop.create_future()
        self._socket: AudioSocket | None = None
        self._rate_hz = 0  # what is resampled from, where that is necessary
        self._resampler: Resampler | None = None
        self.uuid = call_uuid(call.id)
        self.sent = self.played = 0

    async def run(self) -> Outcome:
        """Hold the conversation. The connection is closed at the end, the call is not.

        Raises:
            SipflowError: the call could not be answered; not `CallEnded`, which is an outcome.
        """
        failed: SipflowError | None = None
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._until_the_call_ends())]
            try:
                outcome = await self._converse(group, tasks)
            except SipflowError as error:
                failed = error  # raised outside of the group, which would wrap it
            finally:
                for task in tasks:
                    task.cancel()
                if self._socket is not None:
                    self._socket.send(Kind.HANGUP)
                    await self._socket.close()
        if failed is not None:
            raise failed
        if self._socket is not None:
            why = outcome.why or outcome.how.value
            counts = {"sent": self.sent, "played": self.played, "unread": self._socket.unread}
            self._call.log.info("audiosocket over", why=why, **counts)
        return outcome

    # What happens, in order

    async def _converse(self, group: asyncio.TaskGroup, tasks: list[asyncio.Task[None]]) -> Outcome:
        call = self._call
        try:
            if not call.answered:
                await (call.answer() if self._options.answer == "at_once" else call.ring())
            connected = group.create_task(self._connect())
            tasks.append(connected)
            either: set[asyncio.Future[None] | asyncio.Future[Outcome]] = {connected, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done() or self._socket is None:
                return self._over.result()
            if not call.answered:
                await call.answer()
            tasks += [group.create_task(self._hear()), group.create_task(self._digits())]
            self._socket.listen(self)
            outcome = await self._over
            if outcome.how is How.DONE:
                await call.mark()  # the bot's last words
        except CallEnded as ended:
            return Outcome(How.CALL_ENDED, ended.reason)
        if outcome.how is How.FAILED:
            with suppress(CallEnded, LocalProtocolError):
                call.clear()
        return outcome

    async def _connect(self) -> None:
        """Connect, again and again while there is time."""
        options, give_up_at = self._options, self._loop.time() + self._options.connect_timeout_s
        while self._socket is None:
            try:
                async with asyncio.timeout_at(max(give_up_at, self._loop.time() + RETRY_S)):
                    _, self._socket = await self._loop.create_connection(
                        lambda: AudioSocket(drop_s=options.drop_s), options.host, options.port
                    )
            except (OSError, UnicodeError) as error:  # TimeoutError included; a host name may be none
                why = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
                if self._loop.time() + RETRY_S >= give_up_at:
                    self._finish(How.FAILED, f"no audiosocket to {options.address}: {why}")
                    return
                await asyncio.sleep(RETRY_S)
        self._socket.send(Kind.UUID, self.uuid.bytes)
        self._call.log.info("audiosocket connected", address=options.address, uuid=str(self.uuid))

    # From the call to the bot

    async def _until_the_call_ends(self) -> None:
        ending = await self._call.ended()
        self._finish(How.CALL_ENDED, ending.why)

    async def _hear(self) -> None:
        rate_hz, socket = self._options.sample_rate_hz, self._socket
        kind, frames = AUDIO_KINDS[rate_hz], Frames(rate_hz)
        if socket is None:
            return
        with suppress(CallEnded):
            async for frame in self._call.frames(sample_rate_hz=_USUAL_HZ).at(rate_hz):
                for pcm in frames.cut(frame.pcm):
                    socket.send(kind, pcm)
                    self.sent += 1

    async def _digits(self) -> None:
        with suppress(CallEnded):
            async for digit in self._call.dtmf:
                if self._socket is not None:
                    self._socket.send(Kind.DTMF, digit.encode())

    # From the bot to the call

    def received(self, kind: int, payload: bytes) -> None:
        """Take a message of the bot."""
        if self._over.done():
            if self._socket is not None:
                self._socket.hold(1.0)  # it is soon closed
            return
        rate_hz = RATES_HZ.get(kind)
        if rate_hz is not None:
            self._play(payload, rate_hz)
        elif kind == Kind.HANGUP:
            self._finish(How.DONE, "the bot hung up")
        elif kind == Kind.ERROR:
            self._finish(How.FAILED, f"the bot reports an error: {error_text(payload)}")

    def lost(self, *, cleanly: bool, why: str) -> None:
        """Take the end of the connection."""
        if cleanly and not self.played:
            self._finish(How.FAILED, f"{why}, and the bot never said anything")
        elif cleanly and self._options.on_close == "hangup":
            self._finish(How.DONE, why)
        else:
            self._finish(How.FAILED, why)

    def _play(self, pcm: bytes, rate_hz: int) -> None:
        """Play what the bot says, and read no further while enough of it waits."""
        call = self._call
        self.played += 1
        try:
            if not call.queued_ms:
                pcm = bytes(SAMPLE_BYTES * (rate_hz * _CUSHION_MS // 1000)) + pcm
            pcm, rate_hz = self._playable(pcm, rate_hz)
            waiting_ms = call.write(pcm, sample_rate_hz=rate_hz)
        except (CallEnded, LocalProtocolError):
            return  # the call has just ended; whoever waits for that is told
        except MediaError as error:
            self._finish(How.FAILED, f"the bot's audio cannot be played: {error}")
            return
        if waiting_ms > _AHEAD_MS and self._socket is not None:
            self._socket.hold((waiting_ms - _AHEAD_MS // 2) / 1000)

    def _playable(self, pcm: bytes, rate_hz: int) -> tuple[bytes, int]:
        """Bring samples to a rate that a call takes: the next one above, else the highest."""
        if rate_hz in CALL_RATES_HZ:
            return pcm, rate_hz
        to_hz = min((rate for rate in CALL_RATES_HZ if rate > rate_hz), default=CALL_RATES_HZ[-1])
        if rate_hz != self._rate_hz or self._resampler is None:
            self._rate_hz, self._resampler = rate_hz, Resampler(rate_hz, to_hz)
        return self._resampler.process(pcm), to_hz

    def _finish(self, how: How, why: str) -> None:
        if not self._over.done():
            self._over.set_result(Outcome(how, why))
