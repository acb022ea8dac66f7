"""`handler: forward`: people in turn, then agents; by hours, by how busy they are, and the reverse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from sipflow.agents.forward import check, forward, read_options, refers_to
from sipflow.agents.handlers import check_references
from sipflow.agents.spec import AgentSpec
from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.errors import AgentError, CallFailed, NotFound
from tests.calls.middle import CALLEE_HZ, DBFS, hears, talks
from tests.calls.stage import NUMBER, WAIT_S, Stage, staged

BOT_HZ, MAIL_HZ = 400, 1900
OFFICE = {
    "timezone": "Europe/Berlin",
    "schedule": [{"weekday": "monday", "interval": [{"from": "09:00", "to": "17:00"}]}],
}
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # 10:00 in Berlin
SUNDAY = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def rings(call: InboundCall) -> None:
    await call.ring()
    await call.ended()


async def busy(call: InboundCall) -> None:
    await call.reject(486)


def says(hz: int) -> Callable[[InboundCall], Awaitable[None]]:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(sine(hz, 3000, level_dbfs=DBFS))

    return agent


@asynccontextmanager
async def forwarded(
    person: Callable[[InboundCall], Awaitable[None]], *, at: datetime = MONDAY, people: int = 1, **options: Any
) -> AsyncIterator[tuple[Stage, Stage]]:
    """Give the stage of the caller, and that of the person."""

    async def agent(call: InboundCall) -> object:
        to = [f"sip:{NUMBER}@127.0.0.1:{far.port}"] * people
        call.options = {"to": to, "ring_timeout_s": 0.4, **options}
        return await forward(call, wall=lambda: at)

    async with (
        staged(person) as far,
        staged(agent) as near,  # type: ignore[arg-type]  # what it returns is for the runner
    ):
        agents = near.agent.runner._agents
        agents["bot"] = (AgentSpec("bot", "test"), says(BOT_HZ))
        agents["mail"] = (AgentSpec("mail", "test"), says(MAIL_HZ))
        agents["broken"] = (AgentSpec("broken", "test"), breaks)
        agents["deaf"] = (AgentSpec("deaf", "test"), leaves)
        yield near, far


async def breaks(call: InboundCall) -> None:
    raise RuntimeError("as agents do")


async def leaves(call: InboundCall) -> None:
    """Neither answer nor reject."""


async def heard_by_caller(near: Stage, hz: int) -> tuple[bool, str]:
    """Call, and say whether a tone is heard, and who has the call."""
    call = await near.call()
    heard = await hears(call, hz)
    agent = near.agent.calls[-1].record.agent
    await call.hangup()
    await near.quiet()
    return heard, agent


async def test_the_person_answers_and_is_heard() -> None:
    async with forwarded(talks, fallback="bot") as (near, far):
        assert await heard_by_caller(near, CALLEE_HZ) == (True, "agent")
        await far.quiet()
        names = [each.name for each in near.agent.calls[0].record.history]

    assert names == ["started", "forwarding", "answered", "ended"]


@pytest.mark.parametrize("person", [rings, busy])
async def test_who_does_not_answer_or_is_busy_is_followed_by_the_agent(
    person: Callable[[InboundCall], Awaitable[None]],
) -> None:
    async with forwarded(person, fallback=["bot", "mail"]) as (near, far):
        assert await heard_by_caller(near, BOT_HZ) == (True, "bot")
        await far.quiet()
        (told,) = [each.details for each in near.agent.calls[0].record.history if each.name == "not_forwarded"]

    assert told["status"] == (480 if person is rings else 486)


@pytest.mark.parametrize("first", ["broken", "deaf", "gone"])
async def test_after_the_person_the_agent_and_after_an_agent_that_fails_the_voicemail(first: str) -> None:
    async with forwarded(busy, fallback=[first, "mail"]) as (near, far):
        assert await heard_by_caller(near, MAIL_HZ) == (True, "mail")
        await far.quiet()


async def test_several_people_are_called_one_after_the_other() -> None:
    async with forwarded(busy, people=3, fallback="bot") as (near, far):
        assert await heard_by_caller(near, BOT_HZ) == (True, "bot")
        await far.quiet()

    assert len(far.agent.calls) == 3


async def test_without_a_fallback_the_caller_is_refused_as_we_were() -> None:
    async with forwarded(busy) as (near, _):
        call = await near.caller.switchboard.place(near.plan())
        with pytest.raises(CallFailed, match="486"):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)


async def test_at_other_hours_another_agent_has_the_call_and_nobody_is_called() -> None:
    hours = {"hours": OFFICE, "outside_hours": "mail", "fallback": "bot"}
    async with forwarded(talks, at=SUNDAY, **hours) as (near, far):  # type: ignore[arg-type]
        assert await heard_by_caller(near, MAIL_HZ) == (True, "mail")
        called = len(far.agent.calls)
    async with forwarded(talks, at=MONDAY, **hours) as (near, far):  # type: ignore[arg-type]
        assert await heard_by_caller(near, CALLEE_HZ) == (True, "agent")
        await far.quiet()

    assert called == 0


async def test_one_call_too_many_for_the_people_goes_to_the_agent() -> None:
    async with forwarded(talks, most_calls=1, fallback="bot") as (near, far):
        first = await near.call()
        assert await hears(first, CALLEE_HZ)
        second = await near.call()
        overflow = await hears(second, BOT_HZ)
        for call in (first, second):
            await call.hangup()
        await near.quiet()
        again = await heard_by_caller(near, CALLEE_HZ)
        await far.quiet()

    assert (overflow, again) == (True, (True, "agent"))


async def test_a_caller_who_gives_up_while_it_rings_ends_it_all() -> None:
    async with forwarded(rings, fallback="bot", ring_timeout_s=5) as (near, far):
        call = await near.caller.switchboard.place(near.plan())
        async with asyncio.timeout(WAIT_S):
            while not far.agent.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await call.hangup()
        await near.quiet()
        await far.quiet()
        agents = [each.record.agent for each in near.agent.calls]
        failures = near.callee.tasks.failures

    assert (agents, failures) == (["agent"], 0)


def test_what_is_left_out_has_its_default() -> None:
    options = read_options({"to": 2001, "fallback": "bot"})

    assert (options.to, options.fallback, options.ring_timeout_s, options.most_calls) == (("2001",), ("bot",), 20.0, 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "needs `to`"),
        ({"to": "a", "then": "b"}, "takes no option then"),
        ({"to": "sip:a@{host}"}, "variables of the call"),
        ({"to": "a", "ring_timeout_s": 0}, "ring_timeout_s"),
        ({"to": "a", "most_calls": -1}, "most_calls"),
        ({"to": "a", "fallback": {"a": "b"}}, "fallback must be one, or a list"),
        ({"to": "a", "hours": {"timezone": "UTC"}}, "hours needs timezone and schedule"),
        ({"to": "a", "hours": {"timezone": "Mars", "schedule": []}}, "hours.timezone"),
        ({"to": "a", "hours": {"schedule": "9-5"}}, "hours.schedule must be a list"),
        ({"to": "a", "from": "sip:a@b c"}, "from"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(AgentError, match=sentence):
        check(options)


def test_every_agent_that_may_take_over_must_exist_and_none_may_take_over_from_itself() -> None:
    options = {"to": "a", "fallback": ["bot", "mail"], "outside_hours": "night"}
    assert refers_to(options) == ("bot", "mail", "night")
    specs = {"desk": AgentSpec("desk", "forward", options)}
    with pytest.raises(AgentError, match="agent desk: its fallback bot is no agent"):
        check_references(specs)
    ring = {
        "desk": AgentSpec("desk", "forward", {"to": "a", "fallback": ["echo", "late"]}),
        "echo": AgentSpec("echo", "echo"),
        "late": AgentSpec("late", "forward", {"to": "b", "fallback": "desk"}),
    }
    with pytest.raises(AgentError, match="agent desk: its fallback ends in itself: desk -> late -> desk"):
        check_references(ring)


class Book:
    """A phone book with two people, of whom the second one takes calls."""

    def __init__(self, port: int) -> None:
        self.people = {"1": f"sip:{NUMBER}@127.0.0.1:9", "2": f"sip:{NUMBER}@127.0.0.1:{port}"}

    async def numbers(self, phone_book_id: str, entry_id: str = "") -> Sequence[str]:
        if phone_book_id != "desk":
            raise NotFound(f"there is no phone book {phone_book_id!r}")
        return [self.people[entry_id]] if entry_id else list(self.people.values())


@pytest.mark.parametrize(("named", "tried"), [("phonebook:desk", 2), ("phonebook:desk/2", 1)])
async def test_the_people_of_a_phone_book_are_called_in_turn(named: str, tried: int) -> None:
    async with forwarded(talks, to=[named], fallback="bot") as (near, far):
        near.callee.switchboard.transfers.phone_book = Book(far.port)
        assert await heard_by_caller(near, CALLEE_HZ) == (True, "agent")
        await far.quiet()
        names = [each.name for each in near.agent.calls[0].record.history]

    assert names.count("forwarding") == tried


async def test_a_phone_book_that_is_gone_is_followed_by_the_next_one_and_the_fallback() -> None:
    async with forwarded(talks, to=["phonebook:gone", "phonebook:desk/2"], fallback="bot") as (near, far):
        near.callee.switchboard.transfers.phone_book = Book(far.port)
        assert await heard_by_caller(near, CALLEE_HZ) == (True, "agent")
        await far.quiet()
        (told,) = [each.details for each in near.agent.calls[0].record.history if each.name == "not_forwarded"]
    async with forwarded(talks, to=["phonebook:gone"], fallback="bot") as (near, _):
        assert await heard_by_caller(near, BOT_HZ) == (True, "bot")

    assert told == {"to": "phonebook:gone", "status": 480, "why": "there is no phone book 'gone'"}
