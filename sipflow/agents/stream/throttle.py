"""How much a bot may send: so much at once, and so much a second."""


class Throttle:
    """A bucket of tokens that fills again with time. Time is passed in."""

    __slots__ = ("_at", "_left", "_most", "_per_s")

    def __init__(self, most: float, per_s: float, *, now: float) -> None:
        """Begin with `most` tokens; `per_s` come back each second."""
        self._most = self._left = most
        self._per_s = per_s
        self._at = now

    def take(self, count: float, now: float) -> float:
        """Take tokens, even such as are not there; gives the seconds until none are owed, 0 if none are."""
        left = self._left - count
        if left < 0 or now - self._at > 1:
            left = min(self._most, left + count + (now - self._at) * self._per_s) - count
            self._at = now
        self._left = left
        return 0.0 if left >= 0 else -left / self._per_s
