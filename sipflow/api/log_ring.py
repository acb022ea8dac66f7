"""The last lines of the log in memory, for the console. Loaded with the log, so it imports nothing large."""

import re
import time
from collections import deque
from collections.abc import Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

_LONGEST = 4000  # characters of a line that are kept
_SECRET_KEYS = frozenset({"password", "secret", "authorization", "cookie", "passphrase", "trunk_pwd"})
_SECRET = re.compile(r"(?i)\b(bearer\s+|sipflow_)[A-Za-z0-9_\-.~+/=]{8,}")
_HIDDEN = "***"
LEVELS = ("debug", "info", "warning", "error", "critical")


class LogLine(NamedTuple):
    """One line.

    Attributes:
        number: counts from 1 since the start.
        at: UTC wall clock.
        level: one of `LEVELS`.
        event: what happened.
        call: whose, "" for none.
        fields: the rest of what it says, as texts.
    """

    number: int
    at: datetime
    level: str
    event: str
    call: str
    fields: dict[str, str]


class LogRing:
    """A structlog processor that keeps what passes; the oldest goes first."""

    def __init__(self, most: int = 2000, *, wall: Callable[[], float] = time.time) -> None:
        """Keep at most so many lines."""
        self._lines: deque[LogLine] = deque(maxlen=most)
        self._wall = wall
        self.last = 0

    def __call__(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep a line, and pass it on as it is."""
        self.last += 1
        at = datetime.fromtimestamp(self._wall(), UTC)
        level = str(event.get("level", method))
        what, call = _text("event", event.get("event", "")), _text("call", event.get("call", ""))
        fields = {key: _text(key, value) for key, value in event.items() if key not in ("event", "level", "call")}
        self._lines.append(LogLine(self.last, at, level, what, call, fields))
        return event

    def tail(self, most: int, *, after: int = 0, level: str = "debug", text: str = "") -> Sequence[LogLine]:
        """Return the last lines, oldest first.

        Args:
            most: how many at most.
            after: only those with a higher number.
            level: only those as serious as this.
            text: only those that have it anywhere, in whatever case.
        """
        worth = LEVELS[LEVELS.index(level) :]
        wanted = text.casefold()
        found: deque[LogLine] = deque(maxlen=most)
        for line in self._lines:
            if line.number > after and line.level in worth and (not wanted or wanted in _whole(line)):
                found.append(line)
        return tuple(found)


def _whole(line: LogLine) -> str:
    return " ".join((line.event, line.call, *(f"{key}={value}" for key, value in line.fields.items()))).casefold()


def _text(key: str, value: object) -> str:
    if key.lower() in _SECRET_KEYS:
        return _HIDDEN
    text = value if isinstance(value, str) else str(value)
    return _SECRET.sub(rf"\1{_HIDDEN}", text[:_LONGEST])
