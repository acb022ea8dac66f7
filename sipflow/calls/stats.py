"""How a call's audio fares, in numbers that an agent or an operator can act on."""

from dataclasses import dataclass

from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord, Quality
from sipflow.media.statistics import MediaStatistics


@dataclass(frozen=True, slots=True)
class CallStats:
    """A snapshot of one call's audio; all counters since its beginning.

    Attributes:
        codec: SDP name of what is sent, such as "PCMU"; "" before anything was agreed.
        ptime_ms: milliseconds of audio in a packet we send; 0 before anything was agreed.
        packets_sent, packets_received: RTP packets.
        lost: packets of the far end that never came.
        late: packets that came after their place in the audio had passed, and were not heard.
        duplicates: packets that came twice.
        strays: packets from somebody who is not the far end; dropped.
        unauthentic: SRTP packets that were forged, damaged or played again; dropped.
        jitter_ms: how unevenly packets come (RFC 3550 A.8), milliseconds.
        jitter_buffer_ms: milliseconds of audio that are held now, to even that out.
        concealed_ms: milliseconds of sound that were made up for packets lost or late.
        remote_lost: packets of ours that never came at the far end, as it reports.
        remote_jitter_ms: how unevenly ours come there, as it reports; None while it has not.
        rtt_ms: round-trip time by RTCP (RFC 3550 §6.4.1), milliseconds; None while the far end has not said.
        mos: what a listener would say of the far end's audio, 1.0 to 4.5 (ITU-T G.107); None while unknown.
        played_ms: milliseconds of audio sent, silence in between not counted.
        queued_ms: milliseconds of audio that wait to be sent.
        skipped_ms: milliseconds of live sources dropped because they ran ahead of real time.
        digits_received: DTMF digits the far end pressed.
    """

    codec: str = ""
    ptime_ms: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    strays: int = 0
    unauthentic: int = 0
    jitter_ms: float = 0.0
    jitter_buffer_ms: float = 0.0
    concealed_ms: int = 0
    remote_lost: int = 0
    remote_jitter_ms: float | None = None
    rtt_ms: float | None = None
    mos: float | None = None
    played_ms: int = 0
    queued_ms: int = 0
    skipped_ms: int = 0
    digits_received: int = 0

    @classmethod
    def of(cls, media: MediaStatistics, *, ptime_ms: int, queued_ms: int) -> "CallStats":
        """Take what concerns an agent out of the counters of a media stream."""
        return cls(
            codec=media.codec,
            ptime_ms=ptime_ms,
            packets_sent=media.packets_sent,
            packets_received=media.packets_received,
            lost=media.lost,
            late=media.late,
            duplicates=media.duplicates,
            strays=media.strays,
            unauthentic=media.unauthentic,
            jitter_ms=media.jitter_ms,
            jitter_buffer_ms=media.jitter_buffer_ms,
            concealed_ms=media.concealed_ms,
            remote_lost=media.remote_lost,
            remote_jitter_ms=media.remote_jitter_ms,
            rtt_ms=media.round_trip_ms,
            mos=media.opinion,
            played_ms=media.played_ms,
            queued_ms=queued_ms,
            skipped_ms=media.skipped_ms,
            digits_received=media.digits_received,
        )


def sum_up(record: CallRecord, media: LegMedia) -> None:
    """Put into a record how the audio of its call was: the codec last agreed on, and the quality if any was heard."""
    if media.agreed is not None:
        record.codec = media.agreed.codec.name
    if not media.session.heard_anything:
        return
    heard = media.session.statistics()
    expected = heard.packets_received + heard.lost
    record.quality = Quality(
        loss_percent=round(100 * heard.lost / expected, 2) if expected else 0.0,
        jitter_ms=round(heard.jitter_ms, 2),
        round_trip_ms=round(heard.round_trip_ms, 2) if heard.round_trip_ms is not None else None,
        mos=round(heard.opinion, 2) if heard.opinion is not None else 1.0,
    )
