"""The last seconds of a call's audio packets: as they were on the wire, with encryption taken off."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from sipflow.media.latch import Address, Whence

_PACKETS_A_SECOND = 200  # both ways at 20 ms take 100


class CapturedPacket(NamedTuple):
    """One RTP packet.

    Attributes:
        at: seconds since 1970.
        sent: whether we sent it.
        near, far: our address and theirs; the host of ours is 0.0.0.0 or :: where the socket has every address.
        data: the packet.
    """

    at: float
    sent: bool
    near: Address
    far: Address
    data: bytes


class PacketCapture:
    """Takes the packets of one call, those of every session that it has had; the oldest go first.

    Attributes:
        seconds: how much is kept.
    """

    def __init__(self, seconds: float, *, wall: Callable[[], float] = time.time) -> None:
        self.seconds = seconds
        self._wall = wall
        self._packets: deque[CapturedPacket] = deque(maxlen=int(seconds * _PACKETS_A_SECOND) + 1)

    def __len__(self) -> int:
        return len(self._packets)

    def take(self, sent: bool, near: Address, far: Whence, data: bytes) -> None:
        """Keep a packet."""
        now, packets = self._wall(), self._packets
        packets.append(CapturedPacket(now, sent, near, far[:2], data))
        oldest = now - self.seconds
        while packets[0].at < oldest:
            packets.popleft()

    def packets(self) -> tuple[CapturedPacket, ...]:
        """Give what is kept, in order."""
        return tuple(self._packets)
