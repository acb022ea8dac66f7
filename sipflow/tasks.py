"""The owner of background tasks: each has a name, its failure is said once, and none outlives its owner."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

_log = structlog.get_logger("sipflow.tasks")
T = TypeVar("T")
PATIENCE_S = 5.0  # for tasks that were cancelled, to end
_SHOWN = 10


class Tasks:
    """Starts tasks and keeps them until they end.

    The event loop refers to a task only weakly: one that nobody else refers to can vanish in the middle, and its error
    with it. Whoever starts work in the background holds a `Tasks` and closes it.

    Attributes:
        failures: how many tasks ended with an exception nobody expected.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self.failures = 0

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `coro` in the background; `name` stands in the log if it fails.

        An exception that leaves `coro` is logged once with its traceback and counted; it reaches nobody else unless
        the returned task is awaited. After `close` the task is cancelled before its first step.
        """
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        if self._closed:
            task.cancel()
        return task

    async def close(self, *, patience_s: float = PATIENCE_S) -> None:
        """Cancel every task and wait until all have ended; called by one of them, it does not wait for that one.

        What goes on all the same, as an agent can, is named in the log after `patience_s` seconds, and left.
        """
        self._closed = True
        current, clock = asyncio.current_task(), asyncio.get_running_loop().time
        until = clock() + patience_s
        while others := self._running - {current}:
            if clock() >= until:
                names = sorted(task.get_name() for task in others)
                _log.error("tasks go on although they were cancelled", tasks=names[:_SHOWN], count=len(others))
                return
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=max(until - clock(), 0.0))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failures += 1
            _log.error("background task failed", task=task.get_name(), exc_info=error)
