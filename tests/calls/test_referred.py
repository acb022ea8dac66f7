"""REFER of a far end in a call: refused, left to the agent, followed; joined or alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sipflow.audio.tones import sine
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.referred import ReferAsked
from sipflow.calls.transfer.referring import Referred, refer
from sipflow.sip.outputs import ReferOutcome
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.middle import CALLEE_HZ, CALLER_HZ, DBFS, hears, middle, talks, until
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, answer_and_wait, staged

THIRD_HZ = 1700


def trunk(receive: str) -> Trunk:
    return replace(LOCAL, refer=ReferSettings(receive=receive))


async def third(call: InboundCall) -> None:
    """Be whom the REFER names."""
    await call.answer()
    while call.ending is None:
        await call.play(sine(THIRD_HZ, 1000, level_dbfs=DBFS))


async def ask(stage: Stage, call: Call, port: int, user: str = NUMBER) -> Referred:
    """Have the caller's edge send REFER, and say what came of it."""
    async with asyncio.timeout(WAIT_S):
        return await refer(stage.caller.switchboard, call, f"<sip:{user}@127.0.0.1:{port}>", patience_s=5.0)


@pytest.mark.parametrize("receive", ["refuse", "offer"])
async def test_by_default_and_where_no_agent_listens_it_is_refused_and_the_call_goes_on(receive: str) -> None:
    async with staged(trunks=(trunk(receive),)) as stage:
        call = await stage.call()
        outcome = await ask(stage, call, stage.port)
        going_on = call.ending
        await call.hangup()
        await stage.quiet()

    assert (outcome.outcome, outcome.status, going_on) == (ReferOutcome.REFUSED, 603, None)


async def test_the_agent_decides_and_reports() -> None:
    asked: list[ReferAsked] = []

    async def decides(call: InboundCall) -> None:
        await call.answer()
        async for one in call.referrals:
            asked.append(one)
            if one.target.startswith("sip:nobody"):
                one.refuse(480, "not now")
                continue
            one.accept()
            one.progress(180)
            await asyncio.sleep(0.2)  # of reports that wait only the newest is sent
            one.finish(200)

    async with staged(decides, trunks=(trunk("offer"),)) as stage:
        call = await stage.call()
        refused = await ask(stage, call, stage.port, "nobody")
        taken = await ask(stage, call, stage.port)
        await call.hangup()
        await stage.quiet()

    assert [one.target.partition("@")[0] for one in asked] == ["sip:nobody", f"sip:{NUMBER}"]
    assert asked[0].referred_by
    assert (refused.outcome, refused.status) == (ReferOutcome.REFUSED, 480)
    assert (taken.outcome, taken.status, taken.rang) == (ReferOutcome.SUCCEEDED, 200, True)


async def test_what_leads_away_from_the_trunk_is_not_followed() -> None:
    async with staged(trunks=(trunk("follow"),)) as stage:
        call = await stage.call()
        outcome = await ask(stage, call, stage.port)
        await call.hangup()
        await stage.quiet()

    assert (outcome.outcome, outcome.status) == (ReferOutcome.REFUSED, 403)


@asynccontextmanager
async def with_a_third() -> AsyncIterator[Stage]:
    async with staged(third, ports=(43000, 43200)) as stage:
        yield stage


async def test_followed_in_a_joined_call_the_others_talk_and_the_sender_is_let_go() -> None:
    async with with_a_third() as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call = await stages.near.call()
            outcome = await ask(stages.near, call, carol.port)
            await until(lambda: bool(carol.agent.calls) and carol.agent.calls[0].answered)
            heard = (await hears(carol.agent.calls[0], CALLEE_HZ), await hears(stages.callee, THIRD_HZ))
            await call.hangup()
            await asyncio.sleep(0.2)
            still = await hears(carol.agent.calls[0], CALLEE_HZ)
            await stages.callee.hangup()
            await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, outcome.status) == (ReferOutcome.SUCCEEDED, 200)
    assert (heard, still) == ((True, True), True)


async def test_followed_for_the_callee_of_a_joined_call_the_caller_talks_with_the_third() -> None:
    from tests.calls.middle import OUT

    async with with_a_third() as carol:
        out = replace(OUT, sip_domain=f"127.0.0.1:{carol.port}", refer=ReferSettings(receive="follow"))
        async with middle(answer_and_wait, out=out) as stages:
            call = await stages.near.call()
            board = stages.far.callee.switchboard
            outcome = await refer(board, stages.callee, f"<sip:{NUMBER}@127.0.0.1:{carol.port}>", patience_s=5.0)
            async with call.playing(sine(CALLER_HZ, 4000, level_dbfs=DBFS)):
                heard = (await hears(call, THIRD_HZ), await hears(carol.agent.calls[0], CALLER_HZ))
            await stages.callee.hangup()
            await call.hangup()
            await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, heard) == (ReferOutcome.SUCCEEDED, (True, True))


async def test_followed_without_a_second_leg_the_agent_goes_on_with_the_other_one() -> None:
    async with with_a_third() as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with staged(talks, trunks=(near,)) as stage:
            call = await stage.call()
            outcome = await ask(stage, call, carol.port)
            await call.hangup()
            heard = await hears(carol.agent.calls[0], CALLEE_HZ)
            await carol.agent.calls[0].hangup()
            await stage.quiet()
            await carol.quiet()

    assert (outcome.outcome, heard) == (ReferOutcome.SUCCEEDED, True)
    assert [each.record.direction for each in stage.agent.placed] == ["outbound"]


async def test_a_third_who_refuses_is_reported_and_the_two_go_on_talking() -> None:
    async with staged(lambda call: call.reject(486), ports=(43000, 43200)) as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call = await stages.near.call()
            outcome = await ask(stages.near, call, carol.port)
            heard = await hears(call, CALLEE_HZ)
            await call.hangup()
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, outcome.status, heard) == (ReferOutcome.FAILED, 486, True)
