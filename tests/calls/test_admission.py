"""Numbers and limits of calls, through edges that run: who is let in and out, who waits, and that all is given back."""

import asyncio
from datetime import UTC, datetime

import pytest

from sipflow.calls.admission import Admission
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.limits import Limit, Limits, LimitSettings
from sipflow.calls.order import Choice
from sipflow.calls.record import CallRecord
from sipflow.calls.waiting import Ticket
from sipflow.errors import CallFailed, Conflict, LimitReached, TransportError
from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.pools import Pools, Source
from sipflow.numbers.use import Caps
from tests.calls.outstage import CALLEE, OURS, Outgoing, outgoing
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, staged
from tests.calls.test_reception import refused

OTHER = "+12065550101"


def admission(
    *, settings: LimitSettings | None = None, caps: Caps | None = None, pool: PoolSettings | None = None
) -> Admission:
    """Two numbers on trunk a, for agent talker."""
    limits = Limits(settings, clock=asyncio.get_running_loop().time)
    pools = Pools(limits.book)
    numbers = tuple(Number(number, trunk="a", outbound_agents=("talker",)) for number in (OURS, OTHER))
    source = Source(
        numbers,
        {pool.name: pool} if pool is not None else {},
        {"talker": pool.name} if pool is not None else {},
        {OURS: caps, OTHER: caps} if caps is not None else {},
    )
    pools.apply(source, now=limits.now, day=limits.day)
    return Admission(pools, limits)


def use(stage: Outgoing, made: Admission) -> Admission:
    stage.originator.numbers = made
    stage.originator.enter = made.move
    return made


def empty(made: Admission) -> bool:
    return made.limits.live() == {"calls": 0} and all(use.live == 0 for use in made.limits.book)


async def talks(call: InboundCall) -> None:
    await call.answer()
    await call.ended()


async def stays(call: Call) -> None:
    await call.ended()


async def is_busy(call: InboundCall) -> None:
    await call.reject(486)


async def blocks(call: InboundCall) -> None:
    await call.reject(608)


# In


async def test_of_two_calls_to_a_number_of_one_call_the_second_hears_busy_and_why() -> None:
    async with staged() as stage:
        limits = stage.callee.switchboard.limits
        limits.book.use(NUMBER).caps = Caps(max_calls=1)
        first = await stage.call()
        second = await refused(stage)
        await first.hangup()
        await stage.quiet()
        third = await stage.call()
        await third.hangup()
        await stage.quiet()
        left = limits.live()

    why = f"number {NUMBER} has 1 call up, which is as many as it may (numbers.{NUMBER}.max_calls)"
    assert second == (486, f'SIP;cause=486;text="{why}"')
    assert left == {"calls": 0}


@pytest.mark.parametrize(
    ("settings", "status", "name"),
    [
        (LimitSettings(whole=Limit(1)), 503, "limits.max_calls"),
        (LimitSettings(each_trunk=Limit(1)), 503, "trunks.local.max_calls"),
        (LimitSettings(agents={"agent": Limit(1)}), 486, "agents.agent.max_calls"),
    ],
)
async def test_a_call_over_a_limit_is_refused_with_its_name(settings: LimitSettings, status: int, name: str) -> None:
    async with staged() as stage:
        stage.callee.switchboard.limits.apply(settings)
        first = await stage.call()
        found, reason = await refused(stage)
        await first.hangup()
        await stage.quiet()

    assert (found, f"({name})" in reason) == (status, True)


async def test_a_call_that_comes_to_nothing_leaves_no_count() -> None:
    async with staged(ports=2) as stage:
        first = await stage.call()
        await refused(stage)  # there is no RTP port for a second one
        during = stage.callee.switchboard.limits.live()
        await first.hangup()
        await stage.quiet()
        after = stage.callee.switchboard.limits.live()

    assert (during["calls"], after) == (1, {"calls": 0})


async def test_a_call_that_an_agent_places_counts_and_is_counted_out() -> None:
    async with staged() as stage:
        board = stage.caller.switchboard
        board.limits.apply(LimitSettings(each_trunk=Limit(1)))
        first = await board.place(stage.plan(), trunk=LOCAL)
        with pytest.raises(TransportError, match="trunk local has 1 call up"):
            await board.place(stage.plan(), trunk=LOCAL)
        await first.wait_answered()
        await first.hangup()
        await stage.quiet()
        refusing = await board.place(stage.plan("+12065550199"), trunk=LOCAL)
        with pytest.raises(CallFailed):
            await refusing.wait_answered()
        await stage.quiet()
        left = board.limits.live()

    assert left == {"calls": 0}


# Out


async def test_the_record_says_which_number_it_was_and_why_and_the_next_call_takes_the_next() -> None:
    async with outgoing(is_busy) as stage:
        made = use(stage, admission(pool=PoolSettings("sales", members=(Member(OURS), Member(OTHER)))))
        first, second = stage.order(), stage.order()
        before = dict(made.limits.live())
        async with asyncio.timeout(WAIT_S):
            while stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        all_out = empty(made)

    assert (first.number, second.number) == (OURS, OTHER)
    assert first.why[:2] == (
        "pool sales: 2 of its 2 numbers are free",
        f"{OURS}: of these it is the next in turn",
    )
    assert (before["calls"], all_out) == (2, True)


async def test_a_608_rests_the_number_and_the_next_call_goes_by_another() -> None:
    async with outgoing(blocks) as stage:
        made = use(stage, admission())
        said: list[tuple[str, str]] = []
        made.on_rest = lambda number, why: said.append((number, why))
        numbers = []
        for _ in range(2):
            record = stage.order()
            numbers.append(record.number)
            async with asyncio.timeout(WAIT_S):
                while stage.originator.live:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        with pytest.raises(LimitReached) as caught:
            stage.order()

    why = "rests for 1 h: somebody on the way blocks it as spam (608)"
    assert numbers == [OURS, OTHER]
    assert said == [(OURS, f"{OURS} {why}"), (OTHER, f"{OTHER} {why}")]
    assert "none of its 2 numbers can be called from now: 2 rest; the next one can in 3600 s" in str(caught.value)
    assert caught.value.retry_after_s in (3599, 3600)


async def test_more_calls_a_second_than_may_be_are_refused_with_the_true_time() -> None:
    async with outgoing(is_busy) as stage:
        made = use(stage, admission(settings=LimitSettings(whole=Limit(calls_per_second=4))))
        for _ in range(4):
            stage.order()
        with pytest.raises(LimitReached) as caught:
            stage.order()
        assert caught.value.again_s is not None
        await asyncio.sleep(caught.value.again_s)
        stage.order()
        async with asyncio.timeout(WAIT_S):
            while stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    assert caught.value.limit == "limits.calls_per_second"
    assert 0 < caught.value.again_s <= 0.25
    assert empty(made)


async def test_calls_that_may_wait_go_out_one_after_the_other_when_there_is_room() -> None:
    async with outgoing(is_busy) as stage:
        made = use(stage, admission(settings=LimitSettings(each_agent=Limit(1))))
        records = [stage.order(queue_s=30.0) for _ in range(4)]
        waiting, begun = len(made.room), [record.number for record in records]
        async with asyncio.timeout(WAIT_S):
            while stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        kept = stage.kept.records

    assert (waiting, begun) == (3, [OURS, "", "", ""])
    assert kept == records
    assert [record.number for record in records] == [OURS, OTHER, OURS, OTHER]
    assert [record.ending.word for record in records if record.ending] == [Word.BUSY] * 4
    assert empty(made)


async def test_a_call_that_waited_in_vain_says_for_what() -> None:
    async with outgoing(talks, agent=stays) as stage:
        made = use(stage, admission(settings=LimitSettings(each_agent=Limit(1))))
        live = stage.order()
        late = stage.order(queue_s=0.05)
        async with asyncio.timeout(WAIT_S):
            while late.ending is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await stage.originator.cancel(live.id)
        all_out = empty(made)

    assert late.ending is not None
    assert (late.ending.word, late.ending.why) == (
        Word.OVERLOADED,
        "no room after 0.05 s in the queue: agent talker has 1 call up, which is as many as it may "
        "(agents.talker.max_calls)",
    )
    assert all_out


async def test_a_call_that_waits_can_be_cancelled() -> None:
    async with outgoing(talks, agent=stays) as stage:
        made = use(stage, admission(settings=LimitSettings(each_agent=Limit(1))))
        live, late = stage.order(), stage.order(queue_s=30.0)
        await asyncio.sleep(0)
        await stage.originator.cancel(late.id)
        waiting = len(made.room)
        await stage.originator.cancel(live.id)
        all_out = empty(made)

    assert (waiting, late.ending is not None, late.number, all_out) == (0, True, "", True)


async def test_a_call_that_goes_on_by_another_trunk_counts_there_and_is_passed_over_where_there_is_no_room() -> None:
    async def goes_on(call: InboundCall) -> None:
        await call.reject(503)

    for settings, trunks in (
        (LimitSettings(), ["a", "b", "c"]),
        (LimitSettings(trunks={"b": Limit(1)}), ["a", "c"]),
    ):
        async with outgoing(goes_on, goes_on, is_busy) as stage:
            made = use(stage, admission(settings=settings))
            held = made.limits.admit_outbound("b", "")
            record = await stage.over(stage.order())
            held.release()

        assert [attempt.trunk for attempt in record.attempts] == trunks
        assert empty(made)


# Without an edge


def record_of(status: int, *, by: str = "remote") -> CallRecord:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    return CallRecord("1", "1@x", "outbound", "", "", "", "", "", at, ending=Ending.of(by, status, "over"))


async def test_a_number_is_given_back_once_however_often_it_is_freed() -> None:
    made = admission(caps=Caps(max_calls=1))
    choice = made.choose("talker", CALLEE)
    during = made.limits.live()["calls"]
    made.free(choice, record_of(486))
    made.free(choice, record_of(608))
    made.undo(choice)

    assert (during, empty(made), made.choose("talker", CALLEE).number) == (1, True, OTHER)
    assert made.choose("talker", CALLEE).number == OURS  # it does not rest: the second end never counted


async def test_what_we_gave_up_ourselves_says_nothing_about_a_number() -> None:
    made = admission()
    for _ in range(200):
        made.free(made.choose("talker", CALLEE), record_of(487, by="local"))

    assert [use.health.rate.calls for use in made.limits.book] == [0, 0]


async def test_a_choice_of_somebody_else_is_let_be() -> None:
    made = admission()
    made.free(Choice(OURS, "a"), record_of(486))
    made.undo(Choice(OURS, "a"))
    made.move(Choice(OURS, "a"), "b")

    assert empty(made)


async def test_those_who_wait_come_before_whoever_comes_later_and_the_refusal_counts_them() -> None:
    made = admission(settings=LimitSettings(whole=Limit(calls_per_second=1)))
    held = made.choose("talker", CALLEE)
    tickets = [made.join("talker", CALLEE, at_most_s=60.0) for _ in range(2)]
    with pytest.raises(LimitReached) as caught:
        made.choose("talker", CALLEE)
    for ticket in tickets:
        assert isinstance(ticket, Ticket)
        ticket.cancel()
    made.undo(held)

    assert str(caught.value).endswith("; 2 wait for it already")
    assert caught.value.retry_after_s == 3
    assert caught.value.again_s is not None
    assert 2.5 < caught.value.again_s <= 3.0


async def test_a_line_that_is_full_or_closed_takes_nobody() -> None:
    made = admission(settings=LimitSettings(each_agent=Limit(1), queue_calls=1))
    made.choose("talker", CALLEE)
    waits = made.join("talker", CALLEE, at_most_s=60.0)
    with pytest.raises(LimitReached, match="and 1 calls wait already"):
        made.join("talker", CALLEE, at_most_s=60.0)
    with pytest.raises(Conflict):
        made.join("nobody", CALLEE, at_most_s=60.0)
    made.room.close()

    assert isinstance(waits, Ticket)
    assert not waits.open


async def test_a_queue_that_is_made_longer_is_longer_at_once() -> None:
    made = admission(settings=LimitSettings(each_agent=Limit(1), queue_calls=1))
    made.limits.apply(LimitSettings(each_agent=Limit(1), queue_calls=7, queue_s=9.0))

    assert (made.room.most, made.room.longest_s) == (7, 9.0)


async def test_a_trunk_that_is_named_nowhere_has_no_limit_of_its_own() -> None:
    limits = Limits(LimitSettings(each_trunk=Limit(1)), clock=asyncio.get_running_loop().time)
    for _ in range(3):
        limits.admit_outbound("", "")

    assert limits.live()["calls"] == 3
