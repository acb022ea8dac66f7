"""Twilio Media Streams, bidirectional: mu-law in base64 in JSON, all numbers as text."""

from binascii import b2a_base64
from hashlib import sha256

from sipflow.agents.stream.base64_media import UsualMedia, payload
from sipflow.agents.stream.dialect import child, compact, read_object, shown, text
from sipflow.agents.stream.messages import Audio, Clear, Commands, Mark, Start, Unknown
from sipflow.audio.codecs.g711 import decode_ulaw, encode_ulaw
from sipflow.errors import RemoteProtocolError

RATE_HZ = 8000


class Twilio:
    """One call in Twilio's words.

    Attributes:
        account_sid, call_sid, stream_sid: two letters and 32 hexadecimal digits; those of the call and the stream come
            from the call's id.
    """

    sample_rate_hz = RATE_HZ
    subprotocols: tuple[str, ...] = ()
    audio_is_text = True

    def __init__(self, start: Start) -> None:
        self._start = start
        self.account_sid = sid("AC", "sipflow")
        self.call_sid = sid("CA", start.call_id)
        self.stream_sid = sid("MZ", start.call_id)
        self._sequence = 0
        self._chunk = 0
        self._usual = UsualMedia()
        self._tail = b'"},"streamSid":"%b"}' % self.stream_sid.encode()

    def opening(self) -> list[str]:
        """Give `connected` and `start`."""
        start: dict[str, object] = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": self._parameters(),
        }
        return [
            compact({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            self._event("start", start),
        ]

    def audio(self, pcm: bytes, at_ms: int) -> bytes:
        """Give a `media` message."""
        self._sequence = sequence = self._sequence + 1
        self._chunk = chunk = self._chunk + 1
        return (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            b'"payload":"%b%b' % (sequence, chunk, at_ms, b2a_base64(encode_ulaw(pcm), newline=False), self._tail)
        )

    def digit(self, digit: str) -> str:
        """Give a `dtmf` message."""
        return self._event("dtmf", {"track": "inbound_track", "digit": digit})

    def marked(self, mark: Mark, *, played: bool) -> str | None:  # noqa: ARG002  (Twilio does not tell one from the other)
        """Give the mark back."""
        return self._event("mark", {"name": mark.name})

    def cleared(self) -> str | None:
        """Twilio says nothing."""
        return None

    def refused(self, why: str) -> str | None:  # noqa: ARG002  (Twilio says nothing)
        """Twilio says nothing."""
        return None

    def closing(self) -> str | None:
        """Give `stop`."""
        return self._event("stop", {"accountSid": self.account_sid, "callSid": self.call_sid})

    def read_text(self, data: bytes) -> Commands:
        """Read `media`, `mark` or `clear`."""
        coded = self._usual.payload(data)
        if coded is None:
            message = read_object(data)
            event = message.get("event")
            if event == "mark":
                return (Mark(text(child(message, "mark"), "name")),)
            if event == "clear":
                return (Clear(),)
            if event != "media":
                return (Unknown(str(event)),)
            coded = payload(message)
        return (Audio(decode_ulaw(coded), RATE_HZ),)

    def read_binary(self, data: bytes) -> Commands:
        """Refuse it: there is none."""
        raise RemoteProtocolError(f"a binary message, which Twilio's dialect does not have: {shown(data)}")

    def _event(self, event: str, body: dict[str, object]) -> str:
        self._sequence += 1
        return compact(
            {"event": event, "sequenceNumber": str(self._sequence), event: body, "streamSid": self.stream_sid}
        )

    def _parameters(self) -> dict[str, str]:
        """Give the numbers under the names that bots look for, then what the call and the configuration say."""
        start = self._start
        numbers = {"From": start.caller, "To": start.callee}
        return {**numbers, "from_number": start.caller, "to_number": start.callee, **start.parameters}


def sid(letters: str, of: str) -> str:
    """Make an id of Twilio's shape that is always the same for the same thing."""
    return letters + sha256(f"{letters} {of}".encode(errors="surrogateescape")).hexdigest()[:32]
