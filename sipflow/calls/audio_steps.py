"""What audio a call would have: codec, digits, encryption and packet time, in sentences for an operator."""

from contextlib import suppress
from typing import NamedTuple

from sipflow.calls.encryption import LegSecrets, encryptable
from sipflow.calls.fitting import capabilities_of
from sipflow.errors import RemoteProtocolError
from sipflow.net.literal import family_of, is_loopback, is_private
from sipflow.sdp.agreement import Agreed, Capabilities, Encryption, LocalMedia
from sipflow.sdp.description import SessionDescription
from sipflow.sdp.offer_answer import answer_offer
from sipflow.sdp.peer import read_audio
from sipflow.sip.body import sdp_of
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.trunks.trunk import Trunk

_SECURE = ("tls", "wss")
_SHOWN = 12


class Audio(NamedTuple):
    """What was found.

    Attributes:
        codec: that would be agreed on, "" where the caller offers nothing yet.
        said: sentences; with each, whether it is good news.
    """

    codec: str
    said: tuple[tuple[str, bool], ...]


class AudioSteps:
    """Says what would be agreed with a caller.

    Args:
        ptime_ms: packet time where a trunk says none.
    """

    def __init__(self, ptime_ms: int = 20) -> None:
        self._ptime_ms = ptime_ms

    def of(self, request: Request, hop: Hop, trunk: Trunk) -> Audio:
        """Answer the offer of an INVITE, without a port.

        Raises:
            RemoteProtocolError: there is nothing in common (488), or the SDP is broken (400).
        """
        able = capabilities_of(trunk, trunk.codecs, self._ptime_ms)
        if trunk.srtp != "off":
            able = encryptable(able, trunk)
        offer = sdp_of(request)
        if not offer:
            names = ", ".join(codec.name for codec in able.codecs)
            return Audio("", ((f"the INVITE offers no audio: we offer {names}, and the caller chooses", True),))
        local = LocalMedia("::1" if ":" in hop.host else "127.0.0.1", 40000, 40001, 1, 1)
        if able.srtp is not Encryption.OFF:
            local = LegSecrets(able).provide(local, None, offer=offer)
        _, agreed = answer_offer(offer, local, able)
        if not agreed.begun:
            return Audio("", (("the INVITE has no medium: the call is silent until a re-INVITE brings one", True),))
        return Audio(agreed.codec.name, tuple(_said(offer, agreed, able, trunk, hop)))


def _said(offer: bytes, agreed: Agreed, able: Capabilities, trunk: Trunk, hop: Hop) -> list[tuple[str, bool]]:
    ours = ", ".join(codec.name for codec in able.codecs)
    order = "ours counts" if able.own_order else "the caller's order counts"
    said = [
        (f"the caller offers {_offered(offer)}; trunk {trunk.name} allows {ours}, and {order}", True),
        (f"{agreed.codec.rtpmap} is agreed, {agreed.ptime_ms} ms a packet", True),
        (_digits(agreed, trunk), True),
        _encryption(agreed, trunk, hop),
    ]
    if not agreed.sends:
        said.append(("the call begins on hold: the caller wants to hear nothing yet", True))
    if nat := _behind_nat(agreed, hop):
        said.append((nat, True))
    return said


def _offered(offer: bytes) -> str:
    description = SessionDescription.parse(offer)
    names: list[str] = []
    for medium in description.media:
        if medium.kind.lower() == "audio" and medium.port:
            with suppress(RemoteProtocolError):  # another stream than the one that is used may be broken
                names += [mapping.encoding[:20] for mapping in read_audio(description, medium, None).mappings]
    names = [name if name.isprintable() else "?" for name in dict.fromkeys(names)]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])


def _digits(agreed: Agreed, trunk: Trunk) -> str:
    events = agreed.telephone_event_send
    if trunk.dtmf == "info":
        return f"digits go in SIP INFO (trunks.{trunk.name}.dtmf: info)"
    if events is not None:
        return f"digits go as events in RTP (RFC 4733), payload type {events}"
    if trunk.dtmf == "rfc4733":
        return f"the caller takes no digits as events, and trunk {trunk.name} sends them in no other way"
    return "digits go as tones in the audio, and are listened for there"


def _encryption(agreed: Agreed, trunk: Trunk, hop: Hop) -> tuple[str, bool]:
    if agreed.dtls is not None:
        return "the audio is encrypted, with keys of a DTLS handshake", True
    if agreed.srtp is None:
        return f"the audio is not encrypted (trunks.{trunk.name}.srtp: {trunk.srtp})", True
    text = f"the audio is encrypted: {agreed.srtp.suite}, with keys in SDP"
    if hop.transport not in _SECURE:
        return f"{text}, which came over {hop.transport}: whoever reads that can listen; use TLS", False
    return text, True


def _behind_nat(agreed: Agreed, hop: Hop) -> str:
    """Say that the caller's SDP names an address which only its own network knows, or none at all."""
    if agreed.remote_named:
        return (
            "its SDP names a host, which is not looked up: our audio goes to where its audio comes from, and there is "
            "none before it has sent some"
        )
    if is_private(agreed.remote_host) and family_of(hop.host) and not (is_private(hop.host) or is_loopback(hop.host)):
        return (
            f"its SDP names {agreed.remote_host}, an address of its own network: our audio goes to where its audio "
            "comes from, and there is none before it has sent some"
        )
    return ""
