"""How many calls ended how, how long things took, and how they sounded: counted as calls end, in bounded memory."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from sipflow.calls.record import CallRecord

_MOST_NAMES = 100  # of trunks and of agents that are counted by name
_MOST_NUMBERS = 500
_MOST_LINES = 5_000  # combinations of direction, trunk, agent and ending
OTHER, NONE = "other", "none"

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0)
TALK_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
LOSS = (0.0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
JITTER_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
ROUND_TRIP_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
OPINION = (1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4)


class Histogram:
    """Values counted in buckets.

    Attributes:
        bounds: upper ends of the buckets, each included; beyond the last there is one more.
        counts: of each bucket.
        total: of all values together.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Line(NamedTuple):
    """What calls are counted by.

    Attributes:
        direction: "inbound" or "outbound".
        trunk, agent: names that are there, "other" for those that are not, "none" where there was none.
        answered: "yes" or "no".
        ending: our word for how it ended.
    """

    direction: str
    trunk: str
    agent: str
    answered: str
    ending: str


class Names:
    """Lets through the names that are there, the first so many of them; whatever else there is becomes `other`."""

    def __init__(self, known: Callable[[str], bool], most: int = _MOST_NAMES) -> None:
        self._known = known
        self._most = most
        self._seen: set[str] = set()

    def label(self, name: str) -> str:
        """Return the name, or what it counts as."""
        if not name:
            return NONE
        if name in self._seen:
            return name
        if len(self._seen) >= self._most or not self._known(name):
            return OTHER
        self._seen.add(name)
        return name


class CallTally:
    """Counts the calls that are over.

    Attributes:
        trunks, agents, numbers: which names are counted by themselves.
        calls: by what `Line` says.
        of_numbers: by number of ours, and direction.
        setup: seconds from the INVITE to the first ring, or the answer where nothing rang, by direction.
        answer: seconds from the INVITE to the answer, by direction.
        talk: seconds from the answer to the end, by direction.
        loss, jitter, round_trip, opinion: of the audio by trunk: the share of packets lost, seconds, seconds, and the
            mean opinion score.
        recordings: calls that were recorded.
    """

    def __init__(
        self,
        *,
        trunks: Callable[[str], bool],
        agents: Callable[[str], bool],
        numbers: Callable[[str], bool],
    ) -> None:
        """Count nothing yet; the arguments say whether there is a trunk, an agent, a number of a name."""
        self.trunks, self.agents = Names(trunks), Names(agents)
        self.numbers = Names(numbers, _MOST_NUMBERS)
        self.calls: Counter[Line] = Counter()
        self.of_numbers: Counter[tuple[str, str]] = Counter()
        self.setup: dict[str, Histogram] = {}
        self.answer: dict[str, Histogram] = {}
        self.talk: dict[str, Histogram] = {}
        self.loss: dict[str, Histogram] = {}
        self.jitter: dict[str, Histogram] = {}
        self.round_trip: dict[str, Histogram] = {}
        self.opinion: dict[str, Histogram] = {}
        self.recordings = 0

    def over(self, record: CallRecord) -> None:
        """Count a call that is over."""
        trunk, answered = self.trunks.label(record.trunk), record.answered_at is not None
        word = str(record.ending.word) if record.ending is not None else NONE
        line = Line(record.direction, trunk, self.agents.label(record.agent), "yes" if answered else "no", word)
        if line not in self.calls and len(self.calls) >= _MOST_LINES:
            line = line._replace(trunk=OTHER, agent=OTHER)
        self.calls[line] += 1
        if record.number:
            self.of_numbers[self.numbers.label(record.number), record.direction] += 1
        self._time(record)
        if record.quality is not None:
            self._hear(record, trunk)
        self.recordings += bool(record.recording)

    def _time(self, record: CallRecord) -> None:
        began = record.attempts[0].started_at if record.attempts else record.started_at
        first = record.ringing_at or record.answered_at
        if first is not None:
            _add(self.setup, record.direction, SECONDS, max(0.0, (first - began).total_seconds()))
        if record.answered_at is not None:
            _add(self.answer, record.direction, SECONDS, max(0.0, (record.answered_at - began).total_seconds()))
            _add(self.talk, record.direction, TALK_SECONDS, max(0.0, record.talk_s))

    def _hear(self, record: CallRecord, trunk: str) -> None:
        quality = record.quality
        assert quality is not None
        _add(self.loss, trunk, LOSS, quality.loss_percent / 100)
        _add(self.jitter, trunk, JITTER_SECONDS, quality.jitter_ms / 1000)
        _add(self.opinion, trunk, OPINION, quality.mos)
        if quality.round_trip_ms is not None:
            _add(self.round_trip, trunk, ROUND_TRIP_SECONDS, quality.round_trip_ms / 1000)


def _add(histograms: dict[str, Histogram], key: str, bounds: tuple[float, ...], value: float) -> None:
    histogram = histograms.get(key)
    if histogram is None:
        histogram = histograms[key] = Histogram(bounds)
    histogram.add(value)
