"""Which number each pool called somebody from, as it is kept: who calls again is seen with the same number."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sipflow.numbers.pools import Pools
from sipflow.store.keeper import Kept, Key
from sipflow.store.settings import Settings

KEEP = timedelta(days=90)  # callees that nobody calls any more
_LONGEST_CALLEE = 200


def kept_for(settings: Settings) -> timedelta:
    """How long a callee is remembered: never longer than the records of their calls."""
    days = settings.keep_records_days
    return KEEP if days is None else min(KEEP, timedelta(days=days))


class PoolCallees:
    """What sticky pools remember, for `keeper.Keeper`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def take_changed(self) -> Mapping[Key, Any]:
        """Return the number of every callee that was called, None for one that is forgotten."""
        return {
            (name, callee): number
            for name, pool in self._pools.named.items()
            for callee, number in pool.callees.take_changed().items()
            if len(callee) <= _LONGEST_CALLEE
        }

    def put_back(self, keys: Iterable[Key]) -> None:
        """Count these as changed again."""
        for name, callee in keys:
            if (pool := self._pools.named.get(name)) is not None:
                pool.callees.put_back(callee)

    def forget(self, key: Key) -> None:
        """Forget a callee whom nobody has called for long enough."""
        name, callee = key
        if (pool := self._pools.named.get(name)) is not None:
            pool.callees.forget(callee)

    def restore(self, kept: Sequence[Kept]) -> None:
        """Remember what pools that are still there knew; the latest comes first."""
        for (name, callee), number, _ in kept:
            pool = self._pools.named.get(name)
            if pool is not None and isinstance(number, str):
                pool.callees.restore(callee, number, most=pool.settings.remember)
