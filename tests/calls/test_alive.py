"""Waits that end with the call."""

import asyncio

import pytest

from sipflow.calls.alive import Lifetime
from sipflow.errors import CallEnded


async def test_a_wait_inside_a_scope_ends_with_the_call() -> None:
    lifetime = Lifetime()
    asyncio.get_running_loop().call_soon(lifetime.end, "remote", "gone")

    with pytest.raises(CallEnded) as ended, lifetime.scope():
        await asyncio.sleep(3600)

    assert (ended.value.by, ended.value.reason) == ("remote", "gone")
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_scope_entered_after_the_end_raises_at_once() -> None:
    lifetime = Lifetime()
    lifetime.end("local", "over")

    with pytest.raises(CallEnded), lifetime.scope():
        await asyncio.sleep(3600)


async def test_cancelling_from_outside_stays_a_cancellation() -> None:
    lifetime = Lifetime()

    async def work() -> None:
        with lifetime.scope():
            await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_from_outside_wins_over_the_end_of_the_call() -> None:
    lifetime = Lifetime()

    async def work() -> None:
        with lifetime.scope():
            await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    lifetime.end("remote", "gone")

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nested_scopes_of_one_task_raise_once() -> None:
    lifetime = Lifetime()
    asyncio.get_running_loop().call_soon(lifetime.end, "remote", "gone")

    with pytest.raises(CallEnded), lifetime.scope(), lifetime.scope():
        await asyncio.sleep(3600)
    await asyncio.sleep(0)  # a second cancellation would surface here


async def test_work_that_finished_as_the_call_ended_is_told_of_the_end() -> None:
    lifetime = Lifetime()

    with pytest.raises(CallEnded), lifetime.scope():
        lifetime.end("remote", "gone")


def test_check_says_nothing_while_the_call_lives() -> None:
    Lifetime().check()
