"""What an agent says: exact counts, pauses, marks; and what cancelling each wait leaves behind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sipflow.audio.frame import Frame
from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.testing import FakeCall, run
from tests.calls.middle import until

SECOND = sine(440, 1000, level_dbfs=-10.0)


async def answered() -> FakeCall:
    call = FakeCall(patience_s=1000.0)
    await call.answer()
    return call


async def test_play_gives_the_milliseconds_really_sent() -> None:
    call = await answered()
    whole, cut = asyncio.create_task(call.play(SECOND)), asyncio.create_task(call.play(Frame(SECOND)))
    await call.elapse(1.5)

    assert call.clear() == 1500
    assert (await whole, await cut, call.played_ms, call.queued_ms) == (1000, 500, 1500, 0)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
async def test_plain_bytes_are_at_the_calls_rate(rate_hz: int) -> None:
    call = await answered()
    call.sample_rate_hz = rate_hz
    playing = asyncio.create_task(call.play(bytes(rate_hz * 2)))
    await call.elapse(2.0)

    assert await playing == 1000
    assert call.write(bytes(rate_hz // 5)) >= 0


async def test_write_queues_and_returns_at_once() -> None:
    call = await answered()

    assert [call.write(SECOND[:1600]), call.write(SECOND[1600:3200])] == [100, 200]
    assert (call.queued_ms, call.played_ms) == (200, 0)
    await call.elapse(1.0)
    assert (call.queued_ms, call.played_ms, call.played) == (0, 200, SECOND[:3200])


async def test_pieces_of_another_rate_join_and_mark_waits_for_the_very_end() -> None:
    call = await answered()
    tone = sine(440, 1000, level_dbfs=-10.0, sample_rate_hz=24000)
    for start in range(0, len(tone), 1000):
        call.write(tone[start : start + 1000], sample_rate_hz=24000)
    marking = asyncio.create_task(call.mark())
    await call.elapse(0.9)
    assert not marking.done()
    await call.elapse(0.3)

    assert await marking
    assert call.played_ms == pytest.approx(1000, abs=1)


async def test_mark_is_false_when_what_it_waited_for_was_cleared() -> None:
    call = await answered()
    call.write(SECOND)
    marking = asyncio.create_task(call.mark())
    await call.elapse(0.1)
    sent_ms = call.clear()

    assert (sent_ms, await marking, await call.mark()) == (100, False, True)


async def test_clear_forgets_what_a_write_of_another_rate_holds_back() -> None:
    call = await answered()
    call.write(sine(440, 300, sample_rate_hz=16000), sample_rate_hz=16000)
    await call.elapse(0.06)
    call.clear()
    played_ms = call.played_ms
    await call.elapse(1.0)

    assert (call.played_ms, call.queued_ms) == (played_ms, 0)


async def test_pause_is_silence_and_resume_goes_on_at_the_very_sample() -> None:
    call = await answered()
    playing = asyncio.create_task(call.play(SECOND))
    await call.elapse(0.3)
    call.pause()
    call.pause()
    await call.elapse(5.0)
    paused = (call.paused, call.played_ms, call.queued_ms, playing.done())
    call.resume()
    call.resume()
    await call.elapse(1.0)

    assert paused == (True, 300, 700, False)
    assert (call.paused, await playing, call.played) == (False, 1000, SECOND)


async def test_playing_stops_with_its_block_and_leaves_what_others_queued() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        async with call.playing(SECOND * 10):
            await call.read_digit()
            call.write(b"\x01\x00" * 800)
        await call.mark()

    call = FakeCall(digits="1")
    await run(agent, call)

    assert call.played == SECOND + b"\x01\x00" * 800


async def test_cancelling_a_play_drops_its_own_audio_only() -> None:
    call = await answered()
    first, second = asyncio.create_task(call.play(SECOND)), asyncio.create_task(call.play(SECOND * 2))
    await call.elapse(0.1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await call.elapse(3.0)

    assert (await second, call.played) == (2000, SECOND[:1600] + SECOND * 2)


async def test_cancelling_a_mark_leaves_the_audio_queued() -> None:
    call = await answered()
    call.write(SECOND)
    marking = asyncio.create_task(call.mark())
    await call.elapse(0.1)
    marking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await marking

    assert call.queued_ms == 900
    await call.elapse(1.0)
    assert call.played == SECOND


async def test_cancelling_playing_from_outside_stops_the_prompt() -> None:
    call = await answered()

    async def prompt() -> None:
        async with call.playing(SECOND):
            await asyncio.sleep(60)

    task = asyncio.create_task(prompt())
    await call.elapse(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert call.queued_ms == 0


async def test_cancelling_a_stream_closes_its_generator() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield SECOND
        finally:
            closed.append(True)

    call = await answered()
    playing = asyncio.create_task(call.play(endless()))
    await call.elapse(0.1)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing

    assert (closed, call.queued_ms) == ([True], 0)


async def test_the_end_of_the_call_ends_every_wait() -> None:
    call = await answered()
    call.pause()
    waits = [asyncio.create_task(each) for each in (call.play(SECOND), call.mark(), call.read_digit())]
    await call.elapse(0.1)
    ended = asyncio.create_task(call.ended())
    await asyncio.sleep(0)
    call.caller_hangs_up()

    for wait in waits:
        with pytest.raises(CallEnded):
            await wait
    assert (await ended).by == "remote"
    for use in (lambda: call.write(SECOND), call.clear, call.pause, call.resume):
        with pytest.raises(CallEnded):
            use()
    for late in (call.play(SECOND), call.mark(), call.send_digits("1")):
        with pytest.raises(CallEnded):
            await late
    assert (call.played_ms, call.queued_ms) == (0, 0)


async def test_more_than_may_wait_is_refused() -> None:
    call = await answered()
    for _ in range(30):
        call.write(SECOND * 60)
    with pytest.raises(MediaError, match=r"media\.play_queue_s allows no more"):
        call.write(SECOND)

    assert call.queued_ms == 1_800_000


async def test_what_cannot_be_played_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    call = await answered()
    for source, why in ((b"abc", "not whole 16-bit samples"), ("nowhere.mp3", "No such file"), (7, "cannot be played")):
        with pytest.raises(MediaError, match=why):
            await call.play(source)  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="No such file"):
        async with call.playing("nowhere.mp3"):
            pass
    block = call.playing(7)  # type: ignore[arg-type]
    await block.__aenter__()
    await until(lambda: "a prompt cannot be played" in capsys.readouterr().out)  # before the block ends
    with pytest.raises(MediaError, match="int cannot be played"):
        await block.__aexit__(None, None, None)
    with pytest.raises(LocalProtocolError):
        await call.send_digits("x")


async def test_digits_are_sent() -> None:
    call = await answered()
    await call.send_digits("12")

    assert call.digits_sent == "12"
