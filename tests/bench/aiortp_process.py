"""The echo that our media is compared with: `aiortp` (PyPI), one session per call, everything it has switched on.

Its playout buffer with concealment delivers a frame of samples every 20 ms, a coroutine per call takes it and plays it
back, and its pacer sends. `python -m tests.bench.aiortp_process PORT COUNT`; it says "ready" when all sessions are.
"""

import asyncio
import sys
from collections import deque

import uvloop
from aiortp import RTPSession


class Echo:
    """One call: what it hears goes into a queue, and a coroutine plays what is in there."""

    def __init__(self, session: RTPSession) -> None:
        self._session = session
        self._heard: deque[bytes] = deque(maxlen=50)
        self._waiting: asyncio.Future[None] | None = None
        session.on_audio = self._hear

    def _hear(self, pcm: bytes, _timestamp: int) -> None:
        self._heard.append(pcm)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def run(self) -> None:
        while True:
            while self._heard:
                self._session.send_audio_pcm_auto(self._heard.popleft())
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting


async def serve(port: int, count: int) -> None:
    """Open `count` sessions on every second port from `port` on, and echo until the end of standard input."""
    tasks = []
    for number in range(count):
        session = await RTPSession.create(
            ("127.0.0.1", port + 2 * number),
            ("127.0.0.1", 9),
            payload_type=0,
            playout=True,
            paced=True,
            symmetric_rtp=True,
        )
        tasks.append(asyncio.create_task(Echo(session).run()))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
