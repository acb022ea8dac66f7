"""Digits as named events: recognised in what comes, planned for what goes (RFC 4733 §2)."""

from struct import Struct
from typing import NamedTuple

from sipflow.errors import LocalProtocolError
from sipflow.rtp.packet import RtpPacket
from sipflow.rtp.sequence import timestamp_delta

DIGITS = "0123456789*#ABCD"  # RFC 4733 §3.2, table 3: events 0 to 15

_PAYLOAD = Struct("!BBH")  # RFC 4733 §2.3: event; E, R and volume; duration
_END = 0x80
_LONGEST = 0xFFFF  # ticks of one segment
_LATE_S = 30  # an event older than the newest by less than this was overtaken; by more, it is a new time line
_END_PACKETS = 3  # RFC 4733 §2.5.1.4: the last packet is sent three times


class EventReceiver:
    """Turns the telephone-event packets of one stream into digits, each once, at its first packet.

    A digit is known by its timestamp (RFC 4733 §2.2.2): marker bits, end bits and whole packets may be missing,
    packets may come twice or late. Packets of the same event within the time already reported belong to it, which
    joins the segments of a long event (RFC 4733 §2.5.1.3) and the digits of senders that wrongly move the
    timestamp with every packet.
    """

    __slots__ = ("_duration", "_ended", "_event", "_late_ticks", "_ssrc", "_timestamp")

    def __init__(self, clock_rate_hz: int = 8000) -> None:
        self.retime(clock_rate_hz)
        self._event = -1
        self._ssrc = -1
        self._timestamp = 0  # start of the newest event, or of its newest segment
        self._duration = 0
        self._ended = False

    def retime(self, clock_rate_hz: int) -> None:
        """Read timestamps at another rate, as after a change of codec; a digit that is being pressed goes on."""
        self._late_ticks = _LATE_S * clock_rate_hz

    def receive(self, packet: RtpPacket) -> str | None:
        """Take one packet of the telephone-event payload type; give its digit if it is a new one.

        Anything that is no digit (flash, tones, a payload too short) gives None.
        """
        if len(packet.payload) < _PAYLOAD.size:
            return None
        event, flags, duration = _PAYLOAD.unpack_from(packet.payload)
        if packet.ssrc == self._ssrc:
            age = timestamp_delta(packet.timestamp, self._timestamp)
            if -self._late_ticks < age < 0:
                return None
            if event == self._event and self._continues(age):
                if age:
                    self._timestamp = packet.timestamp
                    self._duration = duration
                else:
                    self._duration = max(self._duration, duration)
                self._ended = self._ended or flags >= _END
                return None
        self._ssrc = packet.ssrc
        self._event = event
        self._timestamp = packet.timestamp
        self._duration = duration
        self._ended = flags >= _END
        return DIGITS[event] if event < len(DIGITS) else None

    def _continues(self, age: int) -> bool:
        """Say whether an event of the same code, `age` ticks after the newest one's start, is that one still."""
        if age == 0:
            return True
        if self._ended:
            return 0 < age < self._duration
        return 0 < age <= self._duration or (age > 0 and age % _LONGEST == 0)


class EventPacket(NamedTuple):
    """One packet of a digit to be sent.

    Attributes:
        offset_ms: when to send it, after the digit's beginning.
        timestamp_offset: ticks to add to the RTP timestamp of the digit's beginning; 0 but for very long digits.
        payload: the four bytes.
        marker: True for the first packet only (RFC 4733 §2.2.1).
    """

    offset_ms: int
    timestamp_offset: int
    payload: bytes
    marker: bool


def encode_event(
    digit: str, *, duration_ms: int = 100, ptime_ms: int = 20, clock_rate_hz: int = 8000, volume: int = 10
) -> list[EventPacket]:
    """Plan the packets of one digit (RFC 4733 §2.5.1).

    The first goes at once and reports one packet time; the durations grow; the end is sent three times. Every packet
    takes a sequence number of its own, all take the timestamp at which the digit begins. After the last one the audio
    goes on with the timestamp it would have had.

    Args:
        digit: one of `0-9 * # A-D`, lower case too.
        duration_ms: rounded up to whole packet times, at least one.
        ptime_ms: time between packets.
        clock_rate_hz: of the telephone-event payload type.
        volume: power below 0 dBm0, 0 to 63.

    Raises:
        LocalProtocolError: not a digit, or a time or volume out of range.
    """
    event = DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if event < 0:
        raise LocalProtocolError(f"{digit!r} is not a digit: 0-9, *, # and A-D can be sent")
    if ptime_ms <= 0 or duration_ms <= 0 or clock_rate_hz <= 0 or not 0 <= volume <= 63:
        raise LocalProtocolError(f"a digit of {duration_ms} ms in packets of {ptime_ms} ms, volume -{volume} dBm0")
    steps = -(-duration_ms // ptime_ms)
    plan: list[EventPacket] = []
    segment = ends = 0
    while ends < _END_PACKETS:
        ticks = min(len(plan) + 1, steps) * ptime_ms * clock_rate_hz // 1000 - segment
        ended = len(plan) + 1 >= steps and ticks <= _LONGEST
        payload = _PAYLOAD.pack(event, volume | (_END if ended else 0), min(ticks, _LONGEST))
        plan.append(EventPacket(len(plan) * ptime_ms, segment, payload, marker=not plan))
        ends += ended
        if ticks > _LONGEST:
            segment += _LONGEST  # RFC 4733 §2.5.1.3: a full segment, without the end bit; the next begins where it ends
    return plan
