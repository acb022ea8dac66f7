"""A pool of numbers to call from: who is next, which may not now, and why it was this one.

Choosing looks at one candidate, however large the pool is and however many of its numbers rest or have reached a cap:
those are taken out of the rows when that happens and put back when it is over.
"""

from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import ceil
from typing import NamedTuple

from sipflow.errors import LimitReached, NotFound
from sipflow.numbers.area import NOWHERE, Place, place_of
from sipflow.numbers.callees import Callees
from sipflow.numbers.pool_settings import PoolSettings
from sipflow.numbers.resting import Outcome, Rate, pool_rate
from sipflow.numbers.strategies import ROWS, Turns
from sipflow.numbers.use import Block, Book, Caps, Day, Kind

_WAKES = 4  # blocks that have run out and are lifted with each choice: more than one choice can bring about
_TURN = {
    "round_robin": "it is the next in turn",
    "least_recently_used": "it was used longest ago",
    "weighted": "it is its turn by weight",
}
_KINDS: dict[Kind, str] = {
    "resting": "rest",
    "day": "have had their calls of the day",
    "second": "have just been called from",
    "calls": "have as many calls up as they may",
}


class Choice(NamedTuple):
    """A number that was chosen.

    Attributes:
        number: as listed.
        why: one sentence each.
        row: of the pool, where it was its turn.
    """

    number: str
    why: tuple[str, ...]
    row: object


class Standing(NamedTuple):
    """How a member of a pool stands.

    Attributes:
        block: why it cannot be called from now, None if it can.
        live, today: calls up, calls out today.
        used_at: monotonic, None for never.
        answer_rate: 0 to 1, None before its first call.
        on_probation: it came back from a rest and no call of it has been answered since.
        why: it rests, or rested last; "" if it never did.
    """

    number: str
    weight: float
    caps: Caps
    block: Block | None
    live: int
    today: int
    used_at: float | None
    answer_rate: float | None
    on_probation: bool
    why: str


class _Row:
    """Numbers of a pool that are alike, in turn."""

    def __init__(self, order: str, members: Sequence[int], weights: Sequence[float]) -> None:
        self.members = members
        self.turns: Turns = ROWS[order]([weights[index] for index in members])
        self.turns.open_all()


class _Seat:
    """One number's place in a pool, and in each row of it."""

    __slots__ = ("_index", "_pool", "places")

    def __init__(self, pool: "Pool", index: int) -> None:
        self._pool = pool
        self._index = index
        self.places: list[tuple[_Row, int]] = []

    def used(self, now: float) -> None:
        self._pool.used(self._index, now)

    def changed(self, block: Block | None) -> None:
        self._pool.changed(self._index, block)


class Pool:
    """A pool at work.

    Attributes:
        settings: what it is.
        rate: how many of its calls are answered.
        callees: who was called from which number; only with `sticky`.
        last: the number that was called from last, "" for none.
        looked_at: candidates looked at so far.
    """

    def __init__(
        self, settings: PoolSettings, book: Book, *, now: float, day: Day, before: "Pool | None" = None
    ) -> None:
        """Make it, with the numbers as they stand in the book.

        Args:
            before: the same pool before it was changed, which remembers callees, the answer rate and whose turn it is.
        """
        self.settings = settings
        self.rate: Rate = before.rate if before is not None else pool_rate()
        self.last = ""  # whose turn it was last
        self.looked_at = 0
        self._book = book
        self._numbers = [member.number for member in settings.members]
        self._index = {number: index for index, number in enumerate(self._numbers)}
        self._blocks: list[Block | None] = [None] * len(self._numbers)
        self._counts: dict[Kind, int] = dict.fromkeys(_KINDS, 0)
        self._ends: list[tuple[float, int]] = []  # a heap: when blocks run out
        self.callees: Callees = before.callees if before is not None else Callees()
        self._own_use: tuple[int, object] | None = None
        self._all, self._near = self._make_rows()
        self._seats = self._take_seats()
        self._go_on(now, day, before)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, number: object) -> bool:
        return number in self._index

    @property
    def free_count(self) -> int:
        """Numbers that can be called from, as far as is known without looking."""
        return self._all.turns.open_count

    # Making

    def _make_rows(self) -> tuple[_Row, dict[Place, _Row]]:
        weights = [member.weight for member in self.settings.members]
        order, everyone = self.settings.order, range(len(weights))
        kinds = {"same_area", "same_country"}.intersection(self.settings.strategy)
        alike: dict[Place, list[int]] = {}
        for index in everyone if kinds else ():
            place = place_of(self._numbers[index])
            if place.area and "same_area" in kinds:
                alike.setdefault(place, []).append(index)
            if place.country and "same_country" in kinds:
                alike.setdefault(Place(place.country, ""), []).append(index)
        rows = {place: _Row(order, members, weights) for place, members in alike.items()}
        return _Row(order, everyone, weights), rows

    def _take_seats(self) -> list[_Seat]:
        seats = [_Seat(self, index) for index in range(len(self._numbers))]
        for row in (self._all, *self._near.values()):
            for position, index in enumerate(row.members):
                seats[index].places.append((row, position))
        for seat, member in zip(seats, self.settings.members, strict=True):
            use = self._book.use(member.number)
            use.seats.append(seat)
            use.caps = use.caps.strictest(self.settings.caps).strictest(member.caps)
        return seats

    def _go_on(self, now: float, day: Day, before: "Pool | None") -> None:
        """Take up every number as it stands, and the row where it was left."""
        lru = self.settings.order == "least_recently_used"
        for index, number in enumerate(self._numbers):
            use = self._book.use(number)
            if lru and use.used_at is not None:
                self.used(index, use.used_at)
            block = use.block(now, day)
            if block is not None:
                self.changed(index, block)
        heapify(self._ends)
        self.last = last = before.last if before is not None else ""
        if self.settings.order == "round_robin" and last in self._index:
            self._all.turns.skip_to(self._index[last])

    def leave(self) -> None:
        """Give up the seats of all numbers: the pool is used no more."""
        mine = set(map(id, self._seats))
        for number in self._numbers:
            use = self._book.use(number)
            use.seats = [seat for seat in use.seats if id(seat) not in mine]

    # Choosing

    def choose(self, callee: str, *, now: float, day: Day, without: Collection[str] = ()) -> Choice:
        """Choose a number to call somebody from. Nothing changes until `took`.

        Args:
            callee: in E.164 where it is a telephone number.
            now: monotonic seconds.
            without: numbers that will not do; each that is met costs another look.

        Raises:
            LimitReached: none of the numbers can be called from now; `again_s` says when one can.
        """
        self._lift(now, day)
        for word in self.settings.strategy[:-1]:
            found = self._preferred(word, callee, without)
            if found is not None:
                return found
        position = self._first(self._all, without)
        if position is None and self._lift_one(now, day):
            position = self._first(self._all, without)
        if position is None:
            raise self._exhausted(now)
        return self._chosen(self._all, position, self._of_all())

    def _preferred(self, word: str, callee: str, without: Collection[str]) -> Choice | None:
        if word == "sticky":
            return self._remembered(callee, without)
        place = place_of(callee)
        if place is NOWHERE or (word == "same_area" and not place.area):
            return None
        row = self._near.get(place if word == "same_area" else Place(place.country, ""))
        position = self._first(row, without) if row is not None else None
        if row is None or position is None:
            return None
        what = f"area code {place.area}" if word == "same_area" else f"country {place.country}"
        count = f"{row.turns.open_count:,} of its {len(row.members):,} numbers with the callee's {what} are free"
        return self._chosen(row, position, f"pool {self.settings.name}: {count}")

    def _remembered(self, callee: str, without: Collection[str]) -> Choice | None:
        number = self.callees.number_of(callee)
        index = self._index.get(number) if number is not None else None
        if number is None or index is None or number in without:
            return None
        self.looked_at += 1
        if self._blocks[index] is not None:
            return None
        why = (f"pool {self.settings.name}: the callee was called from {number} before",)
        return Choice(number, why, None)

    def _first(self, row: _Row, without: Collection[str]) -> int | None:
        turns = row.turns
        aside: list[int] = []
        position = turns.first()
        while position is not None:
            self.looked_at += 1
            if not without or self._numbers[row.members[position]] not in without:
                break
            aside.append(position)
            turns.close(position)
            position = turns.first()
        for each in aside:
            turns.open(each)
        return position

    def _chosen(self, row: _Row, position: int, sentence: str) -> Choice:
        number = self._numbers[row.members[position]]
        return Choice(number, (sentence, f"{number}: of these {_TURN[self.settings.order]}"), row)

    def _of_all(self) -> str:
        total, free = len(self._numbers), self._all.turns.open_count
        rest = "" if free == total else f" ({self._held_up()})"
        return f"pool {self.settings.name}: {free:,} of its {total:,} numbers are free{rest}"

    def _held_up(self) -> str:
        return ", ".join(f"{count:,} {_KINDS[kind]}" for kind, count in self._counts.items() if count)

    def _exhausted(self, now: float) -> LimitReached:
        name, total = self.settings.name, len(self._numbers)
        if self.free_count:
            text = f"pool {name}: none of its {self.free_count:,} free numbers will do"
            return LimitReached(text, limit=f"pools.{name}")
        while self._ends and not self._stands(*self._ends[0]):
            heappop(self._ends)
        text = f"pool {name}: none of its {total:,} numbers can be called from now: {self._held_up()}"
        if not self._ends:
            return LimitReached(text, limit=f"pools.{name}")
        in_s = max(0.0, self._ends[0][0] - now)
        if not self._counts["calls"]:
            text += f"; the next one can in {ceil(in_s)} s"
        return LimitReached(text, limit=f"pools.{name}", retry_after_s=ceil(in_s), again_s=in_s)

    # What happens to the numbers

    def took(self, choice: Choice, callee: str, *, now: float, day: Day) -> None:
        """Count a call from the chosen number."""
        index = self._index[choice.number]
        self._own_use = (index, choice.row)
        try:
            self._book.took(choice.number, now, day)
        finally:
            self._own_use = None
        self.last = choice.number
        if "sticky" in self.settings.strategy:
            self._stick(callee, choice.number)

    def _stick(self, callee: str, number: str) -> None:
        """Remember who was called from where; a number that is only busy for the moment keeps its callees."""
        known = self.callees.number_of(callee) or ""
        index = self._index.get(known)
        block = self._blocks[index] if index is not None else None
        busy = block is not None and block.kind != "resting"
        self.callees.called(callee, known if busy else number, most=self.settings.remember)

    def judge(self, number: str, outcome: Outcome, *, now: float, day: Day) -> str:
        """Weigh how a call from a number ended; returns why it rests from now on, "" if it does not.

        Raises:
            NotFound: it is no number of this pool.
        """
        self._index_of(number)
        health, settings = self._book.use(number).health, self.settings.rest
        rest = health.judge(outcome, self.rate, settings)
        if rest is None:
            self._book.changed(number, now, day)
            return ""
        refused = outcome in (Outcome.UNWANTED, Outcome.BLOCKED)
        if not refused and self._counts["resting"] + 1 > settings.share * len(self._numbers):
            health.not_now()
            return ""
        health.rest(rest, now=now)
        self._book.changed(number, now, day)
        return f"{number} rests for {_span(rest.for_s)}: {rest.why}"

    def used(self, index: int, now: float) -> None:
        """Note that one of its numbers was used: in its turn here, or through another pool."""
        own = self._own_use is not None and self._own_use[0] == index
        if not own and self.settings.order != "least_recently_used":
            return  # only time is common to pools: whose turn it is, is each one's own affair
        row = self._own_use[1] if own and self._own_use is not None else None
        for each, position in self._seats[index].places:
            each.turns.took(position, now=now, here=each is row)

    def changed(self, index: int, block: Block | None) -> None:
        """Note that one of its numbers can, or cannot, be called from."""
        before = self._blocks[index]
        if before == block:
            return
        self._blocks[index] = block
        if before is not None:
            self._counts[before.kind] -= 1
        if block is not None:
            self._counts[block.kind] += 1
            if block.kind != "calls":
                heappush(self._ends, (block.until, index))
        if (before is None) != (block is None):
            for row, position in self._seats[index].places:
                if block is None:
                    row.turns.open(position)
                else:
                    row.turns.close(position)

    def _stands(self, until: float, index: int) -> bool:
        """Whether an entry of the heap still says when its block ends; an older one may have been overtaken."""
        block = self._blocks[index]
        return block is not None and block.until == until

    def _lift(self, now: float, day: Day) -> None:
        """Lift a few of the blocks that have run out: as many as keep up with what calls bring about."""
        for _ in range(_WAKES):
            if not self._ends or self._ends[0][0] > now:
                return
            self._look_again(heappop(self._ends), now, day)

    def _lift_one(self, now: float, day: Day) -> bool:
        """Lift blocks until a number is free."""
        while not self._all.turns.open_count and self._ends and self._ends[0][0] <= now:
            self._look_again(heappop(self._ends), now, day)
        return self._all.turns.open_count > 0

    def _look_again(self, end: tuple[float, int], now: float, day: Day) -> None:
        if self._stands(*end):
            self.looked_at += 1
            self._book.use(self._numbers[end[1]]).tell(now, day)

    # What it is asked

    def _index_of(self, number: str) -> int:
        index = self._index.get(number)
        if index is None:
            raise NotFound(f"{number} is no number of pool {self.settings.name}")
        return index

    def block_of(self, number: str, *, now: float, day: Day) -> Block | None:
        """Say why a number of it cannot be called from now, if so.

        Raises:
            NotFound: it is no number of this pool.
        """
        self._index_of(number)
        return self._book.use(number).block(now, day)

    @property
    def held_up(self) -> dict[Kind, int]:
        """How many of its numbers cannot be called from, as far as is known without looking, by why."""
        return {kind: count for kind, count in self._counts.items() if count}

    def standings(self, *, now: float, day: Day, start: int = 0, stop: int | None = None) -> Iterator[Standing]:
        """Give how its numbers stand, in order, or those from `start` to before `stop`."""
        for member in self.settings.members[start:stop]:
            use = self._book.use(member.number)
            health = use.health
            yield Standing(
                number=member.number,
                weight=member.weight,
                caps=use.caps,
                block=use.block(now, day),
                live=use.live,
                today=use.today(day),
                used_at=use.used_at,
                answer_rate=health.rate.value if health.rate.calls else None,
                on_probation=health.on_probation and health.until <= now,
                why=health.why,
            )


def _span(seconds: float) -> str:
    hours, minutes = seconds / 3600, seconds / 60
    return f"{hours:g} h" if hours >= 1 and hours == int(hours) else f"{minutes:.0f} min"
