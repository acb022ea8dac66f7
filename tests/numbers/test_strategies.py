from collections import Counter
from math import log2
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sipflow.numbers.strategies import CLOSED, ROWS, LeastRecentlyUsed, Tournament, Turns, Weighted


def opened(kind: type[Turns], weights: list[float]) -> Turns:
    turns = kind(weights)
    turns.open_all()
    return turns


def take(turns: Turns, count: int, *, since: float = 0.0) -> list[int]:
    """Who has the next turns, a second apart."""
    taken = []
    for index in range(count):
        position = turns.first()
        assert position is not None
        turns.took(position, now=since + index, here=True)
        taken.append(position)
    return taken


def test_round_robin_goes_round_in_the_order_of_the_list() -> None:
    assert take(opened(Turns, [1] * 3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_gives_a_number_that_was_away_at_its_turn_the_next_round() -> None:
    turns = opened(Turns, [1] * 4)
    turns.close(1)
    before = take(turns, 3)
    turns.open(1)

    assert (before, take(turns, 6)) == ([0, 2, 3], [0, 1, 2, 3, 0, 1])


def test_least_recently_used_prefers_the_unused_and_then_the_oldest() -> None:
    turns = opened(LeastRecentlyUsed, [1] * 3)
    turns.took(0, now=5.0, here=True)
    turns.took(2, now=3.0, here=False)

    assert take(turns, 4, since=10.0) == [1, 2, 0, 1]


def test_least_recently_used_takes_one_that_was_away_as_soon_as_it_is_back() -> None:
    turns = opened(LeastRecentlyUsed, [1] * 3)
    turns.close(0)
    away = take(turns, 4)
    turns.open(0)

    assert (away, take(turns, 2, since=10.0)) == ([1, 2, 1, 2], [0, 1])


def test_weights_are_kept_in_every_stretch_and_never_in_clumps() -> None:
    taken = take(opened(Weighted, [5, 1, 1]), 70)

    assert Counter(taken) == {0: 50, 1: 10, 2: 10}
    for start in range(63):
        assert 4 <= taken[start : start + 7].count(0) <= 6  # nginx's smooth weighted round robin: 5
    longest = max(len(run) for run in "".join("a" if one == 0 else " " for one in taken).split())
    assert longest <= 4


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_after_any_number_of_turns_nobody_is_off_by_two(weights: list[int]) -> None:
    taken = take(opened(Weighted, [float(weight) for weight in weights]), 60)
    whole = sum(weights)

    for turns in (10, 30, 60):
        counts = Counter(taken[:turns])
        off = [abs(counts[one] - turns * weight / whole) for one, weight in enumerate(weights)]
        assert max(off) < 2 + len(weights) / 4


def test_what_a_weighted_number_missed_is_not_made_up_for() -> None:
    turns = opened(Weighted, [1, 1])
    turns.close(0)
    take(turns, 50)
    turns.open(0)

    assert abs(Counter(take(turns, 10))[0] - 5) <= 1


def test_a_turn_in_another_row_counts_in_this_one() -> None:
    turns = opened(Turns, [1] * 3)
    turns.took(0, now=0.0, here=False)

    assert take(turns, 5) == [1, 2, 0, 1, 2]


def test_a_row_goes_on_after_the_one_it_is_told() -> None:
    turns = opened(Turns, [1] * 4)
    turns.close(2)
    turns.skip_to(1)

    assert take(turns, 4) == [3, 0, 1, 3]


def test_with_all_closed_nobody_has_a_turn() -> None:
    for kind in ROWS.values():
        turns = opened(kind, [1, 1])
        turns.close(0)
        turns.close(1)
        turns.close(1)

        assert (turns.first(), turns.open_count) == (None, 0)


class Counting(list[float]):
    """Keys that count how often they are looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


def test_the_smallest_of_ten_thousand_keys_is_found_in_the_logarithm_of_their_count() -> None:
    row = Tournament(10_000)
    row.fill([float(index) for index in range(10_000)])
    for position in range(9_999):  # all but the last are closed, one by one
        row.set(position, CLOSED)
    row._tree = tree = Counting(row._tree)

    assert row.first() == 9_999
    assert tree.looks <= 2 * log2(16_384) + 2


@given(st.lists(st.tuples(st.integers(0, 12), st.one_of(st.floats(-9, 9), st.just(CLOSED))), max_size=60))
def test_the_tournament_agrees_with_a_plain_search(changes: list[tuple[int, float]]) -> None:
    row, keys = Tournament(13), [CLOSED] * 13
    for position, key in changes:
        row.set(position, key)
        keys[position] = key
        least = min(keys)

        assert row.first() == (None if least == CLOSED else keys.index(least))
