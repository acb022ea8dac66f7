"""What happens in calls, as it happens: the last lines of all calls in one buffer, and everybody reads at their pace.

A reader is a place in the buffer and nothing more, so one that is slow holds up nobody: it loses the oldest lines, and
is told how many. A line's id is this process's own word and the line's number, so that a client that comes back says
where it had been (`Last-Event-ID`).
"""

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import NamedTuple

from sipflow.calls.history import Ear
from sipflow.calls.record import CallRecord, Happening
from sipflow.errors import LimitReached

KEPT = 10_000
_MOST_READERS = 200
_AT_ONCE = 200  # lines that a reader takes before others get their turn
_TOGETHER_S = 0.05  # lines of all calls that come within this time go out together: a busy edge has thousands a second
_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


@dataclass(frozen=True, eq=False, slots=True)  # compared by identity: who has written one out need not do so again
class Line:
    """One line of one call, the same object for every reader.

    Attributes:
        id: for `Last-Event-ID`.
        call_id: of the call.
        name: what happened, such as `ringing`.
        data: the line as JSON values.
    """

    id: str
    call_id: str
    name: str
    data: dict[str, object]


class Lost(NamedTuple):
    """Lines that a reader did not get, because they are no longer kept.

    Attributes:
        id: where the reader stands now.
        lines: how many of all calls; None when nobody knows, for another process had noted them.
    """

    id: str
    lines: int | None


class _Kept(NamedTuple):
    """A line as it is kept: most are written out for nobody, and the record they belong to is not held by them."""

    call_id: str
    agent: str
    direction: str
    from_number: str
    to_number: str
    happening: Happening

    def written(self, id: str) -> Line:
        happening = self.happening
        data: dict[str, object] = {
            "call_id": self.call_id,
            "name": happening.name,
            "at": happening.at.isoformat(),
            "details": dict(happening.details),
            "model_id": self.agent,
            "type_of_call": self.direction,
            "phone_number_from": self.from_number,
            "phone_number_to": self.to_number,
        }
        return Line(id, self.call_id, happening.name, data)


class LiveEvents(Ear):
    """The last lines of all calls; `History.tell` it."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._epoch = secrets.token_hex(4)
        self._lines: list[_Kept | Line | None] = [None] * kept  # a `Line` once somebody has read it
        self._next = 1  # number of the line to come; 0 is where a reader stands who has had none
        self._waiting: dict[str, set[asyncio.Future[int]]] = {}  # readers by the call they read, "" for all
        self._woken_at = -_TOGETHER_S  # those who read all calls
        self._waking: asyncio.TimerHandle | None = None
        self._readers = 0
        self.closed = False

    def offer(self, record: CallRecord, happening: Happening) -> None:
        """Keep a line, and wake whoever waits for one."""
        number = self._next
        self._lines[number % len(self._lines)] = _Kept(
            record.id, record.agent, record.direction, record.from_number, record.to_number, happening
        )
        self._next = number + 1
        if self._waiting:
            self._wake(record.id, number)
            if "" in self._waiting and self._waking is None:
                self._wake_soon()

    def reader(self, call_id: str = "", *, after: str = "") -> "Reader":
        """Read the lines of one call, as far as they are kept, or with "" of all calls, from now on.

        Args:
            call_id: whose lines.
            after: id of the last line that the reader has had; it goes on behind that.

        Raises:
            LimitReached: too many read already.
        """
        if self._readers >= _MOST_READERS:
            raise LimitReached(f"{_MOST_READERS} clients listen already", limit="event streams", retry_after_s=5)
        self._readers += 1
        match = _ID.fullmatch(after)
        if match is not None and match[1] == self._epoch:
            return Reader(self, call_id, min(int(match[2]) + 1, self._next))
        return Reader(self, call_id, self.first if call_id or after else self._next, stranger=bool(after))

    @property
    def first(self) -> int:
        """Number of the oldest line that is kept."""
        return max(1, self._next - len(self._lines))

    def close(self) -> None:
        """End every reader once it has had what is kept."""
        self.closed = True
        for call_id in tuple(self._waiting):
            self._wake(call_id, self._next)
        if self._waking is not None:
            self._waking.cancel()

    def _wake_soon(self) -> None:
        """Wake who reads all calls: now, or together with what comes within a moment."""
        loop = asyncio.get_running_loop()
        due_at = self._woken_at + _TOGETHER_S
        if loop.time() >= due_at:
            self._wake_all()
        else:
            self._waking = loop.call_at(due_at, self._wake_all)

    def _wake_all(self) -> None:
        self._waking, self._woken_at = None, asyncio.get_running_loop().time()
        self._wake("", self._next)

    def _leave(self, call_id: str, future: "asyncio.Future[int]") -> None:
        waiting = self._waiting.get(call_id)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[call_id]

    def _wake(self, call_id: str, number: int) -> None:
        """Wake those who read one call, or "" for all; the lines before this number are none of theirs, or had."""
        for future in self._waiting.pop(call_id, ()):
            if not future.done():
                future.set_result(number)


class Reader:
    """One client's place in the buffer. Close it."""

    def __init__(self, events: LiveEvents, call_id: str, number: int, *, stranger: bool = False) -> None:
        self._events = events
        self._call_id = call_id
        self._number = number
        self._stranger = stranger  # it names a line of another process
        self._open = True

    def take(self) -> list[Line | Lost]:
        """Give what is there; [] when there is nothing new."""
        events, found = self._events, list[Line | Lost]()
        lost = events.first - self._number
        if lost > 0:
            self._number = events.first
        if lost > 0 or self._stranger:
            found.append(Lost(self._here, None if self._stranger else lost))
            self._stranger = False
        until = min(events._next, self._number + _AT_ONCE)
        for number in range(self._number, until):
            line = events._lines[number % len(events._lines)]
            if line is None or (self._call_id and line.call_id != self._call_id):
                continue
            if isinstance(line, _Kept):
                line = events._lines[number % len(events._lines)] = line.written(f"{events._epoch}-{number}")
            found.append(line)
        self._number = until
        return found

    async def more(self, timeout_s: float) -> bool:
        """Wait until there is something to take; False when nothing came in time, or nothing will."""
        events = self._events
        if self._number < events._next:
            return True
        if events.closed:
            return False
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        events._waiting.setdefault(self._call_id, set()).add(future)
        try:
            await asyncio.wait([future], timeout=timeout_s)
        finally:
            events._leave(self._call_id, future)
        if self._call_id:  # what came before is of other calls: whoever waits misses nothing, however much that is
            self._number = future.result() if future.done() else events._next
        return self._number < events._next

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._events.closed and self._number >= self._events._next

    @property
    def _here(self) -> str:
        return f"{self._events._epoch}-{self._number - 1}"

    def close(self) -> None:
        """Let go of the place."""
        if self._open:
            self._open = False
            self._events._readers -= 1
