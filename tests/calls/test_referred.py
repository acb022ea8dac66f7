"""REFER of a far end in a call: refused, or left to the agent."""

import asyncio
from dataclasses import replace

import pytest

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.referred import ReferAsked
from sipflow.calls.transfer.referring import Referred, refer
from sipflow.sip.outputs import ReferOutcome
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, staged


def trunk(receive: str) -> Trunk:
    return replace(LOCAL, refer=ReferSettings(receive=receive))


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
