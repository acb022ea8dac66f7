from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from sipflow.errors import Conflict, NotFound
from sipflow.store.database import Database
from sipflow.store.deliveries import (
    EVENT,
    FAILED,
    INBOUND,
    PENDING,
    POST_CALL,
    SUCCESS,
    Deliveries,
    Delivery,
    DeliveryAttempt,
    LogFilter,
    Settled,
)
from sipflow.store.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)
ONE, TWO = "https://one.example.com:443", "https://two.example.com:443"


def delivery(name: str, **changes: object) -> Delivery:
    made = Delivery(
        id=name,
        webhook_type=POST_CALL,
        url=f"{ONE}/hook",
        endpoint=ONE,
        agent="desk",
        call_id=f"call-of-{name}",
        payload=b'{"a":"\xc3\xa9"}',
        created_at=NOW,
        next_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(number: int = 1, **changes: object) -> DeliveryAttempt:
    made = DeliveryAttempt(
        attempt_number=number,
        at=NOW,
        status_code=500,
        duration_ms=12,
        response_ttfb_ms=10,
        request_headers={"X-Sipflow-Event": "post_call"},
        response_headers={"Server": "test"},
        response_body="oh",
        response_bytes=2,
        error_message="answered 500",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def add(database: Database, *made: Delivery) -> Deliveries:
    deliveries = Deliveries(database)
    async with database.write() as connection:
        await deliveries.add(connection, made)
    return deliveries


async def taken(database: Database, endpoint: str = ONE, *, now: datetime = NOW, most: int = 10) -> list[str]:
    """Claim what is due for an endpoint."""
    deliveries = Deliveries(database)
    ids = await deliveries.candidates(endpoint, now=now, most=most)
    async with database.write() as connection:
        claimed = await deliveries.claim(connection, ids, now=now, until=SOON)
    assert {each.next_at for each in claimed} <= {SOON}
    return sorted(each.id for each in claimed)


async def test_a_delivery_is_kept_as_it_is(database: Database) -> None:
    made = delivery("a")
    deliveries = await add(database, made)

    assert await deliveries.find("a") == (made, [])


async def test_the_same_delivery_is_never_there_twice(database: Database) -> None:
    await add(database, delivery("a"), delivery("b"))
    deliveries = await add(database, delivery("a", url="https://other.example.com/"), delivery("c"))

    total, found = await deliveries.page(LogFilter(), limit=10, offset=0)
    assert (total, [each.id for each, _ in found]) == (3, ["c", "b", "a"])
    assert {each.url for each, _ in found} == {f"{ONE}/hook"}


async def test_endpoints_with_something_due_are_named_whoever_waits_longest_first(database: Database) -> None:
    deliveries = await add(
        database,
        delivery("a", next_at=NOW - timedelta(seconds=1)),
        delivery("b", endpoint=TWO, next_at=NOW - timedelta(seconds=2)),
        delivery("c", endpoint="later", next_at=NOW + timedelta(seconds=1)),
        delivery("d", endpoint="done", status=SUCCESS, next_at=None),
    )

    assert await deliveries.due(NOW) == [TWO, ONE]


async def test_what_is_taken_is_nobody_elses_until_its_time_is_over(database: Database) -> None:
    await add(database, delivery("a"), delivery("b"), delivery("c", endpoint=TWO))

    assert await taken(database, most=1) == ["a"]
    assert await taken(database) == ["b"]
    assert await taken(database) == []
    assert await taken(database, now=SOON) == ["a", "b"]  # whoever took them has died


async def test_of_two_who_saw_the_same_only_the_quicker_gets_it(database: Database) -> None:
    deliveries = await add(database, delivery("a"))
    seen = await deliveries.candidates(ONE, now=NOW, most=1)

    claims = []
    for _ in range(2):
        async with database.write() as connection:
            claims.append([each.id for each in await deliveries.claim(connection, seen, now=NOW, until=SOON)])

    assert (seen, claims) == (["a"], [["a"], []])


async def test_deliveries_of_one_call_to_one_url_are_taken_one_after_the_other(database: Database) -> None:
    same = {"call_id": "c1", "webhook_type": EVENT}
    deliveries = await add(
        database,
        delivery("second", position=2, **same),
        delivery("first", position=1, **same),
        delivery("elsewhere", position=3, url=f"{ONE}/other", **same),
        delivery("other-call", position=9, call_id="c2"),
    )

    assert await taken(database) == ["elsewhere", "first", "other-call"]
    first, _ = await deliveries.find("first")
    done = replace(first, status=SUCCESS, attempts=1, next_at=None, finished_at=NOW)
    async with database.write() as connection:
        await deliveries.settle(connection, [Settled(done, attempt())])
    assert await taken(database) == ["second"]


async def test_tries_are_kept_with_what_came_of_them(database: Database) -> None:
    deliveries = await add(database, delivery("a"))
    first, second = attempt(), attempt(2, status_code=200, error_message="")
    again = delivery("a", attempts=1, next_at=SOON)
    done = delivery("a", attempts=2, status=SUCCESS, next_at=None, finished_at=NOW)
    for settled in (Settled(again, first), Settled(done, second), Settled(again, first)):  # the last comes too late
        async with database.write() as connection:
            await deliveries.settle(connection, [settled])

    assert await deliveries.find("a") == (done, [first, second])
    assert await deliveries.counts() == {SUCCESS: 1}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (LogFilter(), ["d", "c", "b", "a"]),
        (LogFilter(webhook_type=INBOUND), ["d"]),
        (LogFilter(status=FAILED), ["b"]),
        (LogFilter(http_method="get"), []),
        (LogFilter(agent="desk"), ["d", "b", "a"]),
        (LogFilter(call_id="call-of-c"), ["c"]),
        (LogFilter(search="OF-C"), ["c"]),
        (LogFilter(search="two.EXAMPLE"), ["b"]),
        (LogFilter(search="%"), []),
        (LogFilter(from_at=NOW + timedelta(seconds=1), to_at=NOW + timedelta(seconds=2)), ["c", "b"]),
        (LogFilter(agent="desk", status=PENDING), ["d", "a"]),
    ],
)
async def test_the_log_is_found_by_every_filter(database: Database, asked: LogFilter, expected: list[str]) -> None:
    deliveries = await add(
        database,
        delivery("a"),
        delivery("b", status=FAILED, url=f"{TWO}/x", created_at=NOW + timedelta(seconds=1)),
        delivery("c", agent="other", created_at=NOW + timedelta(seconds=2)),
        delivery("d", webhook_type=INBOUND, created_at=NOW + timedelta(seconds=3)),
    )

    total, found = await deliveries.page(asked, limit=10, offset=0)

    assert (total, [each.id for each, _ in found]) == (len(expected), expected)


async def test_the_log_comes_in_pages_with_the_last_try_of_each(database: Database) -> None:
    deliveries = await add(database, *(delivery(name) for name in "abc"))
    async with database.write() as connection:
        for number in (1, 2):
            again = delivery("b", attempts=number, next_at=SOON)
            await deliveries.settle(connection, [Settled(again, attempt(number))])

    total, found = await deliveries.page(LogFilter(), limit=2, offset=1)

    assert (total, [each.id for each, _ in found]) == (3, ["b", "a"])
    assert [last for _, last in found] == [attempt(2), None]


async def test_a_finished_delivery_is_sent_once_more_when_asked(database: Database) -> None:
    deliveries = await add(database, delivery("a", status=FAILED, attempts=7, next_at=None, finished_at=NOW))

    given = await deliveries.redeliver("a", now=SOON, expires_at=SOON + timedelta(days=1))

    expected = delivery("a", attempts=7, next_at=SOON, expires_at=SOON + timedelta(days=1))
    assert given == expected
    assert (await deliveries.find("a"))[0] == expected
    assert await taken(database, now=SOON) == ["a"]


async def test_what_cannot_be_sent_again_is_refused_in_words(database: Database) -> None:
    deliveries = await add(database, delivery("asked", webhook_type=INBOUND, status=SUCCESS, next_at=None))

    with pytest.raises(Conflict, match="the call that this request asked about waited for the answer and is over"):
        await deliveries.redeliver("asked", now=NOW, expires_at=SOON)
    with pytest.raises(NotFound, match="there is no delivery 'nothing'"):
        await deliveries.redeliver("nothing", now=NOW, expires_at=SOON)
    with pytest.raises(NotFound, match="there is no delivery 'nothing'"):
        await deliveries.find("nothing")


async def test_what_was_answered_at_once_goes_into_the_log_with_its_tries(database: Database) -> None:
    made = delivery("a", webhook_type=INBOUND, status=SUCCESS, attempts=2, next_at=None, expires_at=None)
    deliveries = Deliveries(database)

    await deliveries.log(made, [attempt(), attempt(2)])

    assert await deliveries.find("a") == (made, [attempt(), attempt(2)])


async def test_old_deliveries_are_deleted_and_waiting_ones_are_not(database: Database) -> None:
    old = NOW - timedelta(days=40)
    many = [delivery(f"old-{n}", status=SUCCESS, next_at=None, finished_at=old) for n in range(600)]
    deliveries = await add(
        database,
        *many,
        delivery("waiting", created_at=old),
        delivery("new", status=FAILED, next_at=None, finished_at=NOW),
    )
    async with database.write() as connection:
        await deliveries.settle(connection, [Settled(many[0], attempt())])

    assert await deliveries.prune(NOW - timedelta(days=30)) == 600
    assert await deliveries.counts() == {FAILED: 1, PENDING: 1}
    assert await deliveries.prune(NOW - timedelta(days=30)) == 0


async def test_sqlite_looks_for_what_is_before_a_delivery_among_those_of_its_call_only(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    said: list[tuple[str, tuple[object, ...]]] = []
    event.listen(database._reader.sync_engine, "before_cursor_execute", lambda *call: said.append((call[2], call[3])))
    await Deliveries(database).candidates(ONE, now=NOW, most=4)
    ((statement, values),) = said
    async with database.read() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)).all()
    await database.close()

    steps = [row.detail.partition(" USING ")[2] for row in plan if row.detail.startswith("SEARCH")]
    assert steps == [
        "INDEX ix_deliveries_due (status=? AND endpoint=? AND next_at<?)",
        "INDEX ix_deliveries_call_id_status_position (call_id=? AND status=? AND position<?)",
    ]
