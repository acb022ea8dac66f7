"""How late things happen: a histogram that costs an addition."""

BUCKET_MS = 0.1
_BUCKETS = 2000  # 200 ms


class Lateness:
    """Counts events by how late they were, in steps of 0.1 ms up to 200 ms.

    Attributes:
        count: events counted.
        worst_ms: the latest of all, in milliseconds.
    """

    __slots__ = ("_buckets", "count", "worst_ms")

    def __init__(self) -> None:
        self._buckets = [0] * (_BUCKETS + 1)
        self.count = 0
        self.worst_ms = 0.0

    def add(self, late_s: float, weight: int = 1) -> None:
        """Count `weight` events that were `late_s` seconds late; an early one is on time."""
        late_ms = 1000 * late_s
        if late_ms > self.worst_ms:
            self.worst_ms = late_ms
        self._buckets[min(max(int(late_ms / BUCKET_MS), 0), _BUCKETS)] += weight
        self.count += weight

    def percentile(self, percent: float) -> float:
        """Give the milliseconds that `percent` percent of the events were not later than; 0.0 without events.

        Exact to 0.1 ms, on the late side; beyond 200 ms it is the worst one.
        """
        left = self.count * percent / 100
        for number, events in enumerate(self._buckets):
            left -= events
            if events and left <= 1e-9:
                return min((number + 1) * BUCKET_MS, self.worst_ms) if number < _BUCKETS else self.worst_ms
        return 0.0

    def within(self, late_ms: float) -> float:
        """Give the share of events, 0 to 1, that were at most `late_ms` late; 1.0 without events."""
        inside = sum(self._buckets[: min(round(late_ms / BUCKET_MS), _BUCKETS)])
        return inside / self.count if self.count else 1.0

    @property
    def total_ms(self) -> float:
        """How late all events were together, about: each counts as the middle of its step."""
        return sum((number + 0.5) * BUCKET_MS * events for number, events in enumerate(self._buckets) if events)

    def reset(self) -> None:
        """Forget everything counted, so that a measurement can begin."""
        self._buckets[:] = [0] * (_BUCKETS + 1)
        self.count = 0
        self.worst_ms = 0.0
