import asyncio

import numpy as np
import pytest

from sipflow.audio.frame import Frame
from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import MediaError
from sipflow.media.reader import FrameQueue, FrameReader


class Detached:
    """Remembers which queues were detached."""

    def __init__(self) -> None:
        self.queues: list[FrameQueue] = []

    def __call__(self, queue: FrameQueue) -> None:
        self.queues.append(queue)


def sound(value: int) -> bytes:
    return bytes([value, 0]) * 160


def frame(value: int) -> Frame:
    return Frame(sound(value), 8000)


async def read_all(reader: FrameReader) -> list[Frame]:
    return [heard async for heard in reader]


async def test_frames_come_in_the_order_they_were_put() -> None:
    queue = FrameQueue(8000, limit=50)
    reader = FrameReader(queue, Detached())
    for value in (1, 2, 3):
        queue.put(sound(value))
    queue.end()

    assert [heard async for heard in reader] == [frame(1), frame(2), frame(3)]


async def test_a_waiting_reader_is_woken_by_the_next_frame() -> None:
    queue = FrameQueue(8000, limit=50)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    queue.put(sound(9))

    assert await waiting == frame(9)


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached())
    for value in range(1, 8):
        queue.put(sound(value))

    assert (reader.waiting, reader.lost, reader.newly_lost(), reader.newly_lost()) == (3, 4, 4, 0)
    assert await anext(reader) == frame(5)


async def test_the_end_comes_after_what_waits() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    queue.put(sound(1))
    queue.end()

    assert await waiting == frame(1)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_cancelling_a_wait_loses_no_frame() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    queue.put(sound(1))
    waiting.cancel()  # woken, but not run yet
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await anext(reader) == frame(1)


async def test_a_change_of_rate_leaves_what_waits_as_it_was() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached())
    queue.put(sound(1))

    queue.switch(16000)
    queue.put(sound(2) * 2)

    assert await anext(reader) == frame(1)
    assert await anext(reader) == Frame(sound(2) * 2, 16000)


async def test_two_tasks_cannot_wait_on_one_reader() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    with pytest.raises(MediaError, match="give each its own reader"):
        await anext(reader)

    queue.end()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_closing_detaches_and_ends_after_what_waits() -> None:
    queue = FrameQueue(8000, limit=3)
    detached = Detached()
    reader = FrameReader(queue, detached)
    queue.put(sound(1))

    reader.close()

    assert detached.queues == [queue]
    assert [heard async for heard in reader] == [frame(1)]


async def test_a_reader_nobody_refers_to_detaches_itself() -> None:
    queue = FrameQueue(8000, limit=3)
    detached = Detached()

    async for _ in FrameReader(_ended(queue), detached):
        pass

    assert detached.queues == [queue]


def _ended(queue: FrameQueue) -> FrameQueue:
    queue.end()
    return queue


@pytest.mark.parametrize(
    ("wire_hz", "asked_hz"), [(8000, 16000), (8000, 24000), (8000, 48000), (16000, 8000), (48000, 16000)]
)
@pytest.mark.parametrize("ptime_ms", [20, 30])
async def test_frames_of_the_rate_asked_for_are_as_long_as_those_on_the_wire(
    wire_hz: int, asked_hz: int, ptime_ms: int
) -> None:
    queue = FrameQueue(wire_hz, limit=100)
    reader = FrameReader(queue, Detached()).at(asked_hz)
    tone = sine(400, 60 * ptime_ms, level_dbfs=-10.0, sample_rate_hz=wire_hz)
    size = wire_hz * ptime_ms // 1000 * 2
    for start in range(0, len(tone), size):
        queue.put(tone[start : start + size])
    queue.end()
    frames = await read_all(reader)
    pcm = b"".join(heard.pcm for heard in frames)

    assert {(heard.sample_rate_hz, heard.duration_ms) for heard in frames} == {(asked_hz, ptime_ms)}
    assert measure_tone(pcm[asked_hz:][: asked_hz // 2], 400, asked_hz) == pytest.approx(-10.0, abs=0.5)


async def test_the_rate_of_the_wire_goes_through_untouched() -> None:
    queue = FrameQueue(8000, limit=3)
    reader = FrameReader(queue, Detached()).at(8000)
    piece = sound(1)
    queue.put(piece)

    assert (await anext(reader)).pcm is piece


@pytest.mark.parametrize(("first_hz", "then_hz"), [(8000, 16000), (16000, 8000), (8000, 48000)])
@pytest.mark.parametrize("asked_hz", [8000, 16000])
async def test_another_codec_in_the_middle_of_a_call_makes_no_click(first_hz: int, then_hz: int, asked_hz: int) -> None:
    queue = FrameQueue(first_hz, limit=200)
    reader = FrameReader(queue, Detached()).at(asked_hz)
    for rate_hz in (first_hz, then_hz):
        queue.switch(rate_hz)
        tone = sine(400, 1000, level_dbfs=-10.0, sample_rate_hz=rate_hz)
        for start in range(0, len(tone), rate_hz // 25):
            queue.put(tone[start : start + rate_hz // 25])
    queue.end()
    frames = await read_all(reader)
    samples = np.frombuffer(b"".join(heard.pcm for heard in frames), "<i2").astype(int)
    middle = samples[asked_hz // 4 : asked_hz * 7 // 4]

    assert {heard.sample_rate_hz for heard in frames} == {asked_hz}
    assert len(samples) / asked_hz == pytest.approx(2.0, abs=0.15)
    assert np.abs(np.diff(middle)).max() < 1.25 * 10_362 * 2 * np.pi * 400 / asked_hz


async def test_cancelling_a_wait_for_a_frame_of_another_rate_loses_none() -> None:
    queue = FrameQueue(8000, limit=100)
    reader = FrameReader(queue, Detached()).at(16000)
    for _ in range(20):
        queue.put(sine(400, 20, sample_rate_hz=8000))
    before = reader.waiting
    waiting = asyncio.ensure_future(anext(reader))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert reader.waiting == before
    queue.end()
    assert len(await read_all(reader)) >= 14


async def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(MediaError, match="-1 Hz"):
        FrameReader(FrameQueue(8000, limit=3), Detached()).at(-1)


async def test_whoever_asked_is_told_of_lost_frames_at_the_first_then_rarely_and_when_reading_goes_on() -> None:
    queue = FrameQueue(8000, limit=5)
    reader = FrameReader(queue, Detached())
    told: list[int] = []
    reader.on_lost = told.append
    for value in range(1, 6):
        queue.put(sound(value))
    assert told == []

    for value in range(6, 14):
        queue.put(sound(value))
    assert told == [1, 5]
    await anext(reader)
    assert (told, sum(told), reader.lost) == ([1, 5, 2], 8, 8)

    await anext(reader)
    queue.put(sound(14))
    queue.put(sound(15))
    queue.put(sound(16))
    assert told == [1, 5, 2, 1]
    assert reader.on_lost == told.append


async def test_lost_frames_that_nobody_wants_to_hear_of_are_counted_all_the_same() -> None:
    queue = FrameQueue(8000, limit=1)
    reader = FrameReader(queue, Detached())
    for value in range(1, 6):
        queue.put(sound(value))

    assert await anext(reader) == frame(5)
    assert reader.newly_lost() == 4


@pytest.mark.parametrize("asked_hz", [8000, 16000])
async def test_frames_that_are_handed_on_are_those_that_would_be_read_and_come_at_once(
    asked_hz: int,
) -> None:
    queues = [FrameQueue(8000, limit=200) for _ in range(2)]
    read, handed = (FrameReader(queue, Detached()).at(asked_hz) for queue in queues)
    taken: list[bytes] = []
    for number, rate_hz in enumerate((8000, 16000, 8000)):
        tone = sine(400, 200, sample_rate_hz=rate_hz)
        for queue in queues:
            queue.switch(rate_hz)
            for start in range(0, len(tone), rate_hz // 25):
                queue.put(tone[start : start + rate_hz // 25])
        if number == 0:
            assert taken == []
            handed.hand_to(taken.append)
            assert taken, "what waited comes first"
    for queue in queues:
        queue.end()

    assert handed.waiting == handed.lost == 0
    assert taken == [heard.pcm for heard in await read_all(read)]


async def test_nothing_is_handed_on_after_the_end_and_nobody_else_can_read_before_it() -> None:
    for over in (FrameReader.close, lambda reader: reader._queue.end()):
        queue = FrameQueue(8000, limit=3)
        reader = FrameReader(queue, Detached())
        taken: list[bytes] = []
        reader.hand_to(taken.append)
        queue.put(sound(1))
        with pytest.raises(MediaError, match="two tasks"):
            await anext(reader)

        over(reader)
        queue.put(sound(2))

        assert taken == [sound(1)]


@pytest.mark.parametrize("rate_hz", [0, 8000, 16000])
async def test_what_is_taken_without_iterating_is_what_iterating_gives(rate_hz: int) -> None:
    queues = [FrameQueue(8000, limit=5) for _ in range(2)]
    taking, read = (FrameReader(queue, Detached()) for queue in queues)
    lost: list[int] = []
    taking.on_lost = lost.append
    if rate_hz:
        taking.at(rate_hz)
        read.at(rate_hz)
    waits = taking.change()
    assert (taking.take(), taking.ended, waits.done()) == (None, False, False)
    for queue in queues:
        for n in range(7):
            queue.put(sound(n))
        queue.switch(16000)
        queue.put(sound(8) * 2)
        queue.end()

    taken = []
    while (said := taking.take()) is not None:
        taken.append(said)

    assert (taking.ended, waits.done(), lost) == (True, True, [1, 2])
    assert taken == [(heard.pcm, heard.sample_rate_hz) for heard in await read_all(read)]
