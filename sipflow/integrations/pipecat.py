"""A Pipecat transport that is a call: no WebSocket, no serializer, and the samples pass through no other process.

Needs pipecat-ai (`pip install 'sipflow[pipecat]'`). In a handler `module:function`:

    transport = SipflowTransport(call)
    pipeline = Pipeline([transport.input(), ..., transport.output()])
"""

import asyncio
from contextlib import suppress

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    CancelWorkerFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from sipflow.calls.call import Call
from sipflow.calls.events import Subscription
from sipflow.calls.inbound import InboundCall
from sipflow.calls.leg import checked_rate
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError
from sipflow.media.reader import FrameReader

_AHEAD_MS = 40  # of the bot's audio; one that is written is taken once no more waits
_LONGEST_WAIT_S = 0.04  # between two looks at what waits: on hold, and after an interruption, it is no matter of time
_A_DAY_S = 86_400.0  # Pipecat takes a write that lasts for one that nobody reads; a call on hold is none


class SipflowParams(TransportParams):
    """What a `SipflowTransport` does, over the parameters that every transport has.

    Parameters:
        audio_in_enabled, audio_out_enabled: both are on, unlike in other transports.
        audio_out_end_silence_secs: 0: the last sample is known to have left, so no silence need follow it.
        hang_up: whether the end of the pipeline ends the call. Without it the handler may go on with the call.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_end_silence_secs: int = 0
    audio_out_write_timeout_secs: float = _A_DAY_S
    hang_up: bool = True


class SipflowTransport(BaseTransport):
    """One call as a Pipecat transport.

    A call in is answered when the pipeline starts, unless it is answered already; a call out is waited for. The
    caller's audio and digits come out of `input()`; `output()` plays audio and sends digits, and drops what has not
    been sent at an interruption. An EndFrame hangs up after the last sample, a CancelFrame at once; a caller who hangs
    up cancels the pipeline.

    Event handlers: `on_client_connected(transport, call)`, `on_client_disconnected(transport, call)`.

    Attributes:
        call: the call.
        left: whether the pipeline itself has hung up.
    """

    def __init__(
        self,
        call: Call,
        params: TransportParams | None = None,
        *,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        """Prepare; nothing is said to the caller before the pipeline starts.

        Raises:
            LocalProtocolError: more than one channel is wanted, or a rate that a call does not have.
        """
        super().__init__(input_name=input_name, output_name=output_name)
        params = params or SipflowParams()
        if params.audio_in_channels != 1 or params.audio_out_channels != 1:
            raise LocalProtocolError("a call has one channel: audio_in_channels and audio_out_channels must be 1")
        for rate_hz in (params.audio_in_sample_rate, params.audio_out_sample_rate):
            if rate_hz is not None:
                checked_rate(rate_hz)
        if "audio_out_write_timeout_secs" not in params.model_fields_set:
            params = params.model_copy(update={"audio_out_write_timeout_secs": _A_DAY_S})
        self.call = call
        self.left = False
        self._input = SipflowInput(self, call, params, name=self._input_name)
        self._output = SipflowOutput(self, call, params, name=self._output_name)
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> "SipflowInput":
        """Give the processor that hears the caller."""
        return self._input

    def output(self) -> "SipflowOutput":
        """Give the processor that speaks to the caller."""
        return self._output

    async def told(self, event: str) -> None:
        """Run the handlers of an event."""
        await self._call_event_handler(event, self.call)


class SipflowInput(BaseInputTransport):
    """The caller: audio at the pipeline's rate, digits, and the end of the call."""

    def __init__(self, transport: SipflowTransport, call: Call, params: TransportParams, *, name: str | None) -> None:
        """Prepare; `SipflowTransport` does this."""
        super().__init__(params, name=name)
        self._transport = transport
        self._call = call
        self._tasks: list[asyncio.Task[None]] = []

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Look at the pipeline's rate.

        Raises:
            LocalProtocolError: a call does not have it.
        """
        await super().setup(setup)
        checked_rate(self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Answer the call, or wait until it is answered, and begin to listen."""
        await super().start(frame)
        if self._tasks:
            return
        call = self._call
        try:
            if not call.answered and isinstance(call, InboundCall):
                await call.answer()
            elif not call.answered and isinstance(call, OutboundCall):
                await call.wait_answered()
            audio, digits = call.frames(sample_rate_hz=self.sample_rate), call.dtmf
        except (CallEnded, CallFailed) as error:
            await self._leave(error.reason)
            return
        await self._transport.told("on_client_connected")
        await self.push_frame(ClientConnectedFrame())
        await self.set_transport_ready(frame)
        self._tasks = [
            self.create_task(self._hear(audio)),
            self.create_task(self._press(digits)),
            self.create_task(self._until_the_call_ends()),
        ]

    async def stop(self, frame: EndFrame) -> None:
        """Stop listening; the output hangs up."""
        await super().stop(frame)
        await self._listen_no_more()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop listening; the output hangs up."""
        await super().cancel(frame)
        await self._listen_no_more()

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await super().cleanup()
        await self._listen_no_more()
        await self._transport.cleanup()

    async def _listen_no_more(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    async def _hear(self, audio: FrameReader) -> None:
        async for frame in audio:
            await self.push_audio_frame(
                InputAudioRawFrame(audio=frame.pcm, sample_rate=frame.sample_rate_hz, num_channels=1)
            )

    async def _press(self, digits: Subscription[str]) -> None:
        async for digit in digits:
            if digit in "ABCD":
                self._call.log.info("a digit that Pipecat does not know", digit=digit)
            else:
                await self.push_frame(InputDTMFFrame(button=KeypadEntry(digit)))

    async def _until_the_call_ends(self) -> None:
        ending = await self._call.ended()
        if not self._transport.left:
            await self._leave(ending.why)

    async def _leave(self, why: str) -> None:
        await self._transport.told("on_client_disconnected")
        await self.push_frame(CancelWorkerFrame(reason=why), FrameDirection.UPSTREAM)


class SipflowOutput(BaseOutputTransport):
    """What the caller hears: audio at a real-time pace, and digits."""

    def __init__(self, transport: SipflowTransport, call: Call, params: TransportParams, *, name: str | None) -> None:
        """Prepare; `SipflowTransport` does this."""
        super().__init__(params, name=name)
        self._transport = transport
        self._call = call
        self._hang_up = getattr(params, "hang_up", True)
        self._keep = False  # what waits is not to be interrupted
        self._started = False

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Look at the pipeline's rate.

        Raises:
            LocalProtocolError: a call does not have it.
        """
        await super().setup(setup)
        checked_rate(self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Take audio from now on."""
        await super().start(frame)
        if not self._started:
            self._started = True
            await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Say what is still to be said, and hang up."""
        await super().stop(frame)
        with suppress(CallEnded, LocalProtocolError):
            if not self._call.held:  # or else nobody would hear it
                await self._call.mark()
        await self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        """Hang up in the middle of a word."""
        await super().cancel(frame)
        with suppress(CallEnded, LocalProtocolError):
            self._call.clear()
        await self._end()

    async def cleanup(self) -> None:
        """Leave nothing running."""
        await super().cleanup()
        await self._transport.cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Handle a frame; at an interruption the very next packet is silent."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and not self._keep:
            with suppress(CallEnded, LocalProtocolError):
                self._call.clear()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play a piece of audio, and come back when the next one is wanted; False once the call is over."""
        call = self._call
        try:
            call.write(frame.audio, sample_rate_hz=frame.sample_rate)
        except CallEnded:
            return False
        except (LocalProtocolError, MediaError) as error:
            call.log.warning("the bot's audio cannot be played", why=str(error))
            return False
        self._keep = not frame.interruptible
        while (waiting_ms := call.queued_ms) > _AHEAD_MS and call.ending is None:  # noqa: ASYNC110  (time is waited for)
            await asyncio.sleep(min((waiting_ms - _AHEAD_MS) / 1000, _LONGEST_WAIT_S))
        return call.ending is None

    def _supports_native_dtmf(self) -> bool:
        return True

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        try:
            await self._call.send_digits("".join(button.value for button in frame.buttons or ()))
        except CallEnded:
            return
        except (LocalProtocolError, MediaError) as error:
            self._call.log.warning("digits cannot be sent", why=str(error))

    async def _end(self) -> None:
        if self._hang_up and self._call.ending is None:
            self._transport.left = True
            await self._call.hangup()
