import asyncio
import time

from sipflow.daemon.pulse import Pulse


async def beats(pulse: Pulse, count: int) -> None:
    async with asyncio.timeout(20):
        while pulse.lateness.count < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_loop_that_is_held_up_is_late_once_by_that_much() -> None:
    pulse = Pulse()
    pulse.start()
    await beats(pulse, 1)
    time.sleep(0.35)  # noqa: ASYNC251  (what holds it up)
    await beats(pulse, 2)
    last_s = pulse.last_s
    await beats(pulse, 3)
    pulse.stop()

    assert 0.2 < last_s <= pulse.worst_lately_s < 5
    assert pulse.typical_now_s <= pulse.worst_lately_s
    assert pulse.lateness.worst_ms == 1000 * pulse.worst_lately_s


async def test_a_pulse_that_was_stopped_beats_no_more() -> None:
    pulse = Pulse()
    pulse.start()
    await beats(pulse, 1)
    pulse.stop()
    pulse.stop()
    count = pulse.lateness.count
    await asyncio.sleep(0.25)

    assert pulse.lateness.count == count


def test_before_the_first_beat_nothing_was_late() -> None:
    pulse = Pulse()

    assert (pulse.worst_lately_s, pulse.typical_now_s, pulse.last_s) == (0.0, 0.0, 0.0)


async def test_something_else_may_be_done_at_every_beat() -> None:
    pulse, done = Pulse(), list[int]()
    pulse.also = lambda: done.append(pulse.lateness.count)
    pulse.start()
    await beats(pulse, 3)
    pulse.stop()

    assert done == list(range(1, pulse.lateness.count + 1))
