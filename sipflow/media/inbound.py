"""What comes to one stream: socket, guard, order, readers. No object is made for a packet that nobody reads."""

import socket
from collections.abc import Callable
from struct import Struct
from time import monotonic

from sipflow.audio.codecs import AudioCodec, find_codec
from sipflow.errors import RemoteProtocolError
from sipflow.media.latch import Address, Latch
from sipflow.media.reader import FrameQueue, FrameReader
from sipflow.media.reorder import Reorder
from sipflow.rtp.packet import HEADER_BYTES, is_rtcp, parse_packet
from sipflow.rtp.source import Arrival, Source
from sipflow.rtp.telephone_event import EventReceiver
from sipflow.sdp.agreement import Agreed

MAX_GAP_FRAMES = 5  # frames of silence put in for what is missing; a longer gap is shortened to this
DRAIN_PACKETS = 16  # read at one wake-up, so that a flood on one call does not hold up the others

_unpack = Struct("!BBHII").unpack_from  # RFC 3550 §5.1, as `parse_packet` reads it, without the object
_PLAIN = 0x80
_DATAGRAM_BYTES = 2048  # more than fits an Ethernet packet; the rest of a longer one is cut off
_CALM_FROM_S, _CALM_TO_S = 0.004, 0.035  # wake-ups this far apart bring one packet: no second read that finds nothing
_ONE, _MANY = range(1), range(DRAIN_PACKETS)
_IN_ORDER = Arrival.IN_ORDER


class Inbound:
    """The receiving half of a session.

    Order of judgement: RTP at all, payload type agreed, source believed (`Latch`), counted (RFC 3550 A), in order.
    Missing packets are waited for until three later ones are there (`Reorder`); then up to MAX_GAP_FRAMES of silence
    take their place, so that the reader's time stays true. Pauses in the timestamps are filled the same way.

    Attributes:
        latch: who is believed, and where to send; None until something was agreed.
        first_at, last_at: when packets of the peer came; None until the first.
        bytes, malformed, unexpected, rtcp, digits: counters of `MediaStatistics`.
    """

    __slots__ = (
        "_codec",
        "_codecs",
        "_event_type",
        "_events",
        "_expected",
        "_ipv6",
        "_on_digit",
        "_payload_type",
        "_queue_frames",
        "_readers",
        "_recvfrom",
        "_reorder",
        "_rtcp",
        "_rtcp_mux",
        "_ssrc",
        "_ticks_per_byte",
        "_woken_at",
        "bytes",
        "digits",
        "first_at",
        "last_at",
        "latch",
        "malformed",
        "rtcp",
        "source",
        "unexpected",
    )

    def __init__(
        self,
        rtp: socket.socket,
        rtcp: socket.socket,
        latch: Latch,
        *,
        queue_frames: int,
        on_digit: Callable[[str], None] | None,
    ) -> None:
        self._recvfrom = rtp.recvfrom
        self._ipv6 = rtp.family == socket.AF_INET6
        self._rtcp = rtcp
        self.latch = latch
        self._queue_frames = queue_frames
        self._on_digit = on_digit
        self._readers: tuple[FrameQueue, ...] = ()
        self._codecs: dict[int, AudioCodec] = {}
        self._codec = find_codec("PCMU")
        self._payload_type = self._event_type = -1
        self._ticks_per_byte = 1.0
        self._rtcp_mux = False
        self._reorder = Reorder()
        self._events = EventReceiver()
        self._ssrc = -1
        self._expected = -1  # timestamp of the next packet
        self._woken_at = 0.0
        self.source = Source(min_sequential=1)  # the latch proves sources
        self.bytes = self.malformed = self.unexpected = self.rtcp = self.digits = 0
        self.first_at: float | None = None
        self.last_at: float | None = None

    @property
    def late(self) -> int:
        """How many packets came after their place in the audio had passed."""
        return self._reorder.late

    def agree(self, agreed: Agreed) -> None:
        """Take what was agreed: payload types, codecs, direction.

        Raises:
            MediaError: a codec was agreed that sipflow has not.
        """
        receivable = ((agreed.receive_payload_type, agreed.codec), *agreed.receivable)
        codecs = {number: find_codec(codec.name, codec.clock_rate_hz) for number, codec in receivable}
        self._rtcp_mux = agreed.rtcp_mux
        self._codecs = codecs if agreed.receives else {}
        events = agreed.telephone_event_receive
        self._event_type = events if agreed.receives and events is not None else -1
        if self._codecs.get(self._payload_type) is not self._codec:
            self._payload_type = -1  # the next packet says which codec it is

    def read(self) -> FrameReader:
        """Begin to collect frames for a reader."""
        queue = FrameQueue(self._codec, limit=self._queue_frames)
        self._readers = (*self._readers, queue)
        return FrameReader(queue, self._detach)

    def end(self) -> None:
        """End every reader."""
        readers, self._readers = self._readers, ()
        for queue in readers:
            queue.end()

    def readable(self) -> None:
        """Read a packet, or up to DRAIN_PACKETS if more may wait; the loop calls again while there are any."""
        now = monotonic()
        since = now - self._woken_at
        self._woken_at = now
        calm = _CALM_FROM_S < since < _CALM_TO_S
        for _ in _ONE if calm else _MANY:
            try:
                data, source = self._recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error that was queued
            self._take(data, source[:2] if self._ipv6 else source, now)

    def rtcp_readable(self) -> None:
        """Read and count RTCP. Nothing in it is obeyed: anybody can send it (RFC 3550 §9)."""
        for _ in range(DRAIN_PACKETS):
            try:
                data = self._rtcp.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._take_rtcp(data)

    def _take_rtcp(self, data: bytes) -> None:
        if len(data) >= 8 and data[0] >> 6 == 2 and is_rtcp(data):
            self.rtcp += 1
        else:
            self.malformed += 1

    def _take(self, data: bytes, source: Address, now: float) -> None:
        """Judge one datagram on the RTP port, and pass its audio on."""
        if len(data) < HEADER_BYTES:
            self.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _unpack(data)
        payload_type = second & 0x7F
        if first == _PLAIN:
            payload = data[HEADER_BYTES:]
        else:
            try:
                payload = parse_packet(data).payload
            except RemoteProtocolError:
                self.malformed += 1
                return
        if payload_type != self._payload_type and not self._expects(payload_type):
            self._take_unexpected(data, source, now)
            return
        if not self.latch.accept(source, ssrc, sequence, now=now):
            return
        self.last_at = now
        self.bytes += len(payload)
        arrival = self.source.receive(sequence, timestamp, now, ssrc)
        if ssrc != self._ssrc:
            self._begin(ssrc, now)
        if payload_type != self._payload_type:
            if payload_type == self._event_type:
                self._take_event(data, sequence, timestamp)
                return
            self._switch(payload_type)
        if arrival is _IN_ORDER and self._reorder.passes(sequence):
            if self._readers and payload:
                self._deliver(timestamp, payload)
        elif arrival is _IN_ORDER or arrival is Arrival.LATE:
            for held_timestamp, held in self._reorder.push(sequence, timestamp, payload):
                if held:
                    self._deliver(held_timestamp, held)

    def _expects(self, payload_type: int) -> bool:
        return payload_type in self._codecs or payload_type == self._event_type

    def _take_unexpected(self, data: bytes, source: Address, now: float) -> None:
        """Count what was not agreed. From the peer, as comfort noise often is, it still is a sign of life."""
        if self._rtcp_mux and is_rtcp(data):
            self._take_rtcp(data)
            return
        self.unexpected += 1
        if source == self.latch.target:
            self.last_at = now

    def _take_event(self, data: bytes, sequence: int, timestamp: int) -> None:
        """Take a telephone-event packet, whose place in the sequence carries no audio."""
        if not self._reorder.passes(sequence):
            for held_timestamp, held in self._reorder.push(sequence, timestamp, b""):
                if held:
                    self._deliver(held_timestamp, held)
        digit = self._events.receive(parse_packet(data))
        if digit is not None:
            self.digits += 1
            if self._on_digit is not None:
                self._on_digit(digit)

    def _deliver(self, timestamp: int, payload: bytes) -> None:
        """Give a payload to every reader, after silence for what is missing before it."""
        ticks = int(len(payload) * self._ticks_per_byte)
        if timestamp != self._expected and self._expected >= 0:
            missing = (timestamp - self._expected) & 0xFFFFFFFF
            if missing < 0x80000000:
                self._fill(min(missing // max(ticks, 1), MAX_GAP_FRAMES), len(payload))
        self._expected = (timestamp + ticks) & 0xFFFFFFFF
        for queue in self._readers:
            queue.put(payload)

    def _fill(self, frames: int, size: int) -> None:
        """Put frames of silence, each of `size` bytes, before the next one."""
        silence = self._codec.silence(size // self._codec.payload_bytes_per_ms + 1)[:size]
        for _ in range(frames):
            for queue in self._readers:
                queue.put(silence)

    def _begin(self, ssrc: int, now: float) -> None:
        """Begin with a new synchronisation source: other sequence numbers, other timestamps."""
        if self.first_at is None:
            self.first_at = now
        self._flush()
        self._ssrc = ssrc
        self._expected = -1
        self._reorder.restart()

    def _switch(self, payload_type: int) -> None:
        """Decode with another codec from here on."""
        self._flush()
        self._payload_type = payload_type
        self._codec = codec = self._codecs[payload_type]
        self._ticks_per_byte = codec.clock_rate_hz / (1000 * codec.payload_bytes_per_ms)
        for queue in self._readers:
            queue.switch(codec)

    def _flush(self) -> None:
        for timestamp, held in self._reorder.flush():
            if held:
                self._deliver(timestamp, held)

    def _detach(self, queue: FrameQueue) -> None:
        if queue in self._readers:
            self._readers = tuple(other for other in self._readers if other is not queue)
