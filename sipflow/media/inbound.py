"""What comes to one stream: socket, guard, order, readers. No object is made for a packet that nobody reads."""

import socket
from collections.abc import Callable
from struct import Struct
from time import monotonic

from sipflow.audio.codecs import AudioCodec, find_codec
from sipflow.errors import RemoteProtocolError
from sipflow.media.latch import Address, Latch
from sipflow.media.pacer import Pacer
from sipflow.media.reader import FrameQueue, FrameReader
from sipflow.media.reorder import Held, Reorder
from sipflow.rtp.packet import HEADER_BYTES, RtpPacket, is_rtcp, parse_packet
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
_RTCP_EVERY_S = 1.0  # nothing in RTCP is urgent, and having the loop watch a second socket is a cost to every call


class Inbound:
    """The receiving half of a session.

    Order of judgement: RTP at all, payload type agreed, source believed (`Latch`), counted (RFC 3550 A), in order.
    Missing packets are waited for until three later ones are there (`Reorder`); then up to MAX_GAP_FRAMES of silence
    take their place, so that the reader's time stays true. Pauses in the timestamps are filled the same way.

    Attributes:
        latch: who is believed, and where to send.
        source: loss and jitter of what the peer sends.
        first_at, last_at: when packets of the peer came; None until the first.
        bytes, malformed, unexpected, rtcp, digits: counters of `MediaStatistics`.
    """

    __slots__ = (
        "_bytes_per_tick",
        "_codec",
        "_codecs",
        "_count",
        "_event_type",
        "_events",
        "_expected",
        "_next",
        "_on_digit",
        "_pacer",
        "_payload_type",
        "_peer",
        "_queue_frames",
        "_readers",
        "_recvfrom",
        "_reorder",
        "_rtcp",
        "_rtcp_at",
        "_rtcp_mux",
        "_ssrc",
        "_told",
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
        pacer: Pacer,
        *,
        queue_frames: int,
        on_digit: Callable[[str], None] | None,
    ) -> None:
        self._recvfrom = rtp.recvfrom
        self._rtcp = rtcp
        self._rtcp_at = 0.0
        self.latch = latch
        self._pacer = pacer
        self._queue_frames = queue_frames
        self._on_digit = on_digit
        self._readers: tuple[FrameQueue, ...] = ()
        self._codecs: dict[int, AudioCodec] = {}
        self._codec = find_codec("PCMU")
        self._payload_type = self._event_type = -1
        self._bytes_per_tick = 1
        self._rtcp_mux = False
        self._reorder = Reorder()
        self._events = EventReceiver()
        self._ssrc = -1
        self._expected = -1  # timestamp of the next packet
        self._woken_at = 0.0
        self.source = Source(min_sequential=1)  # the latch proves sources
        self._count = self.source.receive
        self._next = -1  # the next packet of a settled stream, which passes if it is from `_peer`; -1: none is settled
        self._told = -1  # `_next` when the latch last knew
        self._peer: Address = ("", 0)
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

    def expect(self, remote: Address, *, now: float) -> None:
        """Take the peer's address from a new SDP."""
        self._tell_latch()
        self.latch.expect(remote, now=now)
        self._next = self._told = -1

    def readable(self) -> None:
        """Read a packet, or up to DRAIN_PACKETS if more may wait; the loop calls again while there are any.

        Nearly every packet is the next one of the stream that is settled, and passes without the questions of `_take`.
        """
        now = monotonic()
        since = now - self._woken_at
        self._woken_at = now
        if now >= self._pacer.due_at:
            self._pacer.run_due(now)
        if now >= self._rtcp_at:
            self._rtcp_at = now + _RTCP_EVERY_S
            self.read_rtcp()
        recvfrom = self._recvfrom
        for _ in _ONE if _CALM_FROM_S < since < _CALM_TO_S else _MANY:
            try:
                data, source = recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error that was queued
            if len(data) > HEADER_BYTES:
                first, second, sequence, timestamp, ssrc = _unpack(data)
                if (
                    sequence == self._next
                    and ssrc == self._ssrc
                    and first == _PLAIN
                    and second & 0x7F == self._payload_type
                    and source == self._peer
                ):
                    self._next = self._reorder.next = (sequence + 1) & 0xFFFF
                    self.last_at = now
                    self.bytes += len(data) - HEADER_BYTES
                    self._count(sequence, timestamp, now, ssrc)
                    if self._readers:
                        self._deliver(timestamp, data[HEADER_BYTES:])
                    continue
            self._take(data, source, now)

    def read_rtcp(self) -> None:
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

    def _take(self, data: bytes, whence: Address, now: float) -> None:
        """Judge one datagram on the RTP port, and pass on what is in it."""
        try:
            packet = parse_packet(data)
        except RemoteProtocolError:
            self.malformed += 1
            return
        source = whence[:2]  # IPv6 has two more
        if packet.payload_type not in self._codecs and packet.payload_type != self._event_type:
            self._take_unexpected(data, source, now)
            return
        self._tell_latch()
        if not self.latch.accept(source, packet.ssrc, packet.sequence, now=now):
            return
        self.last_at = now
        self.bytes += len(packet.payload)
        arrival = self._count(packet.sequence, packet.timestamp, now, packet.ssrc)
        if packet.ssrc != self._ssrc:
            self._begin(packet.ssrc, now)
        if arrival is Arrival.IN_ORDER or arrival is Arrival.LATE:
            self._pass_on(packet)
        self._peer = whence
        self._next = self._told = self._reorder.next if self.latch.proven and not self._reorder.held else -1

    def _pass_on(self, packet: RtpPacket) -> None:
        """Put a packet in its place: audio to the readers, digits to whom they concern."""
        if packet.payload_type == self._event_type:
            self._take_event(packet)
            return
        if packet.payload_type != self._payload_type:
            self._switch(packet.payload_type)
        if self._reorder.passes(packet.sequence):
            self._deliver(packet.timestamp, packet.payload)
        else:
            self._deliver_held(self._reorder.push(packet.sequence, packet.timestamp, packet.payload))

    def _tell_latch(self) -> None:
        """Let the latch know what passed without asking it."""
        if self._next != self._told and self.last_at is not None:
            self.latch.heard((self._next - 1) & 0xFFFF, now=self.last_at)
            self._told = self._next

    def _take_unexpected(self, data: bytes, source: Address, now: float) -> None:
        """Count what was not agreed. From the peer, as comfort noise often is, it still is a sign of life."""
        if self._rtcp_mux and is_rtcp(data):
            self._take_rtcp(data)
            return
        self.unexpected += 1
        if source == self.latch.target:
            self.last_at = now

    def _take_event(self, packet: RtpPacket) -> None:
        """Take a telephone-event packet, whose place in the sequence carries no audio."""
        if not self._reorder.passes(packet.sequence):
            self._deliver_held(self._reorder.push(packet.sequence, packet.timestamp, b""))
        digit = self._events.receive(packet)
        if digit is not None:
            self.digits += 1
            if self._on_digit is not None:
                self._on_digit(digit)

    def _deliver_held(self, held: list[Held]) -> None:
        for timestamp, payload in held:
            self._deliver(timestamp, payload)

    def _deliver(self, timestamp: int, payload: bytes) -> None:
        """Give a payload to every reader, after silence for what is missing before it."""
        if not payload or not self._readers:
            return
        ticks = len(payload) // self._bytes_per_tick
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
        self._deliver_held(self._reorder.flush())
        self._ssrc = ssrc
        self._expected = -1
        self._reorder.restart()

    def _switch(self, payload_type: int) -> None:
        """Decode with another codec from here on."""
        self._deliver_held(self._reorder.flush())
        self._payload_type = payload_type
        self._codec = codec = self._codecs[payload_type]
        self._bytes_per_tick = max(1000 * codec.payload_bytes_per_ms // codec.clock_rate_hz, 1)
        for queue in self._readers:
            queue.switch(codec)

    def _detach(self, queue: FrameQueue) -> None:
        if queue in self._readers:
            self._readers = tuple(other for other in self._readers if other is not queue)
