"""Transfers of fake calls: the agent's code is what is tested."""

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.ledger import executed_actions
from sipflow.calls.transfer.outcome import FailedReason, TransferOutcome, TransferStatus
from sipflow.errors import LocalProtocolError
from sipflow.testing import FakeCall, run

SALES, HELP = "+12065550177", "sip:help@pbx.example.com"


async def desk(call: InboundCall) -> None:
    """Sales first, then help, then an apology."""
    await call.answer()
    for target in (SALES, HELP):
        outcome = await call.transfer(target, mode="warm", whisper="a call from {X-Shop}", accept="digit")
        if outcome.ok:
            return
    await call.play(bytes(1600))


async def test_every_transfer_succeeds_unless_the_test_says_otherwise_and_that_ends_the_call() -> None:
    call = FakeCall()
    ending = await run(desk, call)

    assert [each.targets[0].text for each in call.transfers] == [SALES]
    assert (call.transfers[0].mode, call.transfers[0].key) == ("warm", "1")
    assert (ending.by, ending.why) == ("remote", "the person hung up")
    assert call.transferring is not None
    assert call.transferring.outcome is not None
    assert call.transferring.outcome.human_connected_at == call.transferring.human_connected_at


async def test_what_the_test_says_comes_of_each_in_turn() -> None:
    lost = TransferOutcome(TransferStatus.CONNECTION_ERROR, FailedReason.CARRIER_UNAVAILABLE)
    call = FakeCall(transfers=[TransferStatus.BUSY, lost])
    ending = await run(desk, call)
    actions = executed_actions(call.record)

    assert [each.targets[0].text for each in call.transfers] == [SALES, HELP]
    assert (ending.by, len(call.played)) == ("local", 1600)
    assert [each["return_value"]["status"] for each in actions.values()] == [
        "transfer-failed-busy",
        "transfer-failed-connection-error",
    ]


async def test_a_caller_may_hang_up_meanwhile_and_hours_may_be_over() -> None:
    gone = FakeCall(transfers=[TransferStatus.OUTSIDE_AVAILABILITY, TransferStatus.CALLER_GONE])
    ending = await run(desk, gone)

    assert (ending.by, len(gone.transfers), gone.played) == ("remote", 2, b"")


async def test_a_call_that_is_handed_back_goes_on() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        assert (await call.transfer(SALES, hand_back=True)).ok
        await call.play(bytes(320))

    call = FakeCall()
    await run(agent, call)
    assert call.played == bytes(320)


async def test_what_a_real_call_would_refuse_a_fake_one_refuses_too() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.transfer("two words")

    with pytest.raises(LocalProtocolError, match=r"^target: "):
        await run(agent, FakeCall())
