"""How many calls there may be: at once in all, by trunk, number and agent; and how many may be placed a second."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from types import MappingProxyType
from zoneinfo import ZoneInfo

from sipflow.errors import LimitReached, LocalProtocolError
from sipflow.numbers.use import NO_CAPS, Book, Caps, Day

_NONE: Mapping[str, "Limit"] = MappingProxyType({})
_NO_CAPS: Mapping[str, Caps] = MappingProxyType({})
_CALL_S, _MEMORY = 60.0, 100.0  # how long a call lasts before any has been heard of; calls that the average is over
_LONGEST_GUESS_S = 60.0
_SAME_MOMENT_S = 1e-6  # sums of fractions are never quite what they should be
_TOKENS_REMEMBERED = 1000
_TOKEN_LIMIT = "limits.each_token.calls_per_second"  # noqa: S105  (the name of a limit)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a trunk, an agent or the whole may do; None for no limit.

    Attributes:
        max_calls: up at once, in and out together.
        calls_per_second: placed; 0.5 is one in two seconds. A burst may be as large as one second's calls.

    Raises:
        LocalProtocolError: one of them is not more than 0.
    """

    max_calls: int | None = None
    calls_per_second: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_calls", "calls_per_second"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise LocalProtocolError(f"{name}: must be more than 0, not {value}")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Every limit of one daemon.

    Attributes:
        whole: of all calls together.
        token_calls_per_second: placed by each client of the API.
        each_trunk, each_agent: of those that say nothing of their own.
        each_number: of numbers that say nothing of their own.
        trunks, agents, numbers: of those that do, by name.
        queue_calls: calls that may wait for room.
        queue_s: how long one may wait at most, whatever it asks for.
        time_zone: where a number's day begins at midnight.

    Raises:
        LocalProtocolError: there is no such time zone.
    """

    whole: Limit = Limit()
    token_calls_per_second: float | None = None
    each_trunk: Limit = Limit()
    each_agent: Limit = Limit()
    each_number: Caps = NO_CAPS
    trunks: Mapping[str, Limit] = field(default_factory=lambda: _NONE)
    agents: Mapping[str, Limit] = field(default_factory=lambda: _NONE)
    numbers: Mapping[str, Caps] = field(default_factory=lambda: _NO_CAPS)
    queue_calls: int = 1000
    queue_s: float = 300.0
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            why = f"time_zone: {self.time_zone[:40]!r} is no time zone: write one such as Europe/Berlin"
            raise LocalProtocolError(why) from None


class Bucket:
    """A rate, with bursts of one second's worth (a leaky bucket: it knows when the next one is due)."""

    __slots__ = ("_next_at", "per_second")

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._next_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long the next one has to wait; 0.0 for not at all."""
        wait_s = self._next_at - max(0.0, self.per_second - 1) / self.per_second - now
        return wait_s if wait_s > _SAME_MOMENT_S else 0.0

    def take(self, now: float) -> None:
        """Take one."""
        self._next_at = max(self._next_at, now) + 1 / self.per_second

    def slowed_to(self, per_second: float) -> "Bucket":
        """Return a bucket of another rate that owes what this one does."""
        bucket = Bucket(per_second)
        bucket._next_at = self._next_at
        return bucket


class Scope:
    """Calls that are counted together.

    Attributes:
        live: how many are up.
    """

    __slots__ = ("bucket", "live", "max_calls", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.live = 0
        self.max_calls: int | None = None
        self.bucket: Bucket | None = None

    def set(self, limit: Limit) -> None:
        """Hold this limit from now on."""
        self.max_calls = limit.max_calls
        rate = limit.calls_per_second
        if rate is None:
            self.bucket = None
        elif self.bucket is None:
            self.bucket = Bucket(rate)
        elif self.bucket.per_second != rate:
            self.bucket = self.bucket.slowed_to(rate)


class Permit:
    """A call that was let in. Releasing it twice is once."""

    __slots__ = ("_limits", "_number", "_scopes", "_since")

    def __init__(self, limits: "Limits", scopes: tuple[Scope, ...], number: str, since: float) -> None:
        self._limits: Limits | None = limits
        self._scopes = scopes
        self._number = number
        self._since = since

    @property
    def held(self) -> bool:
        """Whether the call still counts."""
        return self._limits is not None

    def move(self, trunk: str) -> None:
        """Count a call out on another trunk from now on.

        Raises:
            LimitReached: that one has no room; nothing changes.
        """
        if self._limits is not None:
            self._scopes = self._limits._moved(self._scopes, trunk)

    def hand_over(self, agent: str) -> None:
        """Count a call in with another agent from now on.

        Raises:
            LimitReached: that one has no room; nothing changes.
        """
        if self._limits is not None:
            self._scopes = self._limits._handed(self._scopes, agent)

    def release(self) -> None:
        """Count the call out."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits._released(self._scopes, self._number, self._since)


class Limits:
    """Counts calls, lets them in and out.

    Attributes:
        settings: what holds; see `apply`.
        book: the use of numbers.
        on_room: told whenever a call has gone, so that one that waits may come in.
    """

    def __init__(
        self,
        settings: LimitSettings | None = None,
        *,
        book: Book | None = None,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings or LimitSettings()
        self.book = book if book is not None else Book()
        self.on_room: Callable[[], None] = lambda: None
        self._clock, self._wall = clock, wall
        self._day: Day | None = None
        self._zone = ZoneInfo(self.settings.time_zone)
        self._whole = Scope("limits")
        self._trunks: dict[str, Scope] = {}
        self._agents: dict[str, Scope] = {}
        self._tokens: dict[str, Bucket] = {}
        self._call_s = _CALL_S
        self.apply(self.settings)

    def apply(self, settings: LimitSettings) -> None:
        """Hold other limits from now on; calls that are up stay, and count."""
        if settings.time_zone != self.settings.time_zone:
            self._day, self._zone = None, ZoneInfo(settings.time_zone)
        if settings.token_calls_per_second != self.settings.token_calls_per_second:
            self._tokens.clear()
        self.settings = settings
        self._whole.set(settings.whole)
        for name, scope in self._trunks.items():
            scope.set(settings.trunks.get(name, settings.each_trunk))
        for name, scope in self._agents.items():
            scope.set(settings.agents.get(name, settings.each_agent))
        self.on_room()

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock()

    @property
    def day(self) -> Day:
        """The day of today, by which numbers count."""
        now = self._clock()
        if self._day is None or now >= self._day.ends_at:
            wall = self._wall().astimezone(self._zone)
            midnight = (wall + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            left_s = (midnight.astimezone(UTC) - wall.astimezone(UTC)).total_seconds()
            self._day = Day(wall.toordinal(), now + left_s)
        return self._day

    def live(self) -> dict[str, int]:
        """Return how many calls are up: in all as `calls`, by trunk as `trunks.NAME`, by agent as `agents.NAME`."""
        scopes = (*self._trunks.values(), *self._agents.values())
        return {"calls": self._whole.live} | {scope.name: scope.live for scope in scopes if scope.live}

    def scopes(self) -> list[Scope]:
        """Return everything that calls are counted in, the whole first."""
        return [self._whole, *self._trunks.values(), *self._agents.values()]

    # In

    def admit_inbound(self, trunk: str, number: str, agent: str, *, undecided: bool = False) -> Permit:
        """Let a call in.

        Args:
            undecided: whether somebody may yet say that another agent takes it: one that is full does not count it
                then, and does not keep it out either, until `Permit.hand_over`.

        Raises:
            LimitReached: there is no room for it; `inbound_status` says what to answer; nothing was counted.
        """
        refused = self.inbound_refusal(trunk, number, agent)
        if refused is not None and undecided and self.is_of_agent(refused, agent):
            agent, refused = "", self.inbound_refusal(trunk, number, "")
        if refused is not None:
            raise refused
        scopes, now = (self._whole, self._trunk(trunk), self._agent(agent)), self._clock()
        for scope in scopes:
            scope.live += 1
        self.book.occupied(self.book.use(number), now, self.day)
        return Permit(self, scopes, number, now)

    def inbound_refusal(self, trunk: str, number: str, agent: str) -> LimitReached | None:
        """Say why a call in would find no room now, if so; nothing is counted."""
        for scope in (self._whole, self._trunk(trunk), self._agent(agent)):
            if scope.max_calls is not None and scope.live >= scope.max_calls:
                return self._full(scope)
        use = self.book.use(number)
        if use.caps.max_calls is not None and use.live >= use.caps.max_calls:
            return self._number_full(number, use.live)
        return None

    def is_of_agent(self, refused: LimitReached, agent: str) -> bool:
        """Whether it is only the agent that has no room: another one may."""
        return refused.limit == f"{self._agent(agent).name}.max_calls"

    # Out

    def refusal(self, trunk: str, agent: str, token: str = "") -> LimitReached | None:
        """Say why a call out cannot be placed now, if so; nothing is counted."""
        for scope in (self._whole, self._trunk(trunk), self._agent(agent)):
            if scope.max_calls is not None and scope.live >= scope.max_calls:
                return self._full(scope)
        now = self._clock()
        for name, bucket in self._buckets(trunk, token):
            wait_s = bucket.wait_s(now)
            if wait_s > 0:
                return _too_fast(name, bucket, wait_s)
        return None

    def admit_outbound(self, trunk: str, agent: str, token: str = "") -> Permit:
        """Let a call out; its number is counted by the pools.

        Raises:
            LimitReached: there is no room for it; nothing was counted.
        """
        refused = self.refusal(trunk, agent, token)
        if refused is not None:
            raise refused
        scopes, now = (self._whole, self._trunk(trunk), self._agent(agent)), self._clock()
        for scope in scopes:
            scope.live += 1
        for _, bucket in self._buckets(trunk, token):
            bucket.take(now)
        return Permit(self, scopes, "", now)

    def _moved(self, scopes: tuple[Scope, ...], trunk: str) -> tuple[Scope, ...]:
        whole, before, agent = scopes
        scope = self._trunk(trunk)
        if scope is before:
            return scopes
        if scope.max_calls is not None and scope.live >= scope.max_calls:
            raise self._full(scope)
        now = self._clock()
        if scope.bucket is not None:
            if (wait_s := scope.bucket.wait_s(now)) > 0:
                raise _too_fast(f"{scope.name}.calls_per_second", scope.bucket, wait_s)
            scope.bucket.take(now)
        scope.live += 1
        before.live -= 1
        self.on_room()
        return whole, scope, agent

    def _handed(self, scopes: tuple[Scope, ...], agent: str) -> tuple[Scope, ...]:
        whole, trunk, before = scopes
        scope = self._agent(agent)
        if scope is before:
            return scopes
        if scope.max_calls is not None and scope.live >= scope.max_calls:
            raise self._full(scope)
        scope.live += 1
        before.live -= 1
        self.on_room()
        return whole, trunk, scope

    def _buckets(self, trunk: str, token: str) -> list[tuple[str, Bucket]]:
        found = []
        scopes = (("limits.calls_per_second", self._whole), (f"trunks.{trunk}.calls_per_second", self._trunk(trunk)))
        for name, scope in scopes:
            if scope.bucket is not None:
                found.append((name, scope.bucket))
        rate = self.settings.token_calls_per_second
        if token and rate is not None:
            found.append((_TOKEN_LIMIT, self._token(token, rate)))
        return found

    def _token(self, token: str, rate: float) -> Bucket:
        bucket = self._tokens.pop(token, None) or Bucket(rate)
        self._tokens[token] = bucket  # the one used last stands last
        if len(self._tokens) > _TOKENS_REMEMBERED:
            del self._tokens[next(iter(self._tokens))]
        return bucket

    def _trunk(self, name: str) -> Scope:
        scope = self._trunks.get(name)
        if scope is None:
            scope = self._trunks[name] = Scope(f"trunks.{name}")
            scope.set(self.settings.trunks.get(name, self.settings.each_trunk) if name else Limit())
        return scope

    def _agent(self, name: str) -> Scope:
        scope = self._agents.get(name)
        if scope is None:
            scope = self._agents[name] = Scope(f"agents.{name}")
            scope.set(self.settings.agents.get(name, self.settings.each_agent) if name else Limit())
        return scope

    # Refusals and ends

    def _full(self, scope: Scope) -> LimitReached:
        kind, _, name = scope.name.partition(".")
        what = f"{kind.removesuffix('s')} {name}" if name else "sipflow"
        text = f"{what} has {_calls(scope.live)} up, which is as many as it may ({scope.name}.max_calls)"
        return LimitReached(text, limit=f"{scope.name}.max_calls", retry_after_s=self.guess_s(scope.live))

    def _number_full(self, number: str, live: int) -> LimitReached:
        limit = f"numbers.{number}.max_calls"
        text = f"number {number} has {_calls(live)} up, which is as many as it may ({limit})"
        return LimitReached(text, limit=limit, retry_after_s=self.guess_s(live))

    def guess_s(self, live: int) -> int:
        """Guess when one of so many calls will end, by how long calls lasted lately: whole seconds, 1 to 60."""
        return max(1, ceil(min(_LONGEST_GUESS_S, self._call_s / max(1, live))))

    def spacing_s(self, limit: str) -> float:
        """Return how long it takes this limit to let one more call pass, for those who stand in a line before it."""
        for name, bucket in self._buckets(limit.removeprefix("trunks.").removesuffix(".calls_per_second"), ""):
            if name == limit:
                return 1 / bucket.per_second
        rate = self.settings.token_calls_per_second
        if limit == _TOKEN_LIMIT and rate is not None:
            return 1 / rate
        return self.guess_s(self._whole.live)

    def _released(self, scopes: tuple[Scope, ...], number: str, since: float) -> None:
        now = self._clock()
        self._call_s += (now - since - self._call_s) / _MEMORY
        for scope in scopes:
            scope.live -= 1
        if number:
            self.book.released(number, now, self.day)
        self.on_room()


def inbound_status(error: LimitReached) -> int:
    """The SIP status for a caller who meets a limit: a number or agent is busy, a trunk or the whole is overloaded."""
    return 503 if error.limit.startswith(("limits.", "trunks.")) else 486


def _too_fast(name: str, bucket: Bucket, wait_s: float) -> LimitReached:
    text = f"{bucket.per_second:g} calls a second may be placed ({name}); the next one can start in {wait_s:.1f} s"
    return LimitReached(text, limit=name, retry_after_s=ceil(wait_s), again_s=wait_s)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
