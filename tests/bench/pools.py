"""Pools of 10,000 numbers: what a choice costs in each strategy, with all of them free and with most of them not."""

import random
import time
from collections.abc import Iterator

from sipflow.numbers.pool import Pool
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import Rest
from sipflow.numbers.use import Book, Caps, Day
from tests.bench.report import Line, at_most

_AREAS = (206, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303, 305, 307, 308, 309, 310, 312, 313, 314)
_STRATEGIES = (
    ("round_robin",),
    ("least_recently_used",),
    ("weighted",),
    ("sticky",),
    ("same_area",),
    ("same_country",),
    ("sticky", "same_area", "same_country", "weighted"),
)
_CAPS = Caps(max_calls=2, calls_per_second=0.5, calls_per_day=1000)
_DAY = Day(1, 1e9)
_STEP_S = 0.05


def run(numbers: int = 10_000, calls: int = 20_000) -> Iterator[Line]:
    """Choose, call and end so many calls, with caps on every number."""
    for away in (0.0, 0.95):
        state = f"{100 * away:.0f} % resting or capped" if away else "all free"
        for strategy in _STRATEGIES:
            choose_us, whole_us, looked_at = _measure(strategy, numbers, calls, away)
            name = strategy[0] if len(strategy) == 1 else "all of them in a row"
            yield at_most(f"{numbers:,} numbers, {state}, {name}: CPU to choose", choose_us, 50, "us", digits=1)
            yield Line("  with counting the call in and out again", f"{whole_us:.1f} us")
            yield at_most("  candidates looked at for one choice", looked_at, 5, "", digits=0)


def _measure(strategy: tuple[str, ...], numbers: int, calls: int, away: float) -> tuple[float, float, int]:
    chance, book = random.Random(7), Book()
    names = [f"+1{_AREAS[index % len(_AREAS)]}{5_550_000 + index // len(_AREAS)}" for index in range(numbers)]
    members = tuple(Member(name, weight=1 + index % 7) for index, name in enumerate(names))
    pool = Pool(PoolSettings("bench", strategy, members, _CAPS), book, now=0.0, day=_DAY)
    for index, name in enumerate(chance.sample(names, int(numbers * away))):
        if index % 2:
            book.use(name).health.rest(Rest(1e9, "bench"), now=0.0)
            book.changed(name, 0.0, _DAY)
        else:
            book.took(name, 0.0, _DAY)
            book.took(name, 0.0, _DAY)
    callees = [f"+1{chance.choice(_AREAS)}{chance.randrange(2_000_000, 10_000_000)}" for _ in range(calls)]
    choosing_ns, most, now = 0, 0, 10.0
    begun = time.process_time_ns()
    for callee in callees:
        now += _STEP_S
        looked_at, before = pool.looked_at, time.process_time_ns()
        choice = pool.choose(callee, now=now, day=_DAY)
        choosing_ns += time.process_time_ns() - before
        most = max(most, pool.looked_at - looked_at)
        pool.took(choice, callee, now=now, day=_DAY)
        book.released(choice.number, now, _DAY)
    whole_ns = time.process_time_ns() - begun
    return choosing_ns / calls / 1000, whole_ns / calls / 1000, most
