import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.calls.waiting import Ticket, WaitingRoom
from sipflow.errors import Conflict, LimitReached


class Counter:
    """So much room by name, given and given back."""

    def __init__(self, **room: int) -> None:
        self.room = room
        self.taken: list[str] = []
        self.again_s: float | None = None

    def take(self, who: str, *what: str) -> Callable[[], str]:
        def attempt() -> str:
            for one in what:
                if self.room[one] <= 0:
                    raise LimitReached(f"{one} is full", limit=one, again_s=self.again_s)
            for one in what:
                self.room[one] -= 1
            self.taken.append(who)
            return f"{who}:{'+'.join(what)}"

        return attempt

    def give_back(self, granted: str) -> None:
        who, _, what = granted.partition(":")
        self.taken.remove(who)
        for one in what.split("+"):
            self.room[one] += 1

    def stand(self, room: WaitingRoom, who: str, *what: str, at_most_s: float = 60.0) -> Ticket[str]:
        attempt = self.take(who, *what)
        try:
            attempt()
        except LimitReached as error:
            return room.enter(attempt, give_back=self.give_back, refused=error, at_most_s=at_most_s)
        raise AssertionError(f"{who} had room at once")


def room_of(most: int = 100, longest_s: float = 300.0) -> WaitingRoom:
    return WaitingRoom(most=most, longest_s=longest_s)


async def test_whoever_came_first_is_let_in_first() -> None:
    room, counter = room_of(), Counter(a=0)
    tickets = [counter.stand(room, who, "a") for who in ("x", "y", "z")]
    counter.room["a"] = 2
    room.pump()

    assert ([ticket.open for ticket in tickets], counter.taken, len(room)) == ([False, False, True], ["x", "y"], 1)
    assert await tickets[0].wait() == "x:a"
    room.close()


async def test_nobody_waits_behind_somebody_who_waits_for_something_else() -> None:
    room, counter = room_of(), Counter(a=0, b=0)
    for who, what in (("x", "a"), ("y", "b"), ("z", "a")):
        counter.stand(room, who, what)
    counter.room["b"] = 5
    room.pump()

    assert (counter.taken, room.ahead("a"), room.ahead("b"), room.ahead("c")) == (["y"], 2, 0, 0)
    room.close()


async def test_whoever_needs_two_things_keeps_the_place_while_the_second_is_waited_for() -> None:
    room, counter = room_of(), Counter(a=0, b=0)
    counter.stand(room, "both", "a", "b")
    counter.stand(room, "late", "b")
    counter.room["a"] = 1
    room.pump()
    behind = room.ahead("b")
    counter.room["b"] = 1
    room.pump()

    assert (behind, counter.taken) == (2, ["both"])
    room.close()


async def test_each_waits_at_most_as_long_as_it_asked_and_is_told_for_what() -> None:
    room, counter = room_of(), Counter(a=0)
    ticket = counter.stand(room, "x", "a", at_most_s=0.01)
    with pytest.raises(LimitReached) as caught:
        await ticket.wait()

    assert (str(caught.value), caught.value.limit) == ("no room after 0.01 s in the queue: a is full", "a")
    assert len(room) == 0


async def test_nobody_waits_longer_than_the_room_allows() -> None:
    room, counter = room_of(longest_s=0.01), Counter(a=0)
    with pytest.raises(LimitReached) as caught:
        await counter.stand(room, "x", "a", at_most_s=1e9).wait()

    assert (str(caught.value), len(room)) == ("no room after 0.01 s in the queue: a is full", 0)


async def test_one_who_never_looks_again_is_not_kept() -> None:
    room, counter = room_of(), Counter(a=0)
    counter.stand(room, "x", "a", at_most_s=0.0)
    stood = len(room)
    async with asyncio.timeout(5):
        while len(room):  # noqa: ASYNC110  (nobody is told)
            await asyncio.sleep(0)
    counter.room["a"] = 1
    room.pump()

    assert (stood, counter.taken, room.ahead("a")) == (1, [], 0)


async def test_the_room_holds_only_so_many() -> None:
    room, counter = room_of(most=2), Counter(a=0)
    counter.stand(room, "x", "a")
    counter.stand(room, "y", "a")
    with pytest.raises(LimitReached) as caught:
        counter.stand(room, "z", "a")

    assert (str(caught.value), caught.value.limit) == (
        "a is full; and 2 calls wait already (limits.queue.calls)", "limits.queue",
    )  # fmt: skip
    room.close()


async def test_a_rate_lets_the_next_one_in_by_itself() -> None:
    room, counter = room_of(), Counter(a=0)
    counter.again_s = 0.01
    ticket = counter.stand(room, "x", "a")
    counter.room["a"] = 1  # by the time the clock has turned

    async with asyncio.timeout(10):
        assert await ticket.wait() == "x:a"


async def test_cancelling_gives_up_the_place() -> None:
    room, counter = room_of(), Counter(a=0)
    waiting = asyncio.create_task(counter.stand(room, "x", "a").wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    counter.room["a"] = 1
    room.pump()

    assert (waiting.cancelled(), counter.taken, len(room)) == (True, [], 0)


async def test_what_is_granted_in_the_moment_of_cancelling_is_given_back() -> None:
    room, counter = room_of(), Counter(a=0)
    waiting = asyncio.create_task(counter.stand(room, "x", "a").wait())
    await asyncio.sleep(0)
    counter.room["a"] = 1
    room.pump()
    waiting.cancel()
    await asyncio.wait([waiting])

    assert (waiting.cancelled(), counter.taken, counter.room) == (True, [], {"a": 1})


async def test_what_is_there_no_more_ends_the_wait_with_that() -> None:
    room, counter = room_of(), Counter(a=0)
    ticket = counter.stand(room, "x", "a")

    def gone() -> str:
        raise Conflict("the agent has gone")

    ticket._attempt = gone
    room.pump()

    with pytest.raises(Conflict, match="the agent has gone"):
        await ticket.wait()
    assert len(room) == 0


async def test_letting_somebody_in_may_make_room_for_the_next() -> None:
    """An attempt that pumps again, as a call that ends at once does, must not turn the line around."""
    room, counter = room_of(), Counter(a=0)
    tickets = [counter.stand(room, who, "a") for who in ("x", "y", "z")]
    attempt = tickets[0]._attempt

    def quick() -> str:
        granted = attempt()
        counter.give_back(granted)
        room.pump()
        return granted

    tickets[0]._attempt = quick
    counter.room["a"] = 1
    room.pump()

    assert ([ticket.open for ticket in tickets], counter.taken) == ([False, False, True], ["y"])
    room.close()


async def test_a_room_that_closes_sends_everybody_away() -> None:
    room, counter = room_of(), Counter(a=0)
    counter.again_s = 0.01
    waiting = asyncio.create_task(counter.stand(room, "x", "a").wait())
    await asyncio.sleep(0)
    room.close()
    await asyncio.wait([waiting])

    assert (waiting.cancelled(), len(room)) == (True, 0)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["come", "come", "end", "leave", "expire"]),
            st.sampled_from(["a", "b", "ab"]),
            st.integers(0, 9),
        ),
        max_size=40,
    )
)
def test_through_any_life_of_a_line_nothing_is_lost_and_nobody_is_overtaken_for_the_same(
    steps: list[tuple[str, str, int]],
) -> None:
    asyncio.run(live(steps))


async def live(steps: list[tuple[str, str, int]]) -> None:
    room, counter = room_of(), Counter(a=2, b=2)
    tickets: dict[str, tuple[str, Ticket[str]]] = {}
    talking: list[str] = []
    for number, (step, what, which) in enumerate(steps):
        who = f"{number:03d}"
        room.pump()
        if step == "come":
            try:
                talking.append(counter.take(who, *what)())
            except LimitReached as error:
                tickets[who] = (
                    what,
                    room.enter(counter.take(who, *what), give_back=counter.give_back, refused=error, at_most_s=60.0),
                )
        elif step == "end" and talking:
            counter.give_back(talking.pop(which % len(talking)))
            room.pump()
        elif step in ("leave", "expire") and tickets:
            _, ticket = tickets.pop(sorted(tickets)[which % len(tickets)])
            ticket.cancel() if step == "leave" else ticket._expire(60.0)
        for one in [one for one, (_, ticket) in sorted(tickets.items()) if not ticket.open]:
            before = [other for other, (wants, ticket) in tickets.items() if ticket.open and other < one]
            assert all(tickets[other][0] != tickets[one][0] for other in before)
            talking.append(await tickets.pop(one)[1].wait())
        assert len(room) == len(tickets)
        assert sorted(counter.taken) == sorted(granted.partition(":")[0] for granted in talking)
        assert all(0 <= left <= 2 for left in counter.room.values())
    room.close()
    assert len(room) == 0
