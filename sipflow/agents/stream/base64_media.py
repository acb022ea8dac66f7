"""Audio as base64 inside JSON, as Twilio and Telnyx have it; the one message that comes 50 times a second."""

import re
from binascii import Error, a2b_base64

from sipflow.agents.stream.dialect import child, text
from sipflow.errors import RemoteProtocolError

# The media message as most bots write it. Everything else is read as the JSON it is, which takes three times as long.
_USUAL = re.compile(
    rb'\{\s*"event":\s*"media",\s*(?:"stream_?[A-Za-z]{2,3}":\s*"[^"\\]*",\s*)?'
    rb'"media":\s*\{\s*"payload":\s*"([A-Za-z0-9+/=]*)"\s*\}\s*\}'
)


class UsualMedia:
    """Reads one bot's media messages as long as they are written as usual: what stands around the payload is alike."""

    __slots__ = ("_around_bytes", "_head", "_tail")

    def __init__(self) -> None:
        self._head = self._tail = b""  # of the last message
        self._around_bytes = 0

    def payload(self, data: bytes) -> bytes | None:
        """Give the payload of a media message that is written as usual, None for every other message.

        Raises:
            RemoteProtocolError: its payload is not base64.
        """
        head, tail = self._head, self._tail
        if head and len(data) >= self._around_bytes and data.startswith(head) and data.endswith(tail):
            try:
                return a2b_base64(data[len(head) : -len(tail)], strict_mode=True)
            except Error:
                pass  # it is judged as one that was never seen before
        match = _USUAL.fullmatch(data)
        if match is None:
            return None
        self._head, self._tail = data[: match.start(1)], data[match.end(1) :]
        self._around_bytes = len(self._head) + len(self._tail)
        return from_base64(match[1])


def payload(message: dict[str, object]) -> bytes:
    """Give the payload of a media message.

    Raises:
        RemoteProtocolError: it has none, or it is not base64.
    """
    return from_base64(text(child(message, "media"), "payload"))


def from_base64(encoded: str | bytes) -> bytes:
    """Decode base64.

    Raises:
        RemoteProtocolError: it is not base64.
    """
    try:
        return a2b_base64(encoded)
    except (Error, ValueError):  # ValueError: text that is not ASCII
        raise RemoteProtocolError("the audio is not base64") from None
