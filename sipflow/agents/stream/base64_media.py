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


def usual_payload(data: bytes) -> bytes | None:
    """Give the payload of a media message that is written as usual, None for every other message.

    Raises:
        RemoteProtocolError: its payload is not base64.
    """
    match = _USUAL.fullmatch(data)
    return None if match is None else from_base64(match[1])


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
