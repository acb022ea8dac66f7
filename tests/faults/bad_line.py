"""A bad line between a caller and the edge: datagrams are lost and come late, SIP's and RTP's, in both directions.

Every message is changed so that what comes next passes here too: ports in Contact and in descriptions are ours, with as
many digits as theirs.
"""

import asyncio
import re
import socket
from random import Random
from typing import Self

_AUDIO = re.compile(rb"(\r\nm=audio )([0-9]+)( )")
_CONTACT = re.compile(rb"(\r\nContact: *<sip:[^>]*127\.0\.0\.1:)([0-9]{5})")
_FIVE_DIGITS = 10_000
_LOOPBACK = "127.0.0.1"
Address = tuple[str, int]


class Way(asyncio.DatagramProtocol):
    """One socket of ours: what comes to it goes out of its partner, to whoever is there."""

    def __init__(self, line: "BadLine", there: Address | None) -> None:
        self.line = line
        self.there = there
        self.partner: Way = self
        self.learns = False
        self.port = 0
        self._out: asyncio.DatagramTransport | None = None

    async def open(self) -> Self:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((_LOOPBACK, 0))
        loop = asyncio.get_running_loop()
        self._out, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self.port = sock.getsockname()[1]
        assert self.port >= _FIVE_DIGITS
        return self

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.there is None and self.learns:
            self.there = addr
        self.line.carry(data, self)

    def send(self, data: bytes) -> None:
        if self._out is not None and self.there is not None and not self._out.is_closing():
            self._out.sendto(data, self.there)

    def close(self) -> None:
        if self._out is not None:
            self._out.close()


class BadLine:
    """The line. An asynchronous context manager; the caller calls `port`.

    Attributes:
        port: of ours, which stands for the edge's.
        carried, lost: datagrams.
    """

    def __init__(self, edge_port: int, *, loss: float = 0.1, delay_s: float = 0.06, jitter_s: float = 0.05) -> None:
        self._edge: Address = (_LOOPBACK, edge_port)
        self._loss, self._delay_s, self._jitter_s = loss, delay_s, jitter_s
        self._random = Random(1)
        self._ways: list[Way] = []
        self._audio: dict[int, Way] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self.port = 0
        self.carried = self.lost = 0

    async def __aenter__(self) -> Self:
        self._caller, self._callee = await self._pair(None, self._edge)
        self._caller.learns = True
        self.port = self._caller.port
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._opening:
            task.cancel()
        for way in self._ways:
            way.close()

    async def _pair(self, here: Address | None, there: Address | None) -> tuple[Way, Way]:
        """Open two sockets: the first stands before `here`, and what comes to it goes to `there`."""
        near, far = await Way(self, here).open(), await Way(self, there).open()
        near.partner, far.partner = far, near
        self._ways += (near, far)
        return near, far

    def carry(self, data: bytes, came_to: Way) -> None:
        """Lose a datagram, or send it on in a while."""
        self.carried += 1
        if self._random.random() < self._loss:
            self.lost += 1
            return
        delay_s = self._delay_s + self._random.uniform(-self._jitter_s, self._jitter_s)
        asyncio.get_running_loop().call_later(delay_s, self._deliver, data, came_to)

    def _deliver(self, data: bytes, came_to: Way) -> None:
        if came_to not in (self._caller, self._callee):
            came_to.partner.send(data)
            return
        task = asyncio.get_running_loop().create_task(self._send_changed(data, came_to))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _send_changed(self, data: bytes, came_to: Way) -> None:
        """Send a SIP message on, in which our ports stand for its sender's."""
        out = came_to.partner
        audio = _AUDIO.search(data)
        if audio is not None:
            way = self._audio.get(int(audio[2])) or await self._audio_way(int(audio[2]))
            data = _AUDIO.sub(rb"\g<1>%d\g<3>" % way.port, data)
        out.send(_CONTACT.sub(rb"\g<1>%d" % out.port, data))

    async def _audio_way(self, port: int) -> Way:
        """Give the socket that stands for a port of somebody's audio; the first two ports are a call's ends."""
        for way in [way for way in self._audio.values() if way.there is None]:
            way.there = (_LOOPBACK, port)
            self._audio[port] = way.partner
            return way.partner
        _, far = await self._pair((_LOOPBACK, port), None)
        self._audio[port] = far
        return far
