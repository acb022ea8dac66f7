"""Wrong sign-ins, counted by where they came from. Pure."""

import math
from collections import OrderedDict, deque

_MOST_HOSTS = 2000  # the ones that were wrong longest ago are forgotten first


class Tries:
    """Knows who was wrong too often of late."""

    def __init__(self, most: int, within_s: float) -> None:
        """Count nothing yet: `most` wrong ones within `within_s` seconds are too many."""
        self._most = most
        self._within_s = within_s
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, host: str, *, now: float) -> int:
        """Return how many whole seconds a host must wait; 0 for none."""
        wrong = self._recent(host, now)
        if wrong is None or len(wrong) < self._most:
            return 0
        return max(1, math.ceil(wrong[0] + self._within_s - now))

    def was_wrong(self, host: str, *, now: float) -> None:
        """Count one."""
        wrong = self._recent(host, now)
        if wrong is None:
            wrong = self._wrong[host] = deque(maxlen=self._most)
        wrong.append(now)
        self._wrong.move_to_end(host)
        if len(self._wrong) > _MOST_HOSTS:
            self._wrong.popitem(last=False)

    def _recent(self, host: str, now: float) -> deque[float] | None:
        wrong = self._wrong.get(host)
        while wrong and wrong[0] <= now - self._within_s:
            wrong.popleft()
        return wrong
