"""The use of numbers over a restart, with SQLite and with PostgreSQL."""

from datetime import UTC, datetime, timedelta

from sipflow.numbers.resting import Rest
from sipflow.numbers.use import Book, Day
from sipflow.store.database import Database
from sipflow.store.keeper import Keeper
from sipflow.store.number_use import KEEP, NumberUse
from sipflow.store.tables import number_use

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = Day(100, 1e6)
NUMBER = "+12065550100"


def keeper(database: Database, book: Book, *, now: float, later_s: float = 0.0) -> Keeper:
    use, at = NumberUse(book, clock=lambda: now), AT + timedelta(seconds=later_s)
    return Keeper(database, number_use, use, what="the use of numbers", keep=KEEP, wall=lambda: at)


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
