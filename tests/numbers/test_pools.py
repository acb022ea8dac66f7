import pytest

from sipflow.errors import Conflict, LimitReached, NotFound
from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.pools import Picked, Pools, Source, expanded
from sipflow.numbers.resting import Outcome
from sipflow.numbers.use import Book, Caps, Day

DAY = Day(100, 100_000.0)
A, B, C, D = "+12065550100", "+12065550101", "+12065550102", "+442079460000"
NUMBERS = (
    Number(A, trunk="one", outbound_agents=("sales", "care")),
    Number(B, trunk="two", outbound_agents=("sales",)),
    Number(C, inbound_agent="desk"),
    Number("+1206*", inbound_agent="desk", outbound_agents=("sales",)),
    Number(D, trunk="two"),
)


def pools(**fields: object) -> Pools:
    made = Pools()
    made.apply(Source(NUMBERS, **fields), now=0.0, day=DAY)  # type: ignore[arg-type]
    return made


def pick(pools_: Pools, agent: str = "sales", from_number: str = "", *, full: tuple[str, ...] = ()) -> Picked:
    """Choose a number, with no room on the trunks `full`, and count the call."""
    refused = LimitReached("trunk is full", limit="trunks.x.max_calls")
    picked = pools_.choose(
        agent, "+13125550123", from_number, now=0.0, day=DAY, refusal=lambda trunk: refused if trunk in full else None
    )
    pools_.took(picked, "+13125550123", now=0.0, day=DAY)
    return picked


def test_an_agent_without_a_pool_calls_from_its_own_numbers_in_turn() -> None:
    found = pools()
    picked = [pick(found) for _ in range(3)]

    assert [(each.number, each.trunk) for each in picked] == [(A, "one"), (B, "two"), (A, "one")]
    assert picked[0].why == (
        "pool of agent sales: 2 of its 2 numbers are free",
        f"{A}: of these it is the next in turn",
    )


def test_an_agent_that_only_answers_a_number_calls_from_that() -> None:
    assert (pick(pools(), "desk").number, pick(pools(), "desk").trunk) == (C, "")


def test_an_agent_without_numbers_is_told_what_to_do() -> None:
    with pytest.raises(Conflict, match="agent nobody has no number to call from: attach one, or name a pool"):
        pick(pools(), "nobody")


def test_an_agent_that_names_a_pool_calls_from_its_numbers() -> None:
    found = pools(pools={"uk": PoolSettings("uk", members=(Member(D),))}, agents={"sales": "uk"})

    assert pick(found).number == D
    assert list(found.named) == ["uk"]


def test_a_pool_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="agent sales calls from pool uk, and there is no such pool"):
        pick(pools(agents={"sales": "uk"}))


@pytest.mark.parametrize("asked", [B, "12065550101", "+1 (206) 555-0101", "tel:+12065550101"])
def test_the_number_that_is_asked_for_is_taken_if_it_is_the_agents(asked: str) -> None:
    if not asked.startswith(("+", "tel")):
        with pytest.raises(Conflict):
            pick(pools(), from_number=asked)
        return
    picked = pick(pools(), from_number=asked)

    assert (picked.number, picked.why) == (B, (f"{B} was asked for",))


def test_a_number_of_somebody_else_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(Conflict) as caught:
        pick(pools(), from_number=D)

    assert str(caught.value) == f"from_phone_number: {D} is none of agent sales's numbers ({A}, {B})"


def test_a_number_that_is_asked_for_keeps_its_caps_and_may_rest() -> None:
    found = pools(caps={A: Caps(max_calls=1)})
    first = pick(found, from_number=A)
    with pytest.raises(LimitReached) as caught:
        pick(found, from_number=A)
    said = found.released(first, Outcome.UNWANTED, now=0.0, day=DAY)

    assert (str(caught.value), caught.value.limit) == (
        f"{A} has as many calls up as it may (max_calls)",
        f"numbers.{A}.max_calls",
    )
    assert said == f"{A} rests for 1 h: a callee marked it as unwanted (607)"
    assert pick(found, from_number=A).why == (f"{A} was asked for, although it rests",)


@pytest.mark.parametrize(
    ("caps", "text", "limit", "again_s"),
    [
        (Caps(calls_per_second=0.1), "has just been called from", "calls_per_second", 10.0),
        (Caps(calls_per_day=1), "has had its calls of the day", "calls_per_day", 100_000.0),
    ],
)
def test_a_number_that_is_asked_for_too_often_says_when_it_can_again(
    caps: Caps, text: str, limit: str, again_s: float
) -> None:
    found = pools(caps={A: caps})
    pick(found, from_number=A)
    with pytest.raises(LimitReached) as caught:
        pick(found, from_number=A)

    assert (str(caught.value), caught.value.limit, caught.value.again_s) == (
        f"{A} {text}", f"numbers.{A}.{limit}", again_s,
    )  # fmt: skip


def test_a_number_whose_trunk_takes_no_call_is_passed_over() -> None:
    found = pools()

    assert [pick(found, full=("one",)).number for _ in range(2)] == [B, B]
    assert pick(found).number == A  # it kept its turn
    for asked in ("", A):
        with pytest.raises(LimitReached, match="trunk is full"):
            pick(found, from_number=asked, full=("one", "two"))


def test_of_many_numbers_on_a_full_trunk_only_some_are_tried() -> None:
    many = tuple(Number(f"n{index}", trunk="one", outbound_agents=("sales",)) for index in range(1000))
    found = Pools()
    found.apply(Source(many), now=0.0, day=DAY)
    with pytest.raises(LimitReached):
        pick(found, full=("one",))

    assert found.of_agent("sales", now=0.0, day=DAY).looked_at < 200


def test_a_wildcard_stands_for_every_listed_number_that_begins_so() -> None:
    pool = PoolSettings("us", members=(Member("+1206*", weight=2), Member(B, weight=5), Member("+1999")))

    assert [(member.number, member.weight) for member in expanded(pool, NUMBERS).members] == [(A, 2), (B, 5), (C, 2)]


def test_a_change_keeps_what_is_known_and_the_calls_that_are_up() -> None:
    found = pools(pools={"p": PoolSettings("p", members=(Member(A), Member(B)))}, agents={"sales": "p"})
    first = pick(found)
    same = found.named["p"]
    found.apply(
        Source(NUMBERS, {"p": PoolSettings("p", members=(Member(A), Member(B)))}, {"sales": "p"}), now=0.0, day=DAY
    )
    kept = found.named["p"] is same
    wider = PoolSettings("p", members=(Member(A), Member(B), Member(D)), caps=Caps(max_calls=1))
    found.apply(Source(NUMBERS, {"p": wider}, {"sales": "p"}), now=0.0, day=DAY)
    then = [pick(found).number, pick(found).number]
    found.released(first, Outcome.ANSWERED, now=0.0, day=DAY)

    assert (kept, then, pick(found).number) == (True, [B, D], A)


def test_looser_caps_hold_at_once() -> None:
    found = pools(caps={A: Caps(max_calls=1), B: Caps(max_calls=1)})
    pick(found), pick(found)
    with pytest.raises(LimitReached):
        pick(found)
    found.apply(Source(NUMBERS, caps={A: Caps(max_calls=2), B: Caps(max_calls=1)}), now=0.0, day=DAY)

    assert pick(found).number == A


def test_numbers_that_come_and_go_are_in_the_agents_turn_at_once() -> None:
    found = pools()
    pick(found)
    found.apply(Source((*NUMBERS, Number(D + "1", outbound_agents=("sales",)))), now=0.0, day=DAY)
    then = [pick(found).number for _ in range(2)]
    found.apply(Source(()), now=0.0, day=DAY)

    assert then == [B, D + "1"]
    with pytest.raises(Conflict):
        pick(found)
    assert all(not use.seats for use in found.book)


def test_a_pool_that_goes_leaves_nothing_behind() -> None:
    found = pools(pools={"p": PoolSettings("p", members=(Member(D),))})
    found.apply(Source(NUMBERS), now=0.0, day=DAY)

    assert (dict(found.named), found.book.find(D)) == ({}, None)


def test_after_a_restart_the_numbers_go_on_where_they_were() -> None:
    lru = {"p": PoolSettings("p", ("least_recently_used",), (Member(A), Member(B)))}
    kept = Book()
    kept.took(A, 50.0, DAY)
    (use,) = kept.take_changed()
    found = pools(pools=lru, agents={"sales": "p"})
    found.book.restore({A: use.state(50.0)}, 0.0)
    found.restart(now=0.0, day=DAY)

    assert pick(found).number == B
