"""The values on both sides of an offer and its answer: what we can, where we are, what was agreed."""

from dataclasses import dataclass, replace
from typing import Self

from sipflow.sdp.attributes import SENDRECV, Direction


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as SDP names it.

    Attributes:
        name: such as "PCMU"; compared without regard to case.
        clock_rate_hz: of RTP timestamps.
        channels: 1 for telephones.
        payload_type: the number we offer it under; below 96 it needs no a=rtpmap, but gets one.
        fmtp: format parameters we offer, "" for none.
    """

    name: str
    clock_rate_hz: int
    channels: int = 1
    payload_type: int = 96
    fmtp: str = ""

    @property
    def rtpmap(self) -> str:
        """What follows the payload type in a=rtpmap (RFC 8866 §6.6)."""
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.name}/{self.clock_rate_hz}{channels}"


PCMU = Codec("PCMU", 8000, payload_type=0)
PCMA = Codec("PCMA", 8000, payload_type=8)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a trunk allows.

    Attributes:
        codecs: in our order of preference.
        telephone_event_payload_type: what we offer digits under, None for no digits (RFC 4733).
        ptime_ms: packet time we ask for, and use when the peer asks for none; 10 to 60.
        own_order: answer with our first codec that was offered, not with the offerer's (RFC 3264 §6.1 advises the
            offerer's).
        rtcp_mux: accept RTP and RTCP on one port when it is offered (RFC 5761 §5.1.1); never offered by us.
    """

    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    telephone_event_payload_type: int | None = 101
    ptime_ms: int = 20
    own_order: bool = False
    rtcp_mux: bool = True


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our end of a stream.

    Attributes:
        address: IP literal that the peer is to send to, without brackets.
        rtp_port, rtcp_port: 1 to 65535.
        session_id: the same for the whole call (RFC 8866 §5.2).
        version: grows by one with every description of the call that differs (RFC 3264 §8).
        direction: what we want; a peer can only take away from it.
    """

    address: str
    rtp_port: int
    rtcp_port: int
    session_id: int
    version: int
    direction: Direction = SENDRECV

    def revised(self, direction: Direction | None = None) -> Self:
        """Give the same end with the next version, and another direction if one is given."""
        return replace(self, version=self.version + 1, direction=direction or self.direction)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides settled on for the audio stream.

    Attributes:
        codec: of our capabilities; what we send, and expect first.
        send_payload_type: the number the peer gave it.
        receive_payload_type: the number we gave it.
        ptime_ms: packet time we send: 10 to 60, in steps of 10.
        remote_host: IP literal; "0.0.0.0" or "::" while the peer holds the old way (RFC 3264 §8.4): send nothing there.
        remote_rtp_port: 1 to 65535.
        remote_rtcp_host, remote_rtcp_port: port 0 when there is no place for RTCP.
        sends, receives: whether we send, and whether the peer does.
        telephone_event_send, telephone_event_receive: payload types of digits, None for no digits.
        rtcp_mux: RTCP shares the RTP port, both ways.
        receivable: payload type and codec of everything the peer may send without asking again; the agreed codec first.
    """

    codec: Codec
    send_payload_type: int
    receive_payload_type: int
    ptime_ms: int
    remote_host: str
    remote_rtp_port: int
    remote_rtcp_host: str
    remote_rtcp_port: int
    sends: bool
    receives: bool
    telephone_event_send: int | None
    telephone_event_receive: int | None
    rtcp_mux: bool
    receivable: tuple[tuple[int, Codec], ...] = ()
