"""One stream's packets sent on as another's: payloads untouched, nothing decoded, no waiting."""

from collections.abc import Callable
from typing import Self

from sipflow.media.inbound import Inbound
from sipflow.media.session import MediaSession
from sipflow.media.shortcut import Shortcut
from sipflow.sdp.agreement import Agreed, Codec


class Relay:
    """One direction between two legs that have agreed on one codec.

    Each packet leaves when it came: order, gaps and timing are the far end's own, and its jitter is for the other far
    end to even out. Header numbers are ours, so that a peer hears one stream whoever speaks; each side's cipher is
    opened and closed. RTCP is not passed on: each leg has reports of its own.

    Attributes:
        events: whether digits pressed on one side cross as telephone-events (RFC 4733).
    """

    __slots__ = ("_heard", "_on_foreign", "_said", "_terms", "_to", "_types", "events")

    def __init__(self, heard: MediaSession, said: MediaSession, types: dict[int, int], on_foreign: Callable[[], None]):
        """Prepare; `between` makes one, and says whether it can be done at all."""
        self._heard = heard
        self._said = said
        self._to = said.relaying()
        self._types = types
        self._terms = (heard.agreed, said.agreed)
        self._on_foreign = on_foreign
        agreed = heard.agreed
        self.events = agreed is not None and agreed.telephone_event_receive in types

    @classmethod
    def between(cls, heard: MediaSession, said: MediaSession, *, on_foreign: Callable[[], None]) -> Self | None:
        """Begin to pass packets on; None where they cannot be passed as they are.

        That is so while one side has not agreed, where the codecs differ, and while somebody records what `said` sends.

        Args:
            heard: whose packets.
            said: who sends them on.
            on_foreign: told once when a packet has come that cannot cross, or one side has agreed on something else:
                end this and see whether there is another way.
        """
        one, other = heard.agreed, said.agreed
        if one is None or other is None or heard.closed or said.closed or said.tapped:
            return None
        types = payload_types(one, other)
        if not types:
            return None
        relay = cls(heard, said, types, on_foreign)
        heard.hand_on(relay)
        return relay

    def packet(self, payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool) -> None:
        """Send one packet on."""
        heard, said = self._heard, self._said
        ours = self._types.get(payload_type)
        if ours is None or heard.agreed is not self._terms[0] or said.agreed is not self._terms[1]:
            self._foreign(payload_type)
        else:
            self._to.relay(ours, sequence, timestamp, payload, marker)

    def restart(self) -> None:
        """Let another stream follow the one before it without a seam."""
        self._to = self._said.relaying()

    def settled(self, inbound: Inbound) -> None:
        """Take the packets to come straight from the socket, until one of them or of the legs is out of the usual."""
        if self._heard.agreed is not self._terms[0] or self._said.agreed is not self._terms[1]:
            return
        stream, onward = inbound.settled(), self._to.onward()
        if stream is None or onward is None:
            return
        ours = self._types.get(stream.payload_type)
        if ours is not None:
            Shortcut(inbound, self._to, stream, onward, payload_type=ours, read_by=self._heard.read_by)

    def end(self) -> None:
        """Pass nothing on any more. Ending twice is no error."""
        self._heard.hand_on(None)
        self._said.stop_relaying()

    def _foreign(self, payload_type: int) -> None:
        agreed = self._heard.agreed
        if agreed is not None and agreed is self._terms[0] and payload_type in _without_audio(agreed):
            return  # digits or noise that the other side has no number for: dropped, and the audio goes on
        self._on_foreign()


def payload_types(heard: Agreed, said: Agreed) -> dict[int, int]:
    """Say under which numbers of `said` the payload types of `heard` can be sent; none if their codecs differ."""
    types = {
        number: said.send_payload_type
        for number, codec in ((heard.receive_payload_type, heard.codec), *heard.receivable)
        if _alike(codec, said.codec)
    }
    if not types or not _alike(heard.codec, said.codec):
        return {}
    events = (heard.telephone_event_receive, said.telephone_event_send)
    if events[0] is not None and events[1] is not None and _event_hz(heard) == _event_hz(said):
        types[events[0]] = events[1]
    return types


def _without_audio(agreed: Agreed) -> tuple[int | None, ...]:
    return agreed.telephone_event_receive, agreed.comfort_noise_receive


def _event_hz(agreed: Agreed) -> int:
    return agreed.telephone_event_hz or agreed.codec.clock_rate_hz


def _alike(one: Codec, other: Codec) -> bool:
    return (one.name.upper(), one.clock_rate_hz, one.channels) == (
        other.name.upper(),
        other.clock_rate_hz,
        other.channels,
    )
