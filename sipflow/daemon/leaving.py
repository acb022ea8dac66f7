"""The end of the process, which nothing that an agent left behind may hold up."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Sequence
from typing import NoReturn

import structlog

from sipflow.tasks import Tasks

log = structlog.get_logger("sipflow.daemon")
_WITHIN_S = 2.0
_SHOWN = 10


async def run_and_let_go(work: Awaitable[None], *, within_s: float = _WITHIN_S) -> list[str]:
    """Do the work of this loop, then end whatever else goes on in it; name what does not end.

    Args:
        work: may raise; what is left is ended all the same.
        within_s: for tasks that were cancelled, and then for threads.
    """
    try:
        await work
    finally:
        names = await _let_go(within_s)
    return names


async def _let_go(within_s: float) -> list[str]:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    going_on = (await asyncio.wait(left, timeout=within_s))[1] if left else set()
    names = sorted(_name(task) for task in going_on)
    threads = Tasks().spawn(asyncio.get_running_loop().shutdown_default_executor(), name="threads")
    if not (await asyncio.wait({threads}, timeout=within_s))[0]:
        names.append("a thread")
    return names


def _name(task: "asyncio.Task[object]") -> str:
    return f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')})"


def cut_off(names: Sequence[str]) -> NoReturn:
    """End the process without waiting for these, which would be for ever."""
    log.error("what agents left behind does not end and is cut off", left=list(names[:_SHOWN]), count=len(names))
    sys.stdout.flush()
    os._exit(0)
