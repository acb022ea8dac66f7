"""What happened in each call, line by line: kept in its record, and told to whoever listens live."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from sipflow.calls.record import CallRecord, Happening

_LINES_KEPT = 200  # of one call: a caller who presses digits for an hour must not fill the store
_MOST_KEPT = 1000
_FAR_END = frozenset({"digit", "hold", "resumed", "refer_received", "refer_refused"})  # as often as it likes
_LISTENER_LINES = 1000  # one who reads slower than that loses the oldest and is told


class Ear(Protocol):
    """Whoever is told every line as it is noted."""

    def offer(self, record: CallRecord, happening: Happening) -> None:
        """Take a line. Must neither wait nor raise."""


class Listener:
    """A live view of what happens, in order, in a bounded queue.

    Attributes:
        lost: lines that were dropped because nobody took them in time.
    """

    def __init__(self, call_id: str) -> None:
        self.lost = 0
        self._call_id = call_id
        self._lines: asyncio.Queue[tuple[CallRecord, Happening]] = asyncio.Queue(_LISTENER_LINES)

    def offer(self, record: CallRecord, happening: Happening) -> None:
        """Take a line, if it is about a call that is listened to."""
        if self._call_id and self._call_id != record.id:
            return
        if self._lines.full():
            self._lines.get_nowait()
            self.lost += 1
        self._lines.put_nowait((record, happening))

    async def __aiter__(self) -> AsyncIterator[tuple[CallRecord, Happening]]:
        """Give lines as they come, without end; cancelling loses none."""
        while True:
            yield await self._lines.get()


class History:
    """The histories of all calls of one edge. Without a `wall` of its own each call's clock counts."""

    def __init__(self, *, wall: Callable[[], datetime] | None = None) -> None:
        self._wall = wall
        self._listeners: set[Ear] = set()

    def note(self, record: CallRecord, name: str, /, **details: object) -> None:
        """Add a line to a call's history; `details` hold JSON values and never a secret."""
        happening = Happening(self._wall() if self._wall is not None else record.now, name, details)
        history = record.history
        if not isinstance(history, list):
            history = record.history = list(history)
        most = _LINES_KEPT if name in _FAR_END else _MOST_KEPT  # what else there is to tell has room beside that
        if len(history) < most or name == "ended":
            history.append(happening)
        for listener in self._listeners:
            listener.offer(record, happening)

    def tell(self, ear: Ear) -> None:
        """Tell somebody of every line from now on, for good."""
        self._listeners.add(ear)

    @contextmanager
    def listening(self, call_id: str = "") -> Iterator[Listener]:
        """Listen while the block runs, to one call or, with "", to all."""
        listener = Listener(call_id)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
