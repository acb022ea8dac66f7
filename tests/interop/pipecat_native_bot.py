"""The bot of pipecat_bot.py inside sipflow: the same voice on a transport that is the call itself."""
# Pipecat is not installed where types are checked.
# mypy: ignore-errors

from pipecat.frames.frames import OutputDTMFUrgentFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from sipflow.integrations.pipecat import SipflowTransport
from tests.interop.pipecat_bot import IN_RATE_HZ, RATE_HZ, Voice


async def bot(call) -> None:
    """Speak, hear, be interrupted and go, as the voice says."""
    transport = SipflowTransport(call)
    rates = PipelineParams(audio_in_sample_rate=IN_RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(Pipeline([transport.input(), Voice(), transport.output()]), params=rates)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, call) -> None:
        print(f"call from {call.caller} to {call.callee}", flush=True)
        await worker.queue_frame(OutputDTMFUrgentFrame.from_string("4"))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, call) -> None:
        print(f"the caller is gone: {call.ending.why}", flush=True)

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    print("the pipeline is over", flush=True)
