"""What an agent says of a transfer reaches it whole; a call without one has nothing to take back."""

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.request import TransferOptions, TransferRequest
from sipflow.errors import CallEnded
from sipflow.testing import FakeCall, run


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
