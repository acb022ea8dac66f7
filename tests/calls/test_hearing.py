"""What an agent hears: audio at its rate, digits, hold, speech, everything at once; bounded, and ended by the call."""

import asyncio
import sys

import numpy as np
import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.events import AudioLost, CallEvent, DigitPressed, HoldChanged
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, MediaError
from sipflow.media import speech
from sipflow.media.speech import SpeechSettings, SpeechStarted, SpeechStopped
from sipflow.testing import FakeCall, run

TONE = sine(400, 1000, level_dbfs=-10.0)


def voice(seconds: float) -> bytes:
    """Something that webrtcvad takes for speech, then as much silence."""
    at = np.arange(int(8000 * seconds)) / 8000
    tones = sum(np.sin(2 * np.pi * 130 * n * at) / n for n in range(1, 20)) * 3000 * (1 + np.sin(8 * np.pi * at)) / 2
    return bytes(np.asarray(tones).clip(-32768, 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
async def test_audio_comes_at_the_calls_rate_in_packet_times(rate_hz: int) -> None:
    heard: list[bytes] = []

    async def agent(call: InboundCall) -> None:
        call.sample_rate_hz = rate_hz
        await call.answer()
        async for frame in call.audio:
            assert (frame.sample_rate_hz, frame.duration_ms) == (rate_hz, 20)
            heard.append(frame.pcm)

    await run(agent, FakeCall(audio=TONE * 2, patience_s=0.5))

    pcm = b"".join(heard)
    assert len(heard) > 100
    assert measure_tone(pcm[rate_hz : 2 * rate_hz], 400, rate_hz) == pytest.approx(-10.0, abs=0.5)


async def test_two_readers_have_each_its_own_rate_and_pace() -> None:
    rates: set[tuple[int, int]] = set()

    async def agent(call: InboundCall) -> None:
        await call.answer()
        fast, slow = call.frames(sample_rate_hz=16000), call.frames()
        for _ in range(40):
            frame = await anext(fast)
            rates.add((frame.sample_rate_hz, frame.samples))
        assert (slow.waiting >= 40, slow.lost) == (True, 0)
        frame = await anext(slow)
        rates.add((frame.sample_rate_hz, frame.samples))

    await run(agent, FakeCall(audio=TONE))

    assert rates == {(16000, 320), (8000, 160)}


async def test_a_slow_agent_loses_the_oldest_and_is_told() -> None:
    told: list[CallEvent] = []

    async def agent(call: InboundCall) -> None:
        call.speech_settings = None
        events = call.events
        await call.answer()
        reader = call.audio
        await call.play(bytes(16000 * 2))  # two seconds in which nothing is read
        assert (reader.waiting, reader.lost) == (50, 50)
        await anext(reader)
        assert (reader.newly_lost(), reader.newly_lost()) == (50, 0)
        await call.hangup()
        told.extend([event async for event in events])

    await run(agent, FakeCall())

    assert told == [AudioLost(1), AudioLost(49)]


async def test_every_subscription_is_its_own_and_read_digit_gets_them_all_too() -> None:
    got: dict[str, list[str]] = {"one": [], "two": [], "read": []}

    async def agent(call: InboundCall) -> None:
        one, two = call.dtmf, call.dtmf
        await call.answer()
        got["read"] = [str(await call.read_digit(timeout=9.0)) for _ in range(3)]
        await call.hangup()
        got["one"] = [digit async for digit in one]
        got["two"] = [digit async for digit in two]
        assert [digit async for digit in call.dtmf] == []

    await run(agent, FakeCall(digits="12#"))

    assert got == {"one": ["1", "2", "#"], "two": ["1", "2", "#"], "read": ["1", "2", "#"]}


async def test_hold_is_told_at_each_change_and_only_then() -> None:
    got: list[bool] = []

    async def agent(call: InboundCall) -> None:
        held = call.hold
        await call.answer()
        async for change in held:
            got.append(change)
            assert call.held == change

    call = FakeCall(patience_s=1.0)
    for seconds, action in (
        (0.2, call.hold_agent),
        (0.3, call.hold_agent),
        (0.5, call.end_hold),
        (0.6, call.end_hold),
    ):
        call.at(seconds, action)
    await run(agent, call)

    assert got == [True, False]


async def test_speech_is_found_in_the_calls_audio_and_ends_with_the_call() -> None:
    pytest.importorskip("webrtcvad")
    got: list[SpeechStarted | SpeechStopped] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async for event in call.speech:
            got.append(event)

    await run(agent, FakeCall(audio=bytes(16000) + voice(1.0) + bytes(16000) + voice(1.0), patience_s=2.0))

    assert [type(event) for event in got] == [SpeechStarted, SpeechStopped] * 2
    assert [event.at_ms for event in got] == [pytest.approx(at_ms, abs=200) for at_ms in (1000, 2000, 3000, 4000)]


async def test_how_long_silence_must_be_is_the_agents_choice() -> None:
    pytest.importorskip("webrtcvad")
    got: list[object] = []

    async def agent(call: InboundCall) -> None:
        call.speech_settings = SpeechSettings(stop_ms=1500)
        await call.answer()
        async for event in call.speech:
            got.append(type(event))

    await run(agent, FakeCall(audio=bytes(16000) + voice(1.0) + bytes(16000) + voice(1.0), patience_s=3.0))

    assert got == [SpeechStarted, SpeechStopped]


async def test_events_has_everything_in_order() -> None:
    pytest.importorskip("webrtcvad")
    got: list[object] = []

    async def agent(call: InboundCall) -> None:
        events = call.events
        await call.answer()
        async for event in events:
            got.append(type(event) if isinstance(event, SpeechStarted | SpeechStopped) else event)

    call = FakeCall(audio=bytes(8000) + voice(0.5), digits="9", patience_s=1.5)
    call.at(2.0, call.hold_agent)
    await run(agent, call)

    assert got == [SpeechStarted, DigitPressed("9"), SpeechStopped, HoldChanged(True)]


async def test_the_detector_runs_only_while_somebody_listens() -> None:
    pytest.importorskip("webrtcvad")
    call = FakeCall()
    await call.answer()
    assert call._speech_task is None

    one, two = call.speech, call.events
    task = call._speech_task
    assert task is not None
    one.close()
    assert call._speech_task is task
    del two
    await asyncio.sleep(0)
    assert (call._speech_task, task.cancelled()) == (None, True)

    digits = call.dtmf
    assert call._speech_task is None
    digits.close()


async def test_without_a_detector_speech_is_refused_and_events_go_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    monkeypatch.setattr(speech, "_installed", lambda _module: False)
    got: list[CallEvent] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        with pytest.raises(MediaError, match=r"pip install 'sipflow\[vad\]'"):
            _ = call.speech
        async for event in call.events:
            got.append(event)

    await run(agent, FakeCall(digits="1", audio=voice(1.0), patience_s=1.0))

    assert got == [DigitPressed("1")]


async def test_no_settings_is_no_detection() -> None:
    call = FakeCall()
    call.speech_settings = None
    await call.answer()
    with pytest.raises(MediaError, match=r"call\.speech_settings is None"):
        _ = call.speech
    events = call.events

    assert call._speech_task is None
    events.close()


async def test_cancelling_a_wait_for_a_digit_loses_none() -> None:
    call = FakeCall()
    await call.answer()
    waiting = asyncio.create_task(call.read_digit())
    await asyncio.sleep(0)
    call.press("4")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await call.read_digit() == "4"


async def test_cancelling_a_wait_for_audio_or_events_loses_none() -> None:
    call = FakeCall()
    await call.answer()
    reader, digits = call.audio, call.dtmf
    for source in (reader, digits):
        waiting = asyncio.ensure_future(anext(source))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    call.press("8")
    await call.elapse(0.02)

    assert (await anext(digits), (await anext(reader)).samples) == ("8", 160)


async def test_after_the_end_audio_raises_and_subscriptions_are_empty() -> None:
    call = FakeCall()
    await call.answer()
    reader = call.audio
    await call.hangup()

    assert [frame async for frame in reader] == []
    assert [event async for event in call.events] == []
    assert [event async for event in call.hold] == []
    with pytest.raises(CallEnded):
        _ = call.audio
    with pytest.raises(CallEnded):
        call.frames(sample_rate_hz=16000)
    with pytest.raises(CallEnded):
        await call.read_digit()


async def test_digits_that_nobody_reads_are_bounded() -> None:
    call = FakeCall()
    for number in range(100):
        call.press(str(number % 10))

    assert [await call.read_digit(timeout=0) for _ in range(64)] == [str(number % 10) for number in range(36, 100)]
