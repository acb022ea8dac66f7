"""Agents that the daemon of these tests runs: what they see is in its log."""

import asyncio

from sipflow.calls.inbound import InboundCall


async def busy(call: InboundCall) -> None:
    await call.reject(486)


async def ring(call: InboundCall) -> None:
    await call.ring()
    await call.ended()


async def short(call: InboundCall) -> None:
    """Answer, and hang up soon."""
    await call.answer()
    await asyncio.sleep(0.3)


async def listen(call: InboundCall) -> None:
    """Write down digits up to #, and the variables."""
    await call.answer()
    digits = ""
    while not digits.endswith("#"):
        digits += await call.read_digit(timeout=10) or "#"
    call.log.info("heard", digits=digits, variables=dict(call.variables), caller=call.caller)
