"""What sticky pools remember over a restart, with SQLite and with PostgreSQL."""

from datetime import timedelta

from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.pools import Pools, Source
from sipflow.numbers.use import Day
from sipflow.store.callees import KEEP, PoolCallees, kept_for
from sipflow.store.database import Database
from sipflow.store.keeper import Keeper
from sipflow.store.settings import Settings
from sipflow.store.tables import pool_callees
from tests.store.records import STARTED

DAY = Day(1, 1e9)
NUMBERS = tuple(f"+1206555010{last}" for last in range(5))


def pools(*, remember: int = 10) -> Pools:
    made = Pools()
    members = tuple(Member(number) for number in NUMBERS)
    sales = PoolSettings("sales", strategy=("sticky", "round_robin"), members=members, remember=remember)
    source = Source(tuple(Number(number) for number in NUMBERS), {"sales": sales}, {"bot": "sales"})
    made.apply(source, now=0.0, day=DAY)
    return made


def keeper(database: Database, of: Pools) -> Keeper:
    return Keeper(database, pool_callees, PoolCallees(of), what="what pools know of callees", keep=KEEP)


def call(of: Pools, callee: str) -> str:
    picked = of.choose("bot", callee, now=0.0, day=DAY)
    of.took(picked, callee, now=0.0, day=DAY)
    return picked.number


async def test_a_callee_is_called_from_the_same_number_after_a_restart(database: Database) -> None:
    before, after, small = pools(), pools(), pools(remember=1)
    first = [call(before, callee) for callee in ("ada", "bob", "eve")]
    await keeper(database, before).flush()
    call(before, "bob")
    await keeper(database, before).flush()
    await keeper(database, after).load()
    again = [call(after, callee) for callee in ("eve", "bob", "ada")]
    await keeper(database, small).load()
    await keeper(database, small).flush()
    left = pools()
    await keeper(database, left).load()

    assert again == first[::-1]
    assert len(set(first)) == 3
    assert [left.named["sales"].callees.number_of(callee) for callee in ("ada", "bob", "eve")] == [None, first[1], None]


async def test_a_callee_is_forgotten_no_later_than_the_record_of_their_call(database: Database) -> None:
    assert kept_for(Settings()) == KEEP
    assert kept_for(Settings(keep_records_days=365)) == KEEP
    week = kept_for(Settings(keep_records_days=7))
    sales, book, now = pools(), "what pools know of callees", STARTED
    remembered = PoolCallees(sales)
    kept = Keeper(database, pool_callees, remembered, what=book, keep=week, forget=remembered.forget, wall=lambda: now)
    for callee in ("ada", "bob", "eve"):
        call(sales, callee)
    await kept.flush()
    now += timedelta(days=6)
    call(sales, "bob")
    await kept.flush()
    now += timedelta(days=2)
    call(sales, "eve")  # who is not written yet
    await kept.sweep()
    callees = sales.named["sales"].callees
    live = [callees.number_of(callee) is not None for callee in ("ada", "bob", "eve")]
    again = pools()
    await Keeper(database, pool_callees, PoolCallees(again), what=book, keep=week, wall=lambda: now).load()

    assert week == timedelta(days=7)
    assert live == [False, True, True]
    assert [again.named["sales"].callees.number_of(callee) is not None for callee in ("ada", "bob")] == [False, True]
