"""Telnyx media streaming with `stream_bidirectional_mode=rtp`: RTP payloads in base64 in JSON, names in snake_case."""

from array import array
from binascii import b2a_base64
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from sipflow.agents.stream.base64_media import UsualMedia, payload
from sipflow.agents.stream.dialect import WholeSamples, child, compact, read_object, shown, text
from sipflow.agents.stream.messages import Audio, Clear, Commands, Mark, Start, Unknown
from sipflow.audio.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from sipflow.errors import RemoteProtocolError

_MALFORMED = 100002  # Telnyx' number for a message that cannot be read
CODECS = ("PCMU", "PCMA", "L16")


def _network_order(pcm: bytes) -> bytes:
    """Swap the bytes of each sample: L16 is big-endian (RFC 3551 §4.5.11), and this is its own inverse."""
    samples = array("h", pcm)
    samples.byteswap()
    return samples.tobytes()


_ENCODE: dict[str, Callable[[bytes], bytes]] = {"PCMU": encode_ulaw, "PCMA": encode_alaw, "L16": _network_order}
_DECODE: dict[str, Callable[[bytes], bytes]] = {"PCMU": decode_ulaw, "PCMA": decode_alaw, "L16": _network_order}


class Telnyx:
    """One call in Telnyx' words."""

    subprotocols: tuple[str, ...] = ()
    audio_is_text = True

    def __init__(self, start: Start, *, codec: str = "PCMU", sample_rate_hz: int = 8000, began_at: datetime) -> None:
        """Prepare.

        Args:
            start: what is told of the call.
            codec: one of `CODECS`, both ways.
            sample_rate_hz: of L16; the others have 8000.
            began_at: when the stream began, for the `occurred_at` of digits.
        """
        self.sample_rate_hz = sample_rate_hz
        self._start = start
        self._codec = codec
        self._encode, self._decode = _ENCODE[codec], _DECODE[codec]
        self._halves = WholeSamples()
        self._began_at = began_at
        self._now_ms = 0
        digest = sha256(start.call_id.encode(errors="surrogateescape")).hexdigest()
        self.stream_id = str(UUID(digest[:32])).upper()
        self.call_control_id = f"v3:{digest}"
        self._user_id = str(UUID(sha256(b"sipflow").hexdigest()[:32]))
        self._session_id = str(UUID(digest[32:]))
        self._sequence = 0
        self._chunk = 0
        self._usual = UsualMedia()
        self._tail = b'"},"stream_id":"%b"}' % self.stream_id.encode()

    def opening(self) -> list[str]:
        """Give `connected` and `start`."""
        start: dict[str, object] = {
            "user_id": self._user_id,
            "call_control_id": self.call_control_id,
            "call_session_id": self._session_id,
            "client_state": None,
            "from": self._start.caller,
            "to": self._start.callee,
            "custom_parameters": dict(self._start.parameters),
            "media_format": {"encoding": self._codec, "sample_rate": self.sample_rate_hz, "channels": 1},
        }
        return [compact({"event": "connected", "version": "1.0.0"}), self._event("start", start)]

    def audio(self, pcm: bytes, at_ms: int) -> bytes:
        """Give a `media` message."""
        self._sequence = sequence = self._sequence + 1
        self._chunk = chunk = self._chunk + 1
        self._now_ms = at_ms
        return (
            b'{"event":"media","sequence_number":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            b'"payload":"%b%b' % (sequence, chunk, at_ms, b2a_base64(self._encode(pcm), newline=False), self._tail)
        )

    def digit(self, digit: str) -> str:
        """Give a `dtmf` message."""
        occurred = self._began_at.timestamp() + self._now_ms / 1000
        at = datetime.fromtimestamp(occurred, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._event("dtmf", {"digit": digit}, occurred_at=at)

    def marked(self, mark: Mark, *, played: bool) -> str | None:  # noqa: ARG002  (Telnyx does not tell one from the other)
        """Give the mark back."""
        return self._event("mark", {"name": mark.name})

    def cleared(self) -> str | None:
        """Telnyx says nothing."""
        return None

    def refused(self, why: str) -> str | None:
        """Give an `error` message."""
        fault = {"code": _MALFORMED, "title": "malformed_frame", "detail": why}
        return compact({"event": "error", "stream_id": self.stream_id, "payload": fault})

    def closing(self) -> str | None:
        """Give `stop`."""
        return self._event("stop", {"user_id": self._user_id, "call_control_id": self.call_control_id})

    def read_text(self, data: bytes) -> Commands:
        """Read `media`, `mark` or `clear`."""
        coded = self._usual.payload(data)
        if coded is None:
            message = read_object(data)
            event = message.get("event")
            if event == "mark":
                return (Mark(text(child(message, "mark"), "name")),)
            if event == "clear":
                self._halves.forget()
                return (Clear(),)
            if event != "media":
                return (Unknown(str(event)),)
            coded = payload(message)
        if self._codec == "L16":
            coded = self._halves.take(coded)
        return (Audio(self._decode(coded), self.sample_rate_hz),)

    def read_binary(self, data: bytes) -> Commands:
        """Refuse it: there is none."""
        raise RemoteProtocolError(f"a binary message, which Telnyx' dialect does not have: {shown(data)}")

    def _event(self, event: str, body: dict[str, object], **more: object) -> str:
        self._sequence += 1
        numbered = {"event": event, "sequence_number": str(self._sequence), **more}
        return compact({**numbered, event: body, "stream_id": self.stream_id})
