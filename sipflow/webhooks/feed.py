"""Makes deliveries of what happens: in the transaction that writes a call's record, and of events while it lives."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.history import History
from sipflow.calls.record import CallRecord, Happening
from sipflow.calls.variables import printable
from sipflow.errors import LocalProtocolError, StoreError
from sipflow.store.deliveries import EVENT, POST_CALL, Deliveries, Delivery
from sipflow.tasks import Tasks
from sipflow.webhooks.addresses import LONGEST_URL, endpoint_of
from sipflow.webhooks.hooks import HooksOf
from sipflow.webhooks.payloads import call_event, post_call
from sipflow.webhooks.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from sipflow.store.database import Database

log = structlog.get_logger("sipflow.webhooks")
_TOGETHER_S = 0.05  # events that come close together are written together
_AGAIN_S = 1.0  # after a write that failed
_MOST_WAITING = 10_000  # events that are not written yet; the others are written with the call's record
_LIVE_FROM = 1000  # position of events that the record has no room for any more
_END = "end"
_ENDED, _POST_CALL = 1_000_000, 2_000_000  # positions of what comes last


class Feed:
    """Fills the outbox.

    An event has the same id whenever it is met, so it does not matter that most are written twice: once when they
    happen, and once with the record of the call, which is what a process that died in between has lost nothing by.

    Args:
        settings: which events, and how long they are tried.
        hooks: where an agent wants them.
        recording_url: of a call that has a recording, for the post-call webhook; "" for none.
        on_added: told that there is something to send.
        wall: UTC wall clock.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        hooks: HooksOf,
        recording_url: Callable[[CallRecord], str] = lambda _record: "",
        on_added: Callable[[], None] = lambda: None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._recording_url = recording_url
        self._on_added = on_added
        self._wall = wall
        self._tasks = Tasks()
        self._waiting: list[Delivery] = []
        self._something = asyncio.Event()
        self._beyond: dict[str, int] = {}  # by call: the number of the next event that its record has no room for
        self._closed = False

    def start(self, deliveries: Deliveries, database: "Database", history: History) -> None:
        """Listen to what happens in calls."""
        history.tell(self)
        self._tasks.spawn(self._write(deliveries, database), name="writing of events for webhooks")

    async def close(self) -> None:
        """Stop listening; what is not written yet comes with the records of its calls."""
        self._closed = True
        await self._tasks.close()

    # Finished calls

    def wants(self, record: CallRecord) -> bool:
        """Whether anybody is to be told of a finished call."""
        hooks = self._hooks(record.agent)
        if hooks.events_webhook_url or hooks.external_webhook_url or self._settings.events_url:
            return True
        return bool(record.extra and self._post_call_url(record))

    async def add(self, deliveries: Deliveries, connection: "AsyncConnection", records: Iterable[CallRecord]) -> None:
        """Put what finished calls have to tell into the outbox, in the transaction that writes their records."""
        found = [delivery for record in records for delivery in self._about(record)]
        if found:
            await deliveries.add(connection, found)
            self._on_added()

    def _about(self, record: CallRecord) -> list[Delivery]:
        try:
            return self.deliveries_of(record)
        except Exception as error:  # noqa: BLE001  (a strange value in one record must not hold up all others)
            log.error(
                "the webhooks of a call cannot be written", call=record.id, why=f"{type(error).__name__}: {error}"
            )
            return []

    def deliveries_of(self, record: CallRecord) -> list[Delivery]:
        """Return everything that a finished call has to tell, and to whom."""
        lines = enumerate(record.history) if self._events_url(record) else ()
        found = [self._event(record, *each) for each in lines]
        url = self._post_call_url(record)
        if url:
            body = post_call(record, recording_url=self._recording_url(record) if record.recording else "")
            found.append(self._delivery(f"post_{record.id}", POST_CALL, url, record, body, _POST_CALL))
        return [delivery for delivery in found if delivery is not None]

    # Live calls

    def offer(self, record: CallRecord, happening: Happening) -> None:
        """Take a line of a call's history, as it is noted (`calls.history.Ear`)."""
        if not (self._settings.events_url or self._hooks(record.agent).events_webhook_url):
            return
        if self._closed or len(self._waiting) >= _MOST_WAITING:
            return
        try:
            made = self._live(record, happening)
        except Exception as error:  # noqa: BLE001  (a strange value must not harm the call it is of)
            log.error("an event cannot be written", call=record.id, why=f"{type(error).__name__}: {error}")
            return
        if made:
            self._waiting += made
            self._something.set()

    def _live(self, record: CallRecord, happening: Happening) -> list[Delivery]:
        """Make the delivery of an event, and of those before it where the call began before we listened."""
        first = record.id not in self._beyond
        number = self._number(record, happening)
        if happening.name == "ended":
            del self._beyond[record.id]
        before = enumerate(record.history[:-1]) if first else ()
        made = [*(self._event(record, *each) for each in before), self._event(record, number, happening)]
        return [delivery for delivery in made if delivery is not None]

    def _number(self, record: CallRecord, happening: Happening) -> int:
        """Say which number an event has: that in the record, or one of its own where the record has no more room."""
        beyond = self._beyond.setdefault(record.id, _LIVE_FROM)
        last = len(record.history) - 1
        if last >= 0 and record.history[last] is happening:
            return last
        self._beyond[record.id] = beyond + 1
        return beyond

    async def _write(self, deliveries: Deliveries, database: "Database") -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(_TOGETHER_S)
            self._something.clear()
            batch, self._waiting = self._waiting, []
            try:
                async with database.write() as connection:
                    await deliveries.add(connection, batch)
            except StoreError as error:
                log.warning("events wait: the store cannot be used", events=len(batch), why=str(error))
                self._waiting = (batch + self._waiting)[:_MOST_WAITING]
                self._something.set()
                await asyncio.sleep(_AGAIN_S)
            except Exception:  # of one strange value among them; those that come after them must still be written
                log.exception("events cannot be written while their calls live", events=len(batch))
            else:
                self._on_added()

    # Rows

    def _post_call_url(self, record: CallRecord) -> str:
        said = record.extra.get("external_webhook_url") if record.extra else None
        return said if isinstance(said, str) and said else self._hooks(record.agent).external_webhook_url

    def _events_url(self, record: CallRecord) -> str:
        return self._hooks(record.agent).events_webhook_url or self._settings.events_url

    def _event(self, record: CallRecord, number: int, happening: Happening) -> Delivery | None:
        url = self._events_url(record)
        if not url or not self._settings.wants(happening.name):
            return None
        # The end has no number: the record of a call that a killed process left has lost the lines before it.
        over = happening.name == "ended"
        event_id = f"evt_{record.id}_{_END if over else number}"
        body = call_event(record, happening, event_id=event_id)
        return self._delivery(event_id, EVENT, url, record, body, _ENDED if over else number)

    def _delivery(
        self, delivery_id: str, kind: str, url: str, record: CallRecord, body: bytes, position: int
    ) -> Delivery:
        now = self._wall()
        try:
            endpoint = str(endpoint_of(url))
        except LocalProtocolError:  # it is written all the same: its one attempt fails and says why
            url, endpoint = printable(url)[:LONGEST_URL], ""
        return Delivery(
            id=delivery_id,
            webhook_type=kind,
            url=url,
            endpoint=endpoint,
            agent=record.agent,
            call_id=record.id,
            payload=body,
            created_at=now,
            position=position,
            next_at=now,
            expires_at=now + timedelta(seconds=self._settings.give_up_s),
        )
