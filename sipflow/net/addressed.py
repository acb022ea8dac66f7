"""Which of our addresses a peer writes to, where the system would answer it from another one.

A socket on all addresses answers from the address that routes choose. A peer that wrote to a second or a floating one
expects the answer from there (RFC 3581 §4), and a NAT or firewall in between lets nothing else through.
"""

import socket
import sys
from collections.abc import Callable

from sipflow.net.literal import WILDCARDS

_IP_PKTINFO = 8  # ip(7)
_OPTIONS: dict[int, tuple[int, int, int]] = {  # what asks for the address, and the control message that carries it
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO),
}
SPACE_BYTES = socket.CMSG_SPACE(20)  # in6_pktinfo, the larger of the two
_PEERS = 4096  # remembered; a flood from forged sources must not fill the memory

Ancillary = list[tuple[int, int, bytes]]


class Addressed:
    """What is known of the peers of one UDP socket.

    Args:
        family: of the socket.
        source_of: says from which address of ours the system would answer.

    Attributes:
        odd: by host and port, what has a datagram leave from the address that this peer wrote to; only where needed.
    """

    __slots__ = ("_family", "_known", "_source_of", "odd")

    def __init__(self, family: int, source_of: Callable[[str], str]) -> None:
        self.odd: dict[tuple[str, int], Ancillary] = {}
        self._family = family
        self._source_of = source_of
        self._known: dict[tuple[object, ...], bytes] = {}

    def note(self, source: tuple[object, ...], ancillary: Ancillary) -> None:
        """Learn where a datagram from `source` was sent to."""
        info = ancillary[0][2] if ancillary else b""
        if self._known.get(source) != info:
            self._learn(source, info)

    def forget(self) -> None:
        """Ask anew from where the system would answer; routes may have changed."""
        self._known.clear()
        self.odd.clear()

    def _learn(self, source: tuple[object, ...], info: bytes) -> None:
        if len(self._known) >= _PEERS:
            self.forget()
        self._known[source] = info
        host, port = str(source[0]), source[1]
        if not info or not isinstance(port, int) or (len(source) == 4 and source[3]):
            return  # a link-local peer is answered by its zone
        address, answer = _read(self._family, info)
        if address == self._source_of(host):
            self.odd.pop((host, port), None)
        else:
            level, _, kind = _OPTIONS[self._family]
            self.odd[host, port] = [(level, kind, answer)]


def watch(sock: socket.socket, host: str, source_of: Callable[[str], str]) -> Addressed | None:
    """Have `sock`, bound to `host`, say where each datagram was sent to; None where it has one address, or cannot."""
    if host not in WILDCARDS or sys.platform != "linux":
        return None
    level, option, _ = _OPTIONS[sock.family]
    try:
        sock.setsockopt(level, option, 1)
    except OSError:
        return None
    return Addressed(sock.family, source_of)


def _read(family: int, info: bytes) -> tuple[str, bytes]:
    """Give the address that a datagram was sent to, and what makes an answer leave from it, by any interface."""
    if family == socket.AF_INET:  # struct in_pktinfo: interface, our address, the header's destination
        return socket.inet_ntop(family, info[4:8]), bytes(4) + info[4:8] + bytes(4)
    return socket.inet_ntop(family, info[:16]), info[:16] + bytes(4)  # struct in6_pktinfo
