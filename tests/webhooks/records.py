"""Records of calls to tell of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord, Happening, Quality

STARTED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def happenings(*names: str) -> list[Happening]:
    """One each second."""
    return [Happening(STARTED + timedelta(seconds=n), name, {"n": n}) for n, name in enumerate(names)]


def finished(call_id: str = "c1", **changes: object) -> CallRecord:
    """An inbound call that was answered, and ended by the caller after a minute."""
    record = CallRecord(
        id=call_id,
        sip_call_id="sip-1@example.com",
        direction="inbound",
        from_number="+12065550199",
        to_number="2065550100",
        trunk="pbx",
        number="+12065550100",
        agent="desk",
        started_at=STARTED,
        ringing_at=STARTED + timedelta(seconds=1),
        answered_at=STARTED + timedelta(seconds=2),
        ended_at=STARTED + timedelta(seconds=62),
        ending=Ending.of("remote", 200, "the caller hung up"),
        name="Zoë",
        variables={"X-Customer": "7"},
        external_id="ext-9",
        diversion="<sip:+12065550111@example.com>",
        codec="PCMU",
        quality=Quality(0.5, 3.0, None, 4.3),
        history=happenings("started", "answered", "ended"),
        recording="calls/c1.wav",
        recording_s=60.0,
        extra={"lead_email": "zoe@example.com", "metadata": {"queue": 4}},
    )
    return replace(record, **changes)  # type: ignore[arg-type]
