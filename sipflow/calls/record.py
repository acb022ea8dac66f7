"""The record of a call, and where records go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, time
from typing import NamedTuple, Protocol

from sipflow.calls.ending import Ending


class Attempt(NamedTuple):
    """One INVITE of a call out, to one target of one trunk.

    Attributes:
        trunk: name of the trunk.
        target: where it went, such as `udp:10.0.0.5:5060`; "" where no address was found.
        status: final SIP status, 0 while it is under way.
        why: the far end's words or ours, and what was done next.
        started_at, ended_at: UTC wall clock.
    """

    trunk: str
    target: str
    status: int
    why: str
    started_at: datetime
    ended_at: datetime | None = None


class Quality(NamedTuple):
    """How the audio was, over the whole call, as we heard it.

    Attributes:
        loss_percent: of the packets to us, 0 to 100.
        jitter_ms: RFC 3550 interarrival jitter at the end.
        round_trip_ms: by RTCP, None where the far end sends none.
        mos: 1 to 4.5 by the E-model.
    """

    loss_percent: float
    jitter_ms: float
    round_trip_ms: float | None
    mos: float


class Happening(NamedTuple):
    """One line of a call's history.

    Attributes:
        at: UTC wall clock.
        name: such as `ringing`, `answered`, `digit`, `hold`, `recording_started`, `ended`.
        details: what there is to say, JSON values only; never a secret.
    """

    at: datetime
    name: str
    details: Mapping[str, object]


@dataclass(slots=True)
class CallRecord:
    """What is kept of one call; filled as it goes, whole when `ending` is set.

    Attributes:
        id: ours, unique; see `record_id`.
        sip_call_id: the Call-ID of the leg (of the last attempt, for a call out), for searching in other systems' logs.
        direction: "inbound" or "outbound", seen from us.
        from_number, to_number: as dialled; `number` is the entry of ours that it led to, or that it is placed from.
        trunk, number, agent: names; "" where there was none.
        started_at, ringing_at, answered_at, ended_at: UTC wall clock.
        ending: how it ended, None while it lives.
        name: of the person called, as the client gave it.
        variables: what the agent was given (`custom_variables`, X-headers), None for none.
        external_id: the client's own id of the call (X-EI `E.`).
        diversion: value of the Diversion header, "" for none.
        codec: name of the codec last agreed on.
        quality: of the audio, None where none flowed.
        why: how trunk, number and agent were chosen, or why there were none, one sentence each.
        attempts: of a call out, in order.
        history: what happened, in order; kept short (see `calls.history`).
        recording: path of the recording, "" for none.
        recording_s: its length in seconds.
        extra: further fields of the API that pass through us (`lead_email`, `labels` ...), None for none.
        begun: monotonic seconds at `started_at`; is not kept.
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
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None
    name: str = ""
    variables: Mapping[str, str] | None = None
    external_id: str = ""
    diversion: str = ""
    codec: str = ""
    quality: Quality | None = None
    why: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    history: tuple[Happening, ...] | list[Happening] = ()
    recording: str = ""
    recording_s: float = 0.0
    extra: dict[str, object] | None = None
    begun: float = field(default_factory=monotonic, compare=False, repr=False)

    @property
    def now(self) -> datetime:
        """UTC wall clock of this call: somebody who sets the system's clock in its middle changes no duration."""
        return self.started_at + timedelta(seconds=monotonic() - self.begun)

    @property
    def talk_s(self) -> float:
        """Seconds from answer to end; 0 for a call that was not answered."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.answered_at).total_seconds()


def record_id(token: str) -> str:
    """Return the id of a call that begins now: the second, and a token that nobody guesses.

    Ids of calls that begin one after the other sort so: a database finds the place of each where the last one went.
    """
    return f"{int(time()):08x}{token}"


class RecordStore(Protocol):
    """Where records of calls go."""

    def started(self, record: CallRecord) -> None:
        """Note that a call has begun, so that one which never ends is found after a crash. Must not block."""

    def save(self, record: CallRecord) -> None:
        """Keep a finished record: once this returns, the death of the process does not lose it.

        Must not block: the caller is the event loop.
        """
