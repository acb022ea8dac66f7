"""The agents that the scenarios call: each does one thing, and logs that it was started, so that starts can be counted.

`tests.scenario.agents:NAME` in scenarios/inbound.yaml.
"""

import asyncio

from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.errors import MediaError

ELSEWHERE = "<sip:+12065550199@198.51.100.9>"
_TONE = sine(440, 60_000, level_dbfs=-12.0, sample_rate_hz=8000)
_LONG_S = 60.0
_EARLY_BYTES = 16 * 600  # six tenths of a second


def _started(call: InboundCall) -> None:
    call.log.info("agent started", sip_call_id=call.record.sip_call_id)


def _seconds(call: InboundCall, option: str, default: float) -> float:
    return float(str(call.options.get(option, default)))


async def answers(call: InboundCall) -> None:
    """Answer, and listen until the caller hangs up."""
    _started(call)
    await call.answer()
    await call.ended()


async def rings_then_answers(call: InboundCall) -> None:
    """Ring after `rings_after_s`, answer `answers_after_s` later."""
    _started(call)
    await asyncio.sleep(_seconds(call, "rings_after_s", 0.0))
    await call.ring()
    await asyncio.sleep(_seconds(call, "answers_after_s", 0.3))
    await call.answer()
    await call.ended()


async def thinks(call: InboundCall) -> None:
    """Do nothing that a caller could notice."""
    _started(call)
    await asyncio.wait_for(call.ended(), _LONG_S)


async def rings_on(call: InboundCall) -> None:
    """Ring and never answer."""
    _started(call)
    await call.ring()
    await asyncio.wait_for(call.ended(), _LONG_S)


async def declines(call: InboundCall) -> None:
    """Say that nobody wants to talk."""
    _started(call)
    await call.reject(603)


async def is_busy(call: InboundCall) -> None:
    """Say that it is busy."""
    _started(call)
    await call.reject(486)


async def redirects(call: InboundCall) -> None:
    """Send the caller elsewhere."""
    _started(call)
    await call.reject(302, headers={"Contact": ELSEWHERE})


async def fails(call: InboundCall) -> None:
    """Raise what nobody expects."""
    _started(call)
    raise RuntimeError("this agent fails on purpose")


async def hangs_up(call: InboundCall) -> None:
    """Answer after `answers_after_s`, and hang up `after_s` later."""
    _started(call)
    await asyncio.sleep(_seconds(call, "answers_after_s", 0.0))
    await call.answer()
    await asyncio.sleep(_seconds(call, "after_s", 0.2))


async def plays(call: InboundCall) -> None:
    """Answer and play a tone for a minute."""
    _started(call)
    await call.answer()
    await call.play(_TONE)


async def plays_early(call: InboundCall) -> None:
    """Play a tone before the answer, answer, and listen until the caller hangs up."""
    _started(call)
    await call.progress()
    await call.play(_TONE[:_EARLY_BYTES])
    await call.answer()
    call.log.info("answered")
    await call.ended()


async def hears_digits(call: InboundCall) -> None:
    """Answer, and hang up after `#`, saying what was pressed."""
    _started(call)
    await call.answer()
    digits = ""
    while not digits.endswith("#"):
        digits += await call.read_digit(timeout=_LONG_S) or "#"
    await asyncio.sleep(0.2)  # the answer to the last INFO goes first
    await call.hangup(headers={"X-Digits": digits})


async def holds(call: InboundCall) -> None:
    """Put the caller on hold, take it back, and hang up, saying how that went."""
    _started(call)
    await call.answer()
    try:
        await call.put_on_hold()
        await asyncio.sleep(0.2)
        await call.take_off_hold()
    except MediaError as error:
        outcome = str(error)
    else:
        outcome = "held, taken back"
    await asyncio.sleep(0.3)
    await call.hangup(headers={"X-Outcome": outcome})


async def sends_digits(call: InboundCall) -> None:
    """Answer and press two keys."""
    _started(call)
    await call.answer()
    await call.send_digits("1#")
