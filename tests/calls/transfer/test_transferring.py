"""What an agent says of a transfer reaches it whole; a call without one has nothing to take back."""

import asyncio

import pytest

from sipflow.audio.tones import sine
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.request import TransferOptions, TransferRequest, read_targets
from sipflow.errors import CallEnded, Conflict
from sipflow.testing import FakeCall, run
from tests.calls.middle import CALLEE_HZ, CALLER_HZ, DBFS, hears, middle, until
from tests.calls.outstage import rings_on
from tests.calls.stage import NUMBER, WAIT_S, staged
from tests.calls.test_following import THIRD_HZ, third


def test_every_option_is_a_field_of_the_request_and_every_field_can_be_said() -> None:
    fields = set(TransferRequest.__dataclass_fields__)
    assert set(TransferOptions.__annotations__) == fields - {"targets", "after_hours"}


async def test_everything_that_an_agent_says_reaches_the_request() -> None:
    said: TransferOptions = {
        "mode": "warm",
        "trunk": "carrier",
        "whisper": "hello.wav",
        "accept": "5",
        "accept_s": 7.0,
        "caller_id": "original",
        "headers": {"X-Order": "{X-Order}"},
        "ring_s": 12.0,
        "extension": "w1",
        "music": "wait.wav",
        "simultaneous": True,
        "hand_back": True,
        "stop_recording": True,
    }

    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.transfer(["200", "sip:bob@pbx.example.com"], after_hours="300", **said)

    call = FakeCall()
    await run(agent, call)
    (request,) = call.transfers

    assert [each.dial for each in request.targets] == ["200", "sip:bob@pbx.example.com"]
    assert [each.dial for each in request.after_hours] == ["300"]
    assert {name: getattr(request, name) for name in said} == said


async def test_a_call_without_a_transfer_has_nothing_to_wait_for_or_to_take_back() -> None:
    call = FakeCall()
    call.take_back()
    await call.outlast_transfer()
    assert (call.transferring, call.region) == (None, None)


async def test_a_call_that_is_over_is_handed_to_nobody() -> None:
    call = FakeCall()
    call.caller_hangs_up()
    with pytest.raises(CallEnded):
        await call.transfer("200")


async def test_a_caller_who_talks_with_somebody_does_so_until_the_person_has_the_call_and_never_hears_both() -> None:
    take = asyncio.Event()

    async def takes(_leg: Call) -> bool:
        return await take.wait()

    async with staged(third) as carol, middle() as stages:
        call = await stages.near.call()
        targets = read_targets(f"sip:{NUMBER}@127.0.0.1:{carol.port}")
        request = TransferRequest(targets=targets, mode="warm", accept=takes, music=sine(1900, 400))
        async with call.playing(sine(CALLER_HZ, 12000, level_dbfs=DBFS)):
            await until(lambda: stages.inbound.answered and stages.legs[0].answered)
            transfer = asyncio.create_task(stages.inbound.begin_transfer(request).run())
            await until(lambda: bool(carol.agent.calls) and carol.agent.calls[0].answered)
            asked = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
            take.set()
            bob = await asyncio.wait_for(stages.callee.ended(), WAIT_S)
            joined = (await hears(call, THIRD_HZ), await hears(carol.agent.calls[0], CALLER_HZ))
        await carol.agent.calls[0].hangup()
        outcome, ending = await transfer, await asyncio.wait_for(call.ended(), WAIT_S)
        await stages.quiet()
        await carol.quiet()

    assert (asked, joined) == ((True, True), (True, True))
    assert (outcome.ok, bob.by, ending.by) == (True, "remote", "remote")
    assert stages.ends == [None]


async def test_a_caller_who_is_being_put_through_is_not_transferred_meanwhile() -> None:
    async with middle(rings_on) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        await until(lambda: bool(stages.legs) and stages.inbound.joint is not None)
        with pytest.raises(Conflict, match="put through"):
            stages.inbound.begin_transfer(TransferRequest(targets=read_targets("200")))
        await call.hangup()
        await stages.quiet()
