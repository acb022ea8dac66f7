import asyncio
import gc
from contextlib import suppress

import pytest
import structlog

from sipflow.tasks import Tasks


async def answer() -> int:
    return 42


async def fail() -> None:
    raise OSError("the disk is full")


async def test_a_task_gives_its_result_and_is_forgotten() -> None:
    tasks = Tasks()

    result = await tasks.spawn(answer(), name="answer")

    assert (result, len(tasks), tasks.failures) == (42, 0, 0)


async def test_a_failure_is_logged_once_with_the_name_of_the_task_and_counted() -> None:
    tasks = Tasks()

    with structlog.testing.capture_logs() as lines:
        task = tasks.spawn(fail(), name="read the disk")
        await asyncio.wait([task])

    assert [(line["event"], line["task"], repr(line["exc_info"])) for line in lines] == [
        ("background task failed", "read the disk", "OSError('the disk is full')")
    ]
    assert (len(tasks), tasks.failures) == (0, 1)


async def test_a_task_nobody_refers_to_survives_the_garbage_collector() -> None:
    tasks = Tasks()
    woken = asyncio.Event()
    ended = asyncio.Event()

    async def wait() -> None:
        await woken.wait()
        ended.set()

    tasks.spawn(wait(), name="wait")
    await asyncio.sleep(0)
    gc.collect()
    woken.set()

    await asyncio.wait_for(ended.wait(), 5)


async def test_closing_cancels_every_task_and_waits_for_its_last_word() -> None:
    tasks = Tasks()
    words: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            words.append("un-registered")

    for _ in range(3):
        tasks.spawn(linger(), name="linger")
    await asyncio.sleep(0)
    await tasks.close()

    assert (words, len(tasks), tasks.failures) == (["un-registered"] * 3, 0, 0)


async def test_a_task_that_starts_another_while_it_is_cancelled_leaves_none_behind() -> None:
    tasks = Tasks()

    async def breed() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(asyncio.Event().wait(), name="child")

    tasks.spawn(breed(), name="parent")
    await asyncio.sleep(0)
    await tasks.close()

    assert len(tasks) == 0


async def test_a_task_that_will_not_end_is_named_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    tasks, released = Tasks(), asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    task = tasks.spawn(stubborn(), name="agent x of call y")
    await asyncio.sleep(0)
    await tasks.close(patience_s=0.05)
    released.set()
    await task

    assert "tasks go on although they were cancelled" in (said := capsys.readouterr().out)
    assert "agent x of call y" in said


async def test_a_task_may_close_its_own_owner() -> None:
    tasks = Tasks()
    other = tasks.spawn(asyncio.Event().wait(), name="other")

    await tasks.spawn(tasks.close(), name="closer")

    assert (other.cancelled(), len(tasks)) == (True, 0)


async def test_a_task_started_after_closing_never_takes_a_step() -> None:
    tasks = Tasks()
    await tasks.close()

    late = tasks.spawn(fail(), name="late")
    with pytest.raises(asyncio.CancelledError):
        await late

    assert tasks.failures == 0
