"""The RTCP of one call: when to report, what to say, and what the peer's reports tell (RFC 3550 §6)."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
    round_trip_s,
)
from sipflow.rtp.source import ReceptionReport, Source

INTERVAL_S = 5.0  # RFC 3550 §6.2: the least, which two people in a call are far below
_COMPENSATION = 1.21828  # RFC 3550 §6.3.1: e - 3/2, because the draw below has a mean that is too short
_LONGEST_TRIP_S = 30.0  # of a call that anybody still holds
_LONGEST_JITTER_MS = 10_000.0  # more is no jitter, whatever the peer says


class Sent(NamedTuple):
    """What we have sent.

    Attributes:
        packets, octets: since the start; payload octets only.
        rtp_timestamp: of now.
    """

    packets: int
    octets: int
    rtp_timestamp: int


class Reports:
    """Reports on one stream in each direction.

    The peer's reports are believed as far as they are about us, and nothing in them is obeyed: a BYE ends no call.

    Attributes:
        due_at: when the next report is due: monotonic seconds.
        round_trip_s: the latest round trip, None before the peer has said anything about us.
        remote_lost: packets of ours that the peer has missed, as it says; negative where it counts duplicates.
        remote_fraction_lost: of the last interval, 0 to 1; None before the first report.
        remote_jitter_ms: of our packets at the peer; None before the first report.
    """

    __slots__ = (
        "_cname",
        "_rate",
        "_sent",
        "_ssrc",
        "due_at",
        "remote_fraction_lost",
        "remote_jitter_ms",
        "remote_lost",
        "round_trip_s",
    )

    def __init__(self, ssrc: int, cname: str, *, clock_rate_hz: int, now: float, draw: float) -> None:
        """Begin; the first report comes after half the interval (RFC 3550 §6.2).

        Args:
            ssrc: ours.
            cname: the lasting name of our end (RFC 7022: unpredictable).
            clock_rate_hz: of our timestamps.
            now: monotonic seconds.
            draw: a random number from 0 to 1.
        """
        self._ssrc = ssrc
        self._cname = cname
        self._rate = clock_rate_hz
        self._sent = 0
        self.due_at = now + self._interval(draw) / 2
        self.round_trip_s: float | None = None
        self.remote_lost = 0
        self.remote_fraction_lost: float | None = None
        self.remote_jitter_ms: float | None = None

    def retime(self, clock_rate_hz: int) -> None:
        """Read the peer's figures in another clock, as after a change of codec."""
        self._rate = clock_rate_hz

    def receive(self, data: bytes, source: Source, *, now: float, ntp_now: int) -> bool:
        """Take one datagram of the peer's.

        Args:
            data: a compound packet.
            source: what we receive of the peer: its sender reports are remembered there.
            now: monotonic seconds.
            ntp_now: the same moment as 64-bit NTP time.

        Returns:
            Whether it was RTCP.
        """
        try:
            packets = parse_compound(data)
        except RemoteProtocolError:
            return False
        for packet in packets:
            if isinstance(packet, SenderReport) and packet.ssrc == source.ssrc and source.valid:
                source.note_sender_report(packet.ntp_time, now)
            if isinstance(packet, SenderReport | ReceiverReport):
                for report in packet.reports:
                    if report.ssrc == self._ssrc:
                        self._learn(report, ntp_now)
        return True

    def compose(self, source: Source, sent: Sent, *, now: float, ntp_now: int, draw: float) -> bytes:
        """Make the report that is due, and set when the next one is (RFC 3550 §6.4: SR if we sent since, else RR)."""
        self.due_at = now + self._interval(draw)
        return build_compound([self._report(source, sent, now, ntp_now), SourceDescription(self._ssrc, self._cname)])

    def goodbye(self, source: Source, sent: Sent, *, now: float, ntp_now: int) -> bytes:
        """Make the last report, with a BYE in it (RFC 3550 §6.6)."""
        report = self._report(source, sent, now, ntp_now)
        return build_compound([report, SourceDescription(self._ssrc, self._cname), Goodbye((self._ssrc,))])

    def _report(self, source: Source, sent: Sent, now: float, ntp_now: int) -> SenderReport | ReceiverReport:
        block = source.report(now=now)
        blocks = (block,) if block is not None else ()
        if sent.packets == self._sent:
            return ReceiverReport(self._ssrc, blocks)
        self._sent = sent.packets
        return SenderReport(self._ssrc, ntp_now, sent.rtp_timestamp, sent.packets, sent.octets, blocks)

    def _learn(self, report: ReceptionReport, ntp_now: int) -> None:
        self.remote_lost = report.cumulative_lost
        self.remote_fraction_lost = report.fraction_lost / 256
        self.remote_jitter_ms = min(1000 * report.jitter_ticks / self._rate, _LONGEST_JITTER_MS)
        trip_s = round_trip_s(report, ntp_now)
        if trip_s is not None and trip_s <= _LONGEST_TRIP_S:
            self.round_trip_s = trip_s

    def _interval(self, draw: float) -> float:
        """RFC 3550 §6.3.1: half to one and a half of the interval, so that two ends do not fall into step."""
        return INTERVAL_S * (0.5 + draw) / _COMPENSATION
