"""What the lines of the journal of calls mean, and reading them again, however many they are.

B"id"<tab>record                  a call has begun
S"id"<tab>record<tab>history      a call is over
C1234                             everything that begins before this octet is in the database
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from sipflow.calls.record import CallRecord
from sipflow.store.journal import Journal
from sipflow.store.record_json import from_json, history_json, to_json

_BLOCK_BYTES = 256 * 1024
_BEGUN, _OVER, _WRITTEN = b"B", b"S", b"C"


@dataclass(slots=True)
class Saved:
    """A finished call on its way into the database.

    Attributes:
        record: of the call.
        line: of the journal.
        offset: where that begins.
        row: as the database takes it; None where it is still to be made.
    """

    record: CallRecord
    line: bytes
    offset: int
    row: tuple[Any, ...] | None = None

    @property
    def text(self) -> str:
        """The record as the database keeps it."""
        return self.line.split(b"\t")[1].decode("ascii")


@dataclass(slots=True)
class Before:
    """What an earlier process left.

    Attributes:
        written: everything that begins before this octet is in the database.
        begun: lines of calls without an end, by the call's id as the line has it.
        torn: lines that are only half there.
    """

    written: int = 0
    begun: dict[bytes, int] = field(default_factory=dict)
    torn: int = 0


def begun_line(record: CallRecord) -> bytes:
    """Return the line of a call that has begun."""
    return f"B{quoted(record.id)}\t{to_json(record)}\n".encode("ascii")


def over_line(record: CallRecord) -> bytes:
    """Return the line of a call that is over."""
    return line_of(record.id, to_json(record), history_json(record))


def line_of(call_id: str, text: str, history: str) -> bytes:
    """Return the line of a call that is over, of its record and its history as JSON."""
    return f"S{quoted(call_id)}\t{text}\t{history}\n".encode("ascii")


def written_line(offset: int) -> bytes:
    """Return the line that says how much the database has."""
    return b"C%d\n" % offset


def saved(line: bytes, offset: int) -> Saved | None:
    """Return the finished call of a line, None when it is of another kind or only half there."""
    if not line.startswith(_OVER):
        return None
    try:
        _, text, history = line.split(b"\t")
        return Saved(from_json(text, history), line, offset)
    except ValueError:
        return None


def begun(line: bytes) -> CallRecord | None:
    """Return the record of a call that had begun, None when the line is only half there."""
    try:
        return from_json(line.split(b"\t")[1])
    except (ValueError, IndexError):
        return None


async def lines(journal: Journal, start: int, end: int) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines between two offsets and where each begins; the loop goes on between blocks of them."""
    offset, rest = start, b""
    while offset + len(rest) < end:
        at = offset + len(rest)
        block = await asyncio.to_thread(journal.read, at, min(_BLOCK_BYTES, end - at))
        if not block:
            break
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield offset, line
            offset += len(line) + 1
    if rest:
        yield offset, rest


async def read_before(journal: Journal, end: int) -> Before:
    """Find out what an earlier process left: how much of it is in the database, and which calls have no end."""
    found = Before()
    async for offset, line in lines(journal, 0, end):
        kind, call_id = line[:1], line[1:].partition(b"\t")[0]
        if kind == _WRITTEN and line[1:].isdigit():
            found.written = int(line[1:])
        elif kind == _BEGUN and line.endswith(b"}"):
            found.begun[call_id] = offset
        elif kind == _OVER and line.endswith(b"]"):
            found.begun.pop(call_id, None)
        elif line:
            found.torn += 1
    return found
