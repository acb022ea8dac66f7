"""What a dialect must be able to say and to read. Dialects do no I/O: text and bytes in, text and bytes out."""

import json
from typing import Protocol

from sipflow.agents.stream.messages import Commands, Mark
from sipflow.errors import RemoteProtocolError

FRAME_MS = 20  # of audio in a message to the bot, in every dialect
_SHOWN = 60  # characters of a bot's text in an error


class Dialect(Protocol):
    """One call's side of a conversation in JSON and audio with a bot.

    Attributes:
        sample_rate_hz: of the samples that `audio` takes and that the bot's audio has.
        subprotocols: what the WebSocket handshake offers.
        audio_is_text: whether `audio` gives a text message, or else a binary one.
    """

    sample_rate_hz: int
    subprotocols: tuple[str, ...]
    audio_is_text: bool

    def opening(self) -> list[str]:
        """Give what is said first, before any audio."""

    def audio(self, pcm: bytes, at_ms: int) -> bytes:
        """Give a message with 20 ms of the caller's voice, `at_ms` milliseconds after the stream began."""

    def digit(self, digit: str) -> str:
        """Give the message that says which digit the caller pressed."""

    def marked(self, mark: Mark, *, played: bool) -> str | None:
        """Give the message that says a mark was reached, or else cleared."""

    def cleared(self) -> str | None:
        """Give the message that says the bot's audio was cleared."""

    def refused(self, why: str) -> str | None:
        """Give the message that says a message of the bot could not be read."""

    def closing(self) -> str | None:
        """Give what is said last, when the call is over."""

    def read_text(self, data: bytes) -> Commands:
        """Read a text message of the bot.

        Raises:
            RemoteProtocolError: it is not what the dialect says.
        """

    def read_binary(self, data: bytes) -> Commands:
        """Read a binary message of the bot.

        Raises:
            RemoteProtocolError: the dialect has none.
        """


def read_object(data: bytes) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        RemoteProtocolError: it is none, or nothing a sane peer would send.
    """
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise RemoteProtocolError(f"not JSON: {shown(data)}") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"not a JSON object: {shown(data)}")
    return value


def child(value: dict[str, object], name: str) -> dict[str, object]:
    """Give an object inside an object.

    Raises:
        RemoteProtocolError: there is none.
    """
    found = value.get(name)
    if not isinstance(found, dict):
        raise RemoteProtocolError(f"no object {name!r}")
    return found


def text(value: dict[str, object], name: str) -> str:
    """Give a text inside an object.

    Raises:
        RemoteProtocolError: there is none.
    """
    found = value.get(name)
    if not isinstance(found, str):
        raise RemoteProtocolError(f"no text {name!r}")
    return found


def compact(value: dict[str, object]) -> str:
    """Write JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def shown(data: bytes) -> str:
    """Give the beginning of something foreign, for an error."""
    return repr(data[:_SHOWN].decode(errors="replace")) + ("..." if len(data) > _SHOWN else "")


class WholeSamples:
    """Cuts raw samples that come in any pieces into pieces of whole ones."""

    def __init__(self) -> None:
        self._half = b""

    def take(self, data: bytes) -> bytes:
        """Give what is there but for the half of a sample at its end, which waits for the other half."""
        if self._half or len(data) % 2:
            data = self._half + data
            end = len(data) & ~1
            data, self._half = data[:end], data[end:]
        return data

    def forget(self) -> None:
        """Drop the half that waits."""
        self._half = b""


class Frames:
    """Cuts samples that come in any pieces into pieces of 20 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._size = 2 * sample_rate_hz * FRAME_MS // 1000
        self._rest = b""

    def cut(self, pcm: bytes) -> tuple[bytes, ...]:
        """Give the pieces that are whole; the rest waits."""
        size = self._size
        if len(pcm) == size and not self._rest:
            return (pcm,)
        pcm = self._rest + pcm
        whole = len(pcm) // size * size
        self._rest = pcm[whole:]
        return tuple(pcm[at : at + size] for at in range(0, whole, size))
