import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import LimitReached, NotFound
from sipflow.numbers.pool import Pool
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import Outcome, RestSettings
from sipflow.numbers.strategies import ORDERS, PREFERENCES
from sipflow.numbers.use import Block, Book, Caps, Day

DAY = Day(100, 100_000.0)
SEATTLE, SEATTLE_2, TORONTO, LONDON = "+12065550100", "+12065550101", "+14165550100", "+442079460000"
CALLEE = "+13125550123"


def pool_of(*numbers: str, book: Book | None = None, **fields: object) -> Pool:
    members = tuple(Member(number) for number in numbers)
    settings_ = PoolSettings("sales", **({"members": members} | fields))  # type: ignore[arg-type]
    return Pool(settings_, book if book is not None else Book(), now=0.0, day=DAY)


def call(pool: Pool, callee: str = CALLEE, *, now: float = 0.0, day: Day = DAY, without: tuple[str, ...] = ()) -> str:
    """Choose a number and count the call."""
    choice = pool.choose(callee, now=now, day=day, without=without)
    pool.took(choice, callee, now=now, day=day)
    return choice.number


def why(pool: Pool, callee: str = CALLEE) -> tuple[str, ...]:
    return pool.choose(callee, now=0.0, day=DAY).why


def refusal(pool: Pool, *, now: float = 0.0, day: Day = DAY) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        pool.choose(CALLEE, now=now, day=day)
    return caught.value


# Strategies


def test_round_robin_takes_one_after_the_other_and_says_so() -> None:
    pool = pool_of("a", "b", "c")

    assert [call(pool) for _ in range(5)] == ["a", "b", "c", "a", "b"]
    assert why(pool) == ("pool sales: 3 of its 3 numbers are free", "c: of these it is the next in turn")


def test_least_recently_used_counts_uses_through_other_pools_too() -> None:
    book = Book()
    pool = pool_of("a", "b", "c", book=book, strategy=("least_recently_used",))
    other = pool_of("a", book=book)
    call(other, now=1.0)

    assert [call(pool, now=2.0 + index) for index in range(4)] == ["b", "c", "a", "b"]
    assert why(pool)[1] == "c: of these it was used longest ago"


def test_weighted_gives_shares_by_weight() -> None:
    members = (Member("a", weight=3), Member("b", weight=1))
    pool = pool_of(members=members, strategy=("weighted",))

    assert Counter(call(pool) for _ in range(40)) == {"a": 30, "b": 10}
    assert why(pool)[1].endswith(": of these it is its turn by weight")


def test_sticky_calls_somebody_from_the_same_number_again() -> None:
    pool = pool_of("a", "b", "c", strategy=("sticky", "round_robin"))
    first = call(pool, "alice"), call(pool, "bob")

    assert (first, call(pool, "bob"), call(pool, "alice")) == (("a", "b"), "b", "a")
    assert why(pool, "bob") == ("pool sales: the callee was called from b before",)


def test_sticky_keeps_a_callee_whose_number_is_busy_and_moves_one_whose_number_rests() -> None:
    pool = pool_of("a", "b", strategy=("sticky", "round_robin"), caps=Caps(max_calls=1))
    call(pool, "alice")
    while_busy = call(pool, "alice")
    for number in ("a", "b"):
        pool._book.released(number, 0.0, DAY)
    then = pool.choose("alice", now=0.0, day=DAY).number
    pool.judge("a", Outcome.BLOCKED, now=0.0, day=DAY)
    moved = call(pool, "alice")
    pool._book.released("b", 0.0, DAY)
    back = pool.choose("alice", now=10_000.0, day=DAY).number

    assert (while_busy, then, moved, back) == ("b", "a", "b", "b")


def test_sticky_remembers_no_more_callees_than_it_may() -> None:
    pool = pool_of("a", "b", strategy=("sticky", "round_robin"), remember=10)
    for index in range(100):
        call(pool, f"callee {index}")

    assert len(pool.callees) == 10


def test_the_same_area_comes_before_the_same_country_and_that_before_any() -> None:
    pool = pool_of(LONDON, SEATTLE, SEATTLE_2, TORONTO, strategy=("same_area",))

    assert [call(pool, callee) for callee in ("+12065550199", "+12065550199", "+14165550199")] == [
        SEATTLE, SEATTLE_2, TORONTO,
    ]  # fmt: skip
    assert call(pool, "+13125550199") in (SEATTLE, SEATTLE_2)  # no number in Chicago: one of the same country
    assert call(pool, "+447700900123") == LONDON
    assert pool.settings.strategy == ("same_area", "same_country", "round_robin")
    assert why(pool, "+12065550199") == (
        "pool sales: 2 of its 2 numbers with the callee's area code 206 are free",
        f"{SEATTLE_2}: of these it is the next in turn",
    )
    assert why(pool, "+4930123456")[0] == "pool sales: 4 of its 4 numbers are free"


def test_when_the_area_has_no_number_free_the_country_has() -> None:
    pool = pool_of(SEATTLE, "+13125550100", LONDON, strategy=("same_area",), caps=Caps(max_calls=1))

    assert [call(pool, "+12065550199") for _ in range(3)] == [SEATTLE, "+13125550100", LONDON]


def test_preferences_can_be_put_together_in_any_order() -> None:
    pool = pool_of(LONDON, SEATTLE, TORONTO, strategy=("sticky", "same_country", "least_recently_used"))

    assert [call(pool, callee, now=index) for index, callee in enumerate(["+12065550199"] * 2 + ["+447700900123"])] == [
        SEATTLE, SEATTLE, LONDON,
    ]  # fmt: skip


# Caps


def test_numbers_at_their_cap_are_passed_over_and_come_back_when_a_call_ends() -> None:
    pool = pool_of("a", "b", caps=Caps(max_calls=1))
    call(pool)
    said = why(pool)
    call(pool)
    error = refusal(pool)
    pool._book.released("a", 5.0, DAY)

    assert said == (
        "pool sales: 1 of its 2 numbers are free (1 have as many calls up as they may)",
        "b: of these it is the next in turn",
    )
    assert str(error) == (
        "pool sales: none of its 2 numbers can be called from now: 2 have as many calls up as they may"
    )
    assert (error.limit, error.again_s) == ("pools.sales", None)
    assert call(pool, now=5.0) == "a"


def test_numbers_that_have_just_been_called_from_come_back_in_time_and_the_refusal_says_when() -> None:
    pool = pool_of("a", "b", caps=Caps(calls_per_second=0.1))
    call(pool, now=100.0)
    call(pool, now=103.0)
    error = refusal(pool, now=104.5)

    assert str(error).endswith(": 2 have just been called from; the next one can in 6 s")
    assert (error.retry_after_s, error.again_s) == (6, 5.5)
    assert call(pool, now=104.5 + 5.5) == "a"


def test_numbers_that_have_had_their_calls_of_the_day_come_back_tomorrow() -> None:
    pool = pool_of("a", caps=Caps(calls_per_day=2))
    call(pool)
    call(pool)
    error = refusal(pool, now=90_000.0)

    assert error.again_s == 10_000.0
    assert "1 have had their calls of the day; the next one can in 10000 s" in str(error)
    assert call(pool, now=100_000.0, day=Day(101, 186_400.0)) == "a"


def test_a_number_has_one_set_of_caps_in_all_its_pools() -> None:
    book = Book()
    one = pool_of("a", book=book, caps=Caps(max_calls=2))
    other = pool_of("a", "b", book=book)
    call(one)
    call(other)

    assert refusal(one).limit == "pools.sales"
    assert call(other) == "b"
    assert call(other) == "b"  # not a: it has two calls


def test_the_caps_of_one_member_are_its_own() -> None:
    pool = pool_of(members=(Member("a", caps=Caps(max_calls=1)), Member("b")))

    assert [call(pool) for _ in range(4)] == ["a", "b", "b", "b"]


def test_numbers_that_will_not_do_keep_their_turn() -> None:
    pool = pool_of("a", "b", "c")

    assert call(pool, without=("a", "b")) == "c"
    assert [call(pool) for _ in range(3)] == ["a", "b", "a"]
    with pytest.raises(LimitReached, match="none of its 3 free numbers will do"):
        pool.choose(CALLEE, now=0.0, day=DAY, without=("a", "b", "c"))


# Rest


def test_a_number_that_draws_608_rests_says_why_and_comes_back_by_itself_on_probation() -> None:
    pool = pool_of("a", "b")
    call(pool)
    said = pool.judge("a", Outcome.BLOCKED, now=10.0, day=DAY)
    while_resting = [call(pool, now=20.0) for _ in range(2)]
    after = [call(pool, now=3610.0) for _ in range(2)]

    assert said == "a rests for 1 h: somebody on the way blocks it as spam (608)"
    assert while_resting == ["b", "b"]
    assert after == ["b", "b"]  # it is back, but its first call is still up: on probation it has one at a time
    pool._book.released("a", 3611.0, DAY)
    assert call(pool, now=3611.0) == "a"
    standing = next(pool.standings(now=3611.0, day=DAY))
    assert (standing.on_probation, standing.why) == (True, "somebody on the way blocks it as spam (608)")


def test_a_number_whose_calls_are_answered_no_more_rests() -> None:
    pool = pool_of("good", "bad")
    said = []
    for index in range(200):
        good = Outcome.ANSWERED if index % 2 else Outcome.UNANSWERED
        pool.judge("good", good, now=index, day=DAY)
        bad = good if index < 80 else Outcome.UNANSWERED
        said.append(pool.judge("bad", bad, now=index, day=DAY))

    rests = [(index, text) for index, text in enumerate(said) if text]
    assert rests[0][0] < 130
    assert rests[0][1].startswith("bad rests for 1 h: of its last ")
    assert pool.choose(CALLEE, now=rests[0][0], day=DAY).why[0].endswith("1 of its 2 numbers are free (1 rest)")


def test_no_more_than_a_share_rests_for_its_answer_rate_but_every_one_that_draws_607_does() -> None:
    pool = pool_of("a", "b", "c", "d", rest=RestSettings(share=0.25))
    for index in range(300):
        pool.judge("a", Outcome.ANSWERED, now=index, day=DAY)
        for number in ("b", "c", "d"):
            pool.judge(number, Outcome.UNANSWERED, now=index, day=DAY)
    resting = [standing.number for standing in pool.standings(now=299.0, day=DAY) if standing.block is not None]
    for number in "abcd":
        pool.judge(number, Outcome.UNWANTED, now=300.0, day=DAY)

    assert len(resting) == 1
    assert str(refusal(pool, now=300.0)).startswith(
        "pool sales: none of its 4 numbers can be called from now: 4 rest; "
    )


def test_a_pool_told_not_to_rest_its_numbers_does_not() -> None:
    pool = pool_of("a", rest=RestSettings(enabled=False))

    assert [pool.judge("a", outcome, now=0.0, day=DAY) for outcome in Outcome] == [""] * 5


def test_a_number_of_another_pool_is_not_found() -> None:
    pool = pool_of("a")

    with pytest.raises(NotFound):
        pool.judge("b", Outcome.ANSWERED, now=0.0, day=DAY)
    with pytest.raises(NotFound):
        pool.block_of("b", now=0.0, day=DAY)


# Change and restart


def test_a_pool_that_is_changed_goes_on_where_it_was() -> None:
    book = Book()
    before = pool_of("a", "b", "c", book=book, strategy=("sticky", "round_robin"), caps=Caps(max_calls=1))
    call(before, "alice")
    call(before, "bob")
    settings_ = PoolSettings("sales", ("sticky", "round_robin"), tuple(map(Member, "abcd")), Caps(max_calls=1))
    before.leave()
    after = Pool(settings_, book, now=0.0, day=DAY, before=before)

    assert [call(after, callee) for callee in ("carol", "dora")] == ["c", "d"]
    book.released("b", 1.0, DAY)
    assert call(after, "bob", now=1.0) == "b"
    assert all(len(use.seats) == 1 for use in book)


def test_what_a_member_is_doing_can_be_asked() -> None:
    pool = pool_of("a", "b", caps=Caps(max_calls=1))
    call(pool, now=7.0)
    first, second = pool.standings(now=8.0, day=DAY)

    assert (first.number, first.block, first.live, first.today, first.used_at) == (
        "a", Block("calls", float("inf")), 1, 1, 7.0,
    )  # fmt: skip
    assert (second.number, second.block, second.live, second.answer_rate, second.used_at) == ("b", None, 0, None, None)
    assert ("a" in pool, "z" in pool, len(pool), pool.free_count) == (True, False, 2, 1)


# Cost, in candidates looked at

BIG = 10_000
STRATEGIES = [(order,) for order in ORDERS] + [(one,) for one in PREFERENCES] + [(*PREFERENCES, "weighted")]


@pytest.mark.parametrize("strategy", STRATEGIES, ids="-".join)
def test_of_ten_thousand_numbers_one_is_looked_at_although_nearly_all_rest_or_are_at_their_cap(
    strategy: tuple[str, ...],
) -> None:
    numbers = [f"+1{code}555{index:04d}" for code in (206, 312, 416, 212) for index in range(BIG // 4)]
    pool = pool_of(*numbers, strategy=strategy, caps=Caps(max_calls=1))
    away = random.Random(3).sample(numbers, BIG - 20)
    for index, number in enumerate(away):
        if index % 2:
            pool.judge(number, Outcome.BLOCKED, now=0.0, day=DAY)
        else:
            pool._book.took(number, 0.0, DAY)
    most = 0
    for index in range(20):
        before = pool.looked_at
        call(pool, f"+1{(206, 312, 416)[index % 3]}5559{index:03d}", now=1.0)
        most = max(most, pool.looked_at - before)
    before = pool.looked_at
    refusal(pool, now=1.0)

    assert most == 1
    assert pool.looked_at - before == 0
    assert pool.free_count == 0


def test_when_thousands_come_back_at_once_a_choice_lifts_only_a_few_blocks() -> None:
    pool = pool_of(*[f"n{index}" for index in range(BIG)])
    for index in range(BIG):
        pool.judge(f"n{index}", Outcome.BLOCKED, now=0.0, day=DAY)
    steps = []
    for _ in range(3000):
        before = pool.looked_at
        call(pool, now=4000.0)
        steps.append(pool.looked_at - before)

    assert max(steps) <= 5
    assert pool.free_count == BIG - 3000  # on probation each has one call at a time


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("tfrwd"), st.integers(0, 4)), max_size=60),
    st.sampled_from([(order,) for order in ORDERS]),
)
def test_whatever_happens_only_numbers_that_may_are_chosen_and_all_of_those_are_known(
    steps: list[tuple[str, int]], strategy: tuple[str, ...]
) -> None:
    """Checks the rows against each number asked on its own, through any life of a pool."""
    numbers = [f"n{index}" for index in range(5)]
    pool = pool_of(*numbers, strategy=strategy, caps=Caps(max_calls=2, calls_per_second=0.5, calls_per_day=6))
    book, now, live = pool._book, 0.0, []
    for what, which in steps:
        day = Day(int(now // 50), (now // 50 + 1) * 50)
        free = {number for number in numbers if book.use(number).block(now, day) is None}
        if what == "t":
            try:
                live.append(call(pool, now=now, day=day))
            except LimitReached:
                assert not free
            else:
                assert live[-1] in free
        elif what == "f" and live:
            book.released(live.pop(which % len(live)), now, day)
        elif what == "r":
            pool.judge(numbers[which], Outcome.UNWANTED, now=now, day=day)
        now += {"w": 3.0, "d": 60.0}.get(what, 0.0)
    ended = Day(int(now // 50), (now // 50 + 1) * 50)
    assert sum(use.live for use in book) == len(live)
    assert pool.free_count <= len({number for number in numbers if book.use(number).block(now, ended) is None})
