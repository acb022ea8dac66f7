"""A call as the ears and the mouth of a LiveKit agent: `AudioInput` and `AudioOutput` without a LiveKit room.

Needs livekit-agents (`pip install 'sipflow[livekit]'`). In a handler `module:function`:

    session.input.audio = SipflowAudioInput(call)
    session.output.audio = SipflowAudioOutput(call)
"""

import asyncio
import time

from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

from sipflow.calls.call import Call
from sipflow.calls.leg import checked_rate
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.media.reader import FrameReader
from sipflow.tasks import Tasks

_AHEAD_MS = 200  # of the agent's audio; a frame is taken once no more waits
_LONGEST_WAIT_S = 0.04  # between two looks at what waits: paused and on hold, it is no matter of time


class SipflowAudioInput(AudioInput):
    """What the caller says: an async iterator of `rtc.AudioFrame`, 20 ms each, which ends with the call.

    While it is detached the caller is not heard; what was said meanwhile is not heard later either.
    """

    def __init__(self, call: Call, *, sample_rate: int = 24000) -> None:
        """Prepare; the call must be answered before the first frame is asked for.

        Args:
            call: the call.
            sample_rate: of the frames, 8000, 16000, 24000 or 48000.

        Raises:
            LocalProtocolError: there is no such rate.
        """
        super().__init__(label="sipflow")
        self._call = call
        self._rate_hz = checked_rate(sample_rate)
        self._reader: FrameReader | None = None
        self._attached = asyncio.Event()
        self._attached.set()

    async def __anext__(self) -> rtc.AudioFrame:
        """Wait for the next frame.

        Raises:
            StopAsyncIteration: the call is over.
            LocalProtocolError: the call has not been answered.
        """
        while True:
            await self._attached.wait()
            try:
                if self._reader is None:
                    self._reader = self._call.frames(sample_rate_hz=self._rate_hz)
                frame = await anext(self._reader)
            except CallEnded:
                raise StopAsyncIteration from None
            except StopAsyncIteration:
                if self._attached.is_set():
                    raise
                continue  # detached meanwhile
            if self._attached.is_set():
                return rtc.AudioFrame(frame.pcm, self._rate_hz, 1, frame.samples)

    def on_attached(self) -> None:
        """Listen from now on."""
        super().on_attached()
        self._attached.set()

    def on_detached(self) -> None:
        """Listen no more."""
        super().on_detached()
        self._attached.clear()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


class SipflowAudioOutput(AudioOutput):
    """What the caller hears. Each segment's end is reported with the position that really was sent.

    Frames may come faster than real time: 200 ms are queued, then `capture_frame` waits. Positions count the samples
    that left for the caller, to the packet; nothing else should play on the call meanwhile.
    """

    def __init__(self, call: Call, *, sample_rate: int | None = 24000) -> None:
        """Prepare; the call must be answered before the first frame comes.

        Args:
            call: the call.
            sample_rate: what LiveKit is asked to resample to: 8000, 16000, 24000, 48000, or None for any of these as
                it comes.

        Raises:
            LocalProtocolError: there is no such rate.
        """
        if sample_rate is not None:
            checked_rate(sample_rate)
        super().__init__(label="sipflow", capabilities=AudioOutputCapabilities(pause=True), sample_rate=sample_rate)
        self._call = call
        self._tasks = Tasks()
        self._playout: asyncio.Task[None] | None = None  # of the segment before
        self._began_ms: int | None = None  # `call.played_ms` when the segment began; None between segments
        self._pushed_s = 0.0
        self._stopped = False  # the segment was cleared or the call has ended: what still comes of it is dropped

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Queue a frame of the current segment, and come back when the next one is wanted.

        Raises:
            LocalProtocolError: more than one channel, a rate that a call does not have, or a call without an answer.
        """
        if frame.num_channels != 1:
            raise LocalProtocolError(f"a call has one channel, and the frame has {frame.num_channels}")
        if self._playout is not None:
            await asyncio.wait({self._playout})  # segments come one after the other
        await super().capture_frame(frame)
        call = self._call
        if self._began_ms is None:
            self._began_ms = call.played_ms + call.queued_ms
            self._pushed_s, self._stopped = 0.0, False
        if self._stopped:
            return
        try:
            call.write(bytes(frame.data.cast("b")), sample_rate_hz=frame.sample_rate)
        except CallEnded:
            self._stopped = True
            return
        except MediaError as error:
            call.log.warning("the agent's audio cannot be played", why=str(error))
            return
        if not self._pushed_s:
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration
        while not self._stopped and (waiting_ms := call.queued_ms) > _AHEAD_MS and call.ending is None:  # noqa: ASYNC110  (time is waited for)
            await asyncio.sleep(min((waiting_ms - _AHEAD_MS) / 1000, _LONGEST_WAIT_S))

    def flush(self) -> None:
        """Mark the segment as complete: its end is reported when its last sample has left."""
        super().flush()
        if self._began_ms is None:
            return
        if self._playout is None or self._playout.done():
            self._playout = self._tasks.spawn(self._play_out(), name="playout of a LiveKit segment")

    def clear_buffer(self) -> None:
        """Drop what has not been sent: the next packet is silent."""
        if self._began_ms is None:
            return
        self._stopped = True
        try:
            self._call.clear()
        except (CallEnded, LocalProtocolError):
            return  # the call is over, and nothing waits

    def pause(self) -> None:
        """Send silence, and keep what waits."""
        super().pause()
        try:
            self._call.pause()
        except CallEnded:
            return  # it is silent anyway

    def resume(self) -> None:
        """Go on at the very sample."""
        super().resume()
        try:
            self._call.resume()
        except CallEnded:
            return  # as above

    async def aclose(self) -> None:
        """Stop waiting for the segment that plays."""
        await self._tasks.close()

    @property
    def position_s(self) -> float:
        """How much of the current segment has been sent, in seconds."""
        if self._began_ms is None:
            return 0.0
        return min(max(self._call.played_ms - self._began_ms, 0) / 1000, self._pushed_s)

    async def _play_out(self) -> None:
        """Wait for the end of the segment, and report it."""
        try:
            complete = not self._stopped and await self._call.mark()
        except (CallEnded, LocalProtocolError):
            complete = False
        position_s = self._pushed_s if complete else self.position_s
        self._began_ms = None
        self.on_playback_finished(playback_position=position_s, interrupted=not complete)
