"""Offer a choice of three; the caller may press before the offer has ended."""

from voice import say

from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall

OFFER = "For music, press one. To hear yourself, press two. To leave, press zero."
PATIENCE_S = 8.0
TURNS = 3  # offers that nobody answers; then the caller has put the phone down beside him


async def menu(call: InboundCall) -> None:
    await call.answer()
    offer, music = await say(OFFER), sine(440, 3000)
    for _ in range(TURNS):
        async with call.playing(offer):  # a key stops it, for it ends with the block
            digit = await call.read_digit(timeout=offer.duration_ms / 1000 + PATIENCE_S)
        if digit == "1":
            await call.play(music)
        elif digit == "2":
            async with call.playing(call.audio):
                await call.read_digit(timeout=60.0)
        elif digit == "0":
            break
        elif digit is not None:
            await call.play(await say(f"There is no {digit}."))
    await call.play(await say("Goodbye."))
