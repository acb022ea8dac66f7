"""Records as rows."""

from sqlalchemy import select

from sipflow.store.call_rows import Rows, fitted
from sipflow.store.database import Database
from sipflow.store.journal_lines import Saved, over_line
from sipflow.store.tables import calls
from tests.store.records import ANSWERED, ENDED, OVER, STARTED, over


async def test_a_row_has_what_calls_are_found_by(database: Database) -> None:
    rows = Rows(sqlite=database.sqlite)
    async with database.write() as connection:
        await rows.write(connection, [Saved(OVER, over_line(OVER), 0)])

    async with database.read() as connection:
        row = (await connection.execute(select(calls))).mappings().one()
    assert {name: value for name, value in row.items() if name not in ("record", "history")} == {
        "id": "call-1", "direction": "inbound", "status": "completed", "agent": "echo", "trunk": "pbx",
        "number": "+12065550100", "from_number": "+12065550111", "to_number": "+12065550100",
        "lead_number": "+12065550111", "sip_call_id": "a84b4c76e66710@pbx.example.com", "word": "hung_up",
        "sip_status": 200, "started_at": STARTED, "answered_at": ANSWERED, "ended_at": ENDED, "duration_s": 60.25,
        "recording": "recordings/call-1.wav",
    }  # fmt: skip


async def test_many_rows_are_known_by_their_ids(database: Database) -> None:
    rows = Rows(sqlite=database.sqlite)
    records = [over(number) for number in range(1100)]
    async with database.write() as connection:
        await rows.write(connection, [Saved(record, over_line(record), 0) for record in records])
        known = await rows.known(connection, [record.id for record in records] + ["nobody"])

    assert known == {record.id for record in records}


async def test_a_row_that_is_there_is_replaced_and_no_other(database: Database) -> None:
    rows = Rows(sqlite=database.sqlite)
    first = [over(number) for number in range(73)]
    second = [over(number, agent="other") for number in range(40, 110)]
    for records in (first, second):
        async with database.write() as connection:
            await rows.write(connection, [Saved(record, over_line(record), 0) for record in records])

    async with database.read() as connection:
        found = (await connection.execute(select(calls.c.id, calls.c.agent, calls.c.started_at))).all()
    expected = {record.id: record for record in first + second}
    assert sorted(tuple(row) for row in found) == sorted(
        (record.id, record.agent, record.started_at) for record in expected.values()
    )


def test_a_text_fits_its_column() -> None:
    assert fitted("+12065550100", 40) == "+12065550100"
    assert fitted("123456", 4) == "1234"
    assert fitted("é\x00\udcff", 40) == "é?"
