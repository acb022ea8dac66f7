"""The codecs that can be negotiated, by the names that operators and SDP give them."""

import re

from sipflow.sdp.agreement import PCMA, PCMU, Codec
from sipflow.sdp.attributes import usable_ptime

# What we offer under numbers of our own (RFC 3551 §6: 96 to 127); a peer's offer has its own, and those hold.
G722 = Codec("G722", 8000, payload_type=9)  # RFC 3551 §4.5.2: 8000, though there are 16000 samples a second
# RFC 7587 §7: always /48000/2, whatever is sent.
OPUS = Codec("opus", 48000, 2, 111, "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0")
L16_8000 = Codec("L16", 8000, payload_type=115)
L16_16000 = Codec("L16", 16000, payload_type=116)
L16_24000 = Codec("L16", 24000, payload_type=117)
L16_48000 = Codec("L16", 48000, payload_type=118)

CODECS = {
    "PCMU": PCMU,
    "PCMA": PCMA,
    "G722": G722,
    "opus": OPUS,
    "L16": L16_16000,
    "L16/8000": L16_8000,
    "L16/16000": L16_16000,
    "L16/24000": L16_24000,
    "L16/48000": L16_48000,
}

_MINPTIME = re.compile(r"(?:.*;)?[ \t]*minptime[ \t]*=[ \t]*([0-9]{1,3})[ \t]*(?:;.*)?", re.IGNORECASE)
_BY_LOWER = {name.lower(): name for name in CODECS}
_OPUS_MS = (60, 40, 20, 10)  # RFC 7587 §3.2.1, without what is shorter than 10: a packet of ours holds one frame
_L16_BYTES_PER_TICK = 2
_PAYLOAD_BYTES = 1200  # what is longer may be cut up on its way, with SRTP and IPv6 around it


def codec_name(text: str) -> str | None:
    """Give the name of a codec as we write it, for one in any case; None when there is no such codec."""
    return _BY_LOWER.get(text.strip().lower())


def codecs_named(names: tuple[str, ...]) -> tuple[Codec, ...]:
    """Give the codecs of a list of names, each once, in order; KeyError for a name that there is not."""
    return tuple(dict.fromkeys(CODECS[codec_name(name) or name] for name in names))


def minptime_ms(fmtp: str) -> int:
    """Give the shortest packet time of Opus that a peer wants (RFC 7587 §7); 0 if it does not say."""
    if not fmtp:
        return 0
    match = _MINPTIME.fullmatch(fmtp)
    return int(match[1]) if match else 0


def packet_ms(codec: Codec, wanted_ms: int, longest_ms: int | None = None, shortest_ms: int = 0) -> int:
    """Give the packet time that we send of a codec, for a wish: 10 to 60 ms, in steps of 10.

    Args:
        codec: Opus has packets of 10, 20, 40 and 60 ms; L16 only what fits a packet.
        wanted_ms: what was wished for.
        longest_ms: what the peer does not want to be exceeded, from its a=maxptime.
        shortest_ms: what it does not want to be undercut, from its `minptime` (RFC 7587 §7).
    """
    packet = usable_ptime(max(wanted_ms, shortest_ms), longest_ms)
    name = codec.name.upper()
    if name == "OPUS":
        return next(length for length in _OPUS_MS if length <= packet)
    if name == "L16":
        return min(packet, max(_PAYLOAD_BYTES * 1000 // (_L16_BYTES_PER_TICK * codec.clock_rate_hz) // 10 * 10, 10))
    return packet
