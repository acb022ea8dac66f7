"""What happened to one stream, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaStatistics:
    """A snapshot of one media stream.

    Attributes:
        codec: SDP name of what we send, "" before anything was agreed.
        packets_sent, bytes_sent: RTP packets, and the octets of their payloads (RFC 3550 §6.4.1).
        packets_received, bytes_received: of the peer; duplicates and late ones too, strays not.
        lost: packets of the peer that never came.
        late: packets that came after their place in the audio had passed.
        concealed_ms: audio that was made up for because packets were lost or late.
        jitter_buffer_ms: how much of what was received is held now, so that slower packets can catch up.
        unauthentic: SRTP packets that were forged, damaged or played again; dropped.
        duplicates: packets that came twice.
        jitter_ms: interarrival jitter (RFC 3550 A.8).
        strays: packets of other sources than the peer, or of sources not proven yet; dropped.
        unexpected: packets of the peer's stream with a payload type that was not agreed, or while it may not send.
        malformed: datagrams that are not RTP.
        rtcp_received, rtcp_sent: RTCP datagrams. None that comes changes anything (a forged BYE ends no call).
        round_trip_ms: to the peer and back, by RTCP; None as long as the peer reports nothing.
        remote_lost, remote_jitter_ms: of our packets at the peer, as it reports.
        opinion: how what the peer says sounds here, as a mean opinion score of 1.0 to 4.5 by the E-model (ITU-T G.107);
            None before anything was heard.
        send_errors: packets that the operating system did not take.
        digits_received: telephone-events that were digits.
        first_packet_at, last_packet_at: when the peer's first and latest packet came: monotonic seconds, or None.
        played_ms: audio sent, silence in between not counted.
        dry: how often a live source ran out and its cushion was filled again.
        skipped_ms: audio of live sources that was dropped because it ran ahead.
    """

    codec: str = ""
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    lost: int = 0
    late: int = 0
    concealed_ms: int = 0
    jitter_buffer_ms: float = 0.0
    unauthentic: int = 0
    duplicates: int = 0
    jitter_ms: float = 0.0
    strays: int = 0
    unexpected: int = 0
    malformed: int = 0
    rtcp_received: int = 0
    rtcp_sent: int = 0
    round_trip_ms: float | None = None
    remote_lost: int = 0
    remote_jitter_ms: float | None = None
    opinion: float | None = None
    send_errors: int = 0
    digits_received: int = 0
    first_packet_at: float | None = None
    last_packet_at: float | None = None
    played_ms: int = 0
    dry: int = 0
    skipped_ms: int = 0
