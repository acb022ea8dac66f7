"""The record of a call, and where records go."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sipflow.calls.ending import Ending


@dataclass(slots=True)
class CallRecord:
    """What is kept of one call; filled as it goes, whole when `ending` is set.

    Attributes:
        id: ours, unique.
        sip_call_id: the Call-ID of the leg, for searching in other systems' logs.
        direction: "inbound" or "outbound", seen from us.
        from_number, to_number: as dialled; `number` is the entry of ours that it led to.
        trunk, number, agent: names; "" where there was none.
        started_at, answered_at, ended_at: UTC wall clock.
        ending: how it ended, None while it lives.
    """

    id: str
    sip_call_id: str
    direction: str
    from_number: str
    to_number: str
    trunk: str
    number: str
    agent: str
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None

    @property
    def talk_s(self) -> float:
        """Seconds from answer to end; 0 for a call that was not answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.answered_at).total_seconds()


class RecordStore(Protocol):
    """Where records of ended calls go."""

    def save(self, record: CallRecord) -> None:
        """Keep a finished record. Must not block: the caller is the event loop."""
