"""What one stream sends: one packet per tick, from the play queue, from pending digits, or silence."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from struct import Struct
from typing import NamedTuple, Protocol, Self

from sipflow.audio.codecs import AudioCodec, Encoder, find_codec
from sipflow.audio.codecs.plain import PlainCodec
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media.latch import Address, Latch
from sipflow.media.play_queue import Fate, PlayQueue
from sipflow.media.schedule import Paced
from sipflow.media.shortcut import Outgoing, Shortcut
from sipflow.rtp.telephone_event import EventPacket, encode_event
from sipflow.sdp.agreement import Agreed

_SAMPLE_BYTES = 2
_WIDE_HZ = 16000  # what speech needs, and what most recognisers and voices work at
_PLAIN = 0x80
_ROUNDING = 0.001  # of a tick
_pack = Struct("!BBHII").pack  # RFC 3550 §5.1, as `rtp.packet.header` writes it, without the call


class StreamStart(NamedTuple):
    """Where the numbers of a sent stream begin (RFC 3550 §5.1: unpredictable).

    Attributes:
        ssrc: 0 to 2**32 - 1.
        sequence: below 2**15, so that SRTP receivers need not guess a roll-over (RFC 3711 §3.3.1).
        timestamp: 0 to 2**32 - 1.
    """

    ssrc: int
    sequence: int
    timestamp: int

    @classmethod
    def random(cls) -> Self:
        """Draw all three from the operating system."""
        drawn = os.urandom(10)
        return cls(
            int.from_bytes(drawn[:4], "big"),
            int.from_bytes(drawn[4:6], "big") & 0x7FFF,
            int.from_bytes(drawn[6:], "big"),
        )


class Encoding(NamedTuple):
    """An encoder, and what it was made for.

    Attributes:
        key: codec, the peer's format parameters, packet time in milliseconds.
    """

    key: tuple[AudioCodec, str, int]
    encoder: Encoder


class Tap(Protocol):
    """Somebody who is given what is sent, such as a recording."""

    def sent(self, pcm: bytes) -> None:
        """Take 16-bit little-endian mono samples, silence too. Must not wait."""

    def sends_at(self, sample_rate_hz: int) -> None:
        """Learn the rate of the samples to come."""

    def end(self) -> None:
        """Learn that no more will come."""


class Pace(Protocol):
    """Who ticks."""

    def add(self, stream: Paced, *, ptime_ms: int = 20) -> None:
        """Tick every `ptime_ms`."""

    def remove(self, stream: Paced) -> None:
        """Tick no more."""


class Outbound:
    """The sending half of a session; the pacer calls `tick` every packet time.

    The timestamp moves with every tick, sent or not. While the stream may not send, or has nowhere to send to, nothing
    leaves and playing stands still. A packet after ticks without one carries the marker (RFC 3551 §4.1).

    Attributes:
        queue: what is to be played, at `sample_rate_hz`.
        sample_rate_hz: of what the codec takes.
        wish_hz: the rate that a codec of several rates should take; heard by the next `agree`.
        ssrc: ours.
        timestamp: of the packet that is due next.
        packets, bytes, errors: `packets_sent`, `bytes_sent` and `send_errors` of `MediaStatistics`.
        protect: encrypts a packet before it leaves; b"" keeps it here. None where nothing is encrypted.
        taps: who is given what is sent.
        muted: whether silence is sent in the place of what is played; that passes all the same.
        captured: is given every packet before it is encrypted, and where it goes; None where nobody wants them.
        relaying: whether `relay` gives what is sent, whenever there is nothing of our own to send. Then it is not
            ticked either, until there is.
        shortcut: what sends by the socket in its place, see `Shortcut`; None while nothing does.
    """

    __slots__ = (
        "_clock",
        "_connected",
        "_connected_to",
        "_encode",
        "_encoding",
        "_event_hz",
        "_event_timestamp",
        "_event_type",
        "_events",
        "_frame_bytes",
        "_frame_ticks",
        "_gap",
        "_latch",
        "_pace",
        "_payload_type",
        "_ptime_ms",
        "_quiet",
        "_relayed_to",
        "_rested_at",
        "_resync",
        "_rtp",
        "_send_connected",
        "_send_silence",
        "_sends",
        "_sendto",
        "_sequence",
        "_sequence_offset",
        "_silence",
        "_timestamp_offset",
        "bytes",
        "captured",
        "errors",
        "muted",
        "packets",
        "protect",
        "queue",
        "relaying",
        "sample_rate_hz",
        "shortcut",
        "ssrc",
        "taps",
        "timestamp",
        "wish_hz",
    )

    def __init__(
        self,
        rtp: socket.socket,
        latch: Latch,
        queue: PlayQueue,
        *,
        start: StreamStart,
        send_silence: bool,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._rtp = rtp
        self._sendto = rtp.sendto
        self._connected: socket.socket | None = None
        self._connected_to: Address | None = None
        self._send_connected: Callable[[bytes], int] = rtp.send
        self._latch = latch
        self.queue = queue
        self._send_silence = send_silence
        self._pace, self._clock = pace, clock
        self._rested_at: float | None = None  # up to when the timestamp has counted, while nobody ticks us
        self.ssrc, self._sequence, self.timestamp = start
        self._gap = True
        self._sends = False
        self.protect: Callable[[bytes], bytes] | None = None
        self.captured: Callable[[bytes, Address], None] | None = None
        self.taps: tuple[Tap, ...] = ()
        self.sample_rate_hz = 8000
        self.wish_hz = _WIDE_HZ
        self._encoding: Encoding | None = None
        self._encode: Callable[[bytes], bytes] = bytes
        self._silence = b""  # encoded; b"" where the encoder has a memory and must be given `_quiet`
        self._quiet = b""
        self._payload_type = self._frame_bytes = self._frame_ticks = self._ptime_ms = 0
        self._event_type: int | None = None
        self._event_hz = 8000
        self._events: deque[tuple[EventPacket | None, Fate | None]] = deque()  # one per tick; None is a pause
        self._event_timestamp = 0
        self.muted = False
        self.relaying = False
        self.shortcut: Shortcut | None = None
        self._resync = False  # the next relayed packet follows what was sent before it, whatever its own numbers say
        self._sequence_offset = self._timestamp_offset = 0  # from a relayed packet's numbers to ours
        self._relayed_to: int | None = None  # where the timestamps of the last relayed packet end
        self.packets = self.bytes = self.errors = 0

    def encoding(self, agreed: Agreed) -> Encoding:
        """Make what encodes as was agreed, for `agree`; nothing changes yet. It is what there is if that will do.

        Raises:
            MediaError: a codec was agreed that sipflow has not, or that has no such packet time.
        """
        codec = find_codec(agreed.codec.name, agreed.codec.clock_rate_hz, agreed.codec.channels).at(self.wish_hz)
        key = (codec, agreed.fmtp_send, agreed.ptime_ms)
        now = self._encoding
        return now if now is not None and now.key == key else Encoding(key, codec.new_encoder(*key[1:]))

    def agree(self, agreed: Agreed, encoding: Encoding, *, sends: bool) -> None:
        """Take what was agreed: codec, payload types, packet time; `sends` when there is somebody to send to."""
        self.wake()
        codec, encoder = encoding.key[0], encoding.encoder
        if encoding is not self._encoding:
            self._encoding = encoding
            self._encode = encoder.encode
            self._silence = codec.silence(agreed.ptime_ms) if isinstance(codec, PlainCodec) else b""
            self._frame_bytes = agreed.ptime_ms * encoder.sample_rate_hz // 1000 * _SAMPLE_BYTES
            self._quiet = bytes(self._frame_bytes)
            if encoder.sample_rate_hz != self.sample_rate_hz:
                self.sample_rate_hz = encoder.sample_rate_hz
                self.queue.retune(encoder.sample_rate_hz)
                for tap in self.taps:
                    tap.sends_at(encoder.sample_rate_hz)
        self._payload_type = agreed.send_payload_type
        self._ptime_ms = agreed.ptime_ms
        self._frame_ticks = agreed.ptime_ms * codec.clock_rate_hz // 1000
        self._sends = sends
        self._event_type = agreed.telephone_event_send
        self._event_hz = agreed.telephone_event_hz or codec.clock_rate_hz
        if self._event_type is None:
            self._drop_events()

    def tick(self, at: float) -> None:  # noqa: ARG002  (what is due is sent, however late)
        """Send the packet that is due now."""
        if self.relaying:
            queue = self.queue
            if not (self._events or (queue.queued_bytes > 0 and not queue.paused)):  # nothing of our own to send
                self.timestamp = self.timestamp + self._frame_ticks & 0xFFFFFFFF
                self._rest()
                return
            self._take_over()
        timestamp = self.timestamp
        self.timestamp = timestamp + self._frame_ticks & 0xFFFFFFFF
        pcm = None
        if not self._sends or self._latch.target is None:
            self._gap = True
        elif self._events:
            self._tick_event(timestamp)
        else:
            queue = self.queue
            pcm = queue.take(self._frame_bytes)
            if pcm is not None:
                if self.muted:
                    pcm = self._quiet
                self._send(self._payload_type, timestamp, self._encode(pcm), self._gap)
                if queue.marks:
                    queue.settle()
            elif self._send_silence:
                self._send(self._payload_type, timestamp, self._silence or self._encode(self._quiet), self._gap)
            else:
                self._gap = True
        for tap in self.taps:
            tap.sent(pcm or self._quiet)

    def skip(self, ticks: int) -> None:
        """Let time pass without sending."""
        for tap in self.taps:
            tap.sent(self._quiet * ticks)
        self.timestamp = self.timestamp + ticks * self._frame_ticks & 0xFFFFFFFF
        self._gap = True

    def relay(self, payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool) -> None:
        """Send a packet of another stream as the next of this one, unless there is something of our own to send.

        Order, gaps and timing stay as they came; numbers go on where ours stopped (RFC 3550 §7.1: as a mixer would, so
        that this peer sees one source whoever speaks).
        """
        target, queue = self._latch.target, self.queue  # every packet of a bridge: keep this path short
        if (
            target is None
            or not self._sends
            or self.muted
            or self._events
            or (queue.queued_bytes > 0 and not queue.paused)
        ):
            self._resync = True
            return
        if self._resync:
            self._count_rest()
            self._resync, marker = False, True
            self._sequence_offset = self._sequence - sequence
            self._timestamp_offset = self.timestamp - timestamp
        ours = sequence + self._sequence_offset
        ahead = ours - self._sequence & 0xFFFF
        if ahead < 0x8000:  # not one that came late
            self._sequence += ahead + 1
        timestamp = timestamp + self._timestamp_offset & 0xFFFFFFFF
        self._relayed_to = timestamp + self._frame_ticks
        self._gap = False
        packet = _pack(_PLAIN, payload_type | marker << 7, ours & 0xFFFF, timestamp, self.ssrc) + payload
        if self.protect is not None or self.captured is not None:
            self._transmit(packet, target, len(payload))
            return
        try:  # as in `_transmit`
            if self._connected is not None and target == self._connected_to:
                self._send_connected(packet)
            else:
                self._sendto(packet, target)
        except OSError as error:
            self._unsent(error)
            return
        self.packets += 1
        self.bytes += len(payload)

    def onward(self) -> Outgoing | None:
        """Say how the stream that is relayed is sent; None while anything stands in its way, see `relay`."""
        target = self._latch.target
        if (
            target is None
            or not self.relaying
            or self._resync
            or not self._sends
            or self.muted
            or self._events
            or self.queue.queued_bytes
            or self.protect is not None
            or self.captured is not None
        ):
            return None
        by = self._sequence_offset & 0xFFFF
        connected = self._connected if target == self._connected_to else None
        return Outgoing(self._rtp, connected, self._latch, self.queue, target, self.ssrc, by, self._timestamp_offset)

    def connect(self, sock: socket.socket, target: Address) -> None:
        """Send by a socket that is connected, for as long as packets go to `target`."""
        self.leave_shortcut()
        self._connected, self._connected_to = sock, target
        self._send_connected = sock.send

    def disconnect(self, error: OSError | None = None) -> None:
        """Send by the port's own socket again.

        Args:
            error: why a packet could not be sent. A connected socket is told what an unconnected one never hears of,
                such as that nobody has the port, and sends nothing then; a full buffer is no reason.
        """
        if not isinstance(error, BlockingIOError):
            self._connected = self._connected_to = None

    def sent(self, packets: int, octets: int, errors: int, timestamp: int) -> None:
        """Count packets that were relayed by a shortcut, in order.

        Args:
            packets: how many left, and `errors` how many did not.
            octets: of their payloads.
            timestamp: of the last one, as it came.
        """
        self._sequence += packets + errors
        self._relayed_to = (timestamp + self._timestamp_offset & 0xFFFFFFFF) + self._frame_ticks
        self.packets += packets
        self.bytes += octets
        self.errors += errors

    def settle(self) -> None:
        """Count what has been relayed by a shortcut up to now."""
        self._count_rest()
        if self.shortcut is not None:
            self.shortcut.settle()

    def leave_shortcut(self) -> None:
        """Send every packet here again; to be called before anything changes."""
        if self.shortcut is not None:
            self.shortcut.leave()

    def start_relaying(self) -> None:
        """Let `relay` give what is sent from here on."""
        self.relaying = self._resync = True

    def stop_relaying(self) -> None:
        """Send what is queued, or silence, again: it follows what was relayed."""
        if self.relaying:
            self.wake()
            self._take_over()
            self.relaying = False

    def wake(self) -> None:
        """Be ticked again: there is something of our own to send, or will be."""
        if self._rested_at is not None:
            self._count_rest()
            self._rested_at = self.queue.on_wanted = None
            self._pace.add(self, ptime_ms=self._ptime_ms)

    def _rest(self) -> None:
        """Be ticked no more: with a thousand legs that would cost as much as a tenth of their packets."""
        self._rested_at = self._clock()
        self.queue.on_wanted = self.wake
        self._pace.remove(self)

    def _count_rest(self) -> None:
        """Move the timestamp by the ticks that have passed without us."""
        if self._rested_at is not None:
            ticks = int((self._clock() - self._rested_at) * 1000 / self._ptime_ms + _ROUNDING)
            self._rested_at += ticks * self._ptime_ms / 1000
            self.timestamp = self.timestamp + ticks * self._frame_ticks & 0xFFFFFFFF

    def _take_over(self) -> None:
        """Have our own packets follow the relayed ones: never a timestamp twice, whatever clock theirs went by."""
        self.leave_shortcut()
        if self._relayed_to is not None:
            ahead = self._relayed_to - self.timestamp & 0xFFFFFFFF
            if ahead < 0x80000000:
                self.timestamp = self.timestamp + ahead & 0xFFFFFFFF
            self._relayed_to = None
            self._gap = True
        self._resync = True

    def send_digits(self, digits: str, fate: Fate, *, duration_ms: int, gap_ms: int) -> None:
        """Queue digits as telephone-events; see `MediaSession.send_digits`."""
        if self._event_type is None:
            raise LocalProtocolError(
                "the peer did not agree to telephone-event: no digits can be sent in RTP (RFC 4733)"
            )
        self.leave_shortcut()
        self.wake()
        plan = list(self._plan(digits, duration_ms, gap_ms))
        if plan:
            self._events.extend((packet, None) for packet in plan[:-1])
            self._events.append((plan[-1], fate))
        else:
            fate(True)

    def end(self) -> None:
        """Stop sending; drop what waits, and tell its marks so."""
        self.leave_shortcut()
        self._rested_at = self.queue.on_wanted = None
        self._sends = False
        self._drop_events()
        self.queue.clear()
        taps, self.taps = self.taps, ()
        for tap in taps:
            tap.end()

    def _plan(self, digits: str, duration_ms: int, gap_ms: int) -> Iterator[EventPacket | None]:
        """Lay the packets of digits, and the pauses after them, tick by tick."""
        ptime_ms = self._ptime_ms
        for digit in digits:
            yield from encode_event(digit, duration_ms=duration_ms, ptime_ms=ptime_ms, clock_rate_hz=self._event_hz)
            yield from [None] * -(-gap_ms // ptime_ms)

    def _tick_event(self, timestamp: int) -> None:
        """Send the next packet of a digit, or be silent between two; audio waits meanwhile."""
        packet, fate = self._events.popleft()
        if packet is not None and self._event_type is not None:
            if packet.marker:
                self._event_timestamp = timestamp  # RFC 4733 §2.1: the time line is the audio's
            self._send(
                self._event_type,
                self._event_timestamp + packet.timestamp_offset & 0xFFFFFFFF,
                packet.payload,
                packet.marker,
            )
            self._gap = True
        elif self._send_silence:
            self._send(self._payload_type, timestamp, self._silence or self._encode(self._quiet), self._gap)
        if fate is not None:
            fate(True)

    def _send(self, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> None:
        target = self._latch.target
        self._gap = not payload
        if target is None or not payload:  # discontinuous transmission: the codec has nothing to say
            return
        sequence = self._sequence
        self._sequence = sequence + 1
        packet = _pack(_PLAIN, payload_type | marker << 7, sequence & 0xFFFF, timestamp, self.ssrc) + payload
        if self.protect is not None or self.captured is not None:
            self._transmit(packet, target, len(payload))
            return
        try:  # as `_transmit` would: nearly every packet
            if self._connected is not None and target == self._connected_to:
                self._send_connected(packet)
            else:
                self._sendto(packet, target)
        except OSError as error:
            self._unsent(error)
            return
        self.packets += 1
        self.bytes += len(payload)

    def _transmit(self, packet: bytes, target: Address, size: int) -> None:
        if self.captured is not None:
            self.captured(packet, target)
        try:
            if self.protect is not None:
                packet = self.protect(packet)
                if not packet:
                    return
            if self._connected is not None and target == self._connected_to:
                self._send_connected(packet)
            else:
                self._sendto(packet, target)
        except (OSError, MediaError) as error:  # no buffer space, unreachable, too long for SRTP
            self._unsent(error)
            return
        self.packets += 1
        self.bytes += size

    def _unsent(self, error: Exception) -> None:
        """Count a packet that is lost; the next may pass."""
        self.errors += 1
        if isinstance(error, OSError):
            self.disconnect(error)

    def _drop_events(self) -> None:
        events, self._events = self._events, deque()
        for _, fate in events:
            if fate is not None:
                fate(False)
