"""A Pipecat bot behind sipflow's stream: it greets with a tone, and says back what it hears.

It runs in an environment of its own, where Pipecat is: `pip install 'pipecat-ai[websocket]' uvicorn`. Put speech
recognition, a language model and a voice in the place of `Parrot`, and it is an assistant.
"""

import math
import struct

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame, StartFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

RATE_HZ = 16000
GREETING = b"".join(
    struct.pack("<h", round(8000 * math.sin(2 * math.pi * 600 * n / RATE_HZ))) for n in range(RATE_HZ // 2)
)

app = FastAPI()


class Parrot(FrameProcessor):
    """Where the bot's mind would be."""

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            said = OutputAudioRawFrame(audio=frame.audio, sample_rate=frame.sample_rate, num_channels=1)
            await self.push_frame(said, direction)
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(TTSAudioRawFrame(audio=GREETING, sample_rate=RATE_HZ, num_channels=1), direction)


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    no_account = TwilioFrameSerializer.InputParams(auto_hang_up=False)  # the bot hangs up by closing the WebSocket
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            serializer=TwilioFrameSerializer(call.stream_id, call.call_id, params=no_account),
        ),
    )
    rates = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(Pipeline([transport.input(), Parrot(), transport.output()]), params=rates)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8765)
