"""How the audio of each call fared over its time: a point every few seconds, in memory, live and for a while after.

The calls take turns, so that many of them do not hold up audio all at once. A call that lasts for hours is remembered
in fewer points further apart: every second one goes whenever there are too many.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sipflow.calls.call import Call

BEATS_A_ROUND = 50  # of a tenth of a second: so each call has its turn every five
_MOST_POINTS = 240  # of one call: twenty minutes of them, then twice as far apart
_FINISHED_KEPT = 200


class QualityPoint(NamedTuple):
    """What was heard of the far end since the point before.

    Attributes:
        at: UTC wall clock.
        packets: that came.
        loss_percent: of those that should have come; None where none should.
        jitter_ms, round_trip_ms, mos: as of then; None while unknown.
    """

    at: datetime
    packets: int
    loss_percent: float | None
    jitter_ms: float
    round_trip_ms: float | None
    mos: float | None


class _Counters(NamedTuple):
    """Of a call, since its beginning."""

    at: datetime
    received: int
    lost: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float | None


class _Track:
    """The counters of one call, now and then."""

    __slots__ = ("_turns", "_wanted_every", "counters")

    def __init__(self) -> None:
        self.counters: list[_Counters] = []
        self._wanted_every = 1
        self._turns = 0

    def wants(self) -> bool:
        """Whether it is to be looked at in this turn."""
        self._turns += 1
        return self._turns % self._wanted_every == 0

    def add(self, counters: _Counters) -> None:
        """Add a point."""
        self.counters.append(counters)
        if len(self.counters) > _MOST_POINTS:
            del self.counters[::2]
            self._wanted_every *= 2


class QualityTracks:
    """Looks at the calls in turn, a few at each `beat`."""

    def __init__(self, live: Mapping[str, "Call"], *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Know nothing yet; `live` has the calls that are up, by id."""
        self._live = live
        self._wall = wall
        self._turns: deque[str] = deque()
        self._at_once = 1
        self._beats = 0
        self._tracks: OrderedDict[str, _Track] = OrderedDict()

    def beat(self) -> None:
        """Look at those whose turn it is; to be called ten times a second."""
        if self._beats == 0:
            self._turns.extend(self._live)
            self._at_once = -(-len(self._turns) // BEATS_A_ROUND)
            self._forget()
        self._beats = (self._beats + 1) % BEATS_A_ROUND
        for _ in range(min(self._at_once, len(self._turns))):
            self._look(self._turns.popleft())

    def of(self, call_id: str) -> Sequence[QualityPoint]:
        """Return the points of a call, in order; none of one that is unknown, forgotten or has had no audio."""
        track = self._tracks.get(call_id)
        if track is None:
            return ()
        before = _Counters(self._wall(), 0, 0, 0.0, None, None)
        points = []
        for each in track.counters:
            received, lost = each.received - before.received, each.lost - before.lost
            expected = received + lost
            loss_percent = round(min(100.0, max(0.0, 100 * lost / expected)), 2) if expected > 0 else None
            points.append(QualityPoint(each.at, max(0, received), loss_percent, *each[3:]))
            before = each
        return points

    def _look(self, call_id: str) -> None:
        call = self._live.get(call_id)
        heard = call.statistics if call is not None and call.answered else None
        if heard is None:
            return
        track = self._tracks.get(call_id)
        if track is None:
            track = self._tracks[call_id] = _Track()
        if track.wants():
            jitter_ms, round_trip_ms, mos = round(heard.jitter_ms, 2), heard.round_trip_ms, heard.opinion
            track.add(_Counters(self._wall(), heard.packets_received, heard.lost, jitter_ms, round_trip_ms, mos))

    def _forget(self) -> None:
        """Let the oldest of the calls that are over go."""
        over = [call_id for call_id in self._tracks if call_id not in self._live]
        for call_id in over[: max(0, len(over) - _FINISHED_KEPT)]:
            del self._tracks[call_id]
