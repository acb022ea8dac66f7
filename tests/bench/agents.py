"""Agents of the bench."""

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall


async def ring_and_answer(call: InboundCall) -> None:
    """Ring, answer, and stay until the caller hangs up: INVITE/100/180/200/ACK/BYE and nothing else."""
    await call.ring()
    await call.answer()
    await call.ended()


async def hand_over(call: InboundCall) -> None:
    """Answer, and transfer the call to where the option `target` says; whom the target sees is the caller."""
    await call.answer()
    await call.transfer(str(call.options["target"]), caller_id="original")


async def done_at_once(call: Call) -> None:
    """Say nothing, which hangs up."""
