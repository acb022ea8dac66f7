"""Which new calls are refused at once when more comes than can be done.

What nobody has had time to read waits with the system. A request that waits for longer than T1 is sent again, and so is
whatever else waits behind it: each repetition costs time in which something else is sent again, until no call comes
to its end. So as soon as waiting has become the rule, calls that have waited too long are told to come back later,
which costs a tenth of taking them; and those that are about to be sent again anyway are not even read. What belongs to
a call is always taken: it is what lets calls end.
"""

import re
from dataclasses import dataclass
from math import inf
from zlib import crc32

from sipflow.errors import LocalProtocolError
from sipflow.sip.message import Request
from sipflow.sip.transaction.overload import Busy

_GAP_S = 0.5  # waits that are further apart are two troubles, and not one that lasts
_HOLD_S = 5.0  # how long after the last of them a new one need not last first
_CLOCK_SET_S = 120.0  # nothing waits for so long: every transaction has given up by then, so somebody set the clock
_RETRY_S = (1, 2, 3)  # spread, or all of them come back together; short, for proxies send nothing at all until then
_T1_S = 0.5  # RFC 3261 §17.1.1.1: a loop that is later has everything sent again; what is less, busy machines have, too
_UNREAD = 2  # waits of that many times `wait_s` have calls left unread, which costs another tenth; still below T1
_WITH_TAG = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)  # RFC 3261 §12.2: in a dialog
_REFUSED = b";tag=busy-"  # what `refuse_statelessly` marks its answers with
_WHY = "more calls come in than can be handled"


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When new calls are refused because what comes has to wait.

    Attributes:
        wait_s: a new call that has waited longer before it was read is refused, with 503 and Retry-After; below T1
            (0.5 s), after which everything is sent again.
        grace_s: but only once waits of that length have been the rule for so long; a stall that is over by then costs
            no call.
        stale_s: a new call that waited longer gets no answer at all: its caller has sent it again since, and that is
            read in its turn, or has given up, and an agent would talk to nobody.

    Raises:
        LocalProtocolError: a value is outside its range. The sentence begins with the field's name and a colon.
    """

    wait_s: float = 0.2
    grace_s: float = 1.0
    stale_s: float = 4.0

    def __post_init__(self) -> None:
        if not 0.02 <= self.wait_s <= 30:
            raise LocalProtocolError(f"wait_s: {self.wait_s:g} is not in 0.02..30")
        if not 0 <= self.grace_s <= 60:
            raise LocalProtocolError(f"grace_s: {self.grace_s:g} is not in 0..60")
        if not self.wait_s <= self.stale_s <= 60:
            raise LocalProtocolError(f"stale_s: {self.stale_s:g} is not between wait_s and 60")


class Brake:
    """Told how long what is read has waited; asked about each new call.

    Attributes:
        wait_s: how long what is being read now has waited, in seconds.
        worst_s: the longest of all waits since somebody last set it to 0.
        lag_s: by how much the loop came late to what was due last.
        refused: calls that were told to come back.
        unread: INVITEs that were left unread, repetitions included.
    """

    def __init__(self, settings: OverloadSettings) -> None:
        self.wait_s = self.worst_s = self.lag_s = 0.0
        self.refused = self.unread = 0
        self._settings = settings
        self._since = self._last = -inf  # of the waits that are too long
        self._until = -inf
        self._see(False)

    def waited(self, wait_s: float, *, now: float) -> None:
        """Learn how long what is read next has waited; `dry` says that nothing does any more."""
        if wait_s > _CLOCK_SET_S:
            wait_s = 0.0
        self.wait_s = wait_s
        if wait_s <= self._settings.wait_s:
            return
        self._too_long(wait_s, now, now)

    def late(self, lag_s: float, *, now: float) -> None:
        """Learn by how much the loop comes late to what is due: whatever there is to read waits for as long."""
        self.lag_s = lag_s
        if max(_T1_S, self._settings.wait_s) < lag_s <= _CLOCK_SET_S:
            self._too_long(lag_s, now - lag_s, now)

    def _too_long(self, wait_s: float, began: float, now: float) -> None:
        self.worst_s = max(self.worst_s, wait_s)
        if began - self._last > _GAP_S:
            self._since = now
        self._last = now
        if now - self._since >= self._settings.grace_s or now < self._until:
            self._until = now + _HOLD_S
        self._see(now < self._until)

    def stream_busy(self, busy_s: float, *, now: float) -> None:
        """Learn that there has always been something to read on a connection for so long.

        A stream does not say when its octets came; more waits with its sender, and may have for just as long.
        """
        self.waited(max(busy_s, self.lag_s), now=now)

    def _see(self, on: bool) -> None:
        settings = self._settings
        self._on = on
        self._readable_s = min(_UNREAD * settings.wait_s, settings.stale_s) if on else settings.stale_s

    def dry(self) -> None:
        """Learn that all there was has been read."""
        self.wait_s = 0.0

    def on(self, *, now: float) -> bool:
        """Whether a call that waited too long would be refused now."""
        return now < self._until

    def left_s(self, *, now: float) -> float:
        """How much longer calls that wait too long are refused, if none of them comes; 0 where they are taken."""
        return max(0.0, self._until - now)

    def leaves(self, datagram: bytes) -> bool:
        """Whether what has just come need not even be read."""
        if self.wait_s > self._readable_s and datagram.startswith(b"INVITE ") and _WITH_TAG.search(datagram) is None:
            self.unread += 1
            return True
        return self._on and datagram.startswith(b"ACK ") and _REFUSED in datagram

    def judge(self, request: Request) -> Busy | None:
        """Say whether a request that has no transaction yet is taken: None, or how it is refused."""
        if self.wait_s <= self._settings.wait_s or not self._on or request.method != "INVITE":
            return None
        self.refused += 1
        return Busy(_RETRY_S[crc32(request.call_id.encode("utf-8", "surrogateescape")) % len(_RETRY_S)], _WHY)
