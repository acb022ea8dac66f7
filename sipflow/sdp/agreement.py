"""The values on both sides of an offer and its answer: what we can, where we are, what was agreed."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self

from sipflow.sdp.attributes import SENDRECV, Direction
from sipflow.sdp.crypto import Crypto
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint


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


class Encryption(Enum):
    """Whether audio is encrypted: never, where the peer does it too (RFC 8643), or always."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Keying(Enum):
    """Where the keys of encrypted audio come from: the description (RFC 4568), or a DTLS handshake (RFC 5763)."""

    SDES = "sdes"
    DTLS = "dtls"


SUITES = (
    "AES_CM_128_HMAC_SHA1_80",
    "AEAD_AES_256_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AEAD_AES_128_GCM",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_32",
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a trunk allows.

    Attributes:
        codecs: in our order of preference.
        telephone_event_payload_type: what we offer digits under, None for no digits (RFC 4733). Beside codecs of other
            clocks than the first one's that has this number, they have free numbers.
        comfort_noise: answer comfort noise where it is offered (RFC 3389); it is never offered by us, because some
            peers take that for a wish to be sent it.
        ptime_ms: packet time we ask for, and use when the peer asks for none; 10 to 60.
        own_order: answer with our first codec that was offered, not with the offerer's (RFC 3264 §6.1 advises the
            offerer's).
        rtcp_mux: accept RTP and RTCP on one port when it is offered (RFC 5761 §5.1.1); offered by us only with DTLS,
            which would need a handshake for each port.
        srtp: whether audio is encrypted.
        keying: how keys are made in our offers; of the peer's offers either is taken, this one first.
        suites: what we take, with keys from the description.
        offered_suites: what we offer; few, because each takes about 100 bytes of an INVITE that should fit a datagram.
    """

    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    telephone_event_payload_type: int | None = 101
    ptime_ms: int = 20
    own_order: bool = False
    rtcp_mux: bool = True
    comfort_noise: bool = True
    srtp: Encryption = Encryption.OFF
    keying: Keying = Keying.SDES
    suites: tuple[str, ...] = SUITES
    offered_suites: tuple[str, ...] = SUITES[:2]


@dataclass(slots=True)  # not frozen: that makes construction four times slower, and every call has several
class LocalMedia:
    """Our end of a stream. Never changed once made; a change makes another one.

    Attributes:
        address: IP literal that the peer is to send to, without brackets.
        rtp_port, rtcp_port: 1 to 65535.
        session_id: the same for the whole call (RFC 8866 §5.2).
        version: grows by one with every description of the call that differs (RFC 3264 §8).
        direction: what we want; a peer can only take away from it.
        secret: `crypto.SECRET_BYTES` random octets, from which the keys are cut that we send with; the same as long as
            the call has the same keys. Empty without SRTP.
        fingerprint: of our certificate; None where no DTLS handshake can be made.
    """

    address: str
    rtp_port: int
    rtcp_port: int
    session_id: int
    version: int
    direction: Direction = SENDRECV
    secret: bytes = field(default=b"", repr=False)
    fingerprint: Fingerprint | None = None

    def revised(self, direction: Direction | None = None) -> Self:
        """Give the same end with the next version, and another direction if one is given."""
        return replace(self, version=self.version + 1, direction=direction or self.direction)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """With what the packets of a stream are enciphered and authenticated (RFC 4568, RFC 5764); appears in no repr.

    Attributes:
        suite: such as "AES_CM_128_HMAC_SHA1_80" (RFC 4568 §6.2, RFC 6188, RFC 7714).
        send_key, receive_key: master key with the master salt behind it: ours, and the peer's.
        receive_mki: what names the peer's key in every packet of the peer's (RFC 3711 §3.1), empty for nothing. We
            never send one.
        line: our own `a=crypto`, which our next offer repeats (RFC 4568 §7.1.4); None after a DTLS handshake.
    """

    suite: str
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    receive_mki: bytes = b""
    line: Crypto | None = None


@dataclass(slots=True)  # not frozen, as `LocalMedia`
class Agreed:
    """What both sides settled on for the audio stream. Never changed once made; a change makes another one.

    Attributes:
        codec: of our capabilities; what we send, and expect first.
        send_payload_type: the number the peer gave it.
        receive_payload_type: the number we gave it.
        ptime_ms: packet time we send: 10 to 60, in steps of 10.
        remote_host: IP literal; "0.0.0.0" or "::" while the peer holds the old way (RFC 3264 §8.4): send nothing there.
        remote_rtp_port: 1 to 65535; 0 while the call has no audio stream.
        remote_rtcp_host, remote_rtcp_port: port 0 when there is no place for RTCP.
        sends, receives: whether we send, and whether the peer does.
        telephone_event_send, telephone_event_receive: payload types of digits, None for no digits.
        telephone_event_hz: ticks a second in which the lengths of digits are counted.
        comfort_noise_receive: payload type under which the peer may describe its silence (RFC 3389), None for no such.
        fmtp_send: what the peer said in a=fmtp about what we send: how it wants it. Empty for nothing.
        fmtp_receive: what we said about what the peer sends.
        rtcp_mux: RTCP shares the RTP port, both ways.
        receivable: payload type and codec of everything the peer may send without asking again; the agreed codec first.
        srtp: with what every packet is protected; None without encryption, and where `dtls` has yet to make it.
        dtls: what makes the keys, None where they are known or not needed.
        remote_named: whether the peer gave a name instead of an address: `remote_host` is the unspecified one, and what
            we send goes to where its audio comes from.
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
    telephone_event_hz: int = 8000
    comfort_noise_receive: int | None = None
    fmtp_send: str = ""
    fmtp_receive: str = ""
    srtp: SrtpKeys | None = None
    dtls: DtlsTerms | None = None
    remote_named: bool = False

    @property
    def begun(self) -> bool:
        """Whether the call has, or has had, an audio stream, so that what was settled for it holds further on."""
        return bool(self.remote_rtp_port) or self.srtp is not None or self.dtls is not None

    def moved(self, host: str, rtp_port: int) -> "Agreed":
        """Give the same with the peer elsewhere, its RTCP next to its RTP (RFC 3550 §11) unless they share a port."""
        return Agreed(
            self.codec,
            self.send_payload_type,
            self.receive_payload_type,
            self.ptime_ms,
            host,
            rtp_port,
            host,
            rtp_port if self.rtcp_mux else rtp_port + 1,
            self.sends,
            self.receives,
            self.telephone_event_send,
            self.telephone_event_receive,
            self.rtcp_mux,
            self.receivable,
            self.telephone_event_hz,
            self.comfort_noise_receive,
            self.fmtp_send,
            self.fmtp_receive,
            self.srtp,
            self.dtls,
        )
