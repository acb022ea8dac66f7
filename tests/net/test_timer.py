import asyncio
from collections.abc import Callable

from sipflow.net.timer import DeadlineTimer
from tests.net.fakes import PATIENCE_S, soonest
from tests.net.loops import on_both_loops


class Clockwork:
    """A deadline that a test sets, and when it was called."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.fired: list[tuple[float, float | None]] = []
        self.next: Callable[[float], float | None] = lambda now: None
        self.rang = asyncio.Event()
        self.timer = DeadlineTimer(
            asyncio.get_running_loop(), lambda: self.deadline, lambda: soonest(self.deadline), self.due
        )

    def due(self, now: float) -> None:
        self.fired.append((now, self.deadline))
        self.deadline = self.next(now)
        self.rang.set()

    async def ring(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.rang.wait()


def now() -> float:
    return asyncio.get_running_loop().time()


@on_both_loops
async def test_it_never_calls_before_the_deadline_not_even_by_one_tick_of_the_clock() -> None:
    clockwork = Clockwork()
    clockwork.next = lambda now: now + 0.0013 if len(clockwork.fired) < 20 else None
    clockwork.deadline = now() + 0.0013
    clockwork.timer.arm()

    while len(clockwork.fired) < 20:
        clockwork.rang.clear()
        await clockwork.ring()

    assert [at for at, deadline in clockwork.fired if deadline is None or at < deadline] == []


async def test_a_sooner_deadline_replaces_a_later_one() -> None:
    clockwork = Clockwork()
    clockwork.deadline = now() + 3600
    clockwork.timer.arm()
    clockwork.deadline = now() + 0.01
    clockwork.timer.arm()

    await clockwork.ring()


async def test_a_deadline_that_moved_away_is_not_called_early() -> None:
    clockwork = Clockwork()
    clockwork.deadline = now() + 0.005
    clockwork.timer.arm()
    clockwork.deadline = later = now() + 0.03

    await clockwork.ring()

    assert len(clockwork.fired) == 1
    assert clockwork.fired[0][0] >= later


async def test_a_deadline_that_went_away_is_not_called() -> None:
    clockwork = Clockwork()
    clockwork.deadline = now() + 0.005
    clockwork.timer.arm()
    clockwork.deadline = None

    await asyncio.sleep(0.02)

    assert clockwork.fired == []


@on_both_loops
async def test_an_absurd_deadline_is_no_error() -> None:
    clockwork = Clockwork()

    for deadline in (float("inf"), 1e300, 1e12):
        clockwork.deadline = deadline
        clockwork.timer.arm()

    clockwork.timer.stop()
    assert clockwork.fired == []


async def test_a_deadline_that_never_moves_does_not_spin_the_loop() -> None:
    clockwork = Clockwork()
    clockwork.deadline = stuck = now()
    clockwork.next = lambda _: stuck
    clockwork.timer.arm()

    turns = 0
    end = now() + 0.02
    while now() < end:
        turns += 1
        await asyncio.sleep(0)
    clockwork.timer.stop()

    assert len(clockwork.fired) < min(turns, 25)


async def test_after_stopping_nothing_is_called() -> None:
    clockwork = Clockwork()
    clockwork.deadline = now()
    clockwork.timer.arm()

    clockwork.timer.stop()
    clockwork.timer.arm()
    await asyncio.sleep(0.005)

    assert clockwork.fired == []


async def test_the_deadline_is_not_worked_out_while_nothing_can_be_sooner() -> None:
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    def deadline() -> float:
        asked.append(1)
        return loop.time() + 3600

    timer = DeadlineTimer(loop, deadline, lambda: 3600 + loop.time(), lambda now: None)
    timer.arm()
    for _ in range(100):
        timer.arm()
    timer.stop()

    assert len(asked) == 1
