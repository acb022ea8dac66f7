"""A second socket on a stream's port, for its peer alone: with packets of it the system handles no addresses. Linux."""

import resource
import socket
import sys
from typing import NamedTuple

from sipflow.media.latch import Whence

_LINUX = sys.platform == "linux"  # elsewhere a second socket on a port takes everybody's packets, or none
_DATAGRAM_BYTES = 2048  # as in `inbound`
_MOST_EARLY = 256  # packets; a flood in a microsecond is no part of any call


class Connected(NamedTuple):
    """A socket that one peer's packets come to, while everybody else's still come to the one beside it.

    Attributes:
        sock: non-blocking; whoever opened it closes it.
        peer: the only one it hears and speaks to.
        early: what came to it before it was connected, and may be from anybody: datagrams and whose they are.
    """

    sock: socket.socket
    peer: Whence
    early: list[tuple[bytes, Whence]]


def open_connected(rtp: socket.socket, peer: Whence) -> Connected | None:
    """Open a socket on the port of `rtp`, connected to a peer.

    Where thousands of streams are, to look up the way of each packet and to say whose it was costs a fifth of what
    relaying it costs. `rtp` hears everybody else as before, and its packets are no others' even for a moment longer
    than this takes.

    Returns:
        None where the system cannot do it, or has only half of its files left: new calls need them more.
    """
    if not _LINUX:
        return None
    try:
        sock = socket.socket(rtp.family, socket.SOCK_DGRAM)
    except OSError:
        return None
    early: list[tuple[bytes, Whence]] = []
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit != resource.RLIM_INFINITY and sock.fileno() > limit // 2:
            raise OSError("too many files")
        _share(rtp, sock, peer)
        while len(early) < _MOST_EARLY:
            early.append(sock.recvfrom(_DATAGRAM_BYTES))
    except BlockingIOError:
        return Connected(sock, peer, early)
    except OSError:
        sock.close()
        return None
    sock.close()
    return None


def _share(rtp: socket.socket, sock: socket.socket, peer: Whence) -> None:
    """Bind and connect a socket beside another on the same port."""
    sock.setblocking(False)
    copied = [(socket.IPPROTO_IP, socket.IP_TOS)]
    if rtp.family == socket.AF_INET6:
        copied = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)]
    for level, option in copied:
        sock.setsockopt(level, option, rtp.getsockopt(level, option))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    rtp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(rtp.getsockname())
    finally:
        rtp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # nobody else is to join us
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    sock.connect(peer)
