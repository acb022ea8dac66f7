"""What test_livekit.py runs where LiveKit Agents is: its real classes over a call without a network."""
# LiveKit is not installed where types are checked.
# mypy: ignore-errors

import asyncio

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.io import PlaybackFinishedEvent

from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import LocalProtocolError
from sipflow.integrations.livekit import SipflowAudioInput, SipflowAudioOutput
from sipflow.testing import FakeCall, run
from tests.integrations.elsewhere import load_snippet

RATE_HZ = 24000


def tone(duration_ms, hz=440, rate_hz=RATE_HZ):
    pcm = sine(hz, duration_ms, sample_rate_hz=rate_hz)
    return rtc.AudioFrame(pcm, rate_hz, 1, len(pcm) // 2)


def live(**script):
    return FakeCall(speed=1.0, **script)


async def answered(talk, call):
    async def agent(call):
        await call.answer()
        await talk(call)

    await asyncio.wait_for(run(agent, call), 30)


async def say(output, duration_ms, piece_ms=100):
    for _ in range(duration_ms // piece_ms):
        await output.capture_frame(tone(piece_ms))


async def keep_time(call):
    """Let the call's time pass while an agent does something of its own."""
    async for _ in call.audio:
        pass


def told(output):
    events = []
    output.on("playback_finished", events.append)
    output.on("playback_started", events.append)
    return events


async def with_time(talk, call):
    async def agent(call):
        await call.answer()
        passing = asyncio.create_task(keep_time(call))
        try:
            await talk(call)
        finally:
            passing.cancel()

    await asyncio.wait_for(run(agent, call), 30)


async def test_the_caller_is_heard_in_frames_of_the_rate_asked_for():
    frames = []

    async def talk(call):
        async for frame in SipflowAudioInput(call, sample_rate=16000):
            frames.append(frame)

    await answered(talk, live(audio=sine(1000, 1000), patience_s=0.5))

    assert {(frame.sample_rate, frame.num_channels, frame.samples_per_channel) for frame in frames} == {(16000, 1, 320)}
    heard = b"".join(bytes(frame.data.cast("b")) for frame in frames)
    assert measure_tone(heard[3200:28000], 1000, 16000) == pytest.approx(-16.0, abs=1.0)


async def test_while_detached_the_caller_is_not_heard():
    heard = []

    async def talk(call):
        ears = SipflowAudioInput(call, sample_rate=8000)
        listening = asyncio.create_task(collect(ears))
        await call.mark()
        await elapse(call, 400)
        ears.on_detached()
        before = len(heard)
        await elapse(call, 400)
        during = len(heard) - before
        ears.on_attached()
        await elapse(call, 400)
        listening.cancel()
        heard.extend([before, during, len(heard) - before - during])

    async def collect(ears):
        async for frame in ears:
            heard.append(frame)

    await with_time(talk, live(patience_s=10))
    before, during, after = heard[-3:]

    assert during <= 1
    assert 10 <= before <= 25
    assert 10 <= after <= 25


async def elapse(call, duration_ms):
    until = call.clock_s + duration_ms / 1000
    while call.clock_s < until:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_segment_that_is_played_reports_its_whole_length():
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        events = told(mouth)
        await say(mouth, 1000)
        mouth.flush()
        end = await mouth.wait_for_playout()
        assert end == PlaybackFinishedEvent(playback_position=pytest.approx(1.0), interrupted=False)
        assert [type(event).__name__ for event in events] == ["PlaybackStartedEvent", "PlaybackFinishedEvent"]
        await mouth.aclose()

    call = live(patience_s=10)
    await with_time(talk, call)

    assert 1000 <= call.played_ms <= 1001
    assert measure_tone(call.played[1600:14400], 440) == pytest.approx(-16.0, abs=1.0)


async def test_frames_are_taken_faster_than_real_time_and_no_more_than_200_ms_of_them_wait():
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await say(mouth, 200, 20)
        at_once_s = loop.time() - began
        await say(mouth, 800, 20)
        assert at_once_s < 0.2  # what was said lasts 200 ms
        assert 0.6 < loop.time() - began < 2.0
        assert call.queued_ms <= 220
        mouth.flush()
        await mouth.wait_for_playout()

    await with_time(talk, live(patience_s=10))


@pytest.mark.parametrize("flushed_first", [True, False])
async def test_an_interrupted_segment_reports_exactly_what_was_sent(flushed_first):
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        saying = asyncio.create_task(say(mouth, 600 if flushed_first else 5000))
        if flushed_first:
            await saying
            mouth.flush()
            await elapse(call, 60)
        else:
            await elapse(call, 700)
        mouth.clear_buffer()
        at_clear_ms = call.played_ms
        if not flushed_first:
            await saying
            mouth.flush()
        end = await mouth.wait_for_playout()
        await elapse(call, 200)
        assert end.interrupted
        assert end.playback_position == pytest.approx(at_clear_ms / 1000)
        assert call.played_ms == at_clear_ms
        assert 400 < at_clear_ms < (600 if flushed_first else 1000)

    await with_time(talk, live(patience_s=10))


async def test_the_position_is_exact_even_where_the_voice_was_too_slow_in_between():
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        await mouth.capture_frame(tone(200))
        await elapse(call, 500)
        await mouth.capture_frame(tone(200))
        await elapse(call, 500)
        await mouth.capture_frame(tone(100))
        mouth.flush()
        end = await mouth.wait_for_playout()
        assert (end.playback_position, end.interrupted) == (pytest.approx(0.5), False)

    await with_time(talk, live(patience_s=10))


async def test_segments_come_one_after_the_other_each_with_its_own_position():
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        events = told(mouth)
        for length_ms in (300, 200):
            await say(mouth, length_ms)
            mouth.flush()
        await mouth.wait_for_playout()
        ends = [event.playback_position for event in events if isinstance(event, PlaybackFinishedEvent)]
        assert ends == [pytest.approx(0.3), pytest.approx(0.2)]

    await with_time(talk, live(patience_s=10))


async def test_a_pause_keeps_what_waits():
    async def talk(call):
        mouth = SipflowAudioOutput(call)
        assert mouth.can_pause
        await mouth.capture_frame(tone(300))
        mouth.flush()
        mouth.pause()
        await elapse(call, 500)
        before_ms = call.played_ms
        mouth.resume()
        end = await mouth.wait_for_playout()
        assert before_ms <= 160  # 200 wait when the frame is taken
        assert (end.playback_position, end.interrupted) == (pytest.approx(0.3), False)

    await with_time(talk, live(patience_s=10))


async def test_a_caller_who_hangs_up_ends_ears_and_mouth():
    ends = []

    async def talk(call):
        mouth = SipflowAudioOutput(call)
        frames = [frame async for frame in SipflowAudioInput(call)] if not await begin(mouth) else []
        ends.append((len(frames) > 5, await asyncio.wait_for(mouth.wait_for_playout(), 5)))
        await mouth.capture_frame(tone(100))
        mouth.flush()
        mouth.clear_buffer()
        mouth.pause()
        mouth.resume()
        ends.append(await asyncio.wait_for(mouth.wait_for_playout(), 5))

    async def begin(mouth):
        await mouth.capture_frame(tone(150))
        for _ in range(20):
            await mouth.capture_frame(tone(2))
        saying.append(asyncio.create_task(rest(mouth)))

    async def rest(mouth):
        await say(mouth, 5000)
        mouth.flush()

    saying = []
    call = live()
    call.at(0.5, call.caller_hangs_up)
    await answered(talk, call)

    (heard, first), second = ends
    assert heard
    assert first.interrupted
    assert first.playback_position == pytest.approx(call.played_ms / 1000)
    assert (second.playback_position, second.interrupted) == (0.0, True)


async def test_an_agent_session_speaks_through_the_call():
    async def talk(call):
        session = AgentSession()
        session.input.audio = SipflowAudioInput(call)
        session.output.audio = SipflowAudioOutput(call)
        await session.start(Agent(instructions="say what you are told"))

        async def voice():
            for _ in range(10):
                yield tone(100)

        speech = session.say("hello", audio=voice(), allow_interruptions=True)
        await speech.wait_for_playout()
        await session.aclose()

    call = live(patience_s=10)
    await with_time(talk, call)

    assert 1000 <= call.played_ms <= 1100
    assert measure_tone(call.played[1600:14400], 440) == pytest.approx(-16.0, abs=1.0)


async def test_what_a_call_does_not_have_is_refused():
    for build in (SipflowAudioInput, SipflowAudioOutput):
        with pytest.raises(LocalProtocolError, match="22050"):
            build(FakeCall(), sample_rate=22050)
    mouth = SipflowAudioOutput(FakeCall())
    with pytest.raises(LocalProtocolError, match="one channel"):
        await mouth.capture_frame(rtc.AudioFrame(bytes(960), RATE_HZ, 2, 240))
    with pytest.raises(LocalProtocolError, match="answer the call first"):
        await mouth.capture_frame(tone(20))
    with pytest.raises(LocalProtocolError, match="answer the call first"):
        await anext(SipflowAudioInput(FakeCall()))


async def test_the_agent_of_the_page_runs_as_long_as_the_call():
    names = load_snippet("sipflow.integrations.livekit")
    call = live(audio=sine(1000, 500), patience_s=0.5)
    ending = await asyncio.wait_for(run(names["agent"], call), 20)

    assert (call.answered, ending.by) == (True, "remote")
