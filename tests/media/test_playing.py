from sipflow.media.play_queue import PlayQueue
from sipflow.media.playing import Playing

FRAME = bytes(320)


class Player(Playing):
    """Sends one packet time when told to."""

    def __init__(self) -> None:
        self.queue = PlayQueue()

    def send(self) -> None:
        self.queue.take(len(FRAME))
        self.queue.settle()


async def test_a_mark_is_true_when_the_audio_was_sent_and_false_when_it_was_cleared() -> None:
    player = Player()
    player.queue.enqueue(2 * FRAME)
    early, late = player.mark(before_ms=20), player.mark()
    player.send()
    assert (early.done(), late.done(), player.queued_ms, player.played_ms) == (True, False, 20, 20)

    assert player.clear() == 20
    assert (early.result(), late.result(), player.clears) == (True, False, 1)


async def test_a_waiter_that_has_gone_is_not_told() -> None:
    player = Player()
    player.queue.enqueue(FRAME)
    mark = player.mark()
    mark.cancel()
    player.send()

    assert mark.cancelled()
    assert await player.drained()
