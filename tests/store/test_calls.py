"""Reading records: one, a page, all."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from sipflow.calls.ending import Ending
from sipflow.store.calls import CallFilter, CallRecords
from sipflow.store.database import Database
from tests.store.records import BEGUN, OVER, STARTED, keep, over

BUSY = Ending.of("remote", 486, "busy")
CALLS = [
    over(1),
    over(2, agent="desk", trunk="other", direction="outbound", from_number="+12065550100", to_number="+493012345"),
    over(3, answered_at=None, ending=BUSY),
    over(4, ended_at=STARTED + timedelta(minutes=4, seconds=10), number="+12065550102", sip_call_id="50%_off@x"),
]


async def ids(database: Database, wanted: CallFilter) -> list[str]:
    total, found = await CallRecords(database).page(wanted)
    assert total == len(found)
    return [record.id for record in found]


async def test_a_record_is_found_with_its_history(database: Database) -> None:
    await keep(database, [OVER, over(2)])

    assert await CallRecords(database).find(OVER.id) == OVER
    assert await CallRecords(database).events(OVER.id) == list(OVER.history)


async def test_what_is_not_there_is_not_found(database: Database) -> None:
    records = CallRecords(database)

    assert (await records.find("nobody"), await records.events("nobody")) == (None, [])
    assert await records.find("\x00" * 500) is None
    assert await records.page() == (0, [])


async def test_a_page_is_the_newest_first_and_says_how_many_there_are(database: Database) -> None:
    await keep(database, [over(number) for number in range(30)])
    records = CallRecords(database)

    total, found = await records.page(limit=3, offset=1)

    assert (total, [record.id for record in found]) == (30, ["call-28", "call-27", "call-26"])
    assert found[0] == replace(over(28), history=())
    assert await records.page(limit=3, offset=100) == (30, [])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(), [4, 3, 2, 1]),
        (CallFilter(agent="desk"), [2]),
        (CallFilter(status="busy"), [3]),
        (CallFilter(status="completed", agent="echo"), [4, 1]),
        (CallFilter(direction="outbound"), [2]),
        (CallFilter(trunk="other"), [2]),
        (CallFilter(word="busy"), [3]),
        (CallFilter(number="+12065550102"), [4]),
        (CallFilter(number="+493012345"), [2]),
        (CallFilter(lead_number="+12065550111"), [4, 3, 1]),
        (CallFilter(lead_number="+493012345"), [2]),
        (CallFilter(from_at=STARTED + timedelta(minutes=2)), [4, 3, 2]),
        (CallFilter(to_at=STARTED + timedelta(minutes=2)), [1]),
        (CallFilter(duration_min_s=6.0), [4, 2, 1]),
        (CallFilter(duration_min_s=6.1), [2, 1]),
        (CallFilter(duration_max_s=6.0), [4, 3]),
        (CallFilter(text="5550102"), [4]),
        (CallFilter(text="CALL-2"), [2]),
        (CallFilter(text="50%_OFF"), [4]),
        (CallFilter(text="_____"), []),
        (CallFilter(agent="nobody\x00" + "x" * 300), []),
    ],
)  # fmt: skip
async def test_a_filter_lets_through_what_it_says(database: Database, wanted: CallFilter, found: list[int]) -> None:
    await keep(database, CALLS)

    assert await ids(database, wanted) == [f"call-{number}" for number in found]


async def test_times_of_any_zone_are_compared_as_moments(database: Database) -> None:
    await keep(database, [over(1), over(2)])
    berlin = STARTED.astimezone(timezone(timedelta(hours=2))) + timedelta(minutes=2)

    assert await ids(database, CallFilter(from_at=berlin)) == ["call-2"]


async def test_all_of_them_come_once_and_in_order_however_many(database: Database) -> None:
    same = STARTED + timedelta(days=1)  # many of one moment: no part ends between moments
    many = [over(number, started_at=same) if number % 3 else over(number) for number in range(900)]
    await keep(database, many)

    found = [record async for record in CallRecords(database).each(CallFilter(agent="echo"))]

    expected = sorted(many, key=lambda record: (record.started_at, record.id), reverse=True)
    assert [record.id for record in found] == [record.id for record in expected]
    assert found[0] == expected[0]


async def test_calls_that_end_while_all_are_read_leave_no_other_out(database: Database) -> None:
    await keep(database, [over(number) for number in range(500)])
    found = []
    async for record in CallRecords(database).each():
        if record.id == "call-450":
            await keep(database, [over(number) for number in range(1000, 1300)])
        found.append(record.id)

    assert found == [f"call-{number}" for number in reversed(range(500))]


async def test_a_call_that_was_never_answered_has_no_answer(database: Database) -> None:
    await keep(database, [replace(BEGUN, ended_at=STARTED, ending=BUSY)])

    found = await CallRecords(database).find(BEGUN.id)
    assert found is not None
    assert (found.answered_at, found.talk_s, found.ending) == (None, 0.0, BUSY)
