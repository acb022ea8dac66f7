"""Records that are kept once the last word of a transfer stands in them, which may come after the end of the call."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sipflow.calls.record import CallRecord, RecordStore

_LAST_WORD_S = 5.0  # a transfer says what came of it within two seconds of the end of its call, or it never was begun


class Unsaid(Protocol):
    """What has something to say of a call after its end: a transfer of ours, or one that its far end has asked for.

    Attributes:
        on_over: told once when it has said it.
    """

    on_over: Callable[[], None]

    @property
    def patience_s(self) -> float:
        """How much longer it may take than a transfer that ends with its call."""

    @property
    def said(self) -> bool:
        """Whether its last word stands in the record."""


class Saving:
    """Hands records to the store.

    Attributes:
        waiting: records of calls that are over, and of which there is more to say, by the id of the call.
    """

    def __init__(self, store: RecordStore) -> None:
        """Hand them to `store`."""
        self.waiting: dict[str, CallRecord] = {}
        self._store = store

    def save(self, record: CallRecord, *sayers: Unsaid | None) -> None:
        """Keep the record of a call that is over: at once, or as soon as all has been said of it."""
        unsaid = [each for each in sayers if each is not None and not each.said]
        if not unsaid:
            self._store.save(record)
            return
        self.waiting[record.id] = record
        self._store.started(record)  # noted anew, with its ending: who kills us meanwhile loses the last word only
        wait_s = _LAST_WORD_S + max(each.patience_s for each in unsaid)
        timer = asyncio.get_running_loop().call_later(wait_s, self._keep, record.id)

        def over() -> None:
            if all(each.said for each in unsaid):
                timer.cancel()
                self._keep(record.id)

        for each in unsaid:
            each.on_over = over

    def keep_all(self) -> None:
        """Keep what still waits: nobody will say any more."""
        for call_id in tuple(self.waiting):
            self._keep(call_id)

    def _keep(self, call_id: str) -> None:
        record = self.waiting.pop(call_id, None)
        if record is not None:
            self._store.save(record)
