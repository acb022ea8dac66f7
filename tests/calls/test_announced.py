from datetime import UTC, datetime, timedelta

import pytest

from sipflow.calls.announced import Announced, AnnouncedCalls, read_ei
from sipflow.errors import LimitReached
from sipflow.sip.headers.address import NameAddr
from tests.calls.stage import NUMBER, answer_and_wait, staged

BEGUN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def announced(
    call_id: str = "c0ffee", *, agent: str = "agent", lasts_s: float = 600.0, now: datetime = BEGUN
) -> Announced:
    return Announced(
        id=call_id,
        agent=agent,
        from_number="+12065550199",
        to_number=NUMBER,
        variables={"customer": "Ada"},
        created_at=now,
        expires_at=now + timedelta(seconds=lasts_s),
    )


class Clock:
    def __init__(self) -> None:
        self.now = BEGUN

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("S.c0ffee;", {"S": "c0ffee"}),
        ("E.crm-7;S.c0ffee;O.+12065550142;", {"S": "c0ffee", "E": "crm-7", "O": "+12065550142"}),
        ("S.a.b.c;", {"S": "a.b.c"}),
        (" S.c0ffee ; E.x", {"S": "c0ffee", "E": "x"}),
        ("S.first;S.second;", {"S": "first"}),
        ("ES.c0ffee;X.y;S.;", {}),
        ("", {}),
    ],
)
def test_tokens_of_x_ei_are_read_in_any_order(value: str, found: dict[str, str]) -> None:
    assert read_ei(value) == found


def test_an_announcement_is_good_until_it_expires() -> None:
    clock = Clock()
    calls = AnnouncedCalls(wall=clock)
    calls.announce(announced(lasts_s=60))
    clock.now += timedelta(seconds=59.9)
    before = calls.expected("c0ffee")
    clock.now += timedelta(seconds=0.1)

    assert before == announced(lasts_s=60)
    assert calls.expected("c0ffee") is None
    assert calls.waiting() == []


def test_an_announcement_is_used_once_and_whoever_keeps_it_is_told() -> None:
    told: list[str] = []
    calls = AnnouncedCalls(wall=Clock(), on_came=told.append)
    calls.announce(announced())
    calls.came("c0ffee")
    calls.came("c0ffee")
    calls.came("never announced")

    assert calls.expected("c0ffee") is None
    assert told == ["c0ffee"]


def test_more_announcements_than_memory_is_meant_for_are_refused_until_some_expire() -> None:
    clock = Clock()
    calls = AnnouncedCalls(wall=clock, most=2)
    calls.announce(announced("one", lasts_s=10))
    calls.announce(announced("two"))
    with pytest.raises(LimitReached) as refused:
        calls.announce(announced("three"))
    clock.now += timedelta(seconds=10)
    calls.announce(announced("three"))

    assert refused.value.retry_after_s == 10
    assert [call.id for call in calls.waiting()] == ["two", "three"]


async def test_an_invite_with_the_id_takes_the_announcements_id_agent_and_variables() -> None:
    async with staged() as stage:
        stage.agent.runner._agents["other"] = stage.agent.runner._agents["agent"]
        calls = AnnouncedCalls()
        calls.announce(announced(agent="other", now=datetime.now(UTC)))
        stage.callee.switchboard.announced = calls
        call = await stage.call(headers=(("X-EI", "S.c0ffee;E.crm-7;"), ("X-Customer", "42")))
        (live,) = stage.callee.switchboard.calls
        taken = stage.agent.calls[0]
        again = calls.expected("c0ffee")
        await call.hangup()
        await stage.quiet()

    record = stage.kept.records[0]
    assert live == "c0ffee"
    assert again is None
    assert (record.id, record.agent, record.external_id) == ("c0ffee", "other", "crm-7")
    assert (taken.variables["customer"], taken.variables["X-Customer"]) == ("Ada", "42")
    assert record.variables is not None
    assert record.variables["customer"] == "Ada"
    assert record.why[-1] == "the call was announced for agent other"


@pytest.mark.parametrize("value", ["S.unknown;", "S.expired;", "E.crm-7;", "nonsense"])
async def test_an_unknown_or_expired_id_is_a_call_like_any_other(value: str) -> None:
    async with staged(answer_and_wait) as stage:
        calls = AnnouncedCalls()
        calls.announce(announced("expired", agent="other", now=datetime.now(UTC) - timedelta(hours=1)))
        stage.callee.switchboard.announced = calls
        call = await stage.call(headers=(("X-EI", value),))
        await call.hangup()
        await stage.quiet()

    record = stage.kept.records[0]
    assert (len(record.id), record.agent) == (24, "agent")


async def test_until_announcements_are_read_a_call_that_was_announced_is_put_off() -> None:
    async with staged() as stage:
        stage.callee.switchboard.announced = AnnouncedCalls(read=False)
        put_off = await stage.caller.switchboard.place(stage.plan(headers=(("X-EI", "S.c0ffee;"),)))
        ending = await put_off.ended()
        other = await stage.call(call_id="another@test")
        await other.hangup()
        await stage.quiet()

    assert ending.status == 503
    assert [record.ending.status for record in stage.kept.records if record.ending is not None] == [503, 200]


async def test_an_announced_call_that_is_refused_may_come_again() -> None:
    async with staged() as stage:
        calls = AnnouncedCalls()
        calls.announce(announced(now=datetime.now(UTC)))
        stage.callee.switchboard.announced = calls
        stage.callee.switchboard.draining = True
        refused = await stage.caller.switchboard.place(stage.plan(headers=(("X-EI", "S.c0ffee;"),)))
        await refused.ended()
        stage.callee.switchboard.draining = False
        from_ = NameAddr.parse(f"<sip:caller@127.0.0.1>;tag={stage.caller.ua.ids.tag()}")
        call = await stage.call(headers=(("X-EI", "S.c0ffee;"),), from_=from_, call_id="another@test")
        (live,) = stage.callee.switchboard.calls
        await call.hangup()
        await stage.quiet()

    assert live == "c0ffee"
