"""Which payload types stand for what in an offer of ours, now and for the rest of the call (RFC 3264 §8.3.2)."""

from sipflow.sdp.agreement import Capabilities, Codec
from sipflow.sdp.choosing import EVENTS
from sipflow.sdp.description import MediaDescription, SessionDescription
from sipflow.sdp.peer import read_mappings
from sipflow.sdp.writing import Format

EVENTS_FMTP = "0-16"  # RFC 4733 §2.4.1: the digits and flash
_DYNAMIC = range(96, 128)  # RFC 3551 §6


def own_audio(own: SessionDescription | None) -> tuple[int, MediaDescription | None]:
    """Find the live audio in a description of ours, or the one that was live."""
    if own is None:
        return 0, None
    audio = [place for place, medium in enumerate(own.media) if medium.kind == "audio"]
    live = [place for place in audio if own.media[place].port]
    place = (live or audio or [len(own.media)])[0]
    return place, own.media[place] if audio else None


def numbered(capabilities: Capabilities, kept: MediaDescription | None) -> list[tuple[Format, Codec]]:
    """List what we offer, telephone events last, numbered as our description before numbered it."""
    before: dict[tuple[str, int, int], int] = {}
    if kept is not None:
        for number, encoding, rate, channels in read_mappings(kept.formats, kept.attributes()):
            before.setdefault((encoding.upper(), rate, channels), number)
    taken = set(before.values())
    offered = []
    for codec in (*capabilities.codecs, *_events(capabilities)):
        wanted = before.get((codec.name.upper(), codec.clock_rate_hz, codec.channels))
        if wanted is None:
            wanted = codec.payload_type
            if wanted in taken:
                wanted = next((free for free in _DYNAMIC if free not in taken), wanted)
            taken.add(wanted)
        offered.append((Format(wanted, codec.rtpmap, codec.fmtp), codec))
    return offered


def _events(capabilities: Capabilities) -> list[Codec]:
    """Give telephone events as codecs, one for each clock of the codecs (RFC 4733 §2.1)."""
    number = capabilities.telephone_event_payload_type
    if number is None:
        return []
    clocks = sorted({codec.clock_rate_hz for codec in capabilities.codecs})
    return [Codec(EVENTS, hz, payload_type=number, fmtp=EVENTS_FMTP) for hz in clocks]
