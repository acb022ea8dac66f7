"""How much longer than the fastest packet the others of a stream take: what a jitter buffer has to wait for."""

from math import inf

_WINDOW_PACKETS = 50  # between two looks at the whole
_WINDOWS = 4  # the fastest packet of this many windows is what the others are measured against
_MEMORY = 0.9  # what is left of a window's weight after the next: half of it is gone after seven
_UNCOVERED = 0.008  # share of the packets that may come later than `need`
_BIN_MS = 2.5
_DRIFTING = 3  # windows in a row whose base rises: that is no chance
_FORGOTTEN = 0.01  # packets: no more than this counts as none
_SAME_MS = 0.1  # differences that do not matter


class Transit:
    """Remembers the transit times of one stream's packets, and forgets them slowly.

    A transit time is arrival minus timestamp, both in ticks. Its absolute value means nothing, as the two clocks have
    nothing to do with each other; its least value of the last seconds, `base`, is a packet that nothing held up. The
    base follows the drift of the clocks: down at once, up within some seconds.

    Attributes:
        base: the least transit time of the last seconds, in ticks.
        need: ticks above `base` within which all but one in a hundred or so packets come.
        rising: the sender's clock is the slower one: `base` keeps moving up.
    """

    __slots__ = (
        "_bin",
        "_calm",
        "_counts",
        "_early",
        "_left",
        "_low",
        "_minima",
        "_rises",
        "_top",
        "_weight",
        "base",
        "need",
        "rising",
    )

    def __init__(self, clock_rate_hz: int, *, longest_ms: int) -> None:
        """Start with nothing known; `need` never says more than about `longest_ms`."""
        self._bin = max(_BIN_MS * clock_rate_hz / 1000, 1.0)
        self._early = -_SAME_MS * clock_rate_hz / 1000
        self._top = max(int(longest_ms / _BIN_MS) - 1, 1)
        self._counts = [0.0] * (self._top + 1)  # the first stays 0: it is what is left of `_weight`
        self._calm = True  # all are 0
        self._weight = 0.0  # of all packets before this window
        self._left = _WINDOW_PACKETS
        self._low = inf
        self._minima = [inf] * _WINDOWS
        self.base = inf
        self.need = 0.0
        self._rises, self.rising = 0, False  # windows in a row with a higher base than the one before

    def add(self, transit: float) -> None:
        """Take the transit time of one packet, in ticks; late and reordered ones too, duplicates not."""
        if transit < self._low:
            self._low = transit
        late = transit - self.base
        if late >= self._bin:  # seldom where the network is calm
            number, top = int(late / self._bin), self._top
            self._counts[number if number < top else top] += 1.0
            self._calm = False
            if late > self.need:
                self._weigh()
        elif late < self._early:
            self.base = transit
            self._rises, self.rising = 0, False
        self._left -= 1
        if not self._left:
            self._roll()

    def rebase(self, transit: float) -> None:
        """Measure from this transit time on: a new time line. What is known of the spread stays."""
        self._minima = [transit] * _WINDOWS
        self._low = self.base = transit
        self._rises, self.rising = 0, False

    def _weigh(self) -> None:
        """Find the bin above which only the few stand that may come too late."""
        allowed = _UNCOVERED * (self._weight + _WINDOW_PACKETS - self._left)
        above = 0.0
        for number in range(self._top, 0, -1):
            above += self._counts[number]
            if above > allowed:
                self.need = (number + 1) * self._bin
                return
        self.need = 0.0

    def _roll(self) -> None:
        """End a window: forget a little, and let the base rise if nothing has been so fast for some windows."""
        self._minima = [self._low, *self._minima[:-1]]
        base = min(self._minima)
        rise = base - self.base
        self._rises = self._rises + 1 if rise > 0 else 0
        self.rising = self._rises >= _DRIFTING
        self.base = base
        self._low = inf
        self._left = _WINDOW_PACKETS
        self._weight = (self._weight + _WINDOW_PACKETS) * _MEMORY
        if not self._calm:
            bins = int(min(max(rise / self._bin, 0), self._top))  # so much less late than they were held to be
            counts = [count * _MEMORY if count > _FORGOTTEN else 0.0 for count in self._counts[bins:]]
            counts[0] = 0.0
            self._counts = counts + [0.0] * bins
            self._calm = not any(counts)
            self._weigh()
