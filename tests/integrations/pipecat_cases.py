"""What test_pipecat.py runs where Pipecat is: its real pipeline over a call without a network."""
# Pipecat is not installed where types are checked.
# mypy: ignore-errors

import asyncio

import pytest
from pipecat.frames.frames import (
    CancelWorkerFrame,
    ClientConnectedFrame,
    EndWorkerFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import LocalProtocolError
from sipflow.integrations.pipecat import SipflowParams, SipflowTransport
from sipflow.testing import FakeCall, run
from tests.integrations.elsewhere import load_snippet

RATE_HZ = 24000


class Bot(FrameProcessor):
    """Does what it is told for each kind of frame, and remembers every frame."""

    def __init__(self, **reactions):
        super().__init__()
        self.reactions = reactions
        self.frames = []
        self.rest = None

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)
        reaction = self.reactions.get(type(frame).__name__)
        if reaction is not None:
            await reaction(self, frame)

    async def say(self, duration_ms, hz=440, interruptible=True, rate_hz=RATE_HZ):
        frame = OutputAudioRawFrame(sine(hz, duration_ms, sample_rate_hz=rate_hz), rate_hz, 1)
        frame.interruptible = interruptible
        await self.push_frame(frame)

    def kinds(self):
        return [type(frame).__name__ for frame in self.frames]


class Talk:
    """An agent with one pipeline, and what became of it."""

    def __init__(self, bot, params=None, in_hz=16000):
        self.bot, self.params, self.in_hz = bot, params, in_hz
        self.events = []
        self.after = None

    async def __call__(self, call):
        transport = SipflowTransport(call, self.params)
        rates = PipelineParams(audio_in_sample_rate=self.in_hz, audio_out_sample_rate=RATE_HZ)
        self.worker = PipelineWorker(
            Pipeline([transport.input(), self.bot, transport.output()]), params=rates, enable_rtvi=False
        )
        for name in ("on_client_connected", "on_client_disconnected"):
            transport.add_event_handler(name, self.told(name))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()
        if self.after is not None:
            await self.after(call)

    def told(self, name):
        async def handler(transport, call):
            assert call is transport.call
            self.events.append(name)

        return handler


def speak(duration_ms, **how):
    async def reaction(bot, frame):
        await bot.say(duration_ms, **how)

    return reaction


async def leave(bot, frame):
    await bot.push_frame(EndWorkerFrame())


async def speak_and_leave(bot, frame):
    await bot.say(1000)
    await bot.push_frame(EndWorkerFrame())


def live(**script):
    return FakeCall(speed=1.0, **script)


async def test_the_caller_is_heard_at_the_pipeline_s_rate_and_its_digits_are_told():
    bot = Bot()
    talk = Talk(bot)
    call = live(audio=sine(1000, 1500), digits="1A#", patience_s=1.0)
    await asyncio.wait_for(run(talk, call), 20)

    audio = [frame for frame in bot.frames if isinstance(frame, InputAudioRawFrame)]
    assert {(frame.sample_rate, frame.num_channels, len(frame.audio)) for frame in audio} == {(16000, 1, 640)}
    heard = b"".join(frame.audio for frame in audio)
    assert measure_tone(heard[8000:40000], 1000, 16000) == pytest.approx(-16.0, abs=1.0)
    assert [frame.button.value for frame in bot.frames if isinstance(frame, InputDTMFFrame)] == ["1", "#"]
    assert any(isinstance(frame, ClientConnectedFrame) for frame in bot.frames)
    assert call.answered
    assert talk.events == ["on_client_connected", "on_client_disconnected"]
    assert bot.kinds()[-1] == "CancelFrame"


async def test_an_end_hangs_up_after_the_last_sample():
    talk = Talk(Bot(StartFrame=speak_and_leave))
    call = live(patience_s=10)
    ending = await asyncio.wait_for(run(talk, call), 20)

    assert ending.why == "the agent hung up"
    assert talk.events == ["on_client_connected"]
    assert call.played_ms >= 960  # Pipecat's own chunks are of 40 ms, and what fills none is not spoken
    assert measure_tone(call.played[3200:12800], 440) == pytest.approx(-16.0, abs=1.0)


async def test_a_cancel_hangs_up_in_the_middle_of_a_word():
    async def cancel(bot, frame):
        await bot.push_frame(CancelWorkerFrame())

    talk = Talk(Bot(StartFrame=speak(5000), InputDTMFFrame=cancel))
    call = live(digits="1")
    ending = await asyncio.wait_for(run(talk, call), 20)

    assert ending.why == "the agent hung up"
    assert 500 < call.played_ms < 1500


async def test_after_an_interruption_the_next_packet_is_silent():
    played = []

    async def interrupt(bot, frame):
        played.append(call.played_ms)
        await bot.broadcast_interruption()
        await asyncio.sleep(0.3)
        played.append(call.played_ms)
        await bot.push_frame(EndWorkerFrame())

    talk = Talk(Bot(StartFrame=speak(5000), InputDTMFFrame=interrupt))
    call = live(digits="1")
    await asyncio.wait_for(run(talk, call), 20)

    assert played[0] > 500
    assert played[1] - played[0] <= 40


async def test_what_is_not_to_be_interrupted_is_said_to_the_end():
    async def interrupt(bot, frame):
        await bot.broadcast_interruption()
        await bot.push_frame(EndWorkerFrame())

    talk = Talk(Bot(StartFrame=speak(2000, interruptible=False), InputDTMFFrame=interrupt))
    call = live(digits="1")
    await asyncio.wait_for(run(talk, call), 20)

    assert call.played_ms >= 1960


async def test_audio_is_taken_at_the_pace_at_which_it_is_played():
    queued = []

    async def watch(bot, frame):
        queued.append(call.queued_ms)

    talk = Talk(Bot(StartFrame=speak(5000), InputAudioRawFrame=watch))
    call = live(patience_s=2)
    await asyncio.wait_for(run(talk, call), 20)

    assert 0 < max(queued) <= 80
    assert call.played_ms > 1500


async def test_on_hold_the_bot_s_words_wait():
    talk = Talk(Bot(StartFrame=speak_and_leave))
    call = live(patience_s=10)
    call.at(0.4, call.hold_agent)
    call.at(1.4, call.end_hold)
    await asyncio.wait_for(run(talk, call), 20)

    assert call.played_ms >= 960
    assert call.clock_s > 1.9


async def test_digits_are_sent():
    async def dial(bot, frame):
        await bot.push_frame(OutputDTMFFrame.from_string("12#"))
        await bot.push_frame(EndWorkerFrame())

    call = live()
    await asyncio.wait_for(run(Talk(Bot(StartFrame=dial)), call), 20)

    assert call.digits_sent == "12#"


async def test_a_caller_who_is_gone_before_the_pipeline_starts_cancels_it():
    talk = Talk(Bot())
    call = live()

    async def late(call):
        call.caller_hangs_up()
        await talk(call)

    await asyncio.wait_for(run(late, call), 20)

    assert talk.events == ["on_client_disconnected"]
    assert talk.bot.kinds()[-1] == "CancelFrame"


async def test_without_hang_up_the_handler_goes_on_with_the_call():
    talk = Talk(Bot(StartFrame=leave), SipflowParams(hang_up=False))
    went_on = []

    async def after(call):
        went_on.append(await call.play(sine(700, 200)))

    talk.after = after
    call = live(patience_s=10)
    ending = await asyncio.wait_for(run(talk, call), 20)

    assert (went_on, ending.why) == ([200], "the agent is done")


async def test_a_handler_that_is_cancelled_leaves_nothing_running():
    before = asyncio.all_tasks()
    call, talk = live(), Talk(Bot(StartFrame=speak(5000)))
    handler = asyncio.create_task(talk(call))
    await call.elapse(0.5)
    handler.cancel()
    await asyncio.wait({handler}, timeout=10)
    await asyncio.sleep(0.05)

    assert handler.done()
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()
    assert call.ending is not None


async def test_parameters_of_every_transport_are_enough():
    talk = Talk(Bot(StartFrame=speak_and_leave), TransportParams(audio_out_enabled=True, audio_out_end_silence_secs=0))
    call = live(patience_s=10)
    await asyncio.wait_for(run(talk, call), 20)

    assert call.played_ms >= 960


async def test_what_a_call_does_not_have_is_refused_at_once():
    for wrong in ({"audio_in_channels": 2}, {"audio_out_channels": 2}, {"audio_in_sample_rate": 22050}):
        with pytest.raises(LocalProtocolError):
            SipflowTransport(FakeCall(), SipflowParams(**wrong))


async def test_the_bot_of_the_page_says_back_what_it_hears():
    names = load_snippet("sipflow.integrations.pipecat")
    call = live(audio=sine(1000, 2000), patience_s=0.5)
    await asyncio.wait_for(run(names["bot"], call), 20)

    assert call.answered
    assert measure_tone(call.played[8000:24000], 1000) == pytest.approx(-16.0, abs=1.0)
