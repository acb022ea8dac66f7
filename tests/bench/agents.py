"""Agents of the bench."""

from sipflow.calls.inbound import InboundCall


async def ring_and_answer(call: InboundCall) -> None:
    """Ring, answer, and stay until the caller hangs up: INVITE/100/180/200/ACK/BYE and nothing else."""
    await call.ring()
    await call.answer()
    await call.ended()
