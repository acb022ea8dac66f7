"""Vonage's WebSocket: raw samples in binary messages of 20 ms, JSON for the rest."""

import json

from sipflow.agents.stream.dialect import WholeSamples, compact, read_object
from sipflow.agents.stream.messages import Audio, Clear, Commands, Mark, Start, Unknown
from sipflow.errors import RemoteProtocolError

RATES_HZ = (8000, 16000, 24000)
_DIGIT_MS = 260  # a digit is told at its beginning, so this is what an ordinary one will have lasted
RESERVED = frozenset({"event", "content-type"})  # names that no parameter can have


class Vonage:
    """One call in Vonage's words."""

    subprotocols: tuple[str, ...] = ()
    audio_is_text = False

    def __init__(self, start: Start, *, sample_rate_hz: int = 16000) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._start = start
        self._halves = WholeSamples()

    def opening(self) -> list[str]:
        """Give `websocket:connected` with the parameters beside it."""
        start = self._start
        about = {"uuid": start.call_id, "from": start.caller, "to": start.callee, **start.parameters}
        told: dict[str, object] = {
            "event": "websocket:connected",
            "content-type": f"audio/l16;rate={self.sample_rate_hz}",
        }
        told.update((name, value) for name, value in about.items() if name not in RESERVED)
        return [compact(told)]

    def audio(self, pcm: bytes, at_ms: int) -> bytes:  # noqa: ARG002  (it has no time in it)
        """Give the samples as they are."""
        return pcm

    def digit(self, digit: str) -> str:
        """Give a `websocket:dtmf` message."""
        return compact({"event": "websocket:dtmf", "digit": digit, "duration": _DIGIT_MS})

    def marked(self, mark: Mark, *, played: bool) -> str | None:
        """Give the notice back that was asked for; nothing where the audio before it was cleared."""
        return compact({"event": "websocket:notify", "payload": json.loads(mark.name)}) if played else None

    def cleared(self) -> str | None:
        """Give `websocket:cleared`."""
        return compact({"event": "websocket:cleared"})

    def refused(self, why: str) -> str | None:  # noqa: ARG002  (Vonage says nothing)
        """Vonage says nothing."""
        return None

    def closing(self) -> str | None:
        """Vonage closes without a word."""
        return None

    def read_text(self, data: bytes) -> Commands:
        """Read `clear` or `notify`."""
        message = read_object(data)
        action = message.get("action")
        if action == "clear":
            self._halves.forget()
            return (Clear(),)
        if action == "notify":
            return (Mark(_written(message.get("payload")), "notify"),)
        return (Unknown(str(action)),)

    def read_binary(self, data: bytes) -> Commands:
        """Read audio."""
        return (Audio(self._halves.take(data), self.sample_rate_hz),)


def _written(payload: object) -> str:
    try:
        return json.dumps(payload)
    except RecursionError:
        raise RemoteProtocolError("the payload of notify is nested too deeply") from None
