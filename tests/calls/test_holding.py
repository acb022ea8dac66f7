"""Hold from our side, against a real far end on loopback."""

import asyncio

import pytest

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.sip import outputs as sip
from tests.calls.stage import Stage, staged

PATIENCE_S = 10.0


async def until(call: Call, held: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while call.held is not held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def both(stage: Stage, call: OutboundCall) -> tuple[OutboundCall, InboundCall]:
    return call, stage.agent.calls[0]


async def test_the_far_end_is_held_and_taken_back() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        holds = aiter(theirs.hold)
        await ours.put_on_hold()
        told = await asyncio.wait_for(anext(holds), PATIENCE_S)
        seen = [(ours.holding, ours.held, theirs.held, told)]
        await ours.put_on_hold()  # twice is once
        await ours.take_off_hold()
        told = await asyncio.wait_for(anext(holds), PATIENCE_S)
        seen.append((ours.holding, ours.held, theirs.held, told))
        await ours.hangup()
        await stage.quiet()

    assert seen == [(True, False, True, True), (False, False, False, False)]


async def test_a_held_far_end_still_hears_what_is_played_and_is_not_heard() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        await ours.put_on_hold()
        await until(theirs, True)
        assert ours.media is not None
        assert theirs.media is not None
        before = theirs.media.session.statistics().packets_received
        await ours.play(bytes(2 * 8000 // 5))
        await asyncio.sleep(0.1)
        heard = theirs.media.session.statistics().packets_received - before
        agreed = (ours.media.agreed, theirs.media.agreed)
        await ours.hangup()
        await stage.quiet()

    assert heard >= 10
    assert agreed[0] is not None
    assert agreed[1] is not None
    assert (agreed[0].sends, agreed[0].receives, agreed[1].sends, agreed[1].receives) == (True, False, False, True)


async def test_both_may_hold_and_each_takes_back_only_its_own_rfc3264_8_4() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        await ours.put_on_hold()
        await until(theirs, True)
        await theirs.put_on_hold()
        await until(ours, True)
        seen = [(ours.holding, ours.held, theirs.holding, theirs.held)]
        await ours.take_off_hold()
        await until(theirs, False)
        seen.append((ours.holding, ours.held, theirs.holding, theirs.held))
        await theirs.take_off_hold()
        await until(ours, False)
        seen.append((ours.holding, ours.held, theirs.holding, theirs.held))
        await ours.hangup()
        await stage.quiet()

    assert seen == [(True, True, True, True), (False, True, True, False), (False, False, False, False)]


async def test_both_at_once_settle_it_by_themselves() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        async with asyncio.timeout(30.0):
            await asyncio.gather(ours.put_on_hold(), theirs.put_on_hold())
        seen = [(ours.holding, theirs.holding)]
        async with asyncio.timeout(30.0):
            await asyncio.gather(ours.take_off_hold(), theirs.take_off_hold())
        seen.append((ours.holding, theirs.holding))
        await until(ours, False)
        await until(theirs, False)
        await ours.hangup()
        await stage.quiet()

    assert seen == [(True, True), (False, False)]


async def test_a_refusal_leaves_the_call_as_it_was_and_it_may_be_tried_again() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        board, accepts = stage.callee.switchboard, stage.callee.switchboard._mid_call._reoffered

        def refuse(event: sip.OfferReceived) -> None:
            board.apply(event.usage.refuse_offer(event.transaction, 488, "no", now=board.now))

        board._mid_call._reoffered = refuse  # type: ignore[method-assign]
        assert ours.media is not None
        agreed = ours.media.agreed
        with pytest.raises(MediaError, match="488"):
            await ours.put_on_hold()
        seen = [(ours.holding, ours.media.agreed == agreed, ours.ending)]
        board._mid_call._reoffered = accepts  # type: ignore[method-assign]
        await ours.put_on_hold()
        seen.append((ours.holding, theirs.held, ours.ending))
        await ours.hangup()
        await stage.quiet()

    assert seen == [(False, True, None), (True, True, None)]


async def test_a_far_end_that_lost_the_call_ends_the_wait() -> None:
    async with staged() as stage:
        ours, _ = both(stage, await stage.call())
        stage.callee.ua._stack.dialogs.clear()
        with pytest.raises(CallEnded):
            await ours.put_on_hold()
        ending = await asyncio.wait_for(ours.ended(), PATIENCE_S)
        stage.callee.switchboard.hang_up_all()

    assert (ending.by, ending.status) == ("system", 481)


async def test_a_far_end_that_hangs_up_meanwhile_ends_the_wait() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        stage.callee.switchboard._mid_call._reoffered = lambda event: theirs.end("enough")  # type: ignore[method-assign]
        with pytest.raises(CallEnded):
            await ours.put_on_hold()
        await stage.quiet()


async def test_cancelling_the_wait_does_not_break_the_next_hold() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        task = asyncio.ensure_future(ours.put_on_hold())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await until(theirs, True)
        await asyncio.sleep(0.1)
        await ours.take_off_hold()
        await until(theirs, False)
        assert (ours.holding, theirs.held) == (False, False)
        await ours.hangup()
        await stage.quiet()


async def test_there_is_no_hold_before_there_is_a_call() -> None:
    failures: list[Exception] = []

    async def agent(call: InboundCall) -> None:
        for wait in (call.put_on_hold, call.progress, call.put_on_hold):
            try:
                await wait()
            except LocalProtocolError as error:
                failures.append(error)
        await call.answer()

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert len(failures) == 2


async def test_a_hold_whose_sender_was_cancelled_is_taken_back_once_it_is_known_what_came_of_it() -> None:
    async with staged() as stage:
        ours, theirs = both(stage, await stage.call())
        holding = asyncio.create_task(ours.put_on_hold())
        while ours._reoffer is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        holding.cancel()
        await ours.take_off_hold()
        seen = (ours.holding, theirs.held)
        await ours.hangup()
        await stage.quiet()

    assert seen == (False, False)
