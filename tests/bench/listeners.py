"""Agents of the bench that keep what they hear."""

from pathlib import Path

from sipflow.audio.conceal import Concealer
from sipflow.calls.inbound import InboundCall


async def keep(call: InboundCall) -> None:
    """Answer, and write the samples that are heard to the file that the option `file` names, until the call ends."""
    await call.answer()
    with Path(str(call.options["file"])).open("wb") as file:  # noqa: ASYNC230  (one call in a process of its own)
        async for frame in call.audio:
            file.write(frame.pcm)
            file.flush()


async def keep_with_holes(call: InboundCall) -> None:
    """Do the same in a process where nothing is concealed from then on: what is missing is silence."""
    Concealer.good = _unchanged  # type: ignore[method-assign, assignment]
    Concealer.conceal = _silence  # type: ignore[method-assign, assignment]
    await keep(call)


def _unchanged(_concealer: Concealer, pcm: bytes) -> bytes:
    return pcm


def _silence(_concealer: Concealer, samples: int) -> bytes:
    return bytes(2 * samples)
