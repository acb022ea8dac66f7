import asyncio

import pytest

from sipflow.audio.codecs import PCMA_CODEC, PCMU_CODEC
from sipflow.audio.frame import Frame
from sipflow.errors import MediaError
from sipflow.media.reader import FrameQueue, FrameReader


class Detached:
    """Remembers which queues were detached."""

    def __init__(self) -> None:
        self.queues: list[FrameQueue] = []

    def __call__(self, queue: FrameQueue) -> None:
        self.queues.append(queue)


def payload(value: int) -> bytes:
    return bytes([value]) * 160


def frame(value: int) -> Frame:
    return Frame(PCMU_CODEC.decode(payload(value)), 8000)


async def test_frames_are_decoded_in_the_order_they_came() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=50)
    reader = FrameReader(queue, Detached())
    for value in (1, 2, 3):
        queue.put(payload(value))
    queue.end()

    assert [heard async for heard in reader] == [frame(1), frame(2), frame(3)]


async def test_a_waiting_reader_is_woken_by_the_next_frame() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=50)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    queue.put(payload(9))

    assert await waiting == frame(9)


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    reader = FrameReader(queue, Detached())
    for value in range(1, 8):
        queue.put(payload(value))

    assert (reader.waiting, reader.lost, reader.newly_lost(), reader.newly_lost()) == (3, 4, 4, 0)
    assert await anext(reader) == frame(5)


async def test_the_end_comes_after_what_waits() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    queue.put(payload(1))
    queue.end()

    assert await waiting == frame(1)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_cancelling_a_wait_loses_no_frame() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    queue.put(payload(1))
    waiting.cancel()  # woken, but not run yet
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await anext(reader) == frame(1)


async def test_a_codec_change_leaves_what_waits_as_it_was() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    reader = FrameReader(queue, Detached())
    queue.put(payload(1))

    queue.switch(PCMA_CODEC)
    queue.put(payload(1))

    assert await anext(reader) == frame(1)
    assert await anext(reader) == Frame(PCMA_CODEC.decode(payload(1)), 8000)


async def test_two_tasks_cannot_wait_on_one_reader() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    reader = FrameReader(queue, Detached())
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)

    with pytest.raises(MediaError, match="give each its own reader"):
        await anext(reader)

    queue.end()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_closing_detaches_and_ends_after_what_waits() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    detached = Detached()
    reader = FrameReader(queue, detached)
    queue.put(payload(1))

    reader.close()

    assert detached.queues == [queue]
    assert [heard async for heard in reader] == [frame(1)]


async def test_a_reader_nobody_refers_to_detaches_itself() -> None:
    queue = FrameQueue(PCMU_CODEC, limit=3)
    detached = Detached()

    async for _ in FrameReader(_ended(queue), detached):
        pass

    assert detached.queues == [queue]


def _ended(queue: FrameQueue) -> FrameQueue:
    queue.end()
    return queue
