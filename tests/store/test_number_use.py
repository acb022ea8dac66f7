"""The use of numbers over a restart, with SQLite and with PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from sipflow.errors import StoreError
from sipflow.numbers.resting import Rest
from sipflow.numbers.use import Book, Day
from sipflow.store.database import Database
from sipflow.store.number_use import NumberUseKeeper

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = Day(100, 1e6)
NUMBER = "+12065550100"


def keeper(database: Database, book: Book, *, now: float, later_s: float = 0.0) -> NumberUseKeeper:
    return NumberUseKeeper(database, book, clock=lambda: now, wall=lambda: AT + timedelta(seconds=later_s))


async def test_a_rest_and_the_calls_of_the_day_go_on_after_a_restart(database: Database) -> None:
    book = Book()
    book.took(NUMBER, 900.0, DAY)
    book.use(NUMBER).health.rest(Rest(3600.0, "because"), now=1000.0)
    await keeper(database, book, now=1000.0).flush()

    again = Book()
    await keeper(database, again, now=5.0, later_s=600.0).load()
    use = again.use(NUMBER)

    assert (use.used_at, use.health.until, use.today(DAY), use.live) == (-695.0, 3005.0, 1, 0)
    assert (use.health.why, use.health.on_probation) == ("because", True)


async def test_a_rest_that_ended_meanwhile_is_probation(database: Database) -> None:
    book = Book()
    book.took(NUMBER, 900.0, DAY)
    book.use(NUMBER).health.rest(Rest(60.0, "because"), now=1000.0)
    await keeper(database, book, now=1000.0).flush()

    again = Book()
    await keeper(database, again, now=5.0, later_s=600.0).load()

    assert (again.use(NUMBER).health.until, again.use(NUMBER).health.on_probation) == (0.0, True)


async def test_only_what_has_changed_is_written_and_the_latest_counts(database: Database) -> None:
    book = Book()
    mine = keeper(database, book, now=1000.0)
    for index in range(450):
        book.took(f"n{index}", 900.0, DAY)
    await mine.flush()
    book.took("n7", 990.0, DAY)
    await mine.flush()
    await mine.flush()

    again = Book()
    await keeper(database, again, now=1000.0).load()
    assert len(again) == 450
    assert (again.use("n7").today(DAY), again.use("n8").today(DAY)) == (2, 1)


async def test_what_could_not_be_written_is_written_the_next_time(database: Database) -> None:
    book = Book()
    book.took(NUMBER, 900.0, DAY)
    async with database.write() as connection:
        await connection.execute(text("alter table number_use rename to elsewhere"))
    with pytest.raises(StoreError):
        await keeper(database, book, now=1000.0).flush()
    async with database.write() as connection:
        await connection.execute(text("alter table elsewhere rename to number_use"))
    await keeper(database, book, now=1000.0).flush()

    again = Book()
    await keeper(database, again, now=1000.0).load()
    assert again.use(NUMBER).used_at == 900.0


async def test_what_nobody_used_for_three_months_is_forgotten(database: Database) -> None:
    book = Book()
    book.took(NUMBER, 900.0, DAY)
    await keeper(database, book, now=1000.0).flush()

    again = Book()
    await keeper(database, again, now=1000.0, later_s=91 * 86_400.0).load()
    assert again.find(NUMBER) is None


async def test_what_changes_is_written_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipflow.store.number_use._EVERY_S", 0.01)
    book = Book()
    running = asyncio.create_task(keeper(database, book, now=1000.0).run())
    book.took(NUMBER, 900.0, DAY)
    again = Book()
    async with asyncio.timeout(10):
        while again.find(NUMBER) is None:
            await asyncio.sleep(0.01)
            await keeper(database, again, now=1000.0).load()
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
