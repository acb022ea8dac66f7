"""Which number a pool called each callee from last. Bounded: those called longest ago are forgotten."""

from collections import OrderedDict


class Callees:
    """What one pool remembers, and what of it has changed since that was last asked."""

    __slots__ = ("_changed", "_numbers")

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, str] = OrderedDict()  # whoever was called last, last
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number_of(self, callee: str) -> str | None:
        """Return the number that a callee was called from, None for one that is not remembered."""
        return self._numbers.get(callee)

    def called(self, callee: str, number: str, *, most: int) -> None:
        """Remember a call; of more than `most` callees the oldest are forgotten."""
        self._numbers[callee] = number
        self._numbers.move_to_end(callee)
        self._changed[callee] = None
        while len(self._numbers) > most:
            forgotten, _ = self._numbers.popitem(last=False)
            self._changed[forgotten] = None
        if len(self._changed) > 2 * most:  # nobody asks for it: what was forgotten meanwhile need not be told
            self._changed = dict.fromkeys(each for each in self._changed if each in self._numbers)

    def take_changed(self) -> dict[str, str | None]:
        """Return who was called or forgotten since this was last asked, with the number; None for forgotten."""
        changed, self._changed = self._changed, {}
        return {callee: self._numbers.get(callee) for callee in changed}

    def put_back(self, callee: str) -> None:
        """Count a callee as changed again."""
        self._changed[callee] = None

    def forget(self, callee: str) -> None:
        """Remember a callee no more, unless they were called just now."""
        if callee not in self._changed:
            self._numbers.pop(callee, None)

    def restore(self, callee: str, number: str, *, most: int) -> None:
        """Remember what an earlier process knew: older than all that is known, and forgotten where there is no room."""
        if callee in self._numbers:
            return
        if len(self._numbers) >= most:
            self._changed[callee] = None
            return
        self._numbers[callee] = number
        self._numbers.move_to_end(callee, last=False)
