"""REFER of a far end that is followed, in a joined call or alone: whoever it was talking with is never lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sipflow.audio.tones import sine
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.saving import Saving
from sipflow.calls.transfer.referring import refer
from sipflow.errors import CallFailed
from sipflow.sip.outputs import ReferOutcome
from sipflow.sip.takeover import replaces_for
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.referring import ReferSettings
from tests.calls.middle import CALLEE_HZ, CALLER_HZ, DBFS, OUT, hears, middle, talks, until
from tests.calls.outstage import rings_on, story
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, answer_and_wait, staged
from tests.calls.test_referred import ask, trunk
from tests.calls.test_saving import Snapshots

THIRD_HZ, WAITING_HZ = 1700, 300


async def third(call: InboundCall) -> None:
    """Be whom the REFER names."""
    await call.answer()
    while call.ending is None:
        await call.play(sine(THIRD_HZ, 1000, level_dbfs=DBFS))


async def test_what_leads_away_from_the_trunk_is_not_followed() -> None:
    async with staged(trunks=(trunk("follow"),)) as stage:
        call = await stage.call()
        outcome = await ask(stage, call, stage.port)
        await call.hangup()
        await stage.quiet()

    assert (outcome.outcome, outcome.status) == (ReferOutcome.REFUSED, 403)


@asynccontextmanager
async def with_a_third() -> AsyncIterator[Stage]:
    async with staged(third) as stage:
        yield stage


async def test_followed_in_a_joined_call_the_others_talk_and_the_sender_is_let_go() -> None:
    async with with_a_third() as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call = await stages.near.call()
            outcome = await ask(stages.near, call, carol.port)
            await until(lambda: bool(carol.agent.calls) and carol.agent.calls[0].answered)
            heard = (await hears(carol.agent.calls[0], CALLEE_HZ), await hears(stages.callee, THIRD_HZ))
            again = await ask(stages.near, call, carol.port)
            with pytest.raises(CallFailed, match="603"):
                await stages.near.call(headers=(("Replaces", str(replaces_for(call.usage.established))),))
            await call.hangup()
            await asyncio.sleep(0.2)
            still = await hears(carol.agent.calls[0], CALLEE_HZ)
            await stages.callee.hangup()
            await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, outcome.status) == (ReferOutcome.SUCCEEDED, 200)
    assert (heard, still) == ((True, True), True)
    assert (again.status, len(carol.agent.calls)) == (491, 1)  # there is nobody any more whom it could send on


async def test_followed_for_the_callee_of_a_joined_call_the_caller_talks_with_the_third() -> None:
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


@pytest.mark.parametrize("sender", ["caller", "callee"])
@pytest.mark.parametrize("taken", [True, False])
async def test_a_sender_that_hangs_up_at_once_leaves_nobody_behind_rfc5589_6_1(sender: str, taken: bool) -> None:
    take = asyncio.Event()

    async def rings(call: InboundCall) -> None:
        await call.ring()
        await take.wait()
        await (third(call) if taken else call.reject(486))

    async with staged(rings) as carol:
        far, refers = f"127.0.0.1:{carol.port}", ReferSettings(receive="follow")
        near = replace(LOCAL, sip_domain=far, refer=refers) if sender == "caller" else LOCAL
        out = replace(OUT, sip_domain=far, refer=refers) if sender == "callee" else OUT
        async with middle(answer_and_wait, near=near, out=out) as stages:
            stages.near.callee.switchboard.transfers.music = sine(WAITING_HZ, 400, level_dbfs=DBFS)
            stages.near.callee.switchboard.saving = Saving(store := Snapshots())
            kept = store.kept
            call = await stages.near.call()
            far_ends: dict[str, Call] = {"caller": call, "callee": stages.callee}
            goes = far_ends.pop(sender)
            (stays,) = far_ends.values()
            boards = {"caller": stages.near.caller.switchboard, "callee": stages.far.callee.switchboard}
            board = boards[sender]
            board.apply(goes.usage.refer(f"<sip:{NUMBER}@{far}>", now=board.now)[1])
            await until(lambda: bool(carol.agent.calls))
            await goes.hangup()
            alone = await hears(stays, WAITING_HZ)
            take.set()
            if taken:
                assert await hears(stays, THIRD_HZ)
                await stays.hangup()
            ending = await asyncio.wait_for(stays.ended(), WAIT_S)
            await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            await stages.quiet()
            await carol.quiet()
            left, _ = sides = [stages.inbound, stages.legs[0]][:: 1 if sender == "caller" else -1]
            await until(lambda: left.id in kept)
            told = [kept[each.id][-2:] if each is left else story(each.record) for each in sides]

    assert told[0] == ["ended", "refer_followed" if taken else "refer_failed"]
    assert ("refer_followed" in told[1]) is taken
    assert (alone, ending.by) == (True, "local" if taken else "remote")
    if sender == "callee":  # the caller is there to be given on where no third came
        assert [end and end.lost for end in stages.ends] == [None if taken else True]


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
    async with staged(lambda call: call.reject(486)) as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call = await stages.near.call()
            outcome = await ask(stages.near, call, carol.port)
            heard = await hears(call, CALLEE_HZ)
            await call.hangup()
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, outcome.status, heard) == (ReferOutcome.FAILED, 486, True)


async def test_a_third_who_rings_on_is_given_up_and_nobody_waits_for_ever() -> None:
    async with staged(rings_on) as carol:
        impatient = OutboundSettings(ring_s=1.0)
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}", outbound=impatient)
        async with middle(near=near) as stages:
            call = await stages.near.call()
            outcome = await ask(stages.near, call, carol.port)
            ending = await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            heard = await hears(call, CALLEE_HZ)
            await call.hangup()
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, outcome.status, outcome.rang) == (ReferOutcome.FAILED, 480, True)
    assert (ending.word, heard) == ("cancelled", True)


async def test_of_two_wishes_at_once_the_second_is_refused_for_now() -> None:
    take = asyncio.Event()

    async def rings(call: InboundCall) -> None:
        await call.ring()
        await take.wait()
        await third(call)

    async with staged(rings) as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call = await stages.near.call()
            first = asyncio.create_task(ask(stages.near, call, carol.port))
            await until(lambda: bool(carol.agent.calls))
            second = await ask(stages.near, call, carol.port)
            take.set()
            outcome = await first
            await call.hangup()
            await stages.callee.hangup()
            await stages.quiet()
            await carol.quiet()

    assert (outcome.outcome, second.outcome, second.status) == (ReferOutcome.SUCCEEDED, ReferOutcome.REFUSED, 491)
    assert len(carol.agent.calls) == 1


async def test_a_sender_who_is_replaced_meanwhile_ends_nothing_when_no_third_comes() -> None:
    refuse = asyncio.Event()

    async def rings(call: InboundCall) -> None:
        await call.ring()
        await refuse.wait()
        await call.reject(486)

    async with staged(rings) as carol:
        near = replace(trunk("follow"), sip_domain=f"127.0.0.1:{carol.port}")
        async with middle(near=near) as stages:
            call, board = await stages.near.call(), stages.near.caller.switchboard
            board.apply(call.usage.refer(f"<sip:{NUMBER}@127.0.0.1:{carol.port}>", now=board.now)[1])
            await until(lambda: bool(carol.agent.calls))
            new = await stages.near.call(headers=(("Replaces", str(replaces_for(call.usage.established))),))
            await asyncio.wait_for(call.ended(), WAIT_S)
            refuse.set()
            await asyncio.wait_for(carol.agent.calls[0].ended(), WAIT_S)
            heard = await hears(new, CALLEE_HZ)
            await new.hangup()
            await stages.quiet()
            await carol.quiet()

    assert heard
