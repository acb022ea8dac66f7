"""Callers and those whom they are joined with, in one process: what one says the other hears, and how much later.

On standard input it takes `call N`, `talk SECONDS` and `hangup`, each answered by one line of JSON; `call` and `hangup`
as `talkers` has them. `join PORT...` speaks through a relay without SIP instead of calling. The edge at the first port
sends each call on to the second, where we answer it. Every packet carries the moment at which it was sent, so that its
way through the edge is measured by one clock.
"""

import json
import re
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

from tests.bench.talkers import _PATIENCE_S, _PER_SOCKET, Talker, Talkers, _udp

_TICK_NS = 20_000_000
_PARTS = 40  # a packet time's packets leave in so many portions: far ends do not speak all at once
_AFTERWARDS_S = 0.3
_SAMPLES = 160
_CALLS_A_SECOND = 100
_SILENCE = 0xFF  # no moment begins with it
_REST = b"\xd5" * (_SAMPLES - 8)
_stamp = struct.Struct("!BBHIIQ")
_AUDIO = re.compile(rb"\r\nm=audio ([0-9]+)")
_LINES = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq):[^\r]*\r\n", re.MULTILINE)
_CALL_ID = re.compile(rb"\r\nCall-ID: ?([^\r]*)")


@dataclass(slots=True)
class BothEnds(Talkers):
    """All callers, and all that were called.

    Attributes:
        desk: where the edge calls us.
        called: the answers given, by Call-ID: an INVITE that comes twice gets the same.
        delays_ns: from sending to hearing, of every packet that was heard.
    """

    desk: socket.socket = field(default_factory=lambda: _udp())
    called: dict[bytes, bytes] = field(default_factory=dict)
    others: list[Talker] = field(default_factory=list)
    delays_ns: "array[int]" = field(default_factory=lambda: array("Q"))
    lost: int = 0
    begun_ns: int = 0

    def call(self, count: int) -> dict[str, float]:
        """Place so many calls, take as many, and wait until all are answered."""
        for number in range(count):
            if number % _PER_SOCKET == 0:
                self.rtp += [_udp(), _udp()]
            talker = Talker(self.placed, self.rtp[-2])
            self.placed += 1
            self.calls.append(talker)
            self.sip.sendto(self._invite(talker), self.target)
            self._read_sip(time.monotonic() + 1 / _CALLS_A_SECOND)
        until = time.monotonic() + _PATIENCE_S
        while len(self.by_port) < 2 * count and time.monotonic() < until:
            self._read_sip(time.monotonic() + 0.05)
        return {"up": len(self.by_port) / 2}

    def join(self, ports: list[int]) -> dict[str, float]:
        """Take two ports for a call: what is said to the first is heard from the second, and the other way round."""
        for number, port in enumerate(ports):
            if number % (2 * _PER_SOCKET) == 0:
                self.rtp += [_udp(), _udp()]
            ends = (self.calls, self.others)[number % 2]
            self.by_port[port] = Talker(number // 2, self.rtp[number % 2 - 2], peer=(self.target[0], port))
            ends.append(self.by_port[port])
        return {"up": len(ports) / 2}

    def talk(self, seconds: float) -> dict[str, float]:
        """Send a packet of both ends of every call every 20 ms, and measure what comes."""
        self.delays_ns, self.lost = array("Q"), 0
        everybody = [talker for pair in zip(self.calls, self.others, strict=True) for talker in pair]
        for talker in everybody:
            talker.received = 0
        poller = select.epoll()
        for sock in self.rtp:
            poller.register(sock.fileno(), select.EPOLLIN)
        by_file = {sock.fileno(): sock for sock in self.rtp}
        portions = [everybody[part::_PARTS] for part in range(_PARTS)]
        begin, ticks, late_ns = time.monotonic_ns(), round(seconds * 1e9 / _TICK_NS), 0
        self.begun_ns = begin
        for turn in range(ticks * _PARTS):
            due = begin + turn * _TICK_NS // _PARTS
            self._hear_until(due, poller, by_file)
            late_ns = max(late_ns, time.monotonic_ns() - due)
            self._speak(portions[turn % _PARTS], first=turn % _PARTS == 0)
        self._hear_until(time.monotonic_ns() + int(_AFTERWARDS_S * 1e9), poller, by_file)
        poller.close()
        delays = sorted(self.delays_ns)
        return {
            "sent": ticks * len(everybody),
            "received": len(delays),
            "lost": self.lost,
            "late_ms": late_ns / 1e6,
            "silent": sum(talker.received == 0 for talker in everybody),
            **{f"p{percent:g}_ms": _percentile_ms(delays, percent) for percent in (50, 99, 99.9, 100)},
        }

    def hangup(self) -> dict[str, float]:
        """End all calls from the callers' side; those who were called are hung up on by the edge."""
        found = Talkers.hangup(self)
        self.others.clear()
        self.called.clear()
        return found

    def _speak(self, talkers: list[Talker], *, first: bool) -> None:
        if first:
            self.tick += 1
        sequence, timestamp, pack, now = (
            self.tick & 0xFFFF,
            self.tick * _SAMPLES & 0xFFFFFFFF,
            _stamp.pack,
            time.monotonic_ns,
        )
        for talker in talkers:
            packet = pack(0x80, 0, sequence, timestamp, 0x5EED, now()) + _REST
            try:
                talker.sock.sendto(packet, talker.peer)
            except BlockingIOError:
                self.lost += 1

    def _hear_until(self, until_ns: int, poller: select.epoll, by_file: dict[int, socket.socket]) -> None:
        while True:
            for file, _ in poller.poll(0):
                self._hear(by_file[file])
            if time.monotonic_ns() >= until_ns:
                return

    def _hear(self, sock: socket.socket) -> None:
        by_port, receive, now, delays = self.by_port, sock.recvfrom, time.monotonic_ns, self.delays_ns
        while True:
            try:
                data, source = receive(2048)
            except BlockingIOError:
                return
            came = now()
            talker = by_port.get(source[1])
            if talker is None or len(data) != 172:
                continue  # RTCP, or what was on its way before we knew whose it is
            _, _, sequence, _, _, sent = _stamp.unpack_from(data)
            if data[12] == _SILENCE or sent < self.begun_ns:
                continue  # of the edge's own, before the two were joined; or of the talk before
            if talker.received and sequence != talker.expected:
                self.lost += (sequence - talker.expected) & 0xFFFF
            talker.expected = sequence + 1 & 0xFFFF
            talker.received += 1
            delays.append(came - sent)

    def _read_sip(self, until: float) -> int:
        """Read what comes for either side until a moment."""
        final = 0
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self.sip, self.desk], [], [], left)
            if self.desk in ready:
                self._serve()
            if self.sip in ready:
                final += Talkers._read_sip(self, time.monotonic() + 0.001)
        return final

    def _serve(self) -> None:
        """Answer one request of the edge's."""
        data, source = self.desk.recvfrom(65535)
        method = data.split(b" ", 1)[0]
        found = _CALL_ID.search(data)
        if found is None or method == b"ACK" or data.startswith(b"SIP/2.0"):
            return
        if method == b"INVITE":
            self.desk.sendto(self.called.get(found[1]) or self._take(data, found[1]), source)
        else:
            self.desk.sendto(_answer(data, b""), source)

    def _take(self, data: bytes, call_id: bytes) -> bytes:
        talker = Talker(len(self.others), self.rtp[-1])
        audio = _AUDIO.search(data)
        assert audio is not None
        talker.peer = (self.target[0], int(audio[1]))
        self.by_port[talker.peer[1]] = talker
        self.others.append(talker)
        host, port = talker.sock.getsockname()
        body = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
        body += "a=rtpmap:101 telephone-event/8000\r\n"  # without it tones are listened for in the audio
        contact = f"Contact: <sip:desk@{host}:{self.desk.getsockname()[1]}>\r\nContent-Type: application/sdp\r\n"
        self.called[call_id] = _answer(data, body.encode(), contact.encode())
        return self.called[call_id]


def _answer(request: bytes, body: bytes, lines: bytes = b"") -> bytes:
    head = b"".join(
        line if not line.startswith(b"To:") or b";tag=" in line else line[:-2] + b";tag=desk\r\n"
        for line in _LINES.findall(request)
    )
    return b"SIP/2.0 200 OK\r\n" + head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _percentile_ms(ordered_ns: list[int], percent: float) -> float:
    return ordered_ns[min(len(ordered_ns) - 1, int(len(ordered_ns) * percent / 100))] / 1e6 if ordered_ns else 0.0


def main() -> None:
    """Say where we can be called, then take the port of the edge, then do what standard input says."""
    desk = _udp()
    sys.stdout.write(f"{desk.getsockname()[1]}\n")
    sys.stdout.flush()
    ends = BothEnds(("127.0.0.1", int(sys.stdin.readline())), desk=desk)
    for line in sys.stdin:
        words = deque(line.split())
        match words.popleft():
            case "call":
                done = ends.call(int(words.popleft()))
            case "join":
                done = ends.join([int(port) for port in words])
            case "talk":
                done = ends.talk(float(words.popleft()))
            case "hangup":
                done = ends.hangup()
            case word:
                raise SystemExit(f"both ends know no {word!r}")
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
