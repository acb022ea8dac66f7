"""jambonz `listen` with bidirectional streaming audio: metadata first, then raw samples in binary messages."""

from sipflow.agents.stream.base64_media import from_base64
from sipflow.agents.stream.dialect import WholeSamples, child, compact, read_object, shown, text
from sipflow.agents.stream.messages import Audio, Clear, ClearMarks, Command, Commands, Hangup, Mark, Start, Unknown
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError, RemoteProtocolError

RATES_HZ = (8000, 16000, 24000, 48000)  # of both directions, and of audio that comes with its own rate
SUBPROTOCOL = "audio.jambonz.org"
_DIGIT_MS = "250"  # a digit is told at its beginning, so this is what an ordinary one will have lasted
_PLAY_DONE = "playDone"


class Jambonz:
    """One call in jambonz' words."""

    subprotocols: tuple[str, ...] = (SUBPROTOCOL,)
    audio_is_text = False

    def __init__(self, start: Start, *, sample_rate_hz: int = 8000) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._start = start
        self._halves = WholeSamples()

    def opening(self) -> list[str]:
        """Give the call's metadata."""
        start = self._start
        told: dict[str, object] = {
            "callSid": start.call_id,
            "callId": start.sip_call_id,
            "direction": "inbound",
            "from": start.caller,
            "to": start.callee,
            "sampleRate": self.sample_rate_hz,
            "mixType": "mono",
            "customerData": dict(start.parameters),
        }
        return [compact(told)]

    def audio(self, pcm: bytes, at_ms: int) -> bytes:  # noqa: ARG002  (it has no time in it)
        """Give the samples as they are."""
        return pcm

    def digit(self, digit: str) -> str:
        """Give a `dtmf` event."""
        return compact({"event": "dtmf", "dtmf": digit, "duration": _DIGIT_MS})

    def marked(self, mark: Mark, *, played: bool) -> str | None:
        """Give the mark back with what became of it, or `playDone` for a `playAudio` that had an id."""
        if mark.kind == _PLAY_DONE:
            return compact({"type": _PLAY_DONE, "data": {"id": mark.name}})
        return compact({"type": "mark", "data": {"name": mark.name, "event": "playout" if played else "cleared"}})

    def cleared(self) -> str | None:
        """Say nothing: jambonz does not."""
        return None

    def refused(self, why: str) -> str | None:
        """Give an `error`."""
        return compact({"type": "error", "data": {"message": why}})

    def closing(self) -> str | None:
        """jambonz closes without a word."""
        return None

    def read_text(self, data: bytes) -> Commands:
        """Read `playAudio`, `killAudio`, `mark`, `clearMarks` or `disconnect`."""
        message = read_object(data)
        kind = message.get("type")
        if kind == "playAudio":
            return self._play(child(message, "data"))
        if kind == "killAudio":
            self._halves.forget()
            return (Clear(),)
        if kind == "mark":
            return (Mark(text(child(message, "data"), "name")),)
        if kind == "clearMarks":
            return (ClearMarks(),)
        if kind == "disconnect":
            return (Hangup(),)
        return (Unknown(str(kind)),)

    def read_binary(self, data: bytes) -> Commands:
        """Read audio."""
        return (Audio(self._halves.take(data), self.sample_rate_hz),)

    def _play(self, data: dict[str, object]) -> Commands:
        content = from_base64(text(data, "audioContent"))
        kind = str(data.get("audioContentType", "raw")).lower()
        if kind in ("wave", "wav"):
            audio = _wave(content)
        elif kind == "raw":
            audio = Audio(content[: len(content) & ~1], _rate(data.get("sampleRate", self.sample_rate_hz)))
        else:
            raise RemoteProtocolError(f"audioContentType is {shown(kind.encode())}, neither raw nor wave")
        commands: list[Command] = [] if data.get("queuePlay") is True else [Clear()]
        commands.append(audio)
        if data.get("id") is not None:
            commands.append(Mark(str(data["id"]), _PLAY_DONE))
        return tuple(commands)


def _wave(content: bytes) -> Audio:
    try:
        sound = read_wav(content)
    except MediaError as error:
        raise RemoteProtocolError(f"playAudio: {error}") from None
    return Audio(sound.pcm, _rate(sound.sample_rate_hz))


def _rate(value: object) -> int:
    """Read a sample rate, a number or the text of one."""
    for rate in RATES_HZ:
        if str(value) == str(rate):
            return rate
    known = ", ".join(map(str, RATES_HZ))
    raise RemoteProtocolError(f"a sampleRate of {str(value)[:20]!r} cannot be played: it must be one of {known}")
