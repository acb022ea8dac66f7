"""Agents of a user's own, as the daemon loads them: what they see is in its log."""

from dataclasses import asdict

from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall


async def hang_up_soon(call: InboundCall) -> None:
    """Answer, play half a second of sound, and hang up."""
    await call.answer()
    await call.play(sine(440, 500))


async def measured_echo(call: InboundCall) -> None:
    """Echo, and write the packets into the log."""
    await call.answer()
    try:
        await call.play(call.audio)
    finally:
        statistics = call.statistics
        if statistics is not None:
            call.log.info("heard", **asdict(statistics))


async def spell(call: InboundCall) -> None:
    """Answer, read digits up to #, write them into the log, and hang up."""
    await call.answer()
    digits = ""
    while not digits.endswith("#"):
        digit = await call.read_digit(timeout=20)
        if digit is None:
            break
        digits += digit
    call.log.info("digits read", digits=digits)


async def busy(call: InboundCall) -> None:
    """Refuse, as a telephone does on which somebody talks."""
    await call.reject(486)


async def hand_back(call: InboundCall) -> None:
    """Call whom the option `to` names, and give the caller to them by way of the exchange."""
    await call.answer()
    leg = await call.dial(str(call.options["to"]), trunk=call.record.trunk)
    await leg.wait_answered()
    outcome = await call.hand_back(leg)
    call.log.info("handed back", outcome=outcome.outcome.value, status=outcome.status)


async def press_back(call: InboundCall) -> None:
    """Read four digits, write them into the log, and press others."""
    await call.answer()
    digits = [await call.read_digit(timeout=20) or "" for _ in range(4)]
    call.log.info("digits read", digits="".join(digits))
    await call.read_digit(timeout=1.0)  # until the far end listens
    await call.send_digits("159#")
    await call.ended()
