"""The last SIP messages of every call, kept in bounded memory, so that a call can be explained after it went wrong."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from sipflow.sip.hop import Hop

_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([!-~]{1,256})")
_usual = re.compile(rb"\nCall-ID: ([!-~]{1,256})\r").search
_ENTRY_BYTES = 200  # what one message costs beside its octets
_HEAD = Struct("<d?II")  # when, whether sent, which hop, length
_HEAD_BYTES, _pack, _unpack = _HEAD.size, _HEAD.pack, _HEAD.unpack_from
_BESIDE_BYTES = _ENTRY_BYTES - _HEAD_BYTES
_TOGETHER = 32  # messages that are sorted at once, and not while a call is waiting for its answer


class Traced(NamedTuple):
    """One message on its way.

    Attributes:
        at: seconds since 1970.
        sent: whether we sent it.
        hop: where to or from, with our own address.
        data: the message, octet for octet: there are secrets in it (`net.trace.mask` hides them).
    """

    at: float
    sent: bool
    hop: Hop
    data: bytes


class _Kept:
    """The messages of one Call-ID, and the call of ours that they belong to.

    All of them are in one block of memory. Kept as objects, seven and more for each call, they would be most of what
    the garbage collector has to look at, and lie between everything else that a call makes and lets go.

    Attributes:
        block: the messages, each behind a `_HEAD`.
        hop: of the first message.
        others: those of later messages that are not the same.
        owner: id of the call.
        count: of messages.
    """

    __slots__ = ("block", "count", "hop", "others", "owner")

    def __init__(self) -> None:
        self.block = bytearray()
        self.hop: Hop | None = None
        self.others: list[Hop] | None = None
        self.owner = ""
        self.count = 0

    @property
    def size(self) -> int:
        """Octets that all this counts for."""
        return len(self.block) + self.count * _BESIDE_BYTES

    def number_of(self, hop: Hop) -> int:
        """Give the number that stands for a hop in the block."""
        if self.hop is None:
            self.hop = hop
            return 0
        if self.others is None:
            self.others = []
        if hop not in self.others:
            self.others.append(hop)
        return self.others.index(hop) + 1

    def drop_third(self) -> int:
        """Let the third message go; return how long it was."""
        start = _HEAD_BYTES + self._length(0)
        start += _HEAD_BYTES + self._length(start)
        length = self._length(start)
        del self.block[start : start + _HEAD_BYTES + length]
        self.count -= 1
        return length

    def _length(self, start: int) -> int:
        return int(_unpack(self.block, start)[3])

    def messages(self) -> list[Traced]:
        """Give the messages, in order."""
        hops = [self.hop, *(self.others or ())]
        found, start, end = [], 0, len(self.block)
        while start < end:
            at, sent, number, length = _unpack(self.block, start)
            start += _HEAD_BYTES + length
            hop = hops[number]
            assert hop is not None
            found.append(Traced(at, sent, hop, bytes(self.block[start - length : start])))
        return found


class _Owned:
    """What belongs to one call of ours: its Call-IDs, and the calls that were placed on its behalf."""

    __slots__ = ("call_ids", "others")

    def __init__(self) -> None:
        self.call_ids: list[bytes] = []
        self.others: tuple[str, ...] = ()


class TraceRing:
    """A `Tracer` that remembers.

    What belongs to a call of ours is kept apart from everything else: a scanner's thousand messages push out other
    strays, and never the messages of a call. Of each kind the oldest go first when there is no more room.

    What comes is only noted down, and sorted a few dozen messages at a time or when somebody asks.
    """

    def __init__(
        self,
        *,
        calls_bytes: int = 32 << 20,
        strays_bytes: int = 2 << 20,
        call_messages: int = 500,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Remember nothing yet.

        Args:
            calls_bytes: room for the messages of calls, of which a usual one takes 5 KB.
            strays_bytes: room for all others: registrations, OPTIONS, and what strangers send.
            call_messages: of one call; then its oldest go, but for the first two, which say what it is about.
            wall: seconds since 1970.
        """
        self._calls: OrderedDict[bytes, _Kept] = OrderedDict()
        self._strays: OrderedDict[bytes, _Kept] = OrderedDict()
        self._owners: dict[str, _Owned] = {}
        self._rooms = (strays_bytes, calls_bytes)
        self._most = max(call_messages, 3)
        self._wall = wall
        self._sizes = [0, 0]  # of strays, of calls
        self._forgotten = 0
        self._unsorted: list[tuple[float, bool, Hop, bytes]] = []
        self._said: list[tuple[bool, bytes, str]] = []  # who claims or, if that is true, joins what

    def sent(self, data: bytes, hop: Hop) -> None:
        """Take note of a message given to the network."""
        self._unsorted.append((self._wall(), True, hop, data))
        if len(self._unsorted) >= _TOGETHER:
            self._sort()

    def received(self, data: bytes, hop: Hop) -> None:
        """Take note of a message that came from the network."""
        self._unsorted.append((self._wall(), False, hop, data))
        if len(self._unsorted) >= _TOGETHER:
            self._sort()

    def claim(self, call_id: str, owner: str = "") -> None:
        """Keep this Call-ID among the calls: it is one of ours.

        Args:
            call_id: of SIP.
            owner: id of the call of ours that it belongs to; a call out has several, one for each attempt.
        """
        self._said.append((False, _key(call_id), owner))

    def _claim(self, key: bytes, owner: str) -> None:
        kept = self._strays.pop(key, None)
        if kept is not None:
            self._sizes[0] -= kept.size
            self._sizes[1] += kept.size
            self._calls[key] = kept
        else:
            kept = self._calls.get(key)
            if kept is None:
                kept = self._calls[key] = _Kept()
        if owner and kept.owner != owner:
            self._disown(key, kept)
            kept.owner = owner
            self._owners.setdefault(owner, _Owned()).call_ids.append(key)
        self._make_room(1)

    def join(self, owner: str, other: str) -> None:
        """Count another call of ours among what belongs to this one: it was placed on its behalf."""
        self._said.append((True, other.encode(), owner))

    def _join(self, owner: str, other: str) -> None:
        owned = self._owners.get(owner)
        if owned is not None and other != owner and other not in owned.others:
            owned.others = (*owned.others, other)

    def of(self, call_id: str) -> tuple[Traced, ...]:
        """Give what is known of a Call-ID, in order; nothing if it is too long ago."""
        self._sort()
        return self._of(_key(call_id))

    def of_owner(self, owner: str) -> tuple[Traced, ...]:
        """Give what is known of a call of ours, every attempt and every call on its behalf, in order of time."""
        self._sort()
        found: dict[bytes, None] = {}
        self._collect(owner, found, set())
        messages = [message for key in found for message in self._of(key)]
        return tuple(sorted(messages, key=_at))

    def owner_of(self, call_id: str) -> str:
        """Give the call of ours that a Call-ID belongs to, "" for none."""
        self._sort()
        kept = self._calls.get(_key(call_id))
        return kept.owner if kept is not None else ""

    def _of(self, key: bytes) -> tuple[Traced, ...]:
        kept = self._calls.get(key) or self._strays.get(key)
        return tuple(kept.messages()) if kept is not None else ()

    def _collect(self, owner: str, found: dict[bytes, None], seen: set[str]) -> None:
        owned = self._owners.get(owner)
        if owned is None or owner in seen:
            return
        seen.add(owner)
        found.update(dict.fromkeys(owned.call_ids))
        for other in owned.others:
            self._collect(other, found, seen)

    def _disown(self, key: bytes, kept: _Kept) -> None:
        owned = self._owners.get(kept.owner)
        if owned is not None:
            owned.call_ids.remove(key)
            if not owned.call_ids:
                del self._owners[kept.owner]

    def strays(self, limit: int = 200) -> tuple[Traced, ...]:
        """Give the newest messages that belong to no call, in order."""
        self._sort()
        found = [message for kept in self._strays.values() for message in kept.messages()]
        return tuple(sorted(found, key=lambda message: message.at)[-limit:])

    @property
    def size_bytes(self) -> int:
        """How much memory is taken, about."""
        self._sort()
        return sum(self._sizes)

    @property
    def forgotten(self) -> int:
        """How many messages were let go to make room."""
        self._sort()
        return self._forgotten

    def _sort(self) -> None:
        """Put what came in its place, in the order in which it came; but first learn what belongs to calls."""
        unsorted, self._unsorted = self._unsorted, []
        said, self._said = self._said, []
        for joins, what, owner in said:
            if joins:
                self._join(owner, what.decode())
            else:
                self._claim(what, owner)
        calls, most = self._calls, self._most
        for at, sent, hop, data in unsorted:
            match = _usual(data)
            key = match[1] if match is not None else key_of(data)
            kept = calls.get(key)
            if kept is None:
                self._sort_stray(key, at, sent, hop, data)
                continue
            length = len(data)
            kept.block += _pack(at, sent, 0 if hop == kept.hop else kept.number_of(hop), length) + data
            kept.count += 1
            self._sizes[1] += length + _ENTRY_BYTES
            if kept.count > most:
                self._shorten(kept, 1)
        self._make_room(1)

    def _sort_stray(self, key: bytes, at: float, sent: bool, hop: Hop, data: bytes) -> None:
        """Put a message in its place that belongs to no call, as yet."""
        kept = self._strays.get(key)
        if kept is None:
            kept = self._strays[key] = _Kept()
        length = len(data)
        kept.block += _pack(at, sent, 0 if hop == kept.hop else kept.number_of(hop), length) + data
        kept.count += 1
        self._sizes[0] += length + _ENTRY_BYTES
        if kept.count > self._most:
            self._shorten(kept, 0)
        self._make_room(0)

    def _shorten(self, kept: _Kept, which: int) -> None:
        self._sizes[which] -= kept.drop_third() + _ENTRY_BYTES
        self._forgotten += 1

    def _make_room(self, which: int) -> None:
        """Forget whole calls, those that began first, until there is room."""
        room = self._rooms[which]
        if self._sizes[which] <= room:
            return
        table = self._calls if which else self._strays
        while self._sizes[which] > room and len(table) > 1:
            key, kept = table.popitem(last=False)
            self._disown(key, kept)
            self._sizes[which] -= kept.size
            self._forgotten += kept.count


def call_id_of(data: bytes) -> str:
    """Read the Call-ID of a message, well-formed or not; "" where none can be found."""
    return key_of(data).decode("latin-1")


def key_of(data: bytes) -> bytes:
    """Find the Call-ID of a message, as `call_id_of` does, and give its octets."""
    found = _usual(data) or _CALL_ID.search(data[:8192])
    return found[1] if found is not None else b""


def _key(call_id: str) -> bytes:
    return call_id.encode("latin-1", "replace").strip()


def _at(message: Traced) -> float:
    return message.at
