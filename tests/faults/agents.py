"""Agents with a fault, as a user may write them."""

import asyncio
from contextlib import suppress

from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded

_LEFT: list[asyncio.Task[None]] = []
_KEPT: list[bytes] = []


async def never_returns(call: InboundCall) -> None:
    """Answer, and go on for ever, whoever hangs up and whoever asks to stop."""
    with suppress(CallEnded):
        await call.answer()
    await never_done()


async def leaves_tasks(call: InboundCall) -> None:
    """Answer, start work that nobody ends, keep what it heard, and hang up."""
    with suppress(CallEnded):
        await call.answer()
    _LEFT.append(asyncio.create_task(never_done()))
    _KEPT.append(bytes(100_000))


async def never_done() -> None:
    """Not even when it is cancelled."""
    while True:
        with suppress(BaseException):
            await asyncio.sleep(0.05)
