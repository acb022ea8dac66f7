"""A bot that says back what it hears in Twilio's words, as cheap as Python can be, for many calls in one process.

It prints its port, and serves until its standard input ends.
"""

import base64
import hashlib
import os
import re
import select
import socket
import sys

from websockets.speedups import apply_mask

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_KEY = re.compile(rb"\r\nSec-WebSocket-Key: *([^\r]+)", re.IGNORECASE)
_BEGIN = b'"payload":"'
_END = b'"}'
_SHORT, _LONG = 126, 127  # RFC 6455 §5.2: what stands for a longer length
_CLOSE = 8


class Visit:
    """One WebSocket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread = b""
        self.open = False

    def read(self) -> bool:
        """Take what has come, and answer; False when it is over."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.unread += data
        if not self.open and not self._shake_hands():
            return True
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == _CLOSE:
                return False
            self._answer(payload)
        return True

    def _shake_hands(self) -> bool:
        head, end, rest = self.unread.partition(b"\r\n\r\n")
        key = _KEY.search(head)
        if not end or key is None:
            return False
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
        lines = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        self.sock.sendall(lines % accept)
        self.unread, self.open = rest, True
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        data = self.unread
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        if length == _SHORT:
            length, at = int.from_bytes(data[2:4], "big"), 4
        elif length == _LONG:
            length, at = int.from_bytes(data[2:10], "big"), 10
        end = at + 4 + length
        if len(data) < end:
            return None
        self.unread = data[end:]
        return data[0] & 0x0F, apply_mask(data[at + 4 : end], data[at : at + 4])

    def _answer(self, message: bytes) -> None:
        begin = message.find(_BEGIN)
        if begin < 0:
            return
        coded = message[begin + len(_BEGIN) : message.find(_END, begin)]
        text = b'{"event":"media","media":{"payload":"%b"}}' % coded
        header = b"\x81%c" % len(text) if len(text) < _SHORT else b"\x81\x7e" + len(text).to_bytes(2, "big")
        try:
            self.sock.send(header + text)
        except BlockingIOError:
            return  # whoever does not read hears nothing


def main() -> None:
    """Serve until standard input ends."""
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server.setblocking(False)
    poller = select.epoll()
    poller.register(server.fileno(), select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN)
    visits: dict[int, Visit] = {}
    sys.stdout.write(f"{server.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        for file, _ in poller.poll():
            if file == sys.stdin.fileno():
                if not os.read(file, 4096):
                    return
            elif file == server.fileno():
                sock, _ = server.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                visits[sock.fileno()] = Visit(sock)
                poller.register(sock.fileno(), select.EPOLLIN)
            elif not visits[file].read():
                poller.unregister(file)
                visits.pop(file).sock.close()


if __name__ == "__main__":
    main()
