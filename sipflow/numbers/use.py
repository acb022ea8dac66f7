"""What is known of each number's use: calls that are up, how many there were today, whether it rests.

One number can be in many pools; its caps and its rest are its own, and every pool sees the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from sipflow.errors import LocalProtocolError
from sipflow.numbers.resting import Health

Kind = Literal["resting", "day", "second", "calls"]
NEVER_ENDS = float("inf")
_ON_PROBATION = 1  # call at a time
_SAME_MOMENT_S = 1e-6  # sums of fractions are never quite what they should be


class Day(NamedTuple):
    """The day that calls are counted by.

    Attributes:
        ordinal: one more than yesterday's.
        ends_at: monotonic seconds.
    """

    ordinal: int
    ends_at: float


class Block(NamedTuple):
    """Why a number cannot be called from now.

    Attributes:
        kind: it rests, or has had its calls of the day, or of the second, or has as many up as it may.
        until: monotonic seconds; infinite where it ends with a call.
    """

    kind: Kind
    until: float


@dataclass(frozen=True, slots=True)
class Caps:
    """What one number may do; None for no limit.

    Attributes:
        max_calls: up at once, in and out.
        calls_per_second: out; 0.1 is one in ten seconds.
        calls_per_day: out.

    Raises:
        LocalProtocolError: one of them is not more than 0.
    """

    max_calls: int | None = None
    calls_per_second: float | None = None
    calls_per_day: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_calls", "calls_per_second", "calls_per_day"):
            value = getattr(self, name)
            if value is not None and not 0 < value < NEVER_ENDS:
                raise LocalProtocolError(f"{name}: must be more than 0, not {value}")

    def __bool__(self) -> bool:
        return self != NO_CAPS

    def strictest(self, other: "Caps") -> "Caps":
        """Return the stricter of both, one by one."""
        if not other:
            return self
        return Caps(
            _less(self.max_calls, other.max_calls),
            _less(self.calls_per_second, other.calls_per_second),
            _less(self.calls_per_day, other.calls_per_day),
        )


def _less(one: Any, other: Any) -> Any:
    return min((value for value in (one, other) if value is not None), default=None)


class Seat(Protocol):
    """A place of a number in a pool."""

    def used(self, now: float) -> None:
        """Note that the number was used through another pool."""

    def changed(self, block: Block | None) -> None:
        """Note whether the number can be called from."""


class Use:
    """The use of one number.

    Attributes:
        number: its name.
        caps: what it may do.
        live: calls that are up.
        used_at: when it was last called from, monotonic; None if it never was.
        health: how its calls fare.
        seats: its places in pools.
    """

    __slots__ = ("_day", "_next_at", "_today", "caps", "health", "live", "number", "seats", "used_at")

    def __init__(self, number: str) -> None:
        self.number = number
        self.caps = NO_CAPS
        self.live = 0
        self.used_at: float | None = None
        self.health = Health()
        self.seats: list[Seat] = []
        self._day = self._today = 0
        self._next_at = 0.0  # when the next call is due at the rate it may have (as in GCRA)

    def block(self, now: float, day: Day) -> Block | None:
        """Say why it cannot be called from now, if so."""
        caps, health = self.caps, self.health
        if health.until > now:
            return Block("resting", health.until)
        if caps.calls_per_day is not None and self.today(day) >= caps.calls_per_day:
            return Block("day", max(day.ends_at, now + 1))
        most = _ON_PROBATION if health.on_probation else caps.max_calls
        if most is not None and self.live >= most:
            return Block("calls", NEVER_ENDS)
        if caps.calls_per_second is not None:
            due = self._next_at - max(0.0, caps.calls_per_second - 1) / caps.calls_per_second
            if due > now + _SAME_MOMENT_S:
                return Block("second", due)
        return None

    def today(self, day: Day) -> int:
        """Calls out so far today."""
        return self._today if self._day == day.ordinal else 0

    def took(self, now: float, day: Day) -> None:
        """Count a call out; the pools are told by `Book`."""
        self.live += 1
        self.used_at = now
        self._today = self.today(day) + 1
        self._day = day.ordinal
        if self.caps.calls_per_second is not None:
            self._next_at = max(self._next_at, now) + 1 / self.caps.calls_per_second

    def tell(self, now: float, day: Day) -> None:
        """Tell its pools whether it can be called from."""
        if self.seats:
            block = self.block(now, day)
            for seat in self.seats:
                seat.changed(block)

    def state(self, now: float) -> dict[str, Any]:
        """Return what `restore` takes, times as seconds from `now`."""
        health = self.health
        return {
            "used_s_ago": round(now - self.used_at, 3) if self.used_at is not None else None,
            "rests_for_s": round(health.until - now, 3) if health.until > now else 0,
            "day": self._day,
            "today": self._today,
            "health": health.state(),
        }

    def restore(self, state: Mapping[str, Any], now: float) -> None:
        """Go on where `state` was taken.

        Raises:
            KeyError, TypeError, ValueError: it is no such state.
        """
        used_s_ago = state["used_s_ago"]
        self.used_at = None if used_s_ago is None else now - float(used_s_ago)
        self._day, self._today = int(state["day"]), int(state["today"])
        self.health.restore(state["health"])
        rests_for_s = float(state["rests_for_s"])
        self.health.until = now + rests_for_s if rests_for_s > 0 else 0.0


NO_CAPS = Caps()


class Book:
    """The use of all numbers that are in a pool or have a cap."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._uses)

    def __iter__(self) -> Iterator[Use]:
        return iter(self._uses.values())

    def use(self, number: str) -> Use:
        """Return the use of a number, known so far or not."""
        use = self._uses.get(number)
        if use is None:
            use = self._uses[number] = Use(number)
        return use

    def find(self, number: str) -> Use | None:
        """Return the use of a number that is known."""
        return self._uses.get(number)

    def occupied(self, use: Use, now: float, day: Day) -> None:
        """Count a call in."""
        use.live += 1
        use.tell(now, day)

    def took(self, number: str, now: float, day: Day) -> Use:
        """Count a call out."""
        use = self.use(number)
        use.took(now, day)
        self._changed.add(number)
        use.tell(now, day)
        for seat in use.seats:
            seat.used(now)
        return use

    def released(self, number: str, now: float, day: Day) -> None:
        """Count out a call in or out. What it says about the number is the pool's to judge (`Pool.judge`)."""
        use = self._uses.get(number)
        if use is not None and use.live > 0:
            use.live -= 1
            use.tell(now, day)

    def changed(self, number: str, now: float, day: Day) -> None:
        """Note that a number's health or caps changed."""
        self._changed.add(number)
        self.use(number).tell(now, day)

    def take_changed(self) -> list[Use]:
        """Return what must be kept for the next start and has changed since this was last asked."""
        changed, self._changed = self._changed, set()
        return [use for use in map(self._uses.get, changed) if use is not None]

    def put_back(self, numbers: Iterable[str]) -> None:
        """Count these as changed again: they could not be kept."""
        self._changed.update(numbers)

    def restore(self, states: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """Take in what an earlier process kept; what cannot be read is as if it had not been kept."""
        for number, state in states.items():
            use = Use(number)
            try:
                use.restore(state, now)
            except (KeyError, TypeError, ValueError, IndexError):
                continue
            known = self._uses.get(number)
            if known is None:
                self._uses[number] = use
            elif known.used_at is None:  # calls of today's process count more than what was kept
                known.restore(state, now)

    def forget(self) -> None:
        """Drop numbers that are in no pool and have neither cap nor call."""
        self._uses = {number: use for number, use in self._uses.items() if use.seats or use.live or use.caps}
