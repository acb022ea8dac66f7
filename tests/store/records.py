"""Records of calls to keep."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sipflow.calls.ending import Ending
from sipflow.calls.record import Attempt, CallRecord, Happening, Quality
from sipflow.store.call_rows import Rows
from sipflow.store.database import Database
from sipflow.store.journal_lines import Saved, over_line

STARTED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
ANSWERED = STARTED + timedelta(seconds=4)
ENDED = STARTED + timedelta(seconds=64.25)

BEGUN = CallRecord(
    id="call-1",
    sip_call_id="a84b4c76e66710@pbx.example.com",
    direction="inbound",
    from_number="+12065550111",
    to_number="+12065550100",
    trunk="pbx",
    number="+12065550100",
    agent="echo",
    started_at=STARTED,
)

# Every field has a value of its own.
OVER = replace(
    BEGUN,
    ringing_at=STARTED + timedelta(seconds=1),
    answered_at=ANSWERED,
    ended_at=ENDED,
    ending=Ending.of("remote", 200, "the far end hung up"),
    name="Grace Hopper",
    variables={"X-Order": "17", "mood": "„gut“ 😀"},
    external_id="crm-9",
    diversion="<sip:+12065550199@pbx.example.com>;reason=unconditional",
    codec="PCMU",
    quality=Quality(0.5, 1.25, None, 4.375),
    why=("the number is of trunk pbx", "its agent is echo"),
    attempts=(
        Attempt("pbx", "udp:10.0.0.5:5060", 503, "busy; the next one", STARTED, ANSWERED),
        Attempt("pbx", "", 0, "", ANSWERED),
    ),
    history=(
        Happening(ANSWERED, "answered", {"codec": "PCMU"}),
        Happening(ENDED, "ended", {"status": 200, "loss": 0.5, "more": [None, True, {"a": "b"}]}),
    ),
    recording="recordings/call-1.wav",
    recording_s=60.25,
    extra={"lead_email": "grace@example.com", "labels": ["a", "b"], "deep": {"x": 1.5}},
)


def over(number: int, /, **changes: object) -> CallRecord:
    """Return the record of another finished call, which began so many minutes later."""
    later = timedelta(minutes=number)
    values: dict[str, object] = {
        "id": f"call-{number}",
        "started_at": STARTED + later,
        "answered_at": ANSWERED + later,
        "ended_at": ENDED + later,
        "ending": Ending.of("remote", 200, "the far end hung up"),
        "history": (Happening(ENDED + later, "ended", {"status": 200}),),
    }
    return replace(BEGUN, **{**values, **changes})  # type: ignore[arg-type]


async def keep(database: Database, records: Iterable[CallRecord]) -> None:
    """Put records into a database, as the writer does in the end."""
    batch = [Saved(record, over_line(record), 0) for record in records]
    if not batch:
        return
    async with database.write() as connection:
        await Rows(sqlite=database.sqlite).write(connection, batch)
