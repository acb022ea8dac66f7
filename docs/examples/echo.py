"""Say back what the caller says."""

from sipflow.calls.inbound import InboundCall


async def echo(call: InboundCall) -> None:
    await call.answer()
    await call.play(call.audio)  # until the caller hangs up
