"""Many callers in one process, as cheap as Python can be: they call, talk G.711, and count what comes back.

On standard input it takes `call N`, `talk SECONDS` and `hangup`, or instead of `call` `aim PORT N`: N calls without
SIP, to every second port from PORT on. Each is answered by one line of JSON.

Started with the port to call, and perhaps a number to call instead of the first one; then it sleeps between packets,
for where it is not the only one on its core. With a file of Opus packets (`write_packets`) behind that, all offer Opus
alone, and say these again and again.

All calls of a tick send the same packet, whose payload begins with the number of the tick. 50 calls share a socket:
what comes in is told apart by the port that it comes from.
"""

import json
import re
import select
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

_PER_SOCKET = 50
_CALLS_A_SECOND = 100
_PATIENCE_S = 10.0
_TICK_S = 0.02
_SAMPLES = 160
_SLOTS = 10  # a tick's packets leave in so many portions
_DIGITS = 100  # the number of a tick is written in bytes below this, which an echo through PCM leaves alone
_SILENCE = 0xFF
_AFTERWARDS_S = 0.3
_OPUS_TYPE, _OPUS_TICKS = 96, 960  # RFC 7587 §4.1: its clock has 48 kHz
_NUMBER = "+12065550100"
_header = struct.Struct("!BBHII")
_SDP_PORT = re.compile(rb"\r\nm=audio ([0-9]+)")
_TO_TAG = re.compile(rb"\r\nTo:[^\r]*;tag=([^\r;]+)")
_CALL_ID = re.compile(rb"\r\nCall-ID: ([0-9]+)@")


@dataclass(slots=True)
class Talker:
    """One call.

    Attributes:
        number: also its Call-ID.
        sock: its RTP socket, shared with others.
        peer: where its packets go; port 0 until it is answered.
        received, lost, echoed: packets that came, that are missing among them, and that carried what we said.
    """

    number: int
    sock: socket.socket
    tag: str = ""
    peer: tuple[str, int] = ("", 0)
    expected: int = -1
    received: int = 0
    lost: int = 0
    echoed: int = 0


@dataclass(slots=True)
class Talkers:
    """All calls of this process to one edge.

    Attributes:
        packets: of Opus, that are said in turn; without any it is G.711.
        placed: calls so far, those that are over too: each has a number of its own.
    """

    target: tuple[str, int]
    number: str = _NUMBER
    sleeps: bool = False
    packets: tuple[bytes, ...] = ()
    sip: socket.socket = field(default_factory=lambda: _udp())
    rtp: list[socket.socket] = field(default_factory=list)
    calls: list[Talker] = field(default_factory=list)
    by_port: dict[int, Talker] = field(default_factory=dict)
    placed: int = 0
    tick: int = 0
    late_s: float = 0.0

    def call(self, count: int) -> dict[str, float]:
        """Place so many calls, and wait until they are answered."""
        for number in range(count):
            if number % _PER_SOCKET == 0:
                self.rtp.append(_udp())
            talker = Talker(self.placed, self.rtp[-1])
            self.placed += 1
            self.calls.append(talker)
            self.sip.sendto(self._invite(talker), self.target)
            self._read_sip(time.monotonic() + 1 / _CALLS_A_SECOND)
        until = time.monotonic() + _PATIENCE_S
        while len(self.by_port) < count and time.monotonic() < until:
            self._read_sip(time.monotonic() + 0.05)
        return {"up": len(self.by_port)}

    def aim(self, port: int, count: int) -> dict[str, float]:
        """Talk to so many RTP ports, and call nobody."""
        for number in range(count):
            if number % _PER_SOCKET == 0:
                self.rtp.append(_udp())
            talker = Talker(number, self.rtp[-1], peer=(self.target[0], port + 2 * number))
            self.calls.append(talker)
            self.by_port[port + 2 * number] = talker
        return {"up": count}

    def talk(self, seconds: float) -> dict[str, float]:
        """Send a packet of every call every 20 ms, and count what comes back until a little after the end."""
        for talker in self.calls:
            talker.received = talker.lost = talker.echoed = 0
        poller = select.epoll()
        for sock in self.rtp:
            poller.register(sock.fileno(), select.EPOLLIN)
        by_file = {sock.fileno(): sock for sock in self.rtp}
        portions = [self.calls[slot::_SLOTS] for slot in range(_SLOTS)]
        begin = time.monotonic()
        slots = round(seconds / _TICK_S) * _SLOTS
        for slot in range(slots):
            self._listen(poller, by_file, until=begin + slot * _TICK_S / _SLOTS)
            self.late_s = max(self.late_s, time.monotonic() - begin - slot * _TICK_S / _SLOTS)
            self._say(portions[slot % _SLOTS], first=slot % _SLOTS == 0)
        self._listen(poller, by_file, until=time.monotonic() + _AFTERWARDS_S)
        poller.close()
        return {
            "sent": slots // _SLOTS * len(self.calls),
            "received": sum(talker.received for talker in self.calls),
            "lost": sum(talker.lost for talker in self.calls),
            "echoed": sum(talker.echoed for talker in self.calls),
            "least_echoed": min((talker.echoed for talker in self.calls), default=0),
            "late_ms": 1000 * self.late_s,
        }

    def hangup(self) -> dict[str, float]:
        """End all calls, and wait for the answers."""
        answered = 0
        for talker in self.calls:
            self.sip.sendto(self._request("BYE", talker, 2), self.target)
            answered += self._read_sip(time.monotonic() + 1 / _CALLS_A_SECOND)
        answered += self._read_sip(time.monotonic() + 1.0)
        self.calls.clear()
        self.by_port.clear()
        return {"down": answered}

    def _say(self, talkers: list[Talker], *, first: bool) -> None:
        if first:
            self.tick += 1
        tick, packets = self.tick, self.packets
        kind, ticks = (_OPUS_TYPE, _OPUS_TICKS) if packets else (0, _SAMPLES)
        packet = _header.pack(0x80, kind, tick & 0xFFFF, tick * ticks & 0xFFFFFFFF, 0x5EED)
        if packets:
            packet += packets[tick % len(packets)]
        else:
            packet += bytes((tick // _DIGITS % _DIGITS, tick % _DIGITS)).ljust(_SAMPLES, b"\xd5")
        for talker in talkers:
            talker.sock.sendto(packet, talker.peer)

    def _listen(self, poller: select.epoll, by_file: dict[int, socket.socket], *, until: float) -> None:
        while (
            time.monotonic() < until
        ):  # never asleep: to be woken for each packet would cost its sender more than sending
            for file, _ in poller.poll(max(until - time.monotonic(), 0) if self.sleeps else 0):
                self._hear(by_file[file])

    def _hear(self, sock: socket.socket) -> None:
        by_port, receive = self.by_port, sock.recvfrom
        while True:
            try:
                data, source = receive(2048)
            except BlockingIOError:
                return
            talker = by_port.get(source[1])
            if talker is None:
                continue
            sequence = data[2] << 8 | data[3]
            if sequence != talker.expected and talker.expected >= 0:
                talker.lost += (sequence - talker.expected) & 0xFFFF
            talker.expected = sequence + 1 & 0xFFFF
            talker.received += 1
            if data[12] != _SILENCE:
                talker.echoed += 1

    def _read_sip(self, until: float) -> int:
        """Read responses until a moment; acknowledge answers. Gives how many final ones came."""
        final = 0
        while (left := until - time.monotonic()) > 0 and select.select([self.sip], [], [], left)[0]:
            data = self.sip.recv(65535)
            if not data.startswith(b"SIP/2.0 2"):
                continue
            final += 1
            audio, call = _SDP_PORT.search(data), _CALL_ID.search(data)
            if audio is not None and call is not None:
                place = int(call[1]) - self.placed + len(self.calls)
                if place >= 0:  # else one that is over has been answered once more
                    self._answered(self.calls[place], int(audio[1]), data)
        return final

    def _answered(self, talker: Talker, port: int, data: bytes) -> None:
        tag = _TO_TAG.search(data)
        talker.tag = tag[1].decode() if tag is not None else ""
        talker.peer = (self.target[0], port)
        self.by_port[port] = talker
        self.sip.sendto(self._request("ACK", talker, 1), self.target)

    def _invite(self, talker: Talker) -> bytes:
        host, port = talker.sock.getsockname()
        lines: tuple[str, ...] = (
            "v=0",
            f"o=- 1 1 IN IP4 {host}",
            "s=-",
            f"c=IN IP4 {host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {_OPUS_TYPE if self.packets else 0} 101",
        )
        if self.packets:
            lines += (f"a=rtpmap:{_OPUS_TYPE} opus/48000/2", f"a=fmtp:{_OPUS_TYPE} useinbandfec=1")
        clock_hz = 48000 if self.packets else 8000  # RFC 4733 §2.1: that of the audio
        lines += (f"a=rtpmap:101 telephone-event/{clock_hz}",)  # without it tones are listened for in the audio
        body = "".join(f"{line}\r\n" for line in lines)
        return self._request("INVITE", talker, 1, body)

    def _request(self, method: str, talker: Talker, cseq: int, body: str = "") -> bytes:
        host, port = self.sip.getsockname()
        to_tag = f";tag={talker.tag}" if talker.tag else ""
        lines = [
            f"{method} sip:{self.number}@{self.target[0]}:{self.target[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}{talker.number}",
            f"From: <sip:talker@{host}:{port}>;tag=t{talker.number}",
            f"To: <sip:{self.number}@{self.target[0]}>{to_tag}",
            f"Call-ID: {talker.number}@{port}.{host}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:talker@{host}:{port}>",
            "Max-Forwards: 70",
        ]
        lines += ["Content-Type: application/sdp"] if body else []
        lines += [f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines).encode()


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return sock


def write_packets(file: Path, packets: list[bytes]) -> None:
    """Write what `read_packets` reads: each with its length in two octets before it."""
    file.write_bytes(b"".join(len(each).to_bytes(2, "big") + each for each in packets))


def read_packets(file: Path) -> tuple[bytes, ...]:
    """Read packets that `write_packets` has written."""
    data, at, packets = file.read_bytes(), 0, []
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        packets.append(data[at + 2 : end])
        at = end
    return tuple(packets)


def main(port: int, number: str = "", file: str = "") -> None:
    """Do what standard input says."""
    packets = read_packets(Path(file)) if file else ()
    talkers = Talkers(("127.0.0.1", port), number or _NUMBER, bool(number), packets)
    words: deque[str] = deque()
    for line in sys.stdin:
        words.extend(line.split())
        match words.popleft():
            case "call":
                done = talkers.call(int(words.popleft()))
            case "aim":
                done = talkers.aim(int(words.popleft()), int(words.popleft()))
            case "talk":
                done = talkers.talk(float(words.popleft()))
            case "hangup":
                done = talkers.hangup()
            case word:
                raise SystemExit(f"talkers know no {word!r}")
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
