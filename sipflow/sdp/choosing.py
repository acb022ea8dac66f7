"""Which audio stream and codec of a peer's description is used, or why none is: a sentence for an operator."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Agreed, Capabilities, Codec, Encryption, LocalMedia
from sipflow.sdp.attributes import RtpMap
from sipflow.sdp.crypto import Crypto
from sipflow.sdp.description import MediaDescription, SessionDescription
from sipflow.sdp.families import in_family
from sipflow.sdp.peer import PeerAudio, read_audio
from sipflow.sdp.securing import Protection, protection_of

EVENTS = "telephone-event"  # RFC 4733 §2.1
EVENTS_HZ = 8000
NOISE = "CN"  # RFC 3389 §4

_NO_CODECS = frozenset({EVENTS, "cn", "red"})
_SAID = 8  # how many codecs or reasons a refusal names


class Choice(NamedTuple):
    """What is used of a description.

    Attributes:
        place: index of the medium.
        audio: what it says.
        payload_type: the number the peer gave `codec`.
        codec: of our capabilities.
        events: the number the peer gave telephone events at the codec's clock rate, None without.
        events_hz: their clock rate; the codec's, unless the peer has digits at 8000 Hz only.
        noise: the number the peer gave comfort noise at the codec's clock rate, None without.
        protection: how it is encrypted, None for not at all.
    """

    place: int
    audio: PeerAudio
    payload_type: int
    codec: Codec
    events: int | None
    protection: Protection | None = None
    events_hz: int = EVENTS_HZ
    noise: int | None = None


def choose(
    description: SessionDescription,
    local: LocalMedia,
    capabilities: Capabilities,
    known: dict[int, RtpMap] | None = None,
    *,
    agreed: Agreed | None = None,
    offered: tuple[Crypto, ...] | None = None,
) -> Choice:
    """Find the first audio stream that we can use; where encryption is optional, the first encrypted one if there is.

    Args:
        description: the peer's.
        local, capabilities: ours.
        known: gives payload types a meaning that the peer need not repeat.
        agreed: what the call has so far.
        offered: our `a=crypto` lines when `description` is an answer.

    Raises:
        RemoteProtocolError: there is none: status 488, or 400 when the audio is described wrongly.
    """
    refusals: list[RemoteProtocolError] = []
    found: Choice | None = None
    for place, medium in enumerate(description.media):
        if medium.kind.lower() == "audio" and medium.port:
            try:
                protection = protection_of(description, medium, local, capabilities, agreed=agreed, offered=offered)
                audio = _usable(description, medium, local, known)
                number, codec = _common(audio, capabilities)
            except RemoteProtocolError as error:
                refusals.append(error)
            else:
                events, events_hz = _events_of(audio, codec)
                noise = _beside(audio, NOISE, codec.clock_rate_hz)
                choice = Choice(place, audio, number, codec, events, protection, events_hz, noise)
                if protection is not None or capabilities.srtp is not Encryption.OPTIONAL:
                    return choice
                found = found or choice
    if found is not None:
        return found
    raise _why_none(description, refusals)


def match_codec(mapping: RtpMap, codecs: tuple[Codec, ...]) -> Codec | None:
    """Find the codec of ours that a payload type of the peer means; names have no case (RFC 8866 §6.6).

    Opus without its channels is Opus: some forget the "/2" that RFC 7587 §7 demands, and it says nothing.
    """
    _, encoding, rate, channels = mapping
    name = encoding.upper()
    for codec in codecs:
        if (
            codec.name.upper() == name
            and codec.clock_rate_hz == rate
            and (codec.channels == channels or (name == "OPUS" and channels == 1))
        ):
            return codec
    return None


def _usable(
    description: SessionDescription, medium: MediaDescription, local: LocalMedia, known: dict[int, RtpMap] | None
) -> PeerAudio:
    audio = in_family(read_audio(description, medium, known), medium, ipv6=":" in local.address)
    if (":" in audio.host) is not (":" in local.address):
        theirs, ours = ("IPv6", "IPv4") if ":" in audio.host else ("IPv4", "IPv6")
        raise RemoteProtocolError(
            f"the audio is at the {theirs} address {audio.host}, ours at the {ours} address {local.address}",
            status=488,
            warning=301,  # RFC 3261 §20.43: incompatible network address formats
        )
    return audio


def _common(audio: PeerAudio, capabilities: Capabilities) -> tuple[int, Codec]:
    """Choose the codec: the peer's first that we have (RFC 3264 §6.1), or our first that the peer has."""
    found = []
    for mapping in audio.mappings:
        codec = match_codec(mapping, capabilities.codecs)
        if codec is not None:
            if not capabilities.own_order:
                return mapping.payload_type, codec
            found.append((mapping.payload_type, codec))
    if not found:
        why = _nothing_in_common(audio.mappings, capabilities)
        raise RemoteProtocolError(why, status=488, warning=305)  # RFC 3261 §20.43: incompatible media format
    return min(found, key=lambda entry: capabilities.codecs.index(entry[1]))


def _events_of(audio: PeerAudio, codec: Codec) -> tuple[int | None, int]:
    """Find telephone events, and their clock rate.

    They should have the codec's (RFC 4733 §2.1: they share the audio's timestamps), but many who offer Opus have them
    at 8000 Hz only, and mean it.
    """
    number = _beside(audio, EVENTS, codec.clock_rate_hz)
    if number is None and codec.name.upper() == "OPUS":
        return _beside(audio, EVENTS, EVENTS_HZ), EVENTS_HZ
    return number, codec.clock_rate_hz


def _beside(audio: PeerAudio, name: str, clock_rate_hz: int) -> int | None:
    """Find the number of what is no codec, but comes in the stream of one."""
    wanted = name.lower()
    for number, encoding, rate, _ in audio.mappings:
        if rate == clock_rate_hz and encoding.lower() == wanted:
            return number
    return None


def _nothing_in_common(mappings: tuple[RtpMap, ...], capabilities: Capabilities) -> str:
    names = [
        f"{mapping.encoding[:20]}/{mapping.clock_rate_hz}"
        for mapping in mappings
        if mapping.encoding.lower() not in _NO_CODECS
    ]
    names = list(dict.fromkeys(names))
    if len(names) > _SAID:
        names = [*names[:_SAID], f"{len(names) - _SAID} more"]
    theirs = " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part) or "no codec we know"
    ours = ", ".join(codec.name for codec in capabilities.codecs) or "none"
    return f"nothing in common: the offer has {theirs}, this trunk allows {ours}"


def _why_none(description: SessionDescription, refusals: list[RemoteProtocolError]) -> RemoteProtocolError:
    if len(refusals) == 1:
        return refusals[0]
    if refusals:
        status = max(error.status for error in refusals)  # 488 says more than 400
        said = "; ".join(dict.fromkeys(str(error) for error in refusals[:_SAID]))
        why = f"none of {len(refusals)} audio streams can be used: {said}"
        return RemoteProtocolError(why, status=status, warning=refusals[0].warning)
    kinds = list(dict.fromkeys(medium.kind for medium in description.media))
    if "audio" in [kind.lower() for kind in kinds]:
        return RemoteProtocolError("no audio: the peer refused it or switched it off (port 0)", status=488, warning=304)
    why = f"no audio: the description has {', '.join(kinds[:_SAID]) or 'no media'}"
    return RemoteProtocolError(why, status=488, warning=304)  # RFC 3261 §20.43: media type not available
