"""Offer and answer: what the peer wants, what we can, what both agree on (RFC 3264)."""

import re
from dataclasses import replace

from sipflow.sdp.agreement import PCMA, PCMU, Agreed, Capabilities, Codec, Encryption, LocalMedia
from sipflow.sdp.attributes import RtpMap, direction_of
from sipflow.sdp.choosing import EVENTS, NOISE, Choice, choose, match_codec
from sipflow.sdp.codecs import minptime_ms, packet_ms
from sipflow.sdp.description import SessionDescription
from sipflow.sdp.fingerprint import DtlsTerms
from sipflow.sdp.numbering import EVENTS_FMTP, numbered, own_audio
from sipflow.sdp.peer import UNSPECIFIED
from sipflow.sdp.repeated import Remembered, Reply, plain
from sipflow.sdp.securing import answer_lines, keys_of, offer_lines, offer_protocol, offered_cryptos, offers_dtls
from sipflow.sdp.writing import Format, write_description, write_placed, write_refused, write_terms

__all__ = [
    "PCMA",
    "PCMU",
    "Agreed",
    "Capabilities",
    "Codec",
    "LocalMedia",
    "answer_offer",
    "make_offer",
    "read_answer",
]

_REPLIES: Remembered[tuple[Reply, Agreed]] = Remembered()  # to plain offers
_SETTLED: Remembered[Agreed] = Remembered()  # by plain answers
_OFFERED: Remembered[str] = Remembered()  # the terms of first offers
_TIME = re.compile(r"[0-9]{1,20} [0-9]{1,20}")


def make_offer(
    local: LocalMedia, capabilities: Capabilities, *, after: bytes = b"", agreed: Agreed | None = None
) -> bytes:
    """Write an offer of one audio stream with all our codecs.

    Args:
        local: our end; with the next version when the call has sent a description before.
        capabilities: what to offer.
        after: our last description of this call, if any: its other media stay in place, refused (RFC 3264 §8), and its
            payload types keep their meaning (RFC 3264 §8.3.2).
        agreed: what the call has so far, if anything: whether it is encrypted, and its keys, stay as they are.
    """
    alike = not after and capabilities.srtp is Encryption.OFF  # as the first offers of all calls are
    key = (id(capabilities), local.direction)
    terms = _OFFERED.recall(key) if alike else None
    if terms is not None:
        return write_description(local, "0 0", (write_placed(local, terms, rtcp_mux=False),))
    before = SessionDescription.parse(after) if after else None
    place, kept = own_audio(before)
    terms = write_terms(
        kept.protocol if kept else offer_protocol(local, capabilities),
        [entry for entry, _ in numbered(capabilities, kept)],
        ptime_ms=packet_ms((*capabilities.codecs, PCMU)[0], capabilities.ptime_ms),
        direction=local.direction,
        security=offer_lines(local, capabilities, agreed),
    )
    if alike:
        _OFFERED.keep(key, capabilities, terms)
    audio = write_placed(local, terms, rtcp_mux=offers_dtls(local, capabilities, agreed))
    media = [write_refused(medium) for medium in before.media] if before else []
    media[place : place + 1] = [audio]
    return write_description(local, "0 0", media)


def answer_offer(
    offer: bytes, local: LocalMedia, capabilities: Capabilities, *, agreed: Agreed | None = None
) -> tuple[bytes, Agreed]:
    """Answer an offer with its first audio stream that we can use; every other medium is refused with port 0.

    The answer names one codec, and what was offered to go with it: telephone events and comfort noise. More codecs
    would let the peer change between them at any time, and some peers ask at once, with another offer, for one of them.
    `agreed` is what the call has so far.

    An offer without media has its own in a later one (RFC 3264 §5, RFC 3725 §4.4), and one that switches off what the
    call had (RFC 3264 §8.2) is taken as well: nothing flows until then.

    Raises:
        RemoteProtocolError: the offer is broken (status 400), or has nothing that we can use (status 488).
    """
    known = plain(offer, local, capabilities)
    found = _REPLIES.recall(known.key) if known is not None else None
    if known is not None and found is not None:
        reply, settled = found[0], found[1].moved(known.host, known.port)
    else:
        description = SessionDescription.parse(offer)
        if _is_silent(description, begins=agreed is None):
            media = [write_refused(medium) for medium in description.media]
            return write_description(local, _time_of(description), media), _without_audio(local, capabilities, agreed)
        reply, settled = _settle(description, local, capabilities, agreed)
        if known is not None:
            _REPLIES.keep(known.key, capabilities, (reply, settled))
    audio = write_placed(local, reply.terms, rtcp_mux=settled.rtcp_mux)
    return write_description(local, reply.time, (reply.before, audio, reply.after)), settled


def _is_silent(description: SessionDescription, *, begins: bool) -> bool:
    """Whether an offer is for no medium at all: as a call begins, one that lists none, but says whose session it is."""
    if begins:
        return not description.media and description.session.first("o") is not None  # RFC 8866 §5.2: always there
    return not any(medium.port for medium in description.media)


def _time_of(description: SessionDescription) -> str:
    """Give the t= of the answer: the offer's (RFC 3264 §6)."""
    time = description.session.first("t") or ""
    return time if _TIME.fullmatch(time) else "0 0"


def _without_audio(local: LocalMedia, capabilities: Capabilities, agreed: Agreed | None) -> Agreed:
    """Settle that nothing flows for now; what the call has keeps its codec and its keys."""
    if agreed is not None:
        return replace(agreed, remote_rtp_port=0, remote_rtcp_port=0, sends=False, receives=False)
    codec = (*capabilities.codecs, PCMU)[0]
    number, ptime_ms = codec.payload_type, packet_ms(codec, capabilities.ptime_ms)
    nowhere = "::" if ":" in local.address else "0.0.0.0"  # noqa: S104  (written, never bound)
    types = ((number, codec),)
    return Agreed(codec, number, number, ptime_ms, nowhere, 0, nowhere, 0, False, False, None, None, False, types)


def _settle(
    description: SessionDescription, local: LocalMedia, capabilities: Capabilities, agreed: Agreed | None
) -> tuple[Reply, Agreed]:
    """Work out the answer to an offer: all of it that does not stand in `local`."""
    choice = choose(description, local, capabilities, agreed=agreed)
    number, codec = choice.payload_type, choice.codec
    events = choice.events if capabilities.telephone_event_payload_type is not None else None
    noise = choice.noise if capabilities.comfort_noise else None
    mux = choice.audio.rtcp_mux and capabilities.rtcp_mux  # RFC 5761 §5.1.1: only if it was offered
    settled = _agree(local, capabilities, choice, (events, events), noise, ((number, codec),), mux=mux)
    formats = [Format(number, codec.rtpmap, codec.fmtp)]
    if noise is not None:
        formats.append(Format(noise, f"{NOISE}/{codec.clock_rate_hz}"))
    if events is not None:
        formats.append(Format(events, f"{EVENTS}/{choice.events_hz}", EVENTS_FMTP))
    terms = write_terms(
        description.media[choice.place].protocol,
        formats,
        ptime_ms=settled.ptime_ms,
        direction=direction_of(sends=settled.sends, receives=settled.receives),
        security=answer_lines(choice.protection, local),
    )
    media = [write_refused(medium) for medium in description.media]
    before, after = "".join(media[: choice.place]), "".join(media[choice.place + 1 :])
    return Reply(_time_of(description), before, terms, after), settled


def read_answer(
    answer: bytes, local: LocalMedia, capabilities: Capabilities, *, offer: bytes = b"", agreed: Agreed | None = None
) -> Agreed:
    """Read the answer to our offer.

    Args:
        answer: as it came.
        local: our end, as it was offered.
        capabilities: as they were offered.
        offer: what we sent; needed only when `make_offer` was given `after`.
        agreed: as it was given to `make_offer`.

    Raises:
        RemoteProtocolError: the answer is broken (status 400), or leaves nothing that we can use (status 488). There
            is nobody to answer: ACK, then BYE.
    """
    known = plain(answer, local, capabilities) if not offer and agreed is None else None
    found = _SETTLED.recall(known.key) if known is not None else None
    if known is not None and found is not None:
        return found.moved(known.host, known.port)
    settled = _read(answer, local, capabilities, offer, agreed)
    if known is not None:
        _SETTLED.keep(known.key, capabilities, settled)
    return settled


def _read(answer: bytes, local: LocalMedia, capabilities: Capabilities, offer: bytes, agreed: Agreed | None) -> Agreed:
    """Work out what an answer settles."""
    _, kept = own_audio(SessionDescription.parse(offer) if offer else None)
    ours = numbered(capabilities, kept)
    known = {
        entry.payload_type: RtpMap(entry.payload_type, codec.name, codec.clock_rate_hz, codec.channels)
        for entry, codec in ours
    }
    cryptos = offered_cryptos(local, capabilities, agreed)
    choice = choose(SessionDescription.parse(answer), local, capabilities, known, agreed=agreed, offered=cryptos)
    answered = [choice.codec, *[match_codec(mapping, capabilities.codecs) for mapping in choice.audio.mappings]]
    receivable: list[tuple[int, Codec]] = []
    for wanted in answered:
        for entry, codec in ours:
            if codec is wanted and (entry.payload_type, codec) not in receivable:
                receivable.append((entry.payload_type, codec))
    wanted_events = (EVENTS, choice.events_hz)
    own_events = next((entry.payload_type for entry, c in ours if (c.name, c.clock_rate_hz) == wanted_events), None)
    both = choice.events is not None and own_events is not None
    return _agree(
        local,
        capabilities,
        choice,
        (choice.events, own_events) if both else (None, None),
        None,
        tuple(receivable),
        mux=choice.audio.rtcp_mux and offers_dtls(local, capabilities, agreed),
    )


def _agree(
    local: LocalMedia,
    capabilities: Capabilities,
    choice: Choice,
    events: tuple[int | None, int | None],
    noise: int | None,
    receivable: tuple[tuple[int, Codec], ...],
    *,
    mux: bool,
) -> Agreed:
    """Put together what was settled.

    `events` are the payload types for sending and receiving digits, `noise` the one for receiving comfort noise.
    """
    audio = choice.audio
    fmtp = audio.fmtps.get(choice.payload_type, "")
    rtcp_host, rtcp_port = (audio.host, audio.rtp_port) if mux else (audio.rtcp_host, audio.rtcp_port)
    return Agreed(
        codec=choice.codec,
        send_payload_type=choice.payload_type,
        receive_payload_type=receivable[0][0],
        ptime_ms=packet_ms(choice.codec, audio.ptime_ms or capabilities.ptime_ms, audio.maxptime_ms, minptime_ms(fmtp)),
        remote_host=audio.host,
        remote_rtp_port=audio.rtp_port,
        remote_rtcp_host=rtcp_host,
        remote_rtcp_port=0 if audio.host in UNSPECIFIED else rtcp_port,  # RFC 3264 §8.4: no RTCP either
        sends=local.direction.sends and audio.direction.receives,
        receives=local.direction.receives and audio.direction.sends,
        telephone_event_send=events[0],
        telephone_event_receive=events[1],
        rtcp_mux=mux,
        receivable=receivable,
        telephone_event_hz=choice.events_hz,
        comfort_noise_receive=noise,
        fmtp_send=fmtp,
        fmtp_receive=choice.codec.fmtp,
        srtp=keys_of(choice.protection, local),
        dtls=choice.protection if isinstance(choice.protection, DtlsTerms) else None,
        remote_named=audio.named and audio.host in UNSPECIFIED,
    )
