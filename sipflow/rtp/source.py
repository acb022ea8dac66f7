"""What one received RTP stream is worth: lost, late and double packets, jitter (RFC 3550 §6.4.1, appendix A)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MIN_SEQUENTIAL = 2  # RFC 3550 A.1: packets in a row that prove a source
MAX_DROPOUT = 3000  # RFC 3550 A.1: a minute at 20 ms; a longer gap is a restart
MAX_MISORDER = 100  # RFC 3550 A.1: two seconds at 20 ms
_RESTART = 0x10000 - MAX_MISORDER
_WINDOW_BITS = 128  # one per sequence number behind the newest; more than MAX_MISORDER
_WINDOW = (1 << _WINDOW_BITS) - 1
_LOST_LIMIT = 0x7FFFFF  # RFC 3550 §6.4.1: 24 bits, signed


class Arrival(Enum):
    """What a packet turned out to be.

    PROBATION: of a source not yet proven by two packets in a row; nothing is counted (RFC 3550 A.1).
    IN_ORDER: newer than all before it.
    LATE: older than the newest, not seen before.
    DUPLICATE: seen before.
    JUMP: far out of sequence; a second one in a row means that the sender restarted (RFC 3550 A.1).
    """

    PROBATION = "probation"
    IN_ORDER = "in order"
    LATE = "late"
    DUPLICATE = "duplicate"
    JUMP = "jump"


_PROBATION = Arrival.PROBATION
_IN_ORDER = Arrival.IN_ORDER


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """One report block about a source (RFC 3550 §6.4.1).

    Attributes:
        ssrc: the source it is about.
        fraction_lost: 0 to 255, of 256, since the last report.
        cumulative_lost: -2**23 to 2**23 - 1; negative when duplicates outnumber losses.
        highest_sequence: with cycles, 32 bits.
        jitter_ticks: interarrival jitter.
        last_sr: middle 32 bits of the last sender report's NTP time, 0 if none came.
        delay_since_last_sr: in 1/65536 s, 0 if none came.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter_ticks: int
    last_sr: int = 0
    delay_since_last_sr: int = 0


class Source:
    """Counts one received stream. A new SSRC, or a sender that restarts, is proven before it replaces the old.

    Attributes:
        ssrc: of the proven source; of the first packet before that.
        valid: whether a source has been proven.
        duplicates, late: how many of `received` came twice, or after a newer one.
        jumps: packets far out of sequence, which are not counted as received.
        restarts: how often a proven source was replaced.
        jitter_ticks: interarrival jitter, in ticks (RFC 3550 A.8).
    """

    __slots__ = (
        "_arrival_s",
        "_away",
        "_bad",
        "_base",
        "_candidate",
        "_expected_before",
        "_expected_prior",
        "_highest",
        "_last_sr",
        "_last_sr_at",
        "_need",
        "_next",
        "_proven",
        "_rate",
        "_received",
        "_received_before",
        "_received_prior",
        "_run",
        "_run_start",
        "_seen",
        "_settled",
        "_timestamp",
        "duplicates",
        "jitter_ticks",
        "jumps",
        "late",
        "restarts",
        "ssrc",
        "valid",
    )

    def __init__(self, clock_rate_hz: int = 8000, *, min_sequential: int = MIN_SEQUENTIAL) -> None:
        """Start without a source.

        Args:
            clock_rate_hz: ticks a second of the stream's timestamps.
            min_sequential: packets in a row that prove a source; 1 trusts the first.
        """
        self._rate = clock_rate_hz
        self._need = max(min_sequential, 1)
        self.ssrc = 0
        self.valid = False
        self.duplicates = self.late = self.jumps = self.restarts = 0
        self.jitter_ticks = 0.0
        self._proven = -1  # `ssrc` once it is `valid`
        self._candidate = -1  # SSRC on probation
        self._run = self._run_start = self._next = 0  # its packets in a row, their first number, the number expected
        self._bad = -1  # sequence number that would confirm a restart
        self._away = False  # whether nobody has read what it sent last
        self._base = self._highest = 0  # extended sequence numbers
        self._received = 0  # up to `_settled`
        self._settled = 0  # extended sequence number; what is newer came in order, and only `_highest` counts it yet
        self._seen = 0  # bit n: `_settled - n` was received
        self._arrival_s = 0.0
        self._timestamp = 0
        self._expected_before = self._received_before = 0  # totals of earlier sources
        self._expected_prior = self._received_prior = 0  # at the last report
        self._last_sr = 0
        self._last_sr_at = 0.0

    def receive(self, sequence: int, timestamp: int, arrival_s: float, ssrc: int = 0) -> Arrival:
        """Count one packet and say what it was.

        Args:
            sequence: 0 to 2**16 - 1.
            timestamp: 0 to 2**32 - 1, in ticks.
            arrival_s: monotonic seconds.
            ssrc: leave it out where another layer holds streams apart.
        """
        if ssrc != self._proven:
            return self._prove(sequence, timestamp, arrival_s, ssrc)
        highest = self._highest
        if sequence == (highest + 1) & 0xFFFF:  # nearly every packet
            self._highest = highest + 1
            arrival = _IN_ORDER
        else:
            self._settle()
            arrival = self._out_of_step(sequence, (sequence - highest) & 0xFFFF)
            if arrival is Arrival.JUMP:
                return arrival
        ticks = timestamp - self._timestamp
        if ticks:  # the packets of one event share a timestamp and say nothing of jitter (RFC 4733 §2.2)
            if not -0x80000000 <= ticks < 0x80000000:
                ticks = ((ticks + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            rate = self._rate
            drift = (arrival_s - self._arrival_s) * rate - ticks
            if drift < 0:
                drift = -drift
            if drift < rate:  # a second and more is a pause or a new time line, not jitter
                jitter = self.jitter_ticks
                self.jitter_ticks = jitter + (drift - jitter) * 0.0625  # RFC 3550 A.8: gain 1/16
            self._timestamp = timestamp
            self._arrival_s = arrival_s
        return arrival

    def receive_in_order(self, transits: Sequence[float], timestamp: int, arrival_s: float) -> None:
        """Count packets of the proven source that follow the newest one without a gap.

        Args:
            transits: of each, when it arrived less its timestamp, in ticks.
            timestamp, arrival_s: of the last one.
        """
        self._highest += len(transits)
        rate, jitter = self._rate, self.jitter_ticks
        before = self._arrival_s * rate - self._timestamp
        for transit in transits:
            drift = abs(transit - before)
            before = transit
            if drift < rate:  # as in `receive`
                jitter += (drift - jitter) * 0.0625
        self.jitter_ticks = jitter
        self._timestamp = timestamp
        self._arrival_s = arrival_s

    @property
    def clock_rate_hz(self) -> int:
        """Ticks a second of the stream's timestamps."""
        return self._rate

    @property
    def received(self) -> int:
        """Packets counted, duplicates and late ones too, over all restarts."""
        return self._received + self._highest - self._settled

    def _settle(self) -> None:
        """Enter what came in order since the last time: one by one it would cost more than all the rest."""
        run = self._highest - self._settled
        if run:
            self._received += run
            self._seen = (self._seen << run | (1 << run) - 1) & _WINDOW if run < _WINDOW_BITS else _WINDOW
            self._settled = self._highest

    def _out_of_step(self, sequence: int, delta: int) -> Arrival:
        """Place a packet that is not the next one (RFC 3550 A.1, update_seq)."""
        if 0 < delta < MAX_DROPOUT:
            self._highest += delta
            self._settled = self._highest
            self._received += 1
            self._seen = (self._seen << delta | 1) & _WINDOW if delta < _WINDOW_BITS else 1
            return _IN_ORDER
        if 0 < delta <= _RESTART:
            return self._jump(sequence)
        behind = -delta & 0xFFFF
        bit = 1 << behind
        self._received += 1
        if self._seen & bit:
            self.duplicates += 1
            return Arrival.DUPLICATE
        self._seen |= bit
        self.late += 1
        self._base = min(self._base, self._highest - behind)  # older than the first one: it was sent, so expected
        return Arrival.LATE

    def _jump(self, sequence: int) -> Arrival:
        if sequence != self._bad:
            self._bad = (sequence + 1) & 0xFFFF
            self.jumps += 1
            return Arrival.JUMP
        self._adopt(self.ssrc, sequence, 1)  # two in a row: the other side restarted without telling us
        self._received += 1
        return _IN_ORDER

    def look_away(self) -> None:
        """Count nothing as lost that the proven source has sent since its last packet, and sends up to its next one."""
        if self.valid:
            self._away, self._proven = True, -1

    def _look_back(self, sequence: int) -> None:
        """Go on with the proven source at this packet."""
        self._away, self._proven = False, self.ssrc
        self._settle()
        skipped = ((sequence - self._highest) & 0xFFFF) - 1
        if 0 < skipped < _RESTART:
            self._base += skipped
            self._highest += skipped
            self._settled = self._highest
            self._seen = self._seen << skipped & _WINDOW if skipped < _WINDOW_BITS else 0

    def _prove(self, sequence: int, timestamp: int, arrival_s: float, ssrc: int) -> Arrival:
        """Count packets in a row of a source that is not proven yet (RFC 3550 A.1)."""
        if self._away and ssrc == self.ssrc:
            self._look_back(sequence)
            return self.receive(sequence, timestamp, arrival_s, ssrc)
        if not self.valid:
            self.ssrc = ssrc
        if ssrc == self._candidate and sequence == self._next:
            self._run += 1
        else:
            self._candidate = ssrc
            self._run = 1
            self._run_start = sequence
        self._next = (sequence + 1) & 0xFFFF
        if self._run < self._need:
            return _PROBATION
        self._settle()
        self._adopt(ssrc, sequence, self._run)
        self._received += self._run
        self.jitter_ticks = 0.0
        self._timestamp = timestamp
        self._arrival_s = arrival_s
        return _IN_ORDER

    def _adopt(self, ssrc: int, sequence: int, run: int) -> None:
        """Begin counting a proven source whose newest packets are `run` in a row; the totals go on."""
        if self.valid:
            self.restarts += 1
            self._expected_before = self.expected
        self._received_before = self._received
        self.ssrc = self._proven = ssrc
        self.valid, self._away = True, False
        self._candidate = self._bad = -1
        self._highest = self._settled = sequence + 0x10000  # one cycle up, so that late packets stay positive
        self._base = self._highest - run + 1
        self._seen = (1 << run) - 1
        self._expected_prior = self._received_prior = 0
        self._last_sr = 0

    def retime(self, clock_rate_hz: int) -> None:
        """Read timestamps at another rate, as after a change of codec; jitter begins anew."""
        if clock_rate_hz != self._rate:
            self._rate = clock_rate_hz
            self.jitter_ticks = 0.0

    @property
    def expected(self) -> int:
        """How many packets the senders sent, as far as their sequence numbers tell (RFC 3550 A.3)."""
        return self._expected_before + (self._highest - self._base + 1 if self.valid else 0)

    @property
    def lost(self) -> int:
        """How many packets never came, over all restarts; duplicates do not hide a loss."""
        return max(self.expected - self.received + self.duplicates, 0)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return 1000 * self.jitter_ticks / self._rate

    @property
    def highest_sequence(self) -> int:
        """The highest sequence number received, with its cycles in the high 16 bits (RFC 3550 §6.4.1)."""
        return (self._highest - 0x10000) & 0xFFFFFFFF

    def note_sender_report(self, ntp_time: int, arrival_s: float) -> None:
        """Remember a sender report of this source, so that its sender can measure the round trip.

        Args:
            ntp_time: 64-bit NTP time of the report.
            arrival_s: monotonic seconds.
        """
        self._last_sr = ntp_time >> 16 & 0xFFFFFFFF
        self._last_sr_at = arrival_s

    def report(self, *, now: float) -> ReceptionReport | None:
        """Make the block for the next RTCP report, and begin the next interval; None without a proven source."""
        if not self.valid:
            return None
        expected = self.expected - self._expected_before
        received = self.received - self._received_before
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (received - self._received_prior)
        self._expected_prior = expected
        self._received_prior = received
        fraction = (lost_interval << 8) // expected_interval if expected_interval > 0 and lost_interval > 0 else 0
        delay = int((now - self._last_sr_at) * 65536) if self._last_sr else 0
        return ReceptionReport(
            ssrc=self.ssrc,
            fraction_lost=min(fraction, 255),
            cumulative_lost=max(-_LOST_LIMIT - 1, min(expected - received, _LOST_LIMIT)),
            highest_sequence=self.highest_sequence,
            jitter_ticks=min(int(self.jitter_ticks), 0xFFFFFFFF),
            last_sr=self._last_sr,
            delay_since_last_sr=max(0, min(delay, 0xFFFFFFFF)),
        )
