"""In which order the numbers of a pool take their turns. Every step costs the logarithm of their count, not the count.

A *turn* belongs to a position in a row. Positions open and close: a closed one (a number that rests, or has as many
calls as it may) is not looked at, however many there are.
"""

from collections.abc import Sequence
from typing import Literal

Order = Literal["round_robin", "least_recently_used", "weighted"]
Preference = Literal["sticky", "same_area", "same_country"]
ORDERS: tuple[Order, ...] = ("round_robin", "least_recently_used", "weighted")
PREFERENCES: tuple[Preference, ...] = ("sticky", "same_area", "same_country")
CLOSED = float("inf")
NEVER = float("-inf")


class Tournament:
    """Keys of positions, and the smallest of them; of equal ones the first."""

    __slots__ = ("_size", "_tree")

    def __init__(self, count: int) -> None:
        self._size = 1 << max(0, count - 1).bit_length()
        self._tree = [CLOSED] * (2 * self._size)

    def set(self, position: int, key: float) -> None:
        """Give a position its key; `CLOSED` takes it out."""
        tree, node = self._tree, self._size + position
        tree[node] = key
        while node > 1:
            node >>= 1
            left, right = tree[2 * node], tree[2 * node + 1]
            least = left if left <= right else right
            if tree[node] == least:
                return  # nothing changes further up
            tree[node] = least

    def fill(self, keys: Sequence[float]) -> None:
        """Give all positions their keys at once."""
        tree, size = self._tree, self._size
        tree[size : size + len(keys)] = keys
        for node in range(size - 1, 0, -1):
            tree[node] = min(tree[2 * node], tree[2 * node + 1])

    def first(self) -> int | None:
        """Return the position with the smallest key; None when all are closed."""
        tree, size, node = self._tree, self._size, 1
        if tree[1] == CLOSED:
            return None
        while node < size:
            node *= 2
            if tree[node] > tree[node + 1]:
                node += 1
        return node - size


class Turns:
    """Round robin: one after the other as they are listed; whoever was closed at its turn waits for the next round."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.open_count = 0
        self._keys = self._start(weights)
        self._open = [False] * len(weights)
        self._row = Tournament(len(weights))

    def _start(self, weights: Sequence[float]) -> list[float]:
        self._round, self._at = 0.0, -1
        return [0.0] * len(weights)

    def open_all(self) -> None:
        """Open every position."""
        self._open = [True] * len(self._keys)
        self.open_count = len(self._keys)
        self._row.fill(self._keys)

    def open(self, position: int) -> None:
        """Let a position take its turns (again)."""
        if not self._open[position]:
            self._open[position] = True
            self.open_count += 1
            self._keys[position] = self._returning(position)
            self._row.set(position, self._keys[position])

    def close(self, position: int) -> None:
        """Take a position out until it is opened."""
        if self._open[position]:
            self._open[position] = False
            self.open_count -= 1
            self._row.set(position, CLOSED)

    def first(self) -> int | None:
        """Return whose turn it is; None when all are closed."""
        return self._row.first()

    def skip_to(self, position: int) -> None:
        """Begin after this position, as if it had just had its turn."""
        self._at = position
        for before in range(position + 1):
            self._keys[before] = 1.0
        self._row.fill([key if is_open else CLOSED for key, is_open in zip(self._keys, self._open, strict=True)])

    def took(self, position: int, *, now: float, here: bool) -> None:
        """Note that a position was used.

        Args:
            now: monotonic seconds.
            here: it was its turn in this row; otherwise it was chosen in another one, and its turn here passes too.
        """
        self._keys[position] = self._after(position, now, here)
        if self._open[position]:
            self._row.set(position, self._keys[position])

    def _returning(self, position: int) -> float:
        return max(self._keys[position], self._round + (position <= self._at))

    def _after(self, position: int, now: float, here: bool) -> float:  # noqa: ARG002
        if here:
            self._round, self._at = self._keys[position], position
        return self._keys[position] + 1


class LeastRecentlyUsed(Turns):
    """Whoever was used longest ago; those never used first, as they are listed."""

    def _start(self, weights: Sequence[float]) -> list[float]:
        return [NEVER] * len(weights)

    def _returning(self, position: int) -> float:
        return self._keys[position]

    def _after(self, position: int, now: float, here: bool) -> float:  # noqa: ARG002
        return now


class Weighted(Turns):
    """By weight and spread evenly: with weights 3 and 1 the first has three turns of four, and never all at once.

    Each position has its turn every 1/weight of a common clock. Where in its first interval it begins differs from
    position to position, so that equal weights do not come in clumps.
    """

    def _start(self, weights: Sequence[float]) -> list[float]:
        self._clock = 0.0
        self._steps = [1.0 / weight for weight in weights]
        return [_spread(index) * step for index, step in enumerate(self._steps)]

    def _returning(self, position: int) -> float:
        return max(self._keys[position], self._clock)  # what it missed while it was closed is not made up for

    def _after(self, position: int, now: float, here: bool) -> float:  # noqa: ARG002
        if here:
            self._clock = self._keys[position]
        return self._keys[position] + self._steps[position]


def _spread(index: int) -> float:
    """Return 1/2, 1/4, 3/4, 1/8, 5/8 ...: each next one as far from the others as it gets (van der Corput)."""
    digits, fraction, part = index + 1, 0.0, 0.5
    while digits:
        if digits & 1:
            fraction += part
        digits >>= 1
        part /= 2
    return fraction


ROWS: dict[str, type[Turns]] = {"round_robin": Turns, "least_recently_used": LeastRecentlyUsed, "weighted": Weighted}
