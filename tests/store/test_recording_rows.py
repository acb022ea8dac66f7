from datetime import UTC, datetime
from pathlib import Path

from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord
from sipflow.store.calls import CallRecords
from sipflow.store.database import Database
from sipflow.store.recording_rows import forget_recording
from sipflow.store.writer import RecordWriter

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def test_a_call_forgets_its_recording_and_nothing_else(database: Database, tmp_path: Path) -> None:
    record = CallRecord("c0ffee", "sip", "inbound", "+12065550199", "+12065550100", "pbx", "+12065550100", "desk", NOON)
    record.ending, record.ended_at = Ending.of("remote", 200, "the far end hung up"), NOON
    record.recording, record.recording_s = "recordings/c0ffee.wav", 3.5
    writer = RecordWriter(tmp_path / "journal", every_s=0.01)
    await writer.open(database)
    writer.save(record)
    await writer.flush()
    await forget_recording(database, "c0ffee")
    await forget_recording(database, "nothing")
    found = await CallRecords(database).find("c0ffee")
    await writer.close()

    record.recording, record.recording_s = "", 0.0
    assert found is not None
    assert (found.recording, found.recording_s) == ("", 0.0)
    assert (found.id, found.ending, found.started_at) == (record.id, record.ending, NOON)
