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


async def echo_at_16_khz(call: InboundCall) -> None:
    """Say back what is heard, 16,000 samples a second, which Opus gives as they are."""
    call.sample_rate_hz = 16000
    await call.answer()
    await call.play(call.audio)


async def echo_at_24_khz(call: InboundCall) -> None:
    """Say back what is heard, 24,000 samples a second, made of the 16,000 of Opus, and made into them again."""
    await call.answer()
    async for frame in call.frames(sample_rate_hz=24000):
        call.write(frame.pcm, sample_rate_hz=24000)


async def done_at_once(call: Call) -> None:
    """Say nothing, which hangs up."""
