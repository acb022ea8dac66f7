"""The packets of a settled stream straight from one leg's socket to the other's, as nearly all relayed packets go."""

import socket
from array import array
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple, Protocol

from sipflow.media.latch import Address, Latch, Whence
from sipflow.media.play_queue import PlayQueue
from sipflow.media.poller import Reader
from sipflow.rtp.packet import HEADER_BYTES

_HEADER = Struct("!HHII")  # RFC 3550 §5.1, the two first octets as one number
_unpack, _pack = _HEADER.unpack_from, _HEADER.pack
_PLAIN = 0x8000
_DATAGRAM_BYTES = 2048  # as in `inbound`
_KEPT = 64  # packets counted together at most; a power of two, so that a sequence number says where one stands
_WITHIN = _KEPT - 1


class Receiving(Protocol):
    """The half of a leg that is read from."""

    shortcut: "Shortcut | None"

    def hand_on(self, data: bytes, sequence: int, timestamp: int, now: float) -> None:
        """Take the next packet of the settled stream, which cannot go the short way now."""

    def take(self, data: bytes, whence: Whence, now: float) -> None:
        """Judge a packet that is not the next one of the settled stream."""

    def passed(self, following: int, octets: int, transits: list[float], timestamp: int, now: float) -> None:
        """Count packets that came in order."""


class Sending(Protocol):
    """The half of the other leg that is sent by."""

    shortcut: "Shortcut | None"

    def sent(self, packets: int, octets: int, errors: int, timestamp: int) -> None:
        """Count packets of the stream that is relayed."""

    def disconnect(self, error: OSError) -> None:
        """Learn that a packet could not be sent."""


class Settled(NamedTuple):
    """A stream whose next packet is known but for its payload.

    Attributes:
        rtp: the socket that it comes to.
        connected: the one that it comes to instead, see `Connected`; None where there is none.
        peer: where it comes from.
        ssrc, payload_type, sequence: of the next packet.
        rate_hz: of its timestamps.
        clock: monotonic seconds.
    """

    rtp: socket.socket
    connected: socket.socket | None
    peer: Whence
    ssrc: int
    payload_type: int
    sequence: int
    rate_hz: int
    clock: Callable[[], float]


class Outgoing(NamedTuple):
    """How a relayed stream is sent.

    Attributes:
        rtp: the socket that it leaves by.
        connected: the one that it leaves by instead, see `Connected`; None where there is none.
        latch, queue: of that leg.
        target: where it goes, as the latch says.
        ssrc: ours.
        sequence_by, timestamp_by: from its numbers to ours.
    """

    rtp: socket.socket
    connected: socket.socket | None
    latch: Latch
    queue: PlayQueue
    target: Address
    ssrc: int
    sequence_by: int
    timestamp_by: int


class Shortcut:
    """Reads one leg's socket in the place of its `Inbound`, while each packet is the next one of a settled stream.

    With a thousand legs the objects that a packet passes are in no cache, and that costs more than what is done with
    them. So what is needed stands here together, and what is counted is handed on some dozens of packets at a time, or
    when somebody asks (`settle`). Anything out of the usual ends it: the packet goes the long way, and the next usual
    one begins another. Whoever changes one of the legs calls `leave` before.
    """

    __slots__ = (
        "_clock",
        "_dispatch",
        "_due",
        "_failed",
        "_from",
        "_head",
        "_head_out",
        "_heard",
        "_latch",
        "_next",
        "_now",
        "_octets",
        "_peer",
        "_queue",
        "_rate",
        "_read_by",
        "_recv",
        "_recvfrom",
        "_said",
        "_sequence_by",
        "_ssrc",
        "_ssrc_out",
        "_target",
        "_timestamp",
        "_timestamp_by",
        "_transits",
        "_unsent",
        "_whither",
    )

    def __init__(
        self,
        heard: Receiving,
        said: Sending,
        stream: Settled,
        onward: Outgoing,
        *,
        payload_type: int,
        read_by: Callable[[Reader | None, Reader | None], None],
    ) -> None:
        """Begin to read.

        Args:
            heard, said: the halves; they are told what was counted.
            stream, onward: as they are now.
            payload_type: under which it is sent on.
            read_by: has the socket, and the connected one, read by somebody; None by whom it was read before.
        """
        self._heard, self._said = heard, said
        self._recvfrom, self._recv = stream.rtp.recvfrom, (stream.connected or stream.rtp).recv
        self._dispatch: Callable[[bytes, Any], int] = onward.rtp.sendto
        self._whither: object = onward.target
        if onward.connected is not None:
            self._dispatch, self._whither = onward.connected.send, 0  # which has flags where the other has an address
        self._clock = stream.clock
        self._peer, self._ssrc, self._rate = stream.peer, stream.ssrc, stream.rate_hz
        self._head = _PLAIN | stream.payload_type
        self._next = self._from = stream.sequence
        self._latch, self._queue, self._target = onward.latch, onward.queue, onward.target
        self._head_out = _PLAIN | payload_type
        self._ssrc_out = onward.ssrc
        self._sequence_by, self._timestamp_by = onward.sequence_by, onward.timestamp_by
        self._transits = array("d", bytes(8 * _KEPT))
        self._octets = self._failed = self._unsent = self._timestamp = 0
        self._now = 0.0
        # Streams may count alike, packet for packet; settled at the same moment, they would hold each other up.
        self._due = stream.sequence + 1 + (onward.ssrc & _WITHIN) & 0xFFFF
        self._read_by = read_by
        heard.shortcut = said.shortcut = self
        read_by(self.read, self.read_connected)

    def read(self) -> None:
        """Read one packet that waits, and send it on."""
        try:
            data, whence = self._recvfrom(_DATAGRAM_BYTES)
        except OSError:
            return  # nothing there, or an ICMP error that was queued
        if whence == self._peer:
            self._pass(data)
        else:
            self.leave()
            self._heard.take(data, whence, self._clock())

    def read_connected(self) -> None:
        """Read one packet that waits on the connected socket, and send it on."""
        try:
            data = self._recv(_DATAGRAM_BYTES)
        except OSError:
            return  # as in `read`
        self._pass(data)

    def _pass(self, data: bytes) -> None:
        """Send a packet of the peer's on if it is the next one."""
        now = self._clock()
        if len(data) > HEADER_BYTES:
            head, sequence, timestamp, ssrc = _unpack(data)
            if sequence == self._next and ssrc == self._ssrc and head == self._head:
                if self._latch.target != self._target or self._queue.queued_bytes:
                    self.leave()
                    self._heard.hand_on(data, sequence, timestamp, now)
                    return
                self._next = following = sequence + 1 & 0xFFFF
                self._now = now
                self._timestamp = timestamp
                self._octets += len(data)
                self._transits[sequence & _WITHIN] = now * self._rate - timestamp
                try:
                    self._dispatch(
                        _pack(
                            self._head_out,
                            sequence + self._sequence_by & 0xFFFF,
                            timestamp + self._timestamp_by & 0xFFFFFFFF,
                            self._ssrc_out,
                        )
                        + data[HEADER_BYTES:],
                        self._whither,
                    )
                except OSError as error:
                    self._lose(data, error)
                if following == self._due:
                    self.settle()
                return
        self.leave()
        self._heard.take(data, self._peer, now)

    def _lose(self, data: bytes, error: OSError) -> None:
        """Count a packet that could not be sent, for want of buffer space or of a way; the next may pass."""
        self._failed += 1
        self._unsent += len(data) - HEADER_BYTES
        self._said.disconnect(error)
        if self._whither == 0 and not isinstance(error, BlockingIOError):
            self.leave()  # not by the connected socket any more

    def settle(self) -> None:
        """Count what has passed since the last time."""
        following, first = self._next, self._from
        packets = following - first & 0xFFFF
        if not packets:
            return
        octets = self._octets - packets * HEADER_BYTES
        kept = self._transits
        transits = [kept[number & _WITHIN] for number in range(first, first + packets)]
        self._heard.passed(following, octets, transits, self._timestamp, self._now)
        self._said.sent(packets - self._failed, octets - self._unsent, self._failed, self._timestamp)
        self._from, self._due = following, following + _KEPT & 0xFFFF
        self._octets = self._failed = self._unsent = 0

    def leave(self) -> None:
        """Count what has passed, and let the leg read its socket itself."""
        self.settle()
        self._heard.shortcut = self._said.shortcut = None
        self._read_by(None, None)
