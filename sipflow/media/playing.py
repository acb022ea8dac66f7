"""The playing half of anything that sends from a play queue: how much waits, how much was sent, and when."""

import asyncio

from sipflow.media.play_queue import Fate, PlayQueue


class Playing:
    """What waits to be sent, and how much of it really was.

    Attributes:
        queue: what waits.
    """

    queue: PlayQueue

    @property
    def queued_ms(self) -> int:
        """How long what is queued will play, in milliseconds."""
        return self.queue.queued_ms

    @property
    def played_ms(self) -> int:
        """How many milliseconds of what was ever enqueued have been sent."""
        return self.queue.played_ms

    @property
    def clears(self) -> int:
        """How often the queue was cleared: tells a source that the rest of it is not wanted."""
        return self.queue.clears

    def clear(self) -> int:
        """Drop what is queued, and give how many milliseconds of it had been sent, exactly.

        *It* is everything enqueued since the queue was last empty, as far as `continues` does not say otherwise.
        The packet after this one is silent.
        """
        return self.queue.clear()

    def mark(self, *, before_ms: int = 0) -> asyncio.Future[bool]:
        """Give a future for the moment when what is queued now has been sent but for its last `before_ms`.

        Its result is True when the audio was sent, False when it was cleared or the session closed.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.queue.mark(settling(future), before_ms=before_ms)
        return future

    async def drained(self) -> bool:
        """Wait until the last sample queued now has been sent; False when it was cleared or the session closed."""
        return await self.mark()


def settling(future: asyncio.Future[bool]) -> Fate:
    """Give a callback that sets a future's result, unless its waiter has gone."""

    def settle(played: bool) -> None:
        if not future.done():
            future.set_result(played)

    return settle
