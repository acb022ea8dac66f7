"""Sockets that listen to our audio and know to the microsecond when each packet came, however late they are read."""

import socket
import struct
from typing import NamedTuple

_TIMESTAMP = struct.Struct("@ll")  # struct timeval
_SO_TIMESTAMP = 29  # Linux; the socket module does not name it
_BUFFER_BYTES = 1 << 22
_RTP_HEADER_BYTES = 12


class Heard(NamedTuple):
    """One RTP packet: when it came (UTC, seconds) and its sequence number."""

    at: float
    sequence: int


class Ear:
    """One UDP port."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def close(self) -> list[Heard]:
        """Stop listening; returns what was heard, nothing when it is closed already."""
        heard: list[Heard] = []
        if self._socket.fileno() < 0:
            return heard
        with self._socket:
            while True:
                try:
                    data, ancillary, _, _ = self._socket.recvmsg(2048, 64)
                except BlockingIOError:
                    return heard
                if len(data) >= _RTP_HEADER_BYTES:
                    heard.append(Heard(_arrival(ancillary), int.from_bytes(data[2:4], "big")))


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMP):
            seconds, microseconds = _TIMESTAMP.unpack(value)
            return int(seconds) + int(microseconds) / 1e6
    raise AssertionError("the system does not say when a packet came")
