"""What is used of the budgets against toll fraud, as it is kept: nobody gets a new day by making us start again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sipflow.calls.tolls import Tolls
from sipflow.store.keeper import Kept, Key

KEEP = timedelta(days=3)  # budgets are of a day, wherever midnight is


class TollUse:
    """The budgets, for `keeper.Keeper`."""

    def __init__(self, tolls: Tolls) -> None:
        self._tolls = tolls

    def take_changed(self) -> Mapping[Key, Any]:
        """Return what is used of every budget of which more is used."""
        return {(name,): state for name, state in self._tolls.take_changed().items()}

    def put_back(self, keys: Iterable[Key]) -> None:
        """Count these as changed again."""
        self._tolls.put_back(name for (name,) in keys)

    def restore(self, kept: Sequence[Kept]) -> None:
        """Count what an earlier process has used today."""
        self._tolls.restore({each.key[0]: each.state for each in kept})
