"""Puts together what the API knows of calls: live ones, announced ones, finished ones, their recordings and events."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from sipflow.api.call_desk import CallDesk
from sipflow.api.live_events import LiveEvents
from sipflow.api.once import Once
from sipflow.api.recording_links import RecordingLinks
from sipflow.calls.announced import AnnouncedCalls
from sipflow.calls.originator import Originator
from sipflow.calls.recorder import Recorder
from sipflow.calls.switchboard import Switchboard
from sipflow.errors import StoreError
from sipflow.store.announced import AnnouncedStore
from sipflow.store.calls import CallRecords
from sipflow.store.database import Database
from sipflow.store.idempotency import IdempotencyKeys
from sipflow.store.kept_secret import kept_secret
from sipflow.store.writer import RecordWriter

log = structlog.get_logger("sipflow.daemon")
_HOUR_S = 3600


async def open_desk(
    *,
    switchboard: Switchboard,
    originator: Originator | None,
    database: Database,
    recorder: Recorder,
    writer: RecordWriter,
    settled: Callable[[], Awaitable[None]] | None = None,
    sounds: str = "",
) -> CallDesk:
    """Make the desk, and let the switchboard expect what was announced before the last stop.

    Args:
        switchboard: of the edge.
        originator: places calls; None for none.
        database: the open store.
        recorder: of the edge.
        writer: of the records of calls that have ended.
        settled: waits until what was changed is what runs; None where that is at once.
        sounds: folder of what may be played over the API, "" for none.

    Raises:
        StoreError: the store cannot be used.
    """
    announcements = AnnouncedStore(database)
    waiting = switchboard.announced
    announced = waiting if isinstance(waiting, AnnouncedCalls) else AnnouncedCalls()
    announced.on_came = lambda call_id: _spawn_forgetting(switchboard, announcements, call_id)
    for call in await announcements.waiting(datetime.now(UTC)):
        announced.announce(call)
    switchboard.announced, announced.read = announced, True
    events = LiveEvents()
    switchboard.history.tell(events)
    settings = recorder.settings
    secret = settings.link_secret.encode() or await kept_secret(database, "recording links")
    desk: CallDesk
    once = Once(IdempotencyKeys(database), happened=lambda call_id: desk.happened(call_id))  # noqa: PLW0108  (made below)
    desk = CallDesk(
        switchboard=switchboard,
        originator=originator,
        records=CallRecords(database),
        announced=announced,
        announcements=announcements,
        recorder=recorder,
        links=RecordingLinks(secret, life_s=settings.link_hours * _HOUR_S),
        events=events,
        once=once,
        flush=writer.flush,
        unwritten=writer.unwritten,
        sounds=sounds,
        public_url=settings.public_url,
    )
    if settled is not None:
        desk.settled = settled
    return desk


def _spawn_forgetting(switchboard: Switchboard, announcements: AnnouncedStore, call_id: str) -> None:
    switchboard.tasks.spawn(_forget(announcements, call_id), name=f"announcement of call {call_id}")


async def _forget(announcements: AnnouncedStore, call_id: str) -> None:
    try:
        await announcements.forget(call_id)
    except StoreError as error:
        log.warning("an announced call that has come stays in the store until it expires", call=call_id, why=str(error))
