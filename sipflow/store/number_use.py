"""What is known of numbers' use, as it is kept: when they were called from, how often today, whether they rest."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sipflow.numbers.use import Book
from sipflow.store.keeper import Kept, Key

KEEP = timedelta(days=90)  # numbers that nobody calls from any more


class NumberUse:
    """The book of numbers, for `keeper.Keeper`.

    Args:
        clock: monotonic seconds, those of the book.
    """

    def __init__(self, book: Book, *, clock: Callable[[], float]) -> None:
        self._book = book
        self._clock = clock

    def take_changed(self) -> Mapping[Key, Any]:
        """Return the state of every number whose use has changed."""
        now = self._clock()
        return {(use.number,): use.state(now) for use in self._book.take_changed()}

    def put_back(self, keys: Iterable[Key]) -> None:
        """Count these as changed again."""
        self._book.put_back(number for (number,) in keys)

    def restore(self, kept: Sequence[Kept]) -> None:
        """Take in what was kept, as it is by now."""
        self._book.restore({each.key[0]: _aged(each.state, each.age_s) for each in kept}, self._clock())


def _aged(state: dict[str, Any], age_s: float) -> dict[str, Any]:
    """Return a state as it is by now; one that cannot be read is the book's to leave out."""
    try:
        used_s_ago = state["used_s_ago"]
        return {
            **state,
            "used_s_ago": None if used_s_ago is None else used_s_ago + age_s,
            "rests_for_s": max(0.0, state["rests_for_s"] - age_s),
        }
    except (KeyError, TypeError):
        return {}
