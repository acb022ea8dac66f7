"""Agents that transfer, as the daemon loads them: what came of it is in its log, and the agent is there again."""

import asyncio
from contextlib import suppress

from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.hours import read_hours
from sipflow.errors import CallEnded

AGENT_HZ, WHISPER_HZ = 500, 1900


async def talk(call: InboundCall) -> None:
    """Make the agent's voice heard."""
    with suppress(CallEnded):
        while True:
            await call.play(sine(AGENT_HZ, 2000, level_dbfs=-12.0))


async def transferring(call: InboundCall) -> None:
    """Answer, talk, transfer as the options say, and talk on if nobody has the call."""
    await call.answer()
    async with asyncio.TaskGroup() as group:
        voice = group.create_task(talk(call))
        await asyncio.sleep(0.3)
        how = dict(call.options)
        if "hours" in how:
            how["hours"] = read_hours(**how["hours"])  # type: ignore[arg-type]
        if how.get("mode") == "warm":
            how["whisper"] = sine(WHISPER_HZ, 900, level_dbfs=-12.0)
        outcome = await call.transfer(**how)  # type: ignore[arg-type]
        call.log.info(
            "transfer over",
            outcome=outcome.status.value,
            failed_reason=outcome.failed_reason.value if outcome.failed_reason else None,
            connected=outcome.human_connected_at is not None,
            attempts=[[each.method.value, each.status, str(each.failed_reason or "")] for each in outcome.attempts],
        )
        with suppress(CallEnded):
            await asyncio.sleep(0.7)
        voice.cancel()
