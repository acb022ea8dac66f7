import asyncio
import os
import sys
import time
from itertools import pairwise

import pytest

from sipflow.media.fine_timer import FineTimer
from tests.net.loops import on_both_loops

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has such timers")


@on_both_loops
async def test_it_fires_more_often_than_the_loop_could_and_stops_at_once() -> None:
    fired: list[float] = []
    enough = asyncio.Event()

    def call() -> None:
        fired.append(time.monotonic())
        if len(fired) == 40:
            enough.set()

    timer = FineTimer(0.0005, call)
    assert (timer.running, timer.start(), timer.start(), timer.running) == (False, True, True, True)
    async with asyncio.timeout(5):
        await enough.wait()
    timer.stop()
    timer.stop()
    count = len(fired)
    await asyncio.sleep(0.01)

    assert (len(fired), timer.running) == (count, False)
    assert min(b - a for a, b in pairwise(fired)) < 0.0009


async def test_times_that_were_missed_are_not_made_up_for() -> None:
    fired: list[float] = []
    timer = FineTimer(0.0005, lambda: fired.append(time.monotonic()))
    timer.start()
    time.sleep(0.05)  # noqa: ASYNC251  (the loop stands still)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    timer.stop()

    assert len(fired) <= 2


async def test_it_leaves_no_file_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        timer = FineTimer(0.0005, lambda: None)
        timer.start()
        timer.stop()

    assert len(os.listdir("/proc/self/fd")) == before
