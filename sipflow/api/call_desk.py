"""Calls as the API knows them: live ones as they are now, announced ones, and finished ones from the store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from sipflow.api.call_page import lets_through, merge, stored_range
from sipflow.api.live_events import LiveEvents
from sipflow.api.once import Once
from sipflow.api.recording_links import RecordingLinks
from sipflow.calls.announced import Announced, AnnouncedCalls
from sipflow.calls.call import Call
from sipflow.calls.originator import Originator
from sipflow.calls.record import CallRecord, Happening
from sipflow.calls.recorder import Recorder
from sipflow.calls.stats import sum_up
from sipflow.calls.switchboard import Switchboard
from sipflow.errors import Conflict, NotFound
from sipflow.store.announced import AnnouncedStore
from sipflow.store.calls import CallFilter, CallRecords

REGISTERED = "registered"
_NEVER_CAME = "the call was announced, and its INVITE did not come in time"
_FLUSH_S = 1.0  # how long a reader waits for the calls that have just ended


async def _at_once() -> None:
    pass


class Found(NamedTuple):
    """One call.

    Attributes:
        record: of it; of a live one as it is now.
        status, error: where they are not those of the record, as of an announced call.
    """

    record: CallRecord
    status: str = ""
    error: str = ""


class Page(NamedTuple):
    """Some calls, and how many there are."""

    total: int
    calls: list[Found]


@dataclass(kw_only=True, slots=True)
class CallDesk:
    """What the routes about calls work on.

    Attributes:
        switchboard: has the live calls.
        originator: places calls; None where none can be placed.
        records: the finished calls.
        announced, announcements: the calls that are expected, in memory and in the store.
        recorder: makes recordings.
        links: open recordings.
        events: what happens, live.
        once: carries out what has an Idempotency-Key.
        flush: waits until the calls that have ended are in the store.
        unwritten: gives the record of one that is not yet, by id.
        settled: waits until numbers, agents and pools that were changed are what calls are made with.
        sounds: folder of what may be played into calls; "" allows none.
        public_url: where clients reach the API, "" for where they asked.
        wall: UTC wall clock.
    """

    switchboard: Switchboard
    originator: Originator | None = None
    records: CallRecords
    announced: AnnouncedCalls
    announcements: AnnouncedStore
    recorder: Recorder
    links: RecordingLinks
    events: LiveEvents
    once: Once
    flush: Callable[[], Awaitable[None]]
    unwritten: Callable[[str], CallRecord | None]
    settled: Callable[[], Awaitable[None]] = _at_once
    sounds: str = ""
    public_url: str = ""
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)

    def live(self) -> dict[str, Found]:
        """Give every call that is not over, by id."""
        found = {call.id: Found(_expected(call), REGISTERED) for call in self.announced.waiting()}
        if self.originator is not None:
            found |= {record.id: Found(record) for record in self.originator.live.values()}
        found |= {call.record.id: Found(call.record) for call in self.switchboard.calls.values()}
        return found

    async def page(self, wanted: CallFilter, *, limit: int, offset: int, only_live: bool = False) -> Page:
        """Give a page of calls, newest first; `only_live` leaves out those that are over."""
        now = self.wall()
        waiting = {} if only_live else {each.id: Found(each) for each in self.switchboard.saving.waiting.values()}
        found = {
            call_id: each
            for call_id, each in (waiting | self.live()).items()
            if lets_through(wanted, each.record, now=now, status=each.status)
        }
        live = [each.record for each in found.values()]
        total, stored = (0, []) if only_live else await self._stored(wanted, len(live), limit, offset)
        page = [self._as_of_now(record) for record in merge(live, stored, limit=limit, offset=offset)]
        statuses = {call_id: each.status for call_id, each in found.items()}
        known = {record.id for record in stored}
        calls = [Found(record, "" if record.id in known else statuses.get(record.id, "")) for record in page]
        return Page(total + sum(record.id not in known for record in live), calls)

    async def _stored(self, wanted: CallFilter, live: int, limit: int, offset: int) -> tuple[int, list[CallRecord]]:
        """Give how many finished calls there are, and those that can be on a page."""
        await self._flush()
        stored_limit, stored_offset = stored_range(live, limit, offset)
        return await self.records.page(wanted, limit=stored_limit, offset=stored_offset)

    def _as_of_now(self, record: CallRecord) -> CallRecord:
        call = self.switchboard.calls.get(record.id)
        return as_of_now(call) if call is not None else record

    async def find(self, call_id: str) -> Found:
        """Give one call.

        Raises:
            NotFound: there is no such call.
        """
        found = self.live_one(call_id)
        if found is None:
            record = self._over(call_id) or await self.records.find(call_id)
            found = Found(record) if record is not None else await self._announced(call_id)
        if found is None:
            raise NotFound(f"there is no call {call_id[:80]!r}")
        return found

    def live_one(self, call_id: str) -> Found | None:
        """Give a call that is not over; None when there is no such call."""
        call = self.switchboard.calls.get(call_id)
        if call is not None:
            return Found(as_of_now(call))
        record = self.originator.live.get(call_id) if self.originator is not None else None
        if record is not None:
            return Found(record)
        expected = self.announced.expected(call_id)
        return Found(_expected(expected), REGISTERED) if expected is not None else None

    def _over(self, call_id: str) -> CallRecord | None:
        """Give the record of a call that is over and not in the store yet."""
        return self.switchboard.saving.waiting.get(call_id) or self.unwritten(call_id)

    async def _announced(self, call_id: str) -> Found | None:
        """Give a call that was announced and did not come."""
        expected = await self.announcements.find(call_id)
        return Found(_expected(expected), "failed", _NEVER_CAME) if expected is not None else None

    async def happened(self, call_id: str) -> bool:
        """Whether there is, or was, such a call."""
        try:
            await self.find(call_id)
        except NotFound:
            return False
        return True

    async def history(self, call_id: str) -> Sequence[Happening]:
        """Give what happened in a call, in order.

        Raises:
            NotFound: there is no such call.
        """
        found = await self.find(call_id)
        if self.live_one(call_id) is not None or found.status or self._over(call_id) is not None:
            return list(found.record.history)
        return await self.records.events(call_id)

    async def leg(self, call_id: str) -> Call:
        """Give a live call to act on.

        Raises:
            NotFound: there is no such call.
            Conflict: it is over, or has not begun.
        """
        call = self.switchboard.calls.get(call_id)
        if call is not None and call.ending is None:
            return call
        found = await self.find(call_id)
        if found.status == REGISTERED:
            raise Conflict(f"call {call_id} is announced, and its INVITE has not come yet")
        if found.record.ending is None and not found.status:
            raise Conflict(f"call {call_id} has not reached anybody yet")
        raise Conflict(f"call {call_id} is over")

    async def _flush(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_S):
                await self.flush()


def as_of_now(call: Call) -> CallRecord:
    """Give the record of a live call with what is only written down at its end: how its audio fares."""
    if call.ending is not None or call.media is None or call.media.agreed is None:
        return call.record
    record = replace(call.record)
    sum_up(record, call.media)
    return record


def _expected(call: Announced) -> CallRecord:
    """Write an announcement as the record of a call that has not come."""
    return CallRecord(
        id=call.id,
        sip_call_id="",
        direction="inbound",
        from_number=call.from_number,
        to_number=call.to_number,
        trunk="",
        number=call.to_number,
        agent=call.agent,
        started_at=call.created_at,
        variables=call.variables,
        why=(f"announced for agent {call.agent}, good until {call.expires_at.isoformat()}",),
    )
