"""Understand a word, and answer by it: pocketsphinx listens (`pip install pocketsphinx`), espeak-ng speaks."""

import asyncio

from pocketsphinx import Decoder, Endpointer
from voice import say

from sipflow.calls.inbound import InboundCall

RATE_HZ = 16000  # what the model in pocketsphinx has learnt
WORDS = ["yes", "no", "one", "two", "three", "four", "five"]  # a short list is understood even over a telephone
SILENCE = bytes(RATE_HZ // 5 * 2)  # around a word, or the recogniser misses its edges
GRAMMAR = f"#JSGF V1.0; grammar words; public <word> = {' | '.join(WORDS)};"


async def speech(call: InboundCall) -> None:
    call.sample_rate_hz = RATE_HZ
    await call.answer()
    ear = await asyncio.to_thread(Ear)  # a third of a second: not in the event loop
    await call.play(await say("Say yes, no, or a number from one to five."))
    while word := await ear.listen(call):
        call.log.info("understood", word=word)
        await call.play(await say(f"You said {word}."))
        if word == "no":
            break


class Ear:
    """Finds words in what a caller says."""

    def __init__(self) -> None:
        self._decoder = Decoder(samprate=RATE_HZ, lm=None, loglevel="FATAL")
        self._decoder.add_jsgf_string("words", GRAMMAR)
        self._decoder.activate_search("words")

    async def listen(self, call: InboundCall) -> str:
        """Wait for one of the words; "" when the caller has hung up."""
        endpointer = Endpointer(sample_rate=RATE_HZ)  # tells speech from silence, in pieces of 30 ms
        size, waiting, spoken = endpointer.frame_bytes, b"", b""
        async for frame in call.audio:
            waiting += frame.pcm
            while len(waiting) >= size:
                spoken += endpointer.process(waiting[:size]) or b""
                waiting = waiting[size:]
            if spoken and not endpointer.in_speech:
                word = await asyncio.to_thread(self._understand, spoken)
                if word:
                    return word
                spoken = b""
        return ""

    def _understand(self, pcm: bytes) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(SILENCE + pcm + SILENCE, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found is not None else ""
