"""A bot as people write them with Pipecat: its own transport, serializers and pipeline, and a tone for a voice.

It runs in an environment of its own, where Pipecat is and sipflow is not. It plays `SPEAKS_HZ` until the caller presses
1; then it interrupts itself and plays `INTERRUPTED_HZ`. At 9 it is done. What it hears of the caller stands in its log.
"""
# Pipecat is not installed where types are checked.
# mypy: ignore-errors

import argparse
import math

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    EndWorkerFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

SPEAKS_HZ, INTERRUPTED_HZ, CALLER_HZ = 440, 700, 1000
RATE_HZ = 24000  # of the voice, as most speech services have it
IN_RATE_HZ = 16000
SPEECH_S = 10
AMPLITUDE = 8231  # a sine of -12 dBFS

app = FastAPI()
dialect = "twilio"


def tone(hz: int, seconds: int) -> bytes:
    """A second at a time is what a speech service would send."""
    one = [round(AMPLITUDE * math.sin(2 * math.pi * hz * n / RATE_HZ)) for n in range(RATE_HZ)]
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in one) * seconds


def level_dbfs(pcm: bytes, hz: int, rate_hz: int) -> float:
    """How loud a tone is (Goertzel)."""
    samples = memoryview(pcm).cast("h")
    turn = 2 * math.cos(2 * math.pi * hz / rate_hz)
    last = before = 0.0
    for sample in samples:
        last, before = sample + turn * last - before, last
    power = last * last + before * before - turn * last * before
    return 10 * math.log10(max(2 * power, 1e-9)) - 20 * math.log10(len(samples) * 32768 / math.sqrt(2))


class Voice(FrameProcessor):
    """Speaks when the call begins; interrupts itself at a 1, and goes at a 9."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = b""

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._speak(SPEAKS_HZ)
        elif isinstance(frame, InputAudioRawFrame):
            self._listen(frame)
        elif isinstance(frame, InputDTMFFrame):
            print(f"digit {frame.button.value}", flush=True)
            if frame.button.value == "1":
                await self.broadcast_interruption()
                await self._speak(INTERRUPTED_HZ)
            elif frame.button.value == "9":
                await self.broadcast_interruption()
                await self.push_frame(EndWorkerFrame(), direction)
        elif isinstance(frame, EndFrame | CancelFrame):
            print(f"over: {type(frame).__name__}", flush=True)

    async def _speak(self, hz: int) -> None:
        second = tone(hz, 1)
        for _ in range(SPEECH_S):
            await self.push_frame(TTSAudioRawFrame(audio=second, sample_rate=RATE_HZ, num_channels=1))

    def _listen(self, frame: InputAudioRawFrame) -> None:
        self._heard += frame.audio
        if len(self._heard) >= frame.sample_rate:  # half a second
            print(f"heard {level_dbfs(self._heard, CALLER_HZ, frame.sample_rate):.1f} dBFS", flush=True)
            self._heard = b""


async def serializer_for(websocket: WebSocket):
    """Choose as Pipecat's own examples do."""
    if dialect == "vonage":
        return VonageFrameSerializer()
    found, call = await parse_telephony_websocket(websocket)
    print(f"call {found} from {call.from_number} to {call.to_number}, {call.body}", flush=True)
    if found == "telnyx":
        params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
        return TelnyxFrameSerializer(call.stream_id, call.outbound_encoding, "PCMU", call.call_id, params=params)
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    return TwilioFrameSerializer(call.stream_id, call.call_id, params=params)


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=await serializer_for(websocket)
    )
    transport = FastAPIWebsocketTransport(websocket=websocket, params=params)
    rates = PipelineParams(audio_in_sample_rate=IN_RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(Pipeline([transport.input(), Voice(), transport.output()]), params=rates)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client) -> None:
        print("the caller is gone", flush=True)
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("dialect", choices=["twilio", "telnyx", "vonage"])
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    dialect = options.dialect
    uvicorn.run(app, host="127.0.0.1", port=options.port)
