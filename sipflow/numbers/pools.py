"""All pools: those with a name, and for every agent without one the numbers it may call from, in turn."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from sipflow.errors import Conflict, LimitReached, NotFound
from sipflow.numbers.inventory import Number, is_wildcard
from sipflow.numbers.number import normalise
from sipflow.numbers.pool import Choice, Pool
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import Outcome
from sipflow.numbers.use import NO_CAPS, Block, Book, Caps, Day

_TRIES = 16  # numbers of trunks that take no call now, before we say so
_SHOWN = 5  # numbers named in a sentence


class Picked(NamedTuple):
    """A number that a call can be placed from.

    Attributes:
        number: as listed.
        trunk: name of its trunk, "" for any.
        why: how it came to be this one, one sentence each.
        pool: that it is of.
        choice: of the pool.
    """

    number: str
    trunk: str
    why: tuple[str, ...]
    pool: Pool
    choice: Choice


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to choose from; a change brings a new one.

    Attributes:
        numbers: every listed number.
        pools: by name.
        agents: name of the pool of each agent that has one.
        caps: of numbers that have some.
        each: of numbers that have none of their own.
    """

    numbers: tuple[Number, ...] = ()
    pools: Mapping[str, PoolSettings] | None = None
    agents: Mapping[str, str] | None = None
    caps: Mapping[str, Caps] | None = None
    each: Caps = NO_CAPS


class Pools:
    """Every pool at work.

    Attributes:
        book: the use of their numbers.
    """

    def __init__(self, book: Book | None = None) -> None:
        self.book = book if book is not None else Book()
        self._source = Source()
        self._named: dict[str, Pool] = {}
        self._of_agents: dict[str, Pool] = {}
        self._attached: dict[str, tuple[str, ...]] | None = None
        self._trunks: dict[str, str] = {}

    def apply(self, source: Source, *, now: float, day: Day) -> None:
        """Work on something else from now on; calls that are up, and what is known of numbers, stay."""
        pools = {name: expanded(pool, source.numbers) for name, pool in (source.pools or {}).items()}
        same_caps = (source.caps, source.each) == (self._source.caps, self._source.each)
        if source.each and source.numbers != self._source.numbers:
            same_caps = False
        self._source = source
        self._trunks = {number.number: number.trunk or "" for number in source.numbers}
        self._attached = None
        changed = [
            name for name, pool in pools.items() if name not in self._named or self._named[name].settings != pool
        ]
        gone = [name for name in self._named if name not in pools]
        if not (changed or gone) and same_caps:
            return
        self._set_caps(pools)
        for name in gone:
            self._named.pop(name).leave()
        for name in changed:
            self._named[name] = self._made(pools[name], self._named.get(name), now, day)
        for use in self.book:
            use.tell(now, day)
        self.book.forget()

    def restart(self, *, now: float, day: Day) -> None:
        """Build every pool again, once the book has read what was kept."""
        for pools in (self._named, self._of_agents):
            for name, pool in list(pools.items()):
                pools[name] = self._made(pool.settings, pool, now, day)

    def _made(self, settings: PoolSettings, before: Pool | None, now: float, day: Day) -> Pool:
        if before is not None:
            before.leave()
        return Pool(settings, self.book, now=now, day=day, before=before)

    def _set_caps(self, pools: Mapping[str, PoolSettings]) -> None:
        for use in self.book:
            use.caps = Caps()
        for each in self._source.numbers if self._source.each else ():
            self.book.use(each.number).caps = self._source.each
        for number, caps in (self._source.caps or {}).items():
            self.book.use(number).caps = caps
        for pool in pools.values():
            for member in pool.members:
                use = self.book.use(member.number)
                use.caps = use.caps.strictest(pool.caps).strictest(member.caps)

    # What there is

    @property
    def named(self) -> Mapping[str, Pool]:
        """The pools that have a name."""
        return self._named

    def of_agent(self, agent: str, *, now: float, day: Day) -> Pool:
        """Return the pool of an agent.

        Raises:
            NotFound: it names a pool that is not there.
            Conflict: it has no number to call from.
        """
        name = (self._source.agents or {}).get(agent, "")
        if name:
            if name not in self._named:
                raise NotFound(f"agent {agent} calls from pool {name}, and there is no such pool")
            return self._named[name]
        numbers = self._numbers_of(agent)
        if not numbers:
            if agent in self._of_agents:
                self._of_agents.pop(agent).leave()
            raise Conflict(f"agent {agent} has no number to call from: attach one, or name a pool")
        pool = self._of_agents.get(agent)
        if pool is None or pool._numbers != list(numbers):
            settings = PoolSettings(f"of agent {agent}", members=tuple(Member(number) for number in numbers))
            pool = self._of_agents[agent] = self._made(settings, pool, now, day)
        return pool

    def wake(self, number: str, *, now: float, day: Day) -> None:
        """End the rest of a number at once.

        Raises:
            NotFound: nothing is known of it.
        """
        use = self.book.find(number)
        if use is None:
            raise NotFound(f"number {number[:40]} is in no pool")
        use.health.wake()
        self.book.changed(number, now, day)

    def _numbers_of(self, agent: str) -> tuple[str, ...]:
        if self._attached is None:
            self._attached = _attached(self._source.numbers)
            for gone in [name for name in self._of_agents if name not in self._attached]:
                self._of_agents.pop(gone).leave()
        return self._attached.get(agent, ())

    # Choosing

    def choose(
        self,
        agent: str,
        callee: str,
        from_number: str = "",
        *,
        now: float,
        day: Day,
        refusal: Callable[[str], LimitReached | None] = lambda _trunk: None,
    ) -> Picked:
        """Choose the number that an agent calls somebody from. Nothing changes until `took`.

        Args:
            from_number: the number that was asked for, "" for any.
            refusal: why a trunk takes no call now, if so.

        Raises:
            NotFound: the agent names a pool that is not there.
            Conflict: the agent has no number, or `from_number` is none of its.
            LimitReached: no number can be called from now.
        """
        pool = self.of_agent(agent, now=now, day=day)
        if from_number:
            return self._asked_for(pool, agent, from_number, now, day, refusal)
        if not len(pool):
            raise Conflict(f"agent {agent} calls from pool {pool.settings.name}, and that has no number any more")
        choice = pool.choose(callee, now=now, day=day)
        trunk = self._trunks.get(choice.number, "")
        first = refused = refusal(trunk)
        without: set[str] = set()
        while first is not None and refused is not None:
            without.add(choice.number)
            if len(without) == _TRIES:
                raise first
            try:
                choice = pool.choose(callee, now=now, day=day, without=without)
            except LimitReached:
                raise first from None  # numbers are there, and their trunks are full
            trunk = self._trunks.get(choice.number, "")
            refused = refusal(trunk)
        return Picked(choice.number, trunk, choice.why, pool, choice)

    def _asked_for(
        self,
        pool: Pool,
        agent: str,
        from_number: str,
        now: float,
        day: Day,
        refusal: Callable[[str], LimitReached | None],
    ) -> Picked:
        number = normalise(from_number, region=None)
        if number not in pool:
            raise Conflict(f"from_phone_number: {from_number[:40]} is none of agent {agent}'s numbers ({_some(pool)})")
        block = pool.block_of(number, now=now, day=day)
        why = f"{number} was asked for"
        if block is not None and block.kind == "resting":
            why += ", although it rests"
        elif block is not None:
            raise full(number, block, now)
        trunk = self._trunks.get(number, "")
        refused = refusal(trunk)
        if refused is not None:
            raise refused
        return Picked(number, trunk, (why,), pool, Choice(number, (why,), None))

    def took(self, picked: Picked, callee: str, *, now: float, day: Day) -> None:
        """Count a call from the number that was chosen, until `released`."""
        picked.pool.took(picked.choice, callee, now=now, day=day)

    def released(self, picked: Picked, outcome: Outcome, *, now: float, day: Day) -> str:
        """Count the call out; returns why its number rests from now on, "" if it does not."""
        self.book.released(picked.number, now, day)
        return picked.pool.judge(picked.number, outcome, now=now, day=day)


def full(number: str, block: Block, now: float) -> LimitReached:
    """Make the error that says why a number takes no call now."""
    words = {"day": "has had its calls of the day", "second": "has just been called from"}
    text = f"{number} {words.get(block.kind, 'has as many calls up as it may (max_calls)')}"
    if block.kind == "calls":
        return LimitReached(text, limit=f"numbers.{number}.max_calls")
    again_s = max(0.0, block.until - now)
    key = "calls_per_day" if block.kind == "day" else "calls_per_second"
    return LimitReached(text, limit=f"numbers.{number}.{key}", retry_after_s=_ceil(again_s), again_s=again_s)


def _ceil(seconds: float) -> int:
    return int(-(-seconds // 1))


def expanded(pool: PoolSettings, numbers: Iterable[Number]) -> PoolSettings:
    """Return the pool with listed numbers only, each once, and the numbers that its wildcards stand for."""
    listed = {number.number: None for number in numbers if not is_wildcard(number.number)}
    found: dict[str, Member] = {}
    for member in pool.members:
        if is_wildcard(member.number):
            prefix = member.number[:-1]
            for number in listed:
                if number.startswith(prefix):
                    found.setdefault(number, replace(member, number=number))
        elif member.number in listed:
            found[member.number] = member
    members = tuple(found.values())
    return pool if members == pool.members else replace(pool, members=members)


def _attached(numbers: Iterable[Number]) -> dict[str, tuple[str, ...]]:
    """Return the numbers that each agent calls from: those it has for that, or else those it answers."""
    calls: dict[str, list[str]] = {}
    answers: dict[str, list[str]] = {}
    for number in numbers:
        if is_wildcard(number.number):
            continue
        for agent in number.outbound_agents:
            calls.setdefault(agent, []).append(number.number)
        if number.inbound_agent is not None:
            answers.setdefault(number.inbound_agent, []).append(number.number)
    return {agent: tuple(found) for agent, found in {**answers, **calls}.items()}


def _some(pool: Pool) -> str:
    numbers = [member.number for member in pool.settings.members[:_SHOWN]]
    more = len(pool) - len(numbers)
    return ", ".join(numbers) + (f" and {more:,} more" if more else "")
