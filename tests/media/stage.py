"""A far end on loopback, a pacer moved by hand, and a session between them."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from sipflow.audio.codecs import PCMU_CODEC
from sipflow.audio.frame import Frame
from sipflow.media.outbound import StreamStart
from sipflow.media.pacer import Pacer
from sipflow.media.ports import PortPool
from sipflow.media.reader import FrameReader
from sipflow.media.schedule import Paced, Schedule
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings
from sipflow.rtp.packet import RtpPacket, header, parse_packet
from sipflow.sdp.agreement import PCMU, Agreed

HOST = "127.0.0.1"
PTIME_BYTES = 160  # 20 ms of G.711
START = StreamStart(ssrc=0x51F10E, sequence=1000, timestamp=50_000)
SILENCE = b"\xff" * PTIME_BYTES

_LOW, _HIGH = 22000, 31998
_AT_ONCE = 4  # packets of one stream that may come in one packet time


def speech(value: int) -> bytes:
    """A payload that can be told from others."""
    return bytes([value]) * PTIME_BYTES


def packet(number: int, payload: bytes, *, marker: bool = False, payload_type: int = 0, ticks: int = -1) -> RtpPacket:
    """What the session sends as its packet `number`, in its tick `ticks` (the same unless given)."""
    return RtpPacket(
        payload_type,
        marker,
        START.sequence + number,
        START.timestamp + (number if ticks < 0 else ticks) * PTIME_BYTES,
        START.ssrc,
        payload,
    )


def heard(value: int) -> Frame:
    return Frame(PCMU_CODEC.decode(speech(value)), 8000)


def pcm(value: int, ms: int = 20) -> bytes:
    return PCMU_CODEC.decode(bytes([value]) * (8 * ms))


class HandPacer(Pacer):
    """Ticks when told to, not by the clock.

    Attributes:
        members: who sends, and every how many milliseconds; `hearing` who plays out.
        now: moves by 20 ms with every tick.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[Paced, int] = {}
        self.hearing: dict[Paced, int] = {}
        self.now = 1000.0

    def add(self, stream: Paced, *, ptime_ms: int = 20) -> None:
        self.members[stream] = ptime_ms

    def hear(self, stream: Paced, *, ptime_ms: int = 20, after: float | None = None) -> None:
        self.hearing[stream] = ptime_ms

    def remove(self, stream: Paced) -> None:
        self.members.pop(stream, None)
        self.hearing.pop(stream, None)

    def listen(self, times: int = 1) -> None:
        """Let packet times pass in which nothing is sent: read what came, and play it out."""
        for _ in range(times):
            self.now += 0.02
            for _ in range(_AT_ONCE):
                self.poller.poll()
            for stream in list(self.hearing):
                stream.tick(self.now)

    def tick(self, times: int = 1) -> None:
        """Let packet times pass: read what came, play it out, send."""
        for _ in range(times):
            self.listen()
            for stream in list(self.members):
                stream.tick(self.now)


class FinePacer(HandPacer):
    """Ticks when the real schedules say so, in steps of a millisecond of simulated time."""

    def __init__(self) -> None:
        super().__init__()
        self._begun, self._steps = self.now, 0
        self._sending, self._hearing = Schedule(origin=self.now), Schedule(origin=self.now)

    def add(self, stream: Paced, *, ptime_ms: int = 20) -> None:
        self._sending.add(stream, ptime_ms, now=self.now)

    def hear(self, stream: Paced, *, ptime_ms: int = 20, after: float | None = None) -> None:
        self._hearing.add(stream, ptime_ms, now=self.now, after=after)

    def remove(self, stream: Paced) -> None:
        self._sending.remove(stream)
        self._hearing.remove(stream)

    def step(self, times: int = 1, *, stall_ms: int = 0) -> None:
        """Let milliseconds pass; with `stall_ms` the first one comes so much later, as if the loop had stood still."""
        self._steps += stall_ms
        for _ in range(times):
            self._steps += 1
            self.now = self._begun + self._steps / 1000
            self.poller.poll()
            for schedule in (self._hearing, self._sending):
                for due in schedule.due(now=self.now + 1e-6):
                    self._tick_phase(due, schedule)


class Peer:
    """A far end: sends what it is told, and remembers what comes."""

    def __init__(self, host: str = HOST) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.host = host
        self.port: int = self.socket.getsockname()[1]

    def send(
        self, to: int, sequence: int, payload: bytes = SILENCE, *, payload_type: int = 0, ssrc: int = 7, at: int = -1
    ) -> None:
        """Send one RTP packet to a local port; its timestamp follows its sequence number unless `at` is given."""
        timestamp = sequence * PTIME_BYTES if at < 0 else at
        self.send_raw(to, header(payload_type, sequence, timestamp, ssrc) + payload)

    def send_raw(self, to: int, data: bytes) -> None:
        self.socket.sendto(data, (self.host, to))

    def received(self) -> list[RtpPacket]:
        """Take everything that came."""
        packets = []
        while True:
            try:
                packets.append(parse_packet(self.socket.recv(4096)))
            except BlockingIOError:
                return packets

    def close(self) -> None:
        self.socket.close()


class Stage:
    """One session, its peer and a pool, closed at the end of the block."""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        host: str = HOST,
        on_digit: Callable[[str], None] | None = None,
        on_silent: Callable[[float], None] | None = None,
        pacer: HandPacer | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.pacer = HandPacer() if pacer is None else pacer
        self.ports = PortPool(_LOW, _HIGH, bind_host=host, drain_s=0.0)
        self.peer = Peer(host)
        self.peers = [self.peer]
        self.session = MediaSession(
            self.ports.lend(now=0.0),
            self.pacer,
            ports=self.ports,
            settings=self.settings,
            on_digit=on_digit,
            on_silent=on_silent,
            start=START,
            clock=lambda: self.pacer.now,
        )
        self.port = self.session.pair.port

    def agreed(self, peer: Peer | None = None) -> Agreed:
        """PCMU both ways with `peer`, and telephone-event 101."""
        peer = peer or self.peer
        return Agreed(
            codec=PCMU,
            send_payload_type=0,
            receive_payload_type=0,
            ptime_ms=20,
            remote_host=peer.host,
            remote_rtp_port=peer.port,
            remote_rtcp_host=peer.host,
            remote_rtcp_port=peer.port + 1,
            sends=True,
            receives=True,
            telephone_event_send=101,
            telephone_event_receive=101,
            rtcp_mux=False,
        )

    def held(self) -> Agreed:
        return replace(self.agreed(), sends=False, receives=False)

    def another_peer(self) -> Peer:
        peer = Peer(self.peer.host)
        self.peers.append(peer)
        return peer

    def say(self, *numbers: int, peer: "Peer | None" = None, **fields: Any) -> None:
        """Have a peer say packets, one in each packet time; nothing is sent meanwhile."""
        for number in numbers:
            (peer or self.peer).send(self.port, number, speech(number & 0x7F), **fields)
            self.pacer.listen()

    def read(self) -> None:
        """Have everything read that the peers sent, while no time passes."""
        for _ in range(200):
            self.pacer.poller.poll()

    def listen(self, times: int = 1) -> None:
        """Let packet times pass in which nothing is sent."""
        self.pacer.listen(times)

    def tick(self, times: int = 1) -> None:
        """Let packet times pass: what the peer sent is read and played out, what is due is sent."""
        self.pacer.tick(times)

    async def __aenter__(self) -> Self:
        self.session.start(self.agreed())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()
        self.ports.close()
        for peer in self.peers:
            peer.close()
        await settle()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something has come true, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  (what is waited for happens in our own code, which sets no event)
            await asyncio.sleep(0.002)


async def settle() -> None:
    """Let the loop read what came, and tasks that were woken run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def waiting(reader: FrameReader) -> list[Frame]:
    """Take the frames that came."""
    await settle()
    return [await anext(reader) for _ in range(reader.waiting)]


def bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


def is_free(port: int) -> bool:
    try:
        bound(port).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> int:
    """Give the even start of `count` ports that nobody uses, elsewhere for each process that runs these tests."""
    for n in range(1000):
        port = 12000 + (os.getpid() * 37 + n) % 1000 * 8
        if all(is_free(port + other) for other in range(count)):
            return port
    raise OSError(errno.EADDRINUSE, f"no {count} free ports")
