"""Who answered: recordings that are made here with espeak-ng, and how many of them are told right.

The detector was not changed after it had first heard the set that is held out, whose voices, sentences, speeds, levels,
beeps and most languages are others than those of the set it was tuned with.
"""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sipflow.audio.answering import AnswerDetector, AnsweringSettings, Verdict, Who
from sipflow.audio.codecs.g711 import decode_ulaw, encode_ulaw
from sipflow.audio.resample import resample
from sipflow.audio.tones import to_pcm
from sipflow.audio.wav import read_wav
from tests.bench.answering_texts import COMPANY, GREETING, HELLO, MENU
from tests.bench.programs import find
from tests.bench.report import Line, at_most

RATE_HZ = 8000
FRAME_BYTES = 320
_END_S = 6.0  # of silence, in which every verdict falls
LIMIT_S = 30.0  # what `answered_by` waits at most
Sound = npt.NDArray[np.float64]
Part = str | float | tuple[float, ...]  # words; a pause in seconds; or frequency, seconds and level of a tone


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: a voice of espeak-ng, how fast (words a minute), how high."""

    name: str
    speed: int = 160
    pitch: int = 50


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording, from the answer on.

    Attributes:
        who: who it is.
        voice: whose.
        parts: what is heard.
        level_dbfs: of the speech, over its length without the pauses.
        noise_db: how far below lies the noise of the line; 0 is none.
    """

    who: Who
    voice: Voice
    parts: tuple[Part, ...]
    level_dbfs: float = -20.0
    noise_db: float = 0.0

    def pcm(self, seed: int = 0) -> bytes:
        """Make it, as it comes out of G.711 at the far end of a telephone line, up to `LIMIT_S`."""
        loud = 10 ** (self.level_dbfs / 20) * 32767 / np.sqrt(2)
        pieces = [self._part(part, loud) for part in self.parts]
        sound = np.concatenate([*pieces, np.zeros(int(_END_S * RATE_HZ))])[: int(LIMIT_S * RATE_HZ)]
        if self.noise_db:
            sound += np.random.default_rng(seed).normal(0.0, loud * 10 ** (-self.noise_db / 20), len(sound))
        return decode_ulaw(encode_ulaw(to_pcm(sound)))

    def _part(self, part: Part, loud: float) -> Sound:
        if isinstance(part, str):
            return said(part, self.voice) * loud
        if isinstance(part, tuple):
            hz, seconds, level_dbfs = part
            at = np.arange(int(seconds * RATE_HZ)) * (2 * np.pi * hz / RATE_HZ)
            return np.asarray(np.sin(at) * 32767 * 10 ** (level_dbfs / 20))
        return np.zeros(int(part * RATE_HZ))


@cache
def said(text: str, voice: Voice) -> Sound:
    """Have espeak-ng say it: 8 kHz, telephone band, as loud as 1 where it is not silent, without silence around it.

    Raises:
        MissingProgram: espeak-ng is not installed.
    """
    command = [find("espeak-ng"), "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "--stdout", text]
    wav = read_wav(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
    sound = np.frombuffer(resample(wav.pcm, wav.sample_rate_hz, RATE_HZ), "<i2").astype(np.float64)
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    sound = np.fft.irfft(spectrum * ((hz > 250) & (hz < 3500)), len(sound))
    loud = np.abs(sound) > 0.02 * np.abs(sound).max()
    first, last = int(loud.argmax()), len(sound) - int(loud[::-1].argmax())
    return np.asarray(sound[first:last] / np.sqrt(np.mean(sound[loud] ** 2)))


_VOICES = {
    "tuning": (("", 150, 50), ("+f2", 175, 60), ("+m3", 130, 40), ("+f5", 155, 55), ("+m7", 195, 50), ("+f1", 200, 50)),
    "held out": (("+m2", 145, 55), ("+f3", 150, 65), ("+m6", 185, 40), ("+f4", 170, 50), ("+m8", 160, 45)),
}
_BEEPS = {
    "tuning": ((1000.0, 0.4, -12.0), (440.0, 1.0, -20.0), (1400.0, 0.2, -15.0), (620.0, 0.15, -24.0),
               (850.0, 1.2, -10.0), (415.0, 0.6, -16.0), (700.0, 0.12, -20.0), (1490.0, 0.1, -14.0)),
    "held out": ((500.0, 0.3, -18.0), (800.0, 0.1, -16.0), (960.0, 1.5, -14.0), (1100.0, 0.5, -22.0),
                 (1330.0, 0.2, -12.0), (425.0, 0.4, -20.0)),
}  # fmt: skip
_LINES = {  # level of the speech, noise below it
    "tuning": ((-18.0, 0.0), (-33.0, 0.0), (-26.0, 20.0), (-12.0, 20.0), (-32.0, 20.0)),
    "held out": ((-21.0, 0.0), (-35.0, 0.0), (-28.0, 20.0), (-16.0, 20.0), (-34.0, 20.0)),
}
_SIT = ((950.0, 0.33, -20.0), (1400.0, 0.33, -20.0), (1800.0, 0.33, -20.0))
_SIT_US = ((913.8, 0.274, -24.0), (1370.6, 0.274, -24.0), (1776.7, 0.38, -24.0))
_GONE = "The number you have dialled is not in service. Please check the number, and try again."


def clips(which: str) -> list[Clip]:
    """Give the recordings of a set, "tuning" or "held out"; always the same ones."""
    chance = np.random.default_rng(len(which))
    lines = [*_LINES[which]]
    voices = _VOICES[which]

    def voice(language: str) -> Voice:
        variant, speed, pitch = voices[chance.integers(len(voices))]
        return Voice(language + variant, speed + int(chance.integers(-8, 9)), pitch)

    found: list[Clip] = []
    for who, language, parts in _spoken(which, chance):
        speaker = voice(language)
        found += [Clip(who, speaker, parts, level, noise) for level, noise in lines]
    english = Voice("en-us" + voices[0][0])
    for level, noise in lines:
        for sit in (_SIT, _SIT_US):
            found.append(Clip(Who.NOT_IN_SERVICE, english, (0.5, *sit, 0.3, _GONE), level, noise))
        found.append(Clip(Who.FAX, english, (1.5, (2100.0, 3.0, level)), level, noise))
        found.append(Clip(Who.BEEP, english, (1.0, (1000.0, 0.4, level)), level, noise))
        found.append(Clip(Who.SILENCE, english, (), level, noise))
    return found


def _spoken(which: str, chance: np.random.Generator) -> Iterator[tuple[Who, str, tuple[Part, ...]]]:
    """Give what is said in each language, with pauses and beeps that vary."""

    def between(low: float, high: float) -> float:
        return float(chance.uniform(low, high))

    for language, texts in (*HELLO[which].items(), *COMPANY[which].items()):
        for number, text in enumerate(texts):
            again = (between(2.5, 4.0), text) if number % 2 else ()  # asked again, for nobody speaks
            yield Who.PERSON, language, (between(0.2, 2.0), text, *again)
    beeps = _BEEPS[which]
    for language, texts in GREETING[which].items():
        for text in texts:
            beep = beeps[chance.integers(len(beeps))]
            yield Who.VOICEMAIL, language, (between(0.2, 1.5), text, between(0.1, 1.2), beep)
    for language, menus in MENU[which].items():
        for menu in menus:
            parts: list[Part] = [between(0.2, 1.0)]
            for phrase in menu:
                parts += [phrase, between(0.3, 0.8)]
            yield Who.PHONE_MENU, language, (*parts, between(4.5, 6.0), *parts)


def judged(pcm: bytes, settings: AnsweringSettings | None = None) -> Verdict:
    """Have the detector hear a recording in frames of 20 ms."""
    detector = AnswerDetector(settings) if settings is not None else AnswerDetector()
    for at in range(0, len(pcm), FRAME_BYTES):
        if detector.hear(pcm[at : at + FRAME_BYTES]) is not None:
            break
    return detector.conclude()


@dataclass(frozen=True, slots=True)
class Table:
    """How often who was taken for whom, and how long it took.

    Attributes:
        counts: by who it was and what we said.
        waited_s: by who it was, from the answer to the verdict, where it was right.
    """

    counts: Counter[tuple[Who, Who]]
    waited_s: dict[Who, list[float]]

    def share(self, who: Who, *told: Who) -> float:
        """Give the share of `who` that was told as one of these."""
        return sum(self.counts[who, each] for each in told) / self.total(who)

    def total(self, who: Who) -> int:
        """Give how many there were."""
        return sum(count for (was, _), count in self.counts.items() if was is who)

    def people(self) -> list[Who]:
        """Give who there was, in order."""
        return [who for who in Who if any(was is who for was, _ in self.counts)]


def confusion(which: str) -> Table:
    """Judge every recording of a set."""
    counts: Counter[tuple[Who, Who]] = Counter()
    waited: dict[Who, list[float]] = {}
    for number, clip in enumerate(clips(which)):
        verdict = judged(clip.pcm(number))
        counts[clip.who, verdict.who] += 1
        if verdict.who is clip.who:
            waited.setdefault(clip.who, []).append(verdict.at_ms / 1000)
    return Table(counts, waited)


def cost_us(turns: int = 9) -> float:
    """Give the CPU that a frame of 20 ms of talk takes, in microseconds: the least of several turns."""
    sentence = "Your call has been forwarded to an automatic voice message system."
    pcm = to_pcm(said(sentence, Voice("en-us")) * 2000)
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    spent: list[int] = []
    for _ in range(turns):
        detector = AnswerDetector()
        begun = time.process_time_ns()
        for frame in frames:
            detector.hear(frame)
        spent.append(time.process_time_ns() - begun)
        assert detector.verdict is None
    return min(spent) / len(frames) / 1000


def run() -> Iterator[Line]:
    """Print the confusion table of both sets."""
    for which in ("tuning", "held out"):
        table = confusion(which)
        for who in table.people():
            told = {each: table.counts[who, each] for each in Who if table.counts[who, each]}
            others = ", ".join(f"{each} {count}" for each, count in told.items() if each is not who)
            what = f"{which}: {who}, {table.total(who)} recordings" + (f"; told as {others}" if others else "")
            yield Line(what, f"{100 * table.share(who, who):.1f} % right")
            if who in table.waited_s:
                yield Line("  median time to the verdict", f"{np.median(table.waited_s[who]):.1f} s")
    yield at_most("CPU for a frame of 20 ms of talk", cost_us(), 10, "us", digits=1)
