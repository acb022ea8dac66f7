"""The end of a loop in which somebody left work behind."""

import asyncio
import subprocess
import sys
from contextlib import suppress

import pytest

from sipflow.daemon.leaving import run_and_let_go

STUCK = """
import threading
from sipflow.daemon.leaving import cut_off
threading.Thread(target=threading.Event().wait).start()
cut_off(["Task-1 (stuck)"])
"""


async def nothing() -> None:
    return


def test_what_ends_when_it_is_cancelled_is_ended_and_not_named() -> None:
    ended: list[str] = []

    async def polite() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("polite")

    async def work() -> None:
        tasks.add(asyncio.create_task(polite()))
        await asyncio.sleep(0)

    tasks: set[asyncio.Task[None]] = set()
    with asyncio.Runner() as runner:
        left = runner.run(run_and_let_go(work(), within_s=0.5))

    assert (left, ended) == ([], ["polite"])


def test_what_goes_on_all_the_same_is_named_even_where_the_work_failed() -> None:
    released = False

    async def stubborn() -> None:
        while not released:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def fails() -> None:
        raise ValueError("no")

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(stubborn(), name="work of an agent")
        left = runner.run(run_and_let_go(nothing(), within_s=0.05))
        with pytest.raises(ValueError, match="no"):
            runner.run(run_and_let_go(fails(), within_s=0.05))
        released = True
        loop.run_until_complete(asyncio.wait({task}))

    assert left == [
        "work of an agent (test_what_goes_on_all_the_same_is_named_even_where_the_work_failed.<locals>.stubborn)"
    ]


def test_a_process_that_is_cut_off_ends_whatever_its_threads_do() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30)

    assert done.returncode == 0
    assert "does not end and is cut off" in done.stdout
    assert "Task-1 (stuck)" in done.stdout
