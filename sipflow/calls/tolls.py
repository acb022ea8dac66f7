"""Against toll fraud: whether a number may be called by a trunk, and whether there is still a budget for it."""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil

from sipflow.calls.routes import Router
from sipflow.calls.toll_rules import Budget, TollSettings
from sipflow.errors import LimitReached, LocalProtocolError
from sipflow.numbers.destination import country_of
from sipflow.numbers.inventory import Inventory
from sipflow.numbers.number import normalise
from sipflow.numbers.use import Day
from sipflow.sip.uri import SipUri
from sipflow.trunks.trunk import Trunk

_PURSES = 20_000  # trunks, numbers and tokens that are counted; those used longest ago go first
_MINUTE_S = 60.0


class _Purse:
    """What one trunk, number or token has used."""

    __slots__ = ("calls", "day", "live", "name", "since", "talked_s", "times")

    def __init__(self, name: str) -> None:
        self.name = name
        self.times: deque[float] = deque()
        self.day = 0
        self.calls = 0
        self.talked_s = 0.0
        self.live = 0
        self.since = 0.0  # sum of the beginnings of the calls that are up

    def on(self, day: int) -> "_Purse":
        """Begin anew where another day has begun."""
        if self.day != day:
            self.day, self.calls, self.talked_s = day, 0, 0.0
        return self

    def spent_s(self, now: float) -> float:
        return self.talked_s + self.live * now - self.since


class Tolls:
    """Asked before every INVITE of ours to the telephone world.

    Args:
        settings: rules and budgets.
        router: the trunks, and the numbers that tell a trunk's country.
        clock: monotonic seconds.
        day: of today, as the limits count it.
    """

    def __init__(
        self, settings: TollSettings, router: Router, *, clock: Callable[[], float], day: Callable[[], Day]
    ) -> None:
        self.settings = settings
        self._router = router
        self._clock = clock
        self._day = day
        self._purses: OrderedDict[str, _Purse] = OrderedDict()
        self._live: dict[str, tuple[tuple[_Purse, ...], float]] = {}
        self._changed: set[str] = set()
        self._homes: dict[str, frozenset[str]] = {}
        self._homes_of: Inventory | None = None

    def apply(self, settings: TollSettings) -> None:
        """Hold other rules from now on; what was spent stays spent."""
        self.settings = settings

    # Where calls may go

    def check(self, callee: str, trunk: Trunk | None, number: str = "") -> None:
        """Refuse a number that the trunk may not call.

        Args:
            callee: as ordered.
            trunk: that is to carry the call; None for none.
            number: of ours, that the call is placed from; it tells the country where the trunk does not.

        Raises:
            LocalProtocolError: it may not be called; the sentence begins with `to:` and names the rule.
        """
        if trunk is None:
            return
        called = normalise(callee, region=trunk.region)
        own = self.settings.trunk_rules.get(trunk.name)
        why = (own or self.settings.rules).refusal(called, self._home(trunk, number))
        if why:
            rules = f"trunks.{trunk.name}.tolls" if own is not None else "tolls"
            text = f"to: {called[:40]!r} may not be called by trunk {trunk.name}: {why}; see {rules}"
            raise LocalProtocolError(text)

    def check_target(self, target: SipUri, trunk: Trunk | None, number: str = "") -> None:
        """Do the same for the Request-URI of an INVITE, however the trunk has its numbers written.

        An address without a trunk is judged by the trunk whose far end it names: it may be let out by our address.

        Raises:
            LocalProtocolError: it may not be called.
        """
        by = trunk or self._trunk_at(target)
        if by is not None and target.user:
            self.check(
                _undialled(target.unescaped_user, by) if trunk is not None else target.unescaped_user, by, number
            )

    def _trunk_at(self, target: SipUri) -> Trunk | None:
        host = target.host.lower()
        for trunk in self._router.trunks:
            if any(uri is not None and uri.host.lower() == host for uri in (trunk.domain, trunk.destination)):
                return trunk
        return None

    def _home(self, trunk: Trunk, number: str) -> Collection[str]:
        """The countries of a trunk: what it says; else those of its number, of the number called from, of all its."""
        if trunk.region:
            return (trunk.region,)
        own = country_of(trunk.phone_number) or country_of(number)
        return (own,) if own else self._home_of_numbers(trunk.name)

    def _home_of_numbers(self, trunk: str) -> frozenset[str]:
        numbers = self._router.numbers
        if self._homes_of is not numbers:
            self._homes_of = numbers
            self._homes.clear()
        found = self._homes.get(trunk)
        if found is None:
            mine = {country_of(each.number) for each in numbers if each.trunk in (trunk, None)}
            found = self._homes[trunk] = frozenset(mine - {""})
        return found

    # How much

    def take(self, call: str, trunk: str, number: str = "", token: str = "") -> None:
        """Count a call that is about to be placed, once; `spent` says how long it was.

        Args:
            call: its id.
            trunk, number, token: names of what it is placed with; "" for none.

        Raises:
            LimitReached: a budget is used up; nothing was counted.
        """
        if call in self._live:
            return
        settings, now, day = self.settings, self._clock(), self._day()
        named = [("tolls", settings.whole, "")]
        if trunk:
            named.append((f"trunks.{trunk}.tolls", settings.trunks.get(trunk, settings.each_trunk), f"trunk {trunk}"))
        if number:
            named.append((f"tolls.each_number.{number}", settings.each_number, f"number {number}"))
        if token:
            named.append((f"tolls.each_token.{token}", settings.each_token, f"token {token}"))
        purses = []
        for name, budget, who in named:
            if budget:
                purse = self._purse(name).on(day.ordinal)
                _check_budget(purse, budget, name, who or "sipflow", now, day)
                purses.append(purse)
        for purse in purses:
            purse.times.append(now)
            purse.calls += 1
            purse.live += 1
            purse.since += now
            self._changed.add(purse.name)
        if purses:
            self._live[call] = (tuple(purses), now)

    def spent(self, call: str, talk_s: float) -> None:
        """Learn that a call is over, and how long was talked. Twice is once; so is a call that nobody counted."""
        purses, since = self._live.pop(call, ((), 0.0))
        today = self._day().ordinal
        for purse in purses:
            purse.live -= 1
            purse.since -= since
            purse.on(today).talked_s += talk_s
            self._changed.add(purse.name)

    # Over a restart

    def take_changed(self) -> dict[str, dict[str, float]]:
        """Return what has changed since this was last asked, by name, as `restore` takes it: JSON values."""
        changed, self._changed = self._changed, set()
        now, today = self._clock(), self._day().ordinal
        return {
            name: {"day": purse.on(today).day, "calls": purse.calls, "talked_s": round(purse.spent_s(now), 3)}
            for name in changed
            if (purse := self._purses.get(name)) is not None
        }

    def put_back(self, names: Iterable[str]) -> None:
        """Count these as changed again: they could not be kept."""
        self._changed.update(names)

    def restore(self, states: Mapping[str, Mapping[str, float]]) -> None:
        """Add what an earlier process has used today; what cannot be read is as if it had not been kept."""
        today = self._day().ordinal
        for name, state in states.items():
            try:
                day, calls, talked_s = int(state["day"]), int(state["calls"]), float(state["talked_s"])
            except (KeyError, TypeError, ValueError):
                continue
            if day == today:
                purse = self._purse(name).on(today)
                purse.calls += calls
                purse.talked_s += talked_s

    def _purse(self, name: str) -> _Purse:
        purse = self._purses.pop(name, None) or _Purse(name)
        self._purses[name] = purse
        if len(self._purses) > _PURSES:
            self._purses.popitem(last=False)
        return purse


def _check_budget(purse: _Purse, budget: Budget, name: str, who: str, now: float, day: Day) -> None:
    times = purse.times
    while times and now - times[0] >= _MINUTE_S:
        times.popleft()
    until_tomorrow = max(1, ceil(day.ends_at - now))
    if budget.calls_per_minute is not None and len(times) >= budget.calls_per_minute:
        again_s = times[len(times) - budget.calls_per_minute] + _MINUTE_S - now
        raise _used_up(who, f"{budget.calls_per_minute} calls a minute", f"{name}.calls_per_minute", again_s)
    if budget.calls_per_day is not None and purse.calls >= budget.calls_per_day:
        raise _used_up(who, f"{budget.calls_per_day} calls a day", f"{name}.calls_per_day", until_tomorrow)
    if budget.minutes_per_day is not None and purse.spent_s(now) >= budget.minutes_per_day * 60:
        raise _used_up(who, f"{budget.minutes_per_day:g} minutes a day", f"{name}.minutes_per_day", until_tomorrow)


def _used_up(who: str, what: str, limit: str, again_s: float) -> LimitReached:
    text = f"the budget of {who} is used up: {what} ({limit})"
    return LimitReached(text, limit=limit, retry_after_s=max(1, ceil(again_s)), again_s=max(1.0, again_s))


def _undialled(user: str, trunk: Trunk) -> str:
    """Undo what `outbound.prefix`, `strip` and `number_format` did to the number called."""
    wants = trunk.outbound
    text = user.removeprefix(wants.prefix)
    stripped = wants.strip + text
    plus = "+" if wants.number_format == "digits" and text.isdigit() and not stripped.startswith("+") else ""
    whole = normalise(plus + stripped, region=trunk.region)
    return whole if whole.startswith("+") else normalise(plus + text, region=trunk.region)
