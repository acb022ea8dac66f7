"""What comes to one stream: socket, cipher, guard, counts. No object is made for a packet that nobody needs."""

import socket
from collections.abc import Callable
from struct import Struct
from typing import Protocol

from sipflow.audio.codecs import AudioCodec, find_codec
from sipflow.errors import RemoteProtocolError
from sipflow.media.connected import Connected
from sipflow.media.dtls import is_dtls
from sipflow.media.latch import Address, Latch, Whence
from sipflow.media.playout import Playout
from sipflow.media.shortcut import Settled, Shortcut
from sipflow.rtp.packet import HEADER_BYTES, RtpPacket, is_rtcp, parse_packet
from sipflow.rtp.source import Arrival, Source
from sipflow.rtp.telephone_event import EventReceiver
from sipflow.sdp.agreement import Agreed

_unpack = Struct("!BBHII").unpack_from  # RFC 3550 §5.1, as `parse_packet` reads it, without the object
_PLAIN = 0x80
Decoding = dict[int, tuple[AudioCodec, str]]  # by payload type, with format parameters
_FEW = 10  # packets; more wait only where we are late, and then this is not the time
_DATAGRAM_BYTES = 2048  # more than fits an Ethernet packet; the rest of a longer one is cut off


class Onward(Protocol):
    """Somebody who takes packets as they come, before they are played out: another call's stream."""

    def packet(self, payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool) -> None:
        """Take one packet of the peer's, authentic and counted. Must not wait."""

    def restart(self) -> None:
        """Learn that another stream begins: other sequence numbers, other timestamps."""

    def settled(self, inbound: "Inbound") -> None:
        """Learn that packets come in order, and are wanted by nobody else: they can be taken where they come in."""


class _Put(Protocol):
    """Puts a packet into the jitter buffer."""

    def __call__(self, sequence: int, timestamp: int, payload: bytes, now: float, marker: bool = False) -> object: ...


class Inbound:
    """The receiving half of a session, as far as the jitter buffer.

    Order of judgement: authentic (SRTP), RTP at all, payload type agreed, source believed (`Latch`), counted
    (RFC 3550 A); then `Playout` has it.

    Attributes:
        latch: who is believed, and where to send.
        playout: what is made of it.
        first_at, last_at: when packets of the peer came; None until the first.
        bytes, malformed, unexpected, digits: counters of `MediaStatistics`.
        wish_hz: the rate that a codec of several rates should give; heard by the next `agree`.
        onward: given each packet as it comes; then it is played out only if somebody listens. None for nobody.
        captured: given each datagram, opened, and where it came from; None where nobody wants them.
        shortcut: reads the socket in its place, see `Shortcut`; None while nothing does.
        on_rtcp: told each RTCP datagram that came on the RTP port where that was agreed (RFC 5761).
        on_dtls: told each datagram of a handshake, and where it came from; None where none was agreed.
        unprotect: opens a datagram; None where nothing is encrypted. It gives None for what is not authentic.
    """

    __slots__ = (
        "_aliases",
        "_clock",
        "_codecs",
        "_connected",
        "_connected_to",
        "_count",
        "_event_type",
        "_events",
        "_events_hz",
        "_next",
        "_noise_type",
        "_on_digit",
        "_on_first",
        "_payload_type",
        "_peer",
        "_put",
        "_recv",
        "_recvfrom",
        "_rtcp_mux",
        "_rtp",
        "_source",
        "_ssrc",
        "_told",
        "bytes",
        "captured",
        "digits",
        "first_at",
        "last_at",
        "latch",
        "malformed",
        "on_dtls",
        "on_rtcp",
        "onward",
        "playout",
        "shortcut",
        "unexpected",
        "unprotect",
        "wish_hz",
    )

    def __init__(
        self,
        rtp: socket.socket,
        latch: Latch,
        playout: Playout,
        *,
        on_digit: Callable[[str], None] | None,
        on_first: Callable[[float], None],
        on_rtcp: Callable[[bytes], None],
        clock: Callable[[], float],
    ) -> None:
        self._rtp = rtp
        self._recvfrom = rtp.recvfrom
        self._clock = clock
        self.latch = latch
        self.playout = playout
        self._put: _Put = self._put_first
        self._on_digit = on_digit
        self._on_first = on_first
        self.on_rtcp = on_rtcp
        self.captured: Callable[[bytes, Whence], None] | None = None
        self.onward: Onward | None = None
        self.shortcut: Shortcut | None = None
        self.on_dtls: Callable[[bytes, Address], None] | None = None
        self.unprotect: Callable[[bytes], bytes | None] | None = None
        self._codecs: Decoding = {}
        self._aliases: dict[int, int] = {}  # payload types that are no number of ours, and ours
        self._payload_type = self._event_type = self._noise_type = -1
        self._rtcp_mux = False
        self._events_hz = 8000
        self._events = EventReceiver()
        self._ssrc = -1
        self._source = Source(min_sequential=1)  # the latch proves sources
        self._count = self._source.receive
        self._next = -1  # the next packet of a settled stream, which passes if it is from `_peer`; -1: none is settled
        self._told = -1  # `_next` when the latch last knew
        self._peer: Whence = ("", 0)
        self._connected: socket.socket | None = None
        self._connected_to: Whence = ("", 0)
        self._recv = rtp.recv  # of the connected socket, once there is one
        self.bytes = self.malformed = self.unexpected = self.digits = 0
        self.wish_hz = 16000
        self.first_at: float | None = None
        self.last_at: float | None = None

    @property
    def source(self) -> Source:
        """Loss and jitter of what the peer sends, up to now."""
        self.settle()
        return self._source

    def settle(self) -> None:
        """Count what has passed by a shortcut up to now."""
        if self.shortcut is not None:
            self.shortcut.settle()

    def leave_shortcut(self) -> None:
        """Read every packet here again; to be called before anything changes."""
        if self.shortcut is not None:
            self.shortcut.leave()

    def decoding(self, agreed: Agreed) -> Decoding:
        """Find the codecs that may come, by payload type, for `agree`; nothing changes yet.

        Raises:
            MediaError: a codec was agreed that sipflow has not.
        """
        receivable = ((agreed.receive_payload_type, agreed.codec), *agreed.receivable)
        return {
            number: (find_codec(codec.name, codec.clock_rate_hz, codec.channels).at(self.wish_hz), codec.fmtp)
            for number, codec in reversed(receivable)
        }

    def agree(self, agreed: Agreed, codecs: Decoding) -> None:
        """Take what was agreed: payload types, codecs, direction."""
        self._rtcp_mux = agreed.rtcp_mux
        if agreed.receives and not self._codecs:
            self._source.look_away()  # far ends go on sending while they are held: that is no loss
        self._codecs = codecs if agreed.receives else {}
        if agreed.codec.clock_rate_hz != self._events_hz:  # RFC 4733 §2.1: events share the audio's clock
            self._events_hz = agreed.codec.clock_rate_hz
            self._events.retime(self._events_hz)
        events = agreed.telephone_event_receive
        self._event_type = events if agreed.receives and events is not None else -1
        noise = agreed.comfort_noise_receive
        self._noise_type = noise if agreed.receives and noise is not None else -1
        self._aliases = self._find_aliases(agreed)
        known = self._codecs.get(self._payload_type)
        if known is None or known[0] != self.playout.codec:
            self._payload_type = self._next = -1  # the next packet says which codec it is

    def _find_aliases(self, agreed: Agreed) -> dict[int, int]:
        """Find the numbers that the peer chose for what we call otherwise.

        It must send under ours (RFC 3264 §6.1), and there are peers that send under their own.
        """
        pairs = (
            (agreed.send_payload_type, agreed.receive_payload_type),
            (agreed.telephone_event_send, self._event_type),
        )
        known = {*self._codecs, self._event_type, self._noise_type} - {-1}
        return {its: ours for its, ours in pairs if its is not None and its not in known and ours in known}

    def expect(self, remote: Address, *, now: float) -> None:
        """Take the peer's address from a new SDP."""
        self._tell_latch()
        self.latch.expect(remote, now=now)
        self._next = self._told = -1

    def end(self) -> None:
        """Tell nobody anything any more; what knew us can be forgotten without collecting garbage."""
        self._on_digit = self.unprotect = self.on_dtls = None
        self._put = _drop_packet  # where nothing came it is a method of ours still
        self.onward = None
        self._on_first = _ignore_time
        self.on_rtcp = _ignore_data

    def readable(self) -> None:
        """Read one packet that waits."""
        try:
            data, whence = self._recvfrom(_DATAGRAM_BYTES)
        except OSError:
            return  # nothing there, or an ICMP error that was queued
        self._hear(data, whence)

    def readable_connected(self) -> None:
        """Read one packet that waits on the connected socket."""
        try:
            data = self._recv(_DATAGRAM_BYTES)
        except OSError:
            return  # as in `readable`
        self._hear(data, self._connected_to)

    def _hear(self, data: bytes, whence: Whence) -> None:
        """Take one datagram on the RTP port.

        Nearly every one is the next packet of the stream that is settled, and passes without the questions of `take`.
        """
        now = self._clock()
        if self.unprotect is not None:
            opened = self._open(data, whence)
            if opened is None:
                return
            data = opened
        if self.captured is not None:
            self.captured(data, whence)
        if len(data) > HEADER_BYTES:
            first, second, sequence, timestamp, ssrc = _unpack(data)
            if (
                sequence == self._next
                and ssrc == self._ssrc
                and first == _PLAIN
                and second == self._payload_type
                and whence == self._peer
            ):
                if self.onward is not None:
                    self.hand_on(data, sequence, timestamp, now)
                    return
                self._next = (sequence + 1) & 0xFFFF
                self.last_at = now
                self.bytes += len(data) - HEADER_BYTES
                self._count(sequence, timestamp, now, ssrc)
                self._put(sequence, timestamp, data[HEADER_BYTES:], now)
                return
        self.take(data, whence, now)

    def hand_on(self, data: bytes, sequence: int, timestamp: int, now: float) -> None:
        """Take the next packet of the settled stream, which goes on to another call too."""
        self._next = (sequence + 1) & 0xFFFF
        self.last_at = now
        payload = data[HEADER_BYTES:]
        self.bytes += len(payload)
        self._count(sequence, timestamp, now, self._ssrc)
        if self.onward is not None:
            self.onward.packet(self._payload_type, sequence, timestamp, payload, False)
        if self.playout.sinks:
            self._put(sequence, timestamp, payload, now)
        elif self.onward is not None and self.unprotect is None and self.captured is None:
            self.onward.settled(self)

    def _open(self, data: bytes, whence: Whence) -> bytes | None:
        """Open an SRTP packet; RTCP on the same port is opened by who reads it (RFC 5761 §4)."""
        if self.on_dtls is not None and is_dtls(data):
            self.on_dtls(data, whence[:2])
            return None
        if self.unprotect is None or (self._rtcp_mux and is_rtcp(data)):
            return data
        return self.unprotect(data)

    @property
    def steady_peer(self) -> Whence | None:
        """Whose packets come in order, from one address; None while that is not so."""
        return self._peer if self._next >= 0 else None

    def connect(self, connected: Connected | None) -> None:
        """Take what is read from a socket that is connected for the peer's; None ends that."""
        self.leave_shortcut()
        self._connected = None
        if connected is not None:
            self._connected, self._connected_to, early = connected
            self._recv = connected.sock.recv
            self.catch_up()  # what waits there came before
            for data, whence in early:
                self.leave_shortcut()
                self._hear(data, whence)

    def catch_up(self) -> bool:
        """Read the few packets that wait, so that what comes by another socket follows them; False if many do."""
        for _ in range(_FEW):
            try:
                data, whence = self._recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                continue  # as in `readable`
            self.leave_shortcut()  # also one that a packet before this began
            self._hear(data, whence)
        return False

    def settled(self) -> Settled | None:
        """Say what the next packet is but for its payload, if nobody but `onward` wants it; None where it is not so."""
        if self._next < 0 or self.unprotect is not None or self.captured is not None or self.playout.sinks:
            return None
        clock, rate_hz = self._clock, self._source.clock_rate_hz
        return Settled(
            self._rtp, self._connected, self._peer, self._ssrc, self._payload_type, self._next, rate_hz, clock
        )

    def passed(self, following: int, octets: int, transits: list[float], timestamp: int, now: float) -> None:
        """Count packets that came in order by a shortcut.

        Args:
            following: sequence number of the next one.
            octets: of their payloads.
            transits: of each, when it came less its timestamp, in ticks.
            timestamp: of the last one.
            now: when that came.
        """
        self._next = following
        self.last_at = now
        self.bytes += octets
        self._source.receive_in_order(transits, timestamp, now)

    def take(self, data: bytes, whence: Whence, now: float) -> None:
        """Judge one datagram on the RTP port, and pass on what is in it."""
        if self._rtcp_mux and is_rtcp(data):
            self.on_rtcp(data)
            return
        try:
            packet = parse_packet(data)
        except RemoteProtocolError:
            self.malformed += 1
            return
        if packet.payload_type in self._aliases:
            packet.payload_type = self._aliases[packet.payload_type]
        source = whence[:2]  # IPv6 has two more
        if packet.payload_type not in self._codecs and packet.payload_type not in (self._event_type, self._noise_type):
            self._take_unexpected(source, now)
            return
        self._tell_latch()
        if not self.latch.accept(source, packet.ssrc, packet.sequence, now=now):
            return
        self.last_at = now
        self.bytes += len(packet.payload)
        arrival = self._count(packet.sequence, packet.timestamp, now, packet.ssrc)
        if packet.ssrc != self._ssrc:
            self._begin(packet.ssrc, now)
        if arrival is not Arrival.DUPLICATE and arrival is not Arrival.PROBATION:
            self._pass_on(packet, now)
        self._peer = whence
        follows = (packet.sequence + 1) & 0xFFFF
        self._next = self._told = follows if self.latch.proven and arrival is Arrival.IN_ORDER else -1

    def _pass_on(self, packet: RtpPacket, now: float) -> None:
        """Put a packet in its place: audio into the jitter buffer, digits to whom they concern."""
        if self.onward is not None:
            self.onward.packet(packet.payload_type, packet.sequence, packet.timestamp, packet.payload, packet.marker)
        if packet.payload_type in (self._event_type, self._noise_type):
            self._put(packet.sequence, packet.timestamp, b"", now)  # its place in the sequence carries no audio
            if packet.payload_type == self._event_type:
                self._take_event(packet)
            else:
                self.playout.rest(packet.payload)
            return
        if packet.payload_type != self._payload_type:
            self._switch(packet.payload_type)
        self._put(packet.sequence, packet.timestamp, packet.payload, now, packet.marker)

    def _put_first(self, sequence: int, timestamp: int, payload: bytes, now: float, marker: bool = False) -> None:
        put = self._put = self.playout.buffer.put
        put(sequence, timestamp, payload, now, marker)

    def _switch(self, payload_type: int) -> None:
        """Decode with another codec from here on."""
        self._payload_type = payload_type
        codec, fmtp = self._codecs[payload_type]
        self.playout.decode_with(codec, fmtp)
        self._put = self.playout.buffer.put
        self._source.retime(codec.clock_rate_hz)

    def _tell_latch(self) -> None:
        """Let the latch know what passed without asking it."""
        if self._next != self._told and self.last_at is not None:
            self.latch.heard((self._next - 1) & 0xFFFF, now=self.last_at)
            self._told = self._next

    def _take_unexpected(self, source: Address, now: float) -> None:
        """Count what was not agreed. From the peer it still is a sign of life."""
        self.unexpected += 1
        if source == self.latch.target:
            self.last_at = now

    def _take_event(self, packet: RtpPacket) -> None:
        digit = self._events.receive(packet)
        if digit is not None:
            self.digits += 1
            if self._on_digit is not None:
                self._on_digit(digit)

    def _begin(self, ssrc: int, now: float) -> None:
        """Begin with a new synchronisation source: other sequence numbers, other timestamps."""
        if self.first_at is None:
            self.first_at = now
            self._on_first(now)
        self._ssrc = ssrc
        self.playout.restart()
        if self.onward is not None:
            self.onward.restart()


def _drop_packet(sequence: int, timestamp: int, payload: bytes, now: float, marker: bool = False) -> None:
    """Stand in for a callback after the end: nobody listens any more."""


def _ignore_time(_now: float) -> None:
    """Stand in for a callback after the end: nobody listens any more."""


def _ignore_data(_data: bytes) -> None:
    """Stand in for a callback after the end: nobody listens any more."""
