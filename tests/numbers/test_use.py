import pytest

from sipflow.errors import LocalProtocolError
from sipflow.numbers.resting import Rest
from sipflow.numbers.use import Block, Book, Caps, Day, Use

DAY = Day(100, 1000.0)
TOMORROW = Day(101, 87_400.0)
INFINITY = float("inf")


class Seat:
    """A place in a pool that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Block | None] = []
        self.uses: list[float] = []

    def used(self, now: float) -> None:
        self.uses.append(now)

    def changed(self, block: Block | None) -> None:
        self.told.append(block)


def use_with(**caps: float) -> Use:
    use = Use("+12065550100")
    use.caps = Caps(**caps)  # type: ignore[arg-type]
    return use


def test_a_number_without_caps_is_never_held_up() -> None:
    use = use_with()
    for _ in range(100):
        use.took(0.0, DAY)

    assert use.block(0.0, DAY) is None


def test_calls_at_once_hold_a_number_up_until_one_ends() -> None:
    use = use_with(max_calls=2)
    blocks = []
    for _ in range(2):
        use.took(0.0, DAY)
        blocks.append(use.block(0.0, DAY))
    use.live -= 1

    assert (blocks, use.block(0.0, DAY)) == ([None, Block("calls", INFINITY)], None)


def test_calls_a_second_hold_it_up_until_the_next_is_due() -> None:
    use = use_with(calls_per_second=0.5)
    use.took(10.0, DAY)

    assert (use.block(10.0, DAY), use.block(12.0, DAY)) == (Block("second", 12.0), None)


def test_several_calls_a_second_may_come_at_once_and_then_at_their_rate() -> None:
    use = use_with(calls_per_second=4)
    passed = []
    for step in range(20):
        now = 10 + step / 8
        while use.block(now, DAY) is None:
            use.took(now, DAY)
            passed.append(now - 10)

    assert passed == [0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25]


def test_calls_a_day_hold_it_up_until_midnight() -> None:
    use = use_with(calls_per_day=1)
    use.took(0.0, DAY)

    assert (use.block(5.0, DAY), use.block(5.0, TOMORROW)) == (Block("day", 1000.0), None)
    assert (use.today(DAY), use.today(TOMORROW)) == (1, 0)


def test_a_clock_that_says_midnight_has_passed_asks_again_in_a_second() -> None:
    use = use_with(calls_per_day=1)
    use.took(0.0, DAY)

    assert use.block(1000.5, DAY) == Block("day", 1001.5)


def test_on_probation_a_number_has_one_call_at_a_time() -> None:
    use = use_with(max_calls=5)
    use.health.rest(Rest(60.0, "x"), now=0.0)
    resting = use.block(0.0, DAY)
    use.took(60.0, DAY)

    assert (resting, use.block(60.0, DAY)) == (Block("resting", 60.0), Block("calls", INFINITY))


def test_the_strictest_of_several_caps_holds() -> None:
    one, other = Caps(2, None, 50), Caps(3, 0.5, None)

    assert one.strictest(other) == other.strictest(one) == Caps(2, 0.5, 50)
    assert one.strictest(Caps()) is one


@pytest.mark.parametrize("name", ["max_calls", "calls_per_second", "calls_per_day"])
@pytest.mark.parametrize("value", [0, -1, INFINITY])
def test_a_cap_of_nothing_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{name}: "):
        Caps(**{name: value})  # type: ignore[arg-type]


def test_every_pool_is_told_of_every_use() -> None:
    book, seats = Book(), [Seat(), Seat()]
    use = book.use("+12065550100")
    use.caps = Caps(max_calls=1)
    use.seats.extend(seats)
    book.took(use.number, 1.0, DAY)
    book.released(use.number, 2.0, DAY)
    book.occupied(use, 3.0, DAY)
    book.released(use.number, 4.0, DAY)
    book.released(use.number, 5.0, DAY)  # once too often
    book.released("+12065550199", 5.0, DAY)

    busy = Block("calls", INFINITY)
    assert [seat.told for seat in seats] == [[busy, None, busy, None]] * 2
    assert [seat.uses for seat in seats] == [[1.0]] * 2  # a call in is no turn
    assert use.live == 0


def test_what_is_known_survives_a_restart_by_another_clock() -> None:
    book = Book()
    book.took("+12065550100", 50.0, DAY)
    book.use("+12065550100").health.rest(Rest(600.0, "because"), now=60.0)
    (changed,) = book.take_changed()
    state = changed.state(60.0)

    again = Book()
    again.restore({"+12065550100": state, "+12065550101": {"nonsense": 1}}, 5000.0)
    use = again.use("+12065550100")

    assert book.take_changed() == []
    assert (use.used_at, use.health.until, use.today(DAY), use.live) == (4990.0, 5600.0, 1, 0)
    assert again.find("+12065550101") is None


def test_calls_since_the_start_count_more_than_what_was_kept() -> None:
    book = Book()
    book.took("+12065550100", 50.0, DAY)
    book.restore({"+12065550100": Use("+12065550100").state(0.0)}, 60.0)

    assert book.use("+12065550100").used_at == 50.0


def test_numbers_that_nobody_needs_are_forgotten() -> None:
    book = Book()
    book.use("seat").seats.append(Seat())
    book.use("cap").caps = Caps(max_calls=1)
    book.took("live", 0.0, DAY)
    book.use("nothing")
    book.forget()

    assert sorted(use.number for use in book) == ["cap", "live", "seat"]
    assert len(book) == 3
