"""Who answered, told by how it sounds: a person, a voicemail box, a phone menu. No sockets, no clock, no words.

A person says something short and then waits for us. A recording talks on. A voicemail box beeps after it, and a phone
menu does not. What is measured is when somebody spoke, for how long, when they paused, and which tones were heard; what
is said is not understood.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise

import numpy as np

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.audio.single_tone import WINDOW_MS, WINDOW_SAMPLES, ToneRun, ToneTracker, tone_of
from sipflow.errors import LocalProtocolError

_WINDOW_BYTES = WINDOW_SAMPLES * SAMPLE_BYTES
_SCALE = 2.0 / (WINDOW_SAMPLES * 32767.0**2)  # a full-scale sine has power 1, 0 dBFS
_FAINTEST = 1e-12  # power of silence

# Sound and silence
_FLOOR_DB, _NOISIEST_DB = -70.0, -32.0  # between these lies what may be the noise of a line
_RISE_DB = 0.04  # per window: how fast noise may grow, 2 dB a second
_ABOVE_DB = 8.0  # what is so much louder than the noise is sound
_BELOW_LOUDEST_DB = 28.0  # and no voice is so much quieter than it was before
_FORGET_DB = 0.02  # per window: how fast the loudest is forgotten
_TONE_DB = -45.0  # tones are not looked for below

_BEGIN_MS = 60  # less sound than this is a click
_GO_ON_MS = 40  # and within a talk less than this
_BREATH_MS = 250  # a pause that parts two phrases

# Tones
_SHORTEST_TONE_MS = 80  # 100 ms fill at least four windows whole
_LONGEST_VOWEL_MS = 200  # what follows talk without a pause, and is shorter, is a vowel
_BEFORE_BEEP_MS, _BEFORE_LOW_BEEP_MS, _VOWELS_HZ = 60, 250, 700.0  # such a pause, and below which frequency
_AFTER_BEEP_MS = 200  # nothing may follow a beep for so long, or it was part of something
_ALONE_MS = 1500  # and so long, if nothing was spoken before it
_PROGRESS_HZ = (400.0, 500.0)  # ringing, engaged: no beep unless somebody spoke before
_SIT_HZ = (950.0, 1400.0, 1800.0)  # special information tone (ITU-T E.180)
_SIT_WITHIN_HZ, _SIT_SHORTEST_MS, _SIT_LONGEST_MS, _SIT_GAP_MS = 60.0, 200, 460, 120
_FAX_HZ, _FAX_WITHIN_HZ, _FAX_MS = 2100.0, 15.0, 800  # the answering tone of a fax or modem (ITU-T T.30, V.25)


class Who(StrEnum):
    """Who answered, in one word."""

    PERSON = "person"
    VOICEMAIL = "voicemail"  # a greeting and its beep: it records now
    PHONE_MENU = "phone_menu"  # it spoke for long, and beeped not
    BEEP = "beep"  # a beep, and nothing before it
    MACHINE = "machine"  # a recording; of which kind was not asked, or not to be told in time
    NOT_IN_SERVICE = "not_in_service"  # the network's three rising tones
    FAX = "fax"
    SILENCE = "silence"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class AnsweringSettings:
    """When to be sure who answered; every time is in milliseconds.

    Attributes:
        silence_ms: nothing heard for so long from the beginning is silence.
        short_ms, short_wait_ms: who said no more than this, and then nothing for so long, is a person.
        middling_ms, middling_wait_ms: the same, for more said; in between the wait grows evenly.
        long_ms, long_wait_ms: the same; who says more than this without waiting is a recording.
        beep_wait_ms: a recording that is over, and was not followed by a beep for so long, is a phone menu.
        menu_ms: a recording longer than this, without a beep, is a phone menu.
        beep_shortest_ms, beep_longest_ms, beep_lowest_hz, beep_highest_hz: of a single tone that is a beep.
        kinds: whether to go on, once it is known to be a recording, until it is known of which kind.
    """

    silence_ms: int = 5000
    short_ms: int = 1000
    short_wait_ms: int = 1000
    middling_ms: int = 2000
    middling_wait_ms: int = 1700
    long_ms: int = 6000
    long_wait_ms: int = 3000
    beep_wait_ms: int = 4000
    menu_ms: int = 22_000
    beep_shortest_ms: int = 100
    beep_longest_ms: int = 1500
    beep_lowest_hz: int = 400
    beep_highest_hz: int = 1500
    kinds: bool = True

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            LocalProtocolError: one is not 20 to 120000, or they are not in order.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "kinds" and not WINDOW_MS <= value <= 120_000:
                raise LocalProtocolError(f"AnsweringSettings.{each.name} is {value}, not {WINDOW_MS} to 120000")
        for rising in (
            ("short_ms", "middling_ms", "long_ms", "menu_ms"),
            ("short_wait_ms", "middling_wait_ms", "long_wait_ms"),
            ("beep_shortest_ms", "beep_longest_ms"),
            ("beep_lowest_hz", "beep_highest_hz"),
        ):
            values = [getattr(self, name) for name in rising]
            if values != sorted(values):
                raise LocalProtocolError(f"AnsweringSettings: {', '.join(rising)} must rise, and are {values}")

    def wait_ms(self, said_ms: int) -> float:
        """Give how long a person who said so much would be given to go on."""
        for (low, low_wait), (high, high_wait) in (
            ((self.short_ms, self.short_wait_ms), (self.middling_ms, self.middling_wait_ms)),
            ((self.middling_ms, self.middling_wait_ms), (self.long_ms, self.long_wait_ms)),
        ):
            if said_ms <= low:
                return low_wait
            if said_ms < high:
                return low_wait + (high_wait - low_wait) * (said_ms - low) / (high - low)
        return self.long_wait_ms


_SETTINGS = AnsweringSettings()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who answered, and why we think so.

    Attributes:
        who: in one word.
        reasons: in sentences, the weightiest first.
        at_ms: where in the audio it was certain.
        said_ms: how long they spoke, from the first sound to the last, with the pauses between.
        beep_hz: of the beep, 0 without one.
    """

    who: Who
    reasons: tuple[str, ...] = ()
    at_ms: int = 0
    said_ms: int = 0
    beep_hz: int = 0

    @property
    def machine(self) -> bool:
        """Whether something answered that is certainly not a person."""
        return self.who not in (Who.PERSON, Who.SILENCE, Who.UNSURE)

    @property
    def recording(self) -> bool:
        """Whether it records what is said from now on: leave the message."""
        return self.who in (Who.VOICEMAIL, Who.BEEP)


class AnswerDetector:
    """Tells who answered, from samples that come in pieces of any length; it knows time by their number.

    Attributes:
        verdict: None until it is certain.
        at_ms: where in the audio it is.
    """

    def __init__(self, settings: AnsweringSettings = _SETTINGS) -> None:
        """Begin with the answer, at 0 ms."""
        self._settings = settings
        self._rest = b""
        self.at_ms = 0
        self.verdict: Verdict | None = None
        self._floor_db = _NOISIEST_DB
        self._loudest_db = _FLOOR_DB
        self._tones = ToneTracker()
        self._last_tones: deque[ToneRun] = deque(maxlen=3)
        self._beep: ToneRun | None = None  # if nothing follows it
        self._loud_from_ms = -1  # of the sound that goes on, -1 in silence
        self._from_ms = -1  # of the first talk
        self._until_ms = 0  # of the last
        self._phrases = 0
        self._longest_pause_ms = 0

    def hear(self, pcm: bytes) -> Verdict | None:
        """Hear samples of 8000 Hz, 16-bit little-endian mono; give the verdict once it is certain, and ever after."""
        data = self._rest + pcm if self._rest else pcm
        at, end = 0, len(data) - _WINDOW_BYTES
        while at <= end and self.verdict is None:
            self._look(data, at)
            at += _WINDOW_BYTES
        self._rest = data[at:]
        return self.verdict

    def skip(self, duration_ms: float) -> None:
        """Let time pass that nobody heard: pauses grow no longer by it."""
        passed_ms = int(duration_ms) // WINDOW_MS * WINDOW_MS
        self.at_ms += passed_ms
        if self._from_ms >= 0:
            self._until_ms += passed_ms

    def conclude(self) -> Verdict:
        """Say what can be said now, for no more will be heard."""
        if self.verdict is None:
            who, *reasons = self._so_far()
            self._give(Who(who), *reasons)
        assert self.verdict is not None
        return self.verdict

    # Sound and silence

    def _look(self, data: bytes, at: int) -> None:
        """Judge the next window."""
        samples = np.frombuffer(data, "<i2", WINDOW_SAMPLES, at).astype(np.float32)
        energy = float(samples.dot(samples))
        level_db = 10 * math.log10(energy * _SCALE + _FAINTEST)
        begins_ms = self.at_ms
        self.at_ms = begins_ms + WINDOW_MS
        hz = tone_of(samples, energy) if level_db > _TONE_DB else 0.0
        over = self._tones.judge(hz, level_db, begins_ms)
        if over is not None:
            self._tone_over(over)
        if self._tones.running_ms:
            self._tone_goes_on()
        else:
            self._listen(level_db, begins_ms)
        if self.verdict is None:
            self._decide()

    def _listen(self, level_db: float, begins_ms: int) -> None:
        """Tell sound from silence by the noise of the line and by how loud it was before."""
        floor_db = self._floor_db
        if level_db < floor_db:
            self._floor_db = max(floor_db + (level_db - floor_db) * 0.3, _FLOOR_DB)
        else:
            self._floor_db = min(floor_db + _RISE_DB, _NOISIEST_DB)
        self._loudest_db = max(self._loudest_db - _FORGET_DB, level_db)
        if level_db > max(floor_db + _ABOVE_DB, self._loudest_db - _BELOW_LOUDEST_DB):
            if self._loud_from_ms < 0:
                self._loud_from_ms = begins_ms
            self._sound()
        else:
            self._loud_from_ms = -1

    def _sound(self) -> None:
        """Take what has been loud until now for talk, if it was long enough."""
        begins_ms, lasts_ms = self._loud_from_ms, self.at_ms - self._loud_from_ms
        pause_ms = begins_ms - self._until_ms
        if self._from_ms < 0:
            if lasts_ms >= _BEGIN_MS:
                self._from_ms, self._phrases = begins_ms, 1
                self._until_ms = self.at_ms
                self._beep = None
        elif lasts_ms >= (_BEGIN_MS if pause_ms > _BREATH_MS else _GO_ON_MS):
            if pause_ms > _BREATH_MS:
                self._phrases += 1
                self._longest_pause_ms = max(self._longest_pause_ms, pause_ms)
            self._until_ms = self.at_ms
            if lasts_ms >= _BEGIN_MS:
                self._beep = None

    # Tones

    def _tone_goes_on(self) -> None:
        """See whether what is heard is a fax; a short tone may still be a vowel."""
        tones = self._tones
        if tones.running_ms >= _SHORTEST_TONE_MS:
            self._loud_from_ms = -1
        if tones.running_ms >= _FAX_MS and tones.run.near(_FAX_HZ, _FAX_WITHIN_HZ):
            self._give(Who.FAX, "a tone of 2100 Hz went on for 0.8 s, as a fax or a modem answers")

    def _tone_over(self, tone: ToneRun) -> None:
        """Take a tone that has ended for a beep, one of the network's three, or a vowel."""
        if tone.duration_ms < _SHORTEST_TONE_MS or not tone.steady or self._may_be_vowel(tone):
            if tone.duration_ms < self._settings.beep_longest_ms:  # a voice
                if self._loud_from_ms < 0:
                    self._loud_from_ms = tone.from_ms
                at_ms, self.at_ms = self.at_ms, tone.until_ms
                self._sound()
                self.at_ms = at_ms
            return
        self._last_tones.append(tone)
        if _is_special_information(self._last_tones):
            self._give(Who.NOT_IN_SERVICE, "three rising tones: the network says that the number cannot be reached")
            return
        progress = self._from_ms < 0 and _PROGRESS_HZ[0] <= tone.hz <= _PROGRESS_HZ[1]
        self._beep = tone if self._is_beep(tone) and not progress else None

    def _may_be_vowel(self, tone: ToneRun) -> bool:
        """Say whether a short tone comes so soon after talk that it may be a part of it."""
        if self._from_ms < 0 or tone.duration_ms >= _LONGEST_VOWEL_MS:
            return False
        return tone.from_ms - self._until_ms < (_BEFORE_LOW_BEEP_MS if tone.hz < _VOWELS_HZ else _BEFORE_BEEP_MS)

    def _is_beep(self, tone: ToneRun) -> bool:
        settings = self._settings
        return (
            settings.beep_shortest_ms - 2 * WINDOW_MS < tone.duration_ms <= settings.beep_longest_ms + WINDOW_MS
            and settings.beep_lowest_hz - 5 <= tone.hz <= settings.beep_highest_hz + 5
        )

    # What it means

    @property
    def _said_ms(self) -> int:
        return self._until_ms - self._from_ms if self._from_ms >= 0 else 0

    def _decide(self) -> None:
        """Come to a verdict if what was heard until now is enough."""
        settings, beep = self._settings, self._beep
        if self._tones.running_ms:
            return
        if beep is not None:
            if self.at_ms - beep.until_ms >= (_AFTER_BEEP_MS if self._from_ms >= 0 else _ALONE_MS):
                self._beeped(beep)
            return
        if self._from_ms < 0:
            if self.at_ms >= settings.silence_ms and not self._last_tones:
                self._give(Who.SILENCE, f"nobody spoke for {_s(settings.silence_ms)}")
            return
        said_ms, waited_ms = self._said_ms, self.at_ms - self._until_ms
        if said_ms <= settings.long_ms:
            if waited_ms >= settings.wait_ms(said_ms):
                self._give(Who.PERSON, f"spoke for {_s(said_ms)}, then waited {_s(waited_ms)} for us")
        elif not settings.kinds:
            self._give(Who.MACHINE, *self._monologue())
        elif waited_ms >= settings.beep_wait_ms:
            self._give(Who.PHONE_MENU, f"it beeped not in the {_s(waited_ms)} after it", *self._monologue())
        elif said_ms >= settings.menu_ms:
            self._give(Who.PHONE_MENU, "it is longer than a greeting, and has not beeped", *self._monologue())

    def _beeped(self, beep: ToneRun) -> None:
        what = f"a beep of {round(beep.hz)} Hz, {beep.duration_ms} ms long"
        if self._from_ms >= 0:
            self._give(Who.VOICEMAIL, f"{what}, after {_s(self._said_ms)} of talk", beep=beep)
        else:
            self._give(Who.BEEP, f"{what}, and nobody spoke before it or after it", beep=beep)

    def _monologue(self) -> Iterator[str]:
        yield f"it spoke for {_s(self._said_ms)} and never waited for us, as a recording does"
        if self._phrases > 1:
            yield f"it spoke in {self._phrases} phrases, with pauses of {_s(self._longest_pause_ms)} at most"

    def _so_far(self) -> tuple[str, ...]:
        """Give the verdict of somebody who can wait no longer."""
        if self._beep is not None and self._from_ms < 0 and len(self._last_tones) == 1:
            return Who.BEEP, "there was a beep, and too little time after it"
        if self._from_ms < 0:
            if self._last_tones:
                return Who.UNSURE, "there were only tones"
            return Who.SILENCE, f"nobody spoke in the {_s(self.at_ms)} that there were"
        if self._said_ms > self._settings.long_ms:
            return Who.MACHINE, "it was not over in time", *self._monologue()
        return Who.UNSURE, f"they spoke for {_s(self._said_ms)}, and there was no time to see whether they go on"

    def _give(self, who: Who, *reasons: str, beep: ToneRun | None = None) -> None:
        hz = round(beep.hz) if beep is not None else 0
        self.verdict = Verdict(who, reasons, self.at_ms, self._said_ms, hz)


def _is_special_information(tones: deque[ToneRun]) -> bool:
    """Say whether these are the network's three tones, one right after the other (ITU-T E.180)."""
    if len(tones) < len(_SIT_HZ):
        return False
    runs = list(tones)
    return all(
        tone.near(hz, _SIT_WITHIN_HZ) and _SIT_SHORTEST_MS <= tone.duration_ms <= _SIT_LONGEST_MS
        for tone, hz in zip(runs, _SIT_HZ, strict=True)
    ) and all(later.from_ms - earlier.until_ms <= _SIT_GAP_MS for earlier, later in pairwise(runs))


def _s(duration_ms: int) -> str:
    return f"{duration_ms / 1000:.1f} s"
