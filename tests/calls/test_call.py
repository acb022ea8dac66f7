"""What every call can do, whichever side placed it."""

import asyncio
from pathlib import Path

import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.events import DigitPressed, HoldChanged
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from tests.calls.stage import WAIT_S, staged
from tests.interop.phone import steady_dbfs


async def heard(call: InboundCall, seconds: float) -> bytes:
    pcm = b""
    async for frame in call.audio:
        pcm += frame.pcm
        if len(pcm) >= 16000 * seconds:
            break
    return pcm


async def test_a_wav_file_that_one_side_plays_is_heard_by_the_other(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.wav"
    pcm = sine(1000, 1000, level_dbfs=-10.0)
    prompt.write_bytes(wav_header(len(pcm)) + pcm)
    recorded: list[bytes] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        recorded.append(await heard(call, 0.7))

    async with staged(agent) as stage:
        call = await stage.call()
        with pytest.raises(CallEnded):  # the agent has heard enough before its end
            await call.play(str(prompt))
        await stage.quiet()

    assert steady_dbfs(recorded[0][4000:10000], 1000) == pytest.approx(-10.0, abs=1.0)


async def test_statistics_count_what_was_sent_and_received() -> None:
    async with staged() as stage:
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            while (figures := call.statistics) is None or figures.packets_received < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await call.hangup()
        await stage.quiet()

    assert (figures.codec, figures.lost, figures.strays) == ("PCMU", 0, 0)


async def test_clear_tells_how_much_was_really_sent() -> None:
    async with staged() as stage:
        call = await stage.call()
        async with call.playing(sine(440, 5000)):
            await asyncio.sleep(0.3)
            sent_ms = call.clear()
        await call.hangup()
        await stage.quiet()

    assert 0 < sent_ms < 5000
    assert sent_ms % 20 == 0


async def test_a_file_that_cannot_be_read_is_a_media_error_and_the_call_lives() -> None:
    errors: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        for play in (call.play("no-such-file.wav"), wait_for_prompt(call)):
            try:
                await play
            except MediaError as error:
                errors.append(str(error))
        await call.ended()

    async def wait_for_prompt(call: InboundCall) -> None:
        async with call.playing("no-such-file.wav"):
            await asyncio.sleep(0.1)

    async with staged(agent) as stage:
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            while len(errors) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        alive = call.ending is None
        await call.hangup()

    assert alive
    assert all("no-such-file.wav" in error for error in errors)


async def test_audio_before_the_answer_is_the_agents_error() -> None:
    errors: list[str] = []

    async def agent(call: InboundCall) -> None:
        try:
            await call.play(b"\0\0" * 160)
        except LocalProtocolError as error:
            errors.append(str(error))
        await call.answer()

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert errors == ["there is no audio yet: answer the call first"]


async def test_hanging_up_twice_is_once_and_its_headers_go_into_the_bye() -> None:
    reasons: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        reasons.append((await call.ended()).why)

    async with staged(agent) as stage:
        call = await stage.call()
        await call.hangup(headers={"Reason": 'Q.850;cause=31;text="enough"'})
        await call.hangup()
        await stage.quiet()
        (record,) = stage.kept.records

    assert reasons == ["the far end hung up (enough)"]
    assert record.ending is not None
    assert record.ending.q850 == 31


async def test_a_digit_nobody_presses_is_none_after_the_time_out() -> None:
    pressed: list[str | None] = ["unset"]

    async def agent(call: InboundCall) -> None:
        await call.answer()
        pressed.append(await call.read_digit(timeout=0.05))

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert pressed == ["unset", None]


async def test_an_agent_that_lives_at_other_rates_hears_and_is_heard() -> None:
    recorded: list[bytes] = []

    async def agent(call: InboundCall) -> None:
        call.sample_rate_hz = 16000
        await call.answer()
        pcm = b""
        async for frame in call.audio:
            assert (frame.sample_rate_hz, frame.duration_ms) == (16000, 20)
            pcm += frame.pcm
            if len(pcm) > 16000 * 2:
                break
        recorded.append(pcm)

    async with staged(agent) as stage:
        call = await stage.call()
        call.sample_rate_hz = 24000
        with pytest.raises(CallEnded):
            await call.play(sine(1000, 3000, level_dbfs=-10.0, sample_rate_hz=24000))
        await stage.quiet()

    assert steady_dbfs(recorded[0][12000:28000], 1000, 16000) == pytest.approx(-10.0, abs=1.0)


async def test_hold_digits_and_the_end_reach_every_subscription_over_the_wire() -> None:
    happened: list[object] = []

    async def agent(call: InboundCall) -> None:
        call.speech_settings = None
        events = call.events
        await call.answer()
        async for event in events:
            happened.append(event)

    async with staged(agent) as stage:
        call = await stage.call()
        await call.put_on_hold()
        await call.take_off_hold()
        await call.send_digits("7")
        await call.hangup()
        await stage.quiet()

    assert happened == [HoldChanged(True), HoldChanged(False), DigitPressed("7")]


async def test_paused_audio_is_silence_on_the_wire_and_goes_on_afterwards() -> None:
    async with staged() as stage:
        call = await stage.call()
        playing = asyncio.create_task(call.play(sine(1000, 400, level_dbfs=-10.0)))
        await asyncio.sleep(0.1)
        call.pause()
        paused_ms, sent = call.played_ms, call.stats.packets_sent
        await asyncio.sleep(0.3)
        paused = (call.paused, call.played_ms - paused_ms, playing.done(), call.stats.packets_sent > sent + 5)
        call.resume()
        async with asyncio.timeout(WAIT_S):
            played_ms = await playing
        await call.hangup()
        await stage.quiet()

    assert (paused, played_ms) == ((True, 0, False, True), 400)


async def test_an_agent_that_reads_nothing_slows_no_other_call_and_is_told() -> None:
    lost: list[int] = []
    whole: list[float] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        reader = call.audio
        if call.variables.get("X-Slow"):
            await asyncio.sleep(1.6)
            await anext(reader)
            lost.append(reader.newly_lost())
        else:
            whole.append(0.0)
            async for frame in reader:
                assert reader.newly_lost() == 0
                whole[0] += frame.duration_ms

    async with staged(agent) as stage:
        slow = await stage.call(headers=(("X-Slow", "yes"),))
        quick = await stage.call()
        await asyncio.sleep(1.8)
        await quick.hangup()
        await slow.hangup()
        await stage.quiet()

    assert len(lost) == 1
    assert 10 <= lost[0] <= 50
    assert whole[0] >= 1500


async def test_figures_of_a_call_are_in_milliseconds_and_packets() -> None:
    async with staged() as stage:
        call = await stage.call()
        played_ms = await call.play(bytes(16000 // 5))
        async with asyncio.timeout(WAIT_S):
            while call.stats.packets_received < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        figures = call.stats
        await call.hangup()
        await stage.quiet()

    assert (figures.codec, figures.ptime_ms, figures.lost, played_ms) == ("PCMU", 20, 0, 200)
    assert (figures.played_ms, figures.packets_sent >= 10) == (200, True)
