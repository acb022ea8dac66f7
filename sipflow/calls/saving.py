"""Records that are kept once the last word of a transfer stands in them, which may come after the end of the call."""

import asyncio
from typing import TYPE_CHECKING

from sipflow.calls.record import CallRecord, RecordStore

if TYPE_CHECKING:
    from sipflow.calls.transfer.transfer import Transfer

_LAST_WORD_S = 5.0  # a transfer says what came of it within two seconds of the end of its call, or it never was begun


class Saving:
    """Hands records to the store.

    Attributes:
        waiting: records of calls that are over, and whose transfers are not, by the id of the call.
    """

    def __init__(self, store: RecordStore) -> None:
        """Hand them to `store`."""
        self.waiting: dict[str, CallRecord] = {}
        self._store = store

    def save(self, record: CallRecord, transfer: "Transfer | None" = None) -> None:
        """Keep the record of a call that is over: at once, or as soon as its transfer has said what came of it."""
        if transfer is None or transfer.outcome is not None:
            self._store.save(record)
            return
        self.waiting[record.id] = record
        self._store.started(record)  # noted anew, with its ending: who kills us meanwhile loses the last word only
        timer = asyncio.get_running_loop().call_later(_LAST_WORD_S, self._keep, record.id)

        def over() -> None:
            timer.cancel()
            self._keep(record.id)

        transfer.on_over = over

    def keep_all(self) -> None:
        """Keep what still waits: nobody will say any more."""
        for call_id in tuple(self.waiting):
            self._keep(call_id)

    def _keep(self, call_id: str) -> None:
        record = self.waiting.pop(call_id, None)
        if record is not None:
            self._store.save(record)
