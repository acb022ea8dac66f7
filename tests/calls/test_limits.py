from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.calls.limits import Limit, Limits, LimitSettings, Permit, inbound_status
from sipflow.errors import LimitReached, LocalProtocolError
from sipflow.numbers.use import Caps

NUMBER = "+12065550100"
EVENING = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


class Clock:
    """Monotonic and wall time, played by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime.fromtimestamp(EVENING.timestamp() + self.now - 1000.0, UTC)


def limits(clock: Clock | None = None, **fields: object) -> Limits:
    clock = clock or Clock()
    return Limits(LimitSettings(**fields), clock=clock, wall=clock.wall)  # type: ignore[arg-type]


def refused(found: Limits, trunk: str = "pbx", agent: str = "desk", token: str = "") -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        found.admit_outbound(trunk, agent, token)
    return caught.value


def test_without_limits_everything_is_let_in_and_counted() -> None:
    found = limits()
    permits = [found.admit_inbound("pbx", NUMBER, "desk") for _ in range(50)]
    permits += [found.admit_outbound("pbx", "sales") for _ in range(50)]
    before = found.live()
    for permit in permits:
        permit.release()

    assert before == {"calls": 100, "trunks.pbx": 100, "agents.desk": 50, "agents.sales": 50}
    assert found.live() == {"calls": 0}


def test_a_call_that_another_agent_may_take_is_counted_where_it_is_handed_over() -> None:
    found = limits(None, agents={"desk": Limit(1), "sales": Limit(1)})
    first = found.admit_inbound("pbx", NUMBER, "desk")
    second = found.admit_inbound("pbx", NUMBER, "desk", undecided=True)
    undecided = found.live()
    with pytest.raises(LimitReached) as full:
        second.hand_over("desk")
    second.hand_over("sales")
    second.hand_over("sales")
    handed = found.live()
    for permit in (first, second):
        permit.release()
        permit.hand_over("desk")

    assert undecided == {"calls": 2, "trunks.pbx": 2, "agents.desk": 1, "agents.": 1}
    assert full.value.limit == "agents.desk.max_calls"
    assert handed == {"calls": 2, "trunks.pbx": 2, "agents.desk": 1, "agents.sales": 1}
    assert found.live() == {"calls": 0}


def test_what_is_undecided_still_finds_no_room_where_all_are_counted() -> None:
    found = limits(None, whole=Limit(1), agents={"desk": Limit(1)})
    found.admit_inbound("pbx", NUMBER, "desk")
    with pytest.raises(LimitReached) as full:
        found.admit_inbound("pbx", NUMBER, "desk", undecided=True)

    assert full.value.limit == "limits.max_calls"


@pytest.mark.parametrize(
    ("fields", "limit", "status", "text"),
    [
        ({"whole": Limit(1)}, "limits.max_calls", 503, "sipflow has 1 call up, which is as many as it may"),
        ({"each_trunk": Limit(1)}, "trunks.pbx.max_calls", 503, "trunk pbx has 1 call up, which is as many as it may"),
        ({"trunks": {"pbx": Limit(1)}}, "trunks.pbx.max_calls", 503, "trunk pbx has 1 call up, which is as many as"),
        ({"each_agent": Limit(1)}, "agents.desk.max_calls", 486, "agent desk has 1 call up, which is as many as it"),
        ({"agents": {"desk": Limit(1)}}, "agents.desk.max_calls", 486, "agent desk has 1 call up, which is as many"),
    ],
)
def test_one_call_more_than_may_be_is_refused_with_the_limit_by_name(
    fields: dict[str, object], limit: str, status: int, text: str
) -> None:
    found = limits(None, **fields)
    permit = found.admit_inbound("pbx", NUMBER, "desk")
    with pytest.raises(LimitReached) as inbound:
        found.admit_inbound("pbx", "+12065550199", "desk")
    outbound = refused(found)
    permit.release()

    for error in (inbound.value, outbound):
        assert (error.limit, inbound_status(error)) == (limit, status)
        assert str(error).startswith(text)
        assert str(error).endswith(f"({limit})")
    found.admit_outbound("pbx", "desk")


def test_a_number_of_one_call_is_busy_for_the_second() -> None:
    found = limits()
    found.book.use(NUMBER).caps = Caps(max_calls=1)
    permit = found.admit_inbound("pbx", NUMBER, "desk")
    with pytest.raises(LimitReached) as caught:
        found.admit_inbound("pbx", NUMBER, "desk")
    live = found.live()
    permit.release()

    limit = f"numbers.{NUMBER}.max_calls"
    assert str(caught.value) == f"number {NUMBER} has 1 call up, which is as many as it may ({limit})"
    assert (caught.value.limit, inbound_status(caught.value)) == (limit, 486)
    assert live["calls"] == 1  # the one that was refused left no trace
    found.admit_inbound("pbx", NUMBER, "desk")


def test_calls_a_second_are_let_out_at_their_rate_and_the_refusal_says_exactly_when() -> None:
    clock = Clock()
    found = limits(clock, whole=Limit(calls_per_second=2))
    passed = []
    for step in range(24):
        clock.now = 1000 + step / 8
        try:
            found.admit_outbound("pbx", "desk").release()
        except LimitReached as error:
            again = error
        else:
            passed.append(step / 8)
    clock.now = 1003.0 - 1 / 16

    assert passed == [0.0, 0.125, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert again.limit == "limits.calls_per_second"
    assert str(refused(found)) == (
        "2 calls a second may be placed (limits.calls_per_second); the next one can start in 0.1 s"
    )
    wait_s = refused(found).again_s
    assert wait_s is not None
    clock.now += wait_s
    found.admit_outbound("pbx", "desk")


def test_each_trunk_and_each_client_of_the_api_has_its_own_rate() -> None:
    found = limits(token_calls_per_second=1, trunks={"pbx": Limit(calls_per_second=0.2)})
    found.admit_outbound("pbx", "desk", "t1")
    found.admit_outbound("other", "desk", "t2")

    assert refused(found, token="t3").limit == "trunks.pbx.calls_per_second"
    assert (refused(found, token="t3").again_s, refused(found, token="t3").retry_after_s) == (5.0, 5)
    assert refused(found, trunk="other", token="t2").limit == "limits.each_token.calls_per_second"
    found.admit_outbound("other", "desk", "t3")
    found.admit_outbound("other", "desk")  # nobody's client: an agent's own call


def test_a_refusal_takes_nothing_from_the_other_limits() -> None:
    found = limits(whole=Limit(10, calls_per_second=1), each_agent=Limit(1))
    held = found.admit_outbound("pbx", "desk")
    found._clock.now += 1.0  # type: ignore[attr-defined]
    by = [refused(found).limit for _ in range(5)]
    before = found.live()
    held.release()
    found.admit_outbound("pbx", "desk").release()

    assert (by, before) == (["agents.desk.max_calls"] * 5, {"calls": 1, "trunks.pbx": 1, "agents.desk": 1})
    assert refused(found).limit == "limits.calls_per_second", "the one that a second has given is used only now"


def test_clients_that_are_remembered_are_bounded() -> None:
    found = limits(token_calls_per_second=100)
    for index in range(3000):
        found._clock.now += 1  # type: ignore[attr-defined]
        found.admit_outbound("pbx", "desk", f"token {index}")

    assert len(found._tokens) == 1000


def test_a_call_that_goes_on_by_another_trunk_counts_there() -> None:
    found = limits(each_trunk=Limit(1))
    one, two = found.admit_outbound("one", "desk"), found.admit_outbound("two", "desk")
    with pytest.raises(LimitReached, match="trunk two has 1 call up"):
        one.move("two")
    one.move("one")
    two.release()
    one.move("two")
    moved = found.live()
    one.release()
    one.move("three")  # over: nothing to move

    assert moved == {"calls": 1, "trunks.two": 1, "agents.desk": 1}
    assert found.live() == {"calls": 0}


def test_a_call_that_moves_keeps_the_rate_of_the_other_trunk() -> None:
    found = limits(trunks={"two": Limit(calls_per_second=1)})
    one = found.admit_outbound("one", "desk")
    found.admit_outbound("two", "desk")
    with pytest.raises(LimitReached) as caught:
        one.move("two")

    assert caught.value.limit == "trunks.two.calls_per_second"


def test_other_limits_hold_at_once_for_calls_that_are_up_too() -> None:
    found = limits()
    permits = [found.admit_inbound("pbx", NUMBER, "desk") for _ in range(3)]
    found.apply(LimitSettings(each_agent=Limit(3), whole=Limit(calls_per_second=1)))
    over = refused(found)
    found.apply(LimitSettings(each_agent=Limit(4), whole=Limit(calls_per_second=4)))
    found.admit_outbound("pbx", "desk")
    permits[0].release()
    found.apply(LimitSettings())

    assert over.limit == "agents.desk.max_calls"
    assert found.live()["calls"] == 3


def test_a_slower_rate_owes_what_the_faster_one_did() -> None:
    found = limits(whole=Limit(calls_per_second=0.5))
    found.admit_outbound("pbx", "desk")
    found.apply(LimitSettings(whole=Limit(calls_per_second=0.25)))

    assert refused(found).again_s == 2.0


def test_the_guess_when_a_call_will_end_follows_how_long_calls_last() -> None:
    clock = Clock()
    found = limits(clock, whole=Limit(4))
    guesses = [found.guess_s(4)]
    for _ in range(1000):
        permit = found.admit_outbound("pbx", "desk")
        clock.now += 8.0
        permit.release()
    guesses += [found.guess_s(4), found.guess_s(1000)]

    assert guesses == [15, 3, 1]
    assert (found.spacing_s("limits.max_calls"), found.spacing_s("trunks.pbx.calls_per_second")) == (9.0, 9.0)


def test_how_fast_a_line_moves_is_the_rate_it_waits_for() -> None:
    found = limits(whole=Limit(calls_per_second=4), each_trunk=Limit(None, 0.5), token_calls_per_second=2)

    names = ("limits.calls_per_second", "trunks.pbx.calls_per_second", "limits.each_token.calls_per_second")
    assert [found.spacing_s(name) for name in names] == [0.25, 2.0, 0.5]


@pytest.mark.parametrize(
    ("zone", "left_s"), [("UTC", 3600.0), ("Europe/Berlin", 24 * 3600.0), ("America/New_York", 6 * 3600.0)]
)
def test_the_day_ends_at_midnight_of_the_time_zone(zone: str, left_s: float) -> None:
    clock = Clock()
    found = limits(clock, time_zone=zone)
    first = found.day
    clock.now += left_s - 1
    same = found.day
    clock.now += 1
    next_day = found.day

    assert (first.ends_at - 1000.0, same, next_day.ordinal) == (left_s, first, first.ordinal + 1)
    found.apply(LimitSettings(time_zone="Asia/Tokyo"))
    assert found.day != next_day


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^time_zone: "):
        LimitSettings(time_zone=zone)


@pytest.mark.parametrize("fields", [{"max_calls": 0}, {"calls_per_second": 0.0}, {"calls_per_second": float("inf")}])
def test_a_limit_of_nothing_is_refused_by_name(fields: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{next(iter(fields))}: "):
        Limit(**fields)  # type: ignore[arg-type]


STEPS = st.tuples(
    st.sampled_from(["in", "out", "end", "end", "again", "move", "wait"]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 20),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_whatever_calls_do_each_is_counted_out_exactly_once_and_no_limit_is_passed(
    steps: list[tuple[str, str, int]],
) -> None:
    clock = Clock()
    found = limits(clock, whole=Limit(5), each_trunk=Limit(3), each_agent=Limit(3), trunks={"b": Limit(2, 2.0)})
    for name in "ab":
        found.book.use(name).caps = Caps(max_calls=2)
    live: list[tuple[str, str, str, Permit]] = []
    over: list[Permit] = []
    room: list[None] = []
    found.on_room = lambda: room.append(None)
    for what, name, which in steps:
        try:
            if what == "in":
                live.append((name, "x", name, found.admit_inbound(name, name, "x")))
            elif what == "out":
                live.append((name, "y", "", found.admit_outbound(name, "y", "t")))
            elif what == "move" and live:
                _, agent, number, permit = live[which % len(live)]
                permit.move(name)
                live[which % len(live)] = (name, agent, number, permit)
        except LimitReached:
            pass
        if what == "end" and live:
            over.append(live.pop(which % len(live))[3])
            over[-1].release()
        elif what == "again" and over:
            over[which % len(over)].release()
        clock.now += 0.25 if what == "wait" else 0.0

        expected = {"calls": len(live)}
        for trunk, agent, _, _ in live:
            for scope in (f"trunks.{trunk}", f"agents.{agent}"):
                expected[scope] = expected.get(scope, 0) + 1
        assert found.live() == expected
        assert len(live) <= 5
        assert expected.get("trunks.b", 0) <= 2
        assert [found.book.use(one).live for one in "ab"] == [sum(each[2] == one for each in live) for one in "ab"]
    assert [permit.held for permit in over] == [False] * len(over)
