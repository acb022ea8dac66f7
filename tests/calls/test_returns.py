"""Calls that come in for a call that is there: the code of a handback, and an INVITE with Replaces."""

import asyncio
from dataclasses import replace

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.returns import PREFIX
from sipflow.calls.transfer.referring import Referred
from sipflow.errors import CallFailed, LocalProtocolError
from sipflow.sip.outputs import ReferReceived
from sipflow.sip.takeover import replaces_for
from sipflow.sip.uri import SipUri
from sipflow.trunks.referring import ReferSettings
from tests.calls.middle import CALLEE_HZ, hears, middle, talks, until
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, staged

FOLLOW = replace(LOCAL, refer=ReferSettings(receive="follow"))


def exchange(stage: Stage, *, comes_back: bool = True, status: int = 0) -> list[str]:
    """Be an exchange that takes REFER, and sends what it is referred to back to the edge; remember the codes."""
    codes: list[str] = []
    board = stage.caller.switchboard

    async def transfer(event: ReferReceived) -> None:
        assert isinstance(event.refer_to.uri, SipUri)
        codes.append(event.refer_to.uri.unescaped_user)
        if status:
            board.apply(event.referred.refuse(status, now=board.now))
            return
        board.apply(event.referred.accept(now=board.now))
        if not comes_back:
            return
        back = await board.place(stage.plan(codes[-1]))
        await back.wait_answered()
        board.apply(event.referred.finish(200, now=board.now))
        old = event.usage.app if event.usage is not None else None
        assert isinstance(old, OutboundCall)
        old.end("transferred")

    before = board.on_event

    def on_event(event: object) -> None:
        if isinstance(event, ReferReceived):
            stage.caller.tasks.spawn(transfer(event), name="the exchange")
        else:
            before(event)

    stage.caller.endpoint._on_event = on_event
    return codes


async def handed_back(
    comes_back: bool, status: int = 0, *, final: bool = False
) -> tuple[list[object], list[str], bool]:
    results: list[object] = []

    async with staged(talks) as far:

        async def agent(call: InboundCall) -> None:
            await call.answer()
            leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{far.port}")
            await leg.wait_answered()
            try:
                results.append(await call.hand_back(leg, wait_s=1.0))
            except LocalProtocolError as error:
                results.append(error)
            await call.ended()

        async with staged(agent, trunks=(replace(LOCAL, refer=ReferSettings(final=final)),)) as near:
            codes = exchange(near, comes_back=comes_back, status=status)
            call = await near.call()
            await until(lambda: bool(results))
            heard = False
            if comes_back and not status:
                await asyncio.wait_for(call.ended(), WAIT_S)
                (back,) = [each for each in near.caller.switchboard.calls.values() if each is not call]
                heard = await hears(back, CALLEE_HZ)
                await back.hangup()
            elif final and not status:
                assert (await asyncio.wait_for(call.ended(), WAIT_S)).by == "remote"
            else:
                await call.hangup()
            await near.quiet()
            await far.quiet()
            assert len(near.callee.switchboard.returns) == 0
    return results, codes, heard


async def test_a_caller_is_handed_back_by_a_code_that_comes_back_and_is_joined_with_the_person() -> None:
    (outcome,), (code,), heard = await handed_back(comes_back=True)

    assert isinstance(outcome, Referred)
    assert (outcome.ok, heard) == (True, True)
    assert code.startswith(PREFIX)
    assert (len(code) - len(PREFIX), code.isdigit()) == (16, True)


@pytest.mark.parametrize("final", [False, True])
async def test_an_exchange_that_refuses_leaves_the_caller_with_the_agent(final: bool) -> None:
    (outcome,), _, _ = await handed_back(comes_back=True, status=603, final=final)

    assert isinstance(outcome, Referred)
    assert (outcome.ok, outcome.status) == (False, 603)


@pytest.mark.parametrize("final", [False, True])
async def test_a_code_that_does_not_come_back_is_said_and_where_that_is_final_the_call_is_over(final: bool) -> None:
    (error,), _, _ = await handed_back(comes_back=False, final=final)

    assert isinstance(error, LocalProtocolError)
    assert "see to it that 0875704225* leads to us" in str(error)


async def test_a_code_that_nobody_expects_is_an_unknown_number() -> None:
    async with staged() as stage:
        call = await stage.caller.switchboard.place(stage.plan(PREFIX + "1"))
        with pytest.raises(CallFailed, match="404"):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await stage.quiet()


# Replaces


async def test_an_invite_with_replaces_takes_the_place_of_a_joined_call() -> None:
    async with middle(near=FOLLOW) as stages:
        call = await stages.near.call()
        replaces = replaces_for(call.usage.established)
        new = await stages.near.call(headers=(("Replaces", str(replaces)), ("Require", "replaces")))
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        heard = await hears(new, CALLEE_HZ)
        await new.hangup()
        await asyncio.wait_for(stages.callee.ended(), WAIT_S)
        await stages.quiet()

    assert (ending.by, heard) == ("remote", True)


async def test_an_invite_with_replaces_goes_on_with_the_agent_of_the_call_it_replaces() -> None:
    async with staged(talks, trunks=(FOLLOW,)) as stage:
        call = await stage.call()
        new = await stage.call(headers=(("Replaces", str(replaces_for(call.usage.established))),))
        heard = await hears(new, CALLEE_HZ)
        await asyncio.wait_for(call.ended(), WAIT_S)
        await new.hangup()
        await stage.quiet()

    assert heard


async def test_a_trunk_that_does_not_follow_lets_no_call_be_replaced() -> None:
    async with staged(talks) as stage:
        call = await stage.call()
        lines = (("Replaces", str(replaces_for(call.usage.established))),)
        new = await stage.caller.switchboard.place(stage.plan(headers=lines))
        with pytest.raises(CallFailed, match="603"):
            await asyncio.wait_for(new.wait_answered(), WAIT_S)
        going_on = call.ending
        await call.hangup()
        await stage.quiet()

    assert going_on is None
