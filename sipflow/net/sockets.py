"""What every socket of ours is told before use, and what a failure means in words."""

import errno
import fcntl
import socket
import struct
import sys
import termios
from asyncio import Transport
from math import inf

from sipflow.errors import TransportError
from sipflow.net.settings import ListenAddress

_FORCED = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}  # SO_RCVBUFFORCE, SO_SNDBUFFORCE of socket(7)
_SIOCGSTAMPNS, _TIMESPEC = 0x8907, struct.Struct("@qq")  # socket(7): when the last datagram came
_USER_TIMEOUT_MS = 20_000
_KEEPALIVE_S = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


def bind(sock: socket.socket, address: ListenAddress) -> None:
    """Bind to `address`; an IPv6 socket takes IPv6 alone, so that both can have one port.

    Raises:
        TransportError: the sentence says which address and why.
    """
    try:
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))
    except OSError as error:
        raise TransportError(f"cannot listen on {address}: {_hint(error)}") from error


def set_traffic_class(sock: socket.socket, dscp: int | None) -> None:
    """Mark the packets of `sock` with a DiffServ code point (RFC 2474 §3: the upper six bits)."""
    if dscp is None:
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def ask_for_buffers(sock: socket.socket, size_bytes: int) -> None:
    """Ask for socket buffers of `size_bytes`: beyond the system's limit where we may, else up to it."""
    for option, forced in _FORCED.items():
        try:
            if sys.platform != "linux":
                raise PermissionError
            sock.setsockopt(socket.SOL_SOCKET, forced, size_bytes)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, option, size_bytes)


def note_arrivals(sock: socket.socket) -> bool:
    """Have the system note when each datagram came; whether it can."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(sock, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
    except FileNotFoundError:  # nothing has been read yet; it is noted from now on
        return True
    except OSError:
        return False
    return True


def arrival_of(sock: socket.socket) -> float:
    """Give when the datagram came that was read last: seconds of `time.time`. Only after `note_arrivals`."""
    try:
        seconds, nanoseconds = _TIMESPEC.unpack(fcntl.ioctl(sock, _SIOCGSTAMPNS, bytes(_TIMESPEC.size)))
    except OSError:
        return inf  # a wait of no time
    return float(seconds + nanoseconds / 1e9)


def octets_to_read(stream: Transport) -> int:
    """Give how much has come on a stream that nobody has read yet; 0 where that cannot be told."""
    sock = stream.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
    except (AttributeError, OSError, ValueError):  # it is closed
        return 0


def share_port(sock: socket.socket) -> None:
    """Let `sock` be bound to a port that other sockets of ours have, none of which listens; before it is bound."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "linux":  # BSD's SO_REUSEADDR does not let two have exactly the same address
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def prepare_stream(sock: socket.socket, dscp: int | None) -> None:
    """Make a TCP socket send at once, and notice a peer that is gone before timers B and F do."""
    sock.setblocking(False)
    set_traffic_class(sock, dscp)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _KEEPALIVE_S.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


def _hint(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program (or another sipflow) has this port; stop it or choose another port"
        case errno.EADDRNOTAVAIL:
            return (
                "this host does not have that address; behind NAT listen on 0.0.0.0 or [::], and write the public one "
                "into sip.advertise and media.advertise"
            )
        case errno.EACCES:
            return "not allowed: ports below 1024 need CAP_NET_BIND_SERVICE"
        case _:
            return error.strerror or str(error)
