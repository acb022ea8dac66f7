"""How many messages one source may send: token buckets, for sources nobody has vouched for."""

from collections import OrderedDict

_SOURCES = 16_384  # remembered; more sources at a time push out those that were heard longest ago


class SourceBuckets:
    """Counts what each source sends.

    Args:
        rate: messages a second that a source may send for long.
        burst: messages it may send at once.

    Attributes:
        refused: how many messages were too many.
    """

    def __init__(self, *, rate: float, burst: float) -> None:
        self.refused = 0
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # source -> tokens, when counted

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, source: str, *, now: float) -> bool:
        """Take a token for one message of `source`; False when it has none left."""
        tokens, since = self._buckets.pop(source, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[source] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > _SOURCES:
            self._buckets.popitem(last=False)
        if not allowed:
            self.refused += 1
        return allowed
