"""A LiveKit agent inside sipflow, whose ears and mouth are the call: a tone for a voice, and a digit interrupts it."""
# LiveKit is not installed where types are checked.
# mypy: ignore-errors

import asyncio

from livekit import rtc
from livekit.agents import Agent, AgentSession

from sipflow.audio.tones import measure_tone, sine
from sipflow.integrations.livekit import SipflowAudioInput, SipflowAudioOutput

SPEAKS_HZ, INTERRUPTED_HZ, CALLER_HZ, RATE_HZ = 440, 700, 1000, 24000


async def voice(hz):
    for _ in range(50):
        pcm = sine(hz, 200, level_dbfs=-12.0, sample_rate_hz=RATE_HZ)
        yield rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2)


async def listen(call):
    heard = b""
    async for frame in SipflowAudioInput(call, sample_rate=16000):
        heard += bytes(frame.data.cast("b"))
        if len(heard) >= 32000:
            print(f"heard {measure_tone(heard, CALLER_HZ, 16000):.1f} dBFS", flush=True)
            heard = b""


async def bot(call):
    """Speak until a 1, then speak otherwise until a 9; tell where each was interrupted."""
    await call.answer()
    session = AgentSession()
    session.input.audio = SipflowAudioInput(call)
    session.output.audio = mouth = SipflowAudioOutput(call)
    mouth.on("playback_finished", lambda end: print(f"played {end.playback_position:.2f} s", flush=True))
    await session.start(Agent(instructions="say what you are told"))
    listening = asyncio.create_task(listen(call))
    try:
        for hz in (SPEAKS_HZ, INTERRUPTED_HZ):
            speech = session.say("a tone", audio=voice(hz))
            print(f"digit {await call.read_digit(timeout=30)}", flush=True)
            await speech.interrupt()
    finally:
        listening.cancel()
        await session.aclose()
        print("the session is over", flush=True)
