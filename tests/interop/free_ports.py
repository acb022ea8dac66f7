"""Ports that nothing else uses, below those that the system gives to clients."""

import random
import socket
from contextlib import closing

_SIP_PORTS = range(14000, 19000)
_CONTROL_PORTS = range(12000, 14000)
_MEDIA_PORTS = range(22000, 32600)
_random = random.SystemRandom()  # test programs side by side must not choose the same


def free_sip_port() -> int:
    """Return a loopback port that is free for UDP and TCP."""
    for _ in range(200):
        port = _random.choice(_SIP_PORTS)
        if _is_free(port, socket.SOCK_DGRAM) and _is_free(port, socket.SOCK_STREAM):
            return port
    raise AssertionError("no SIP port is free on 127.0.0.1")


def free_control_port() -> int:
    """Return a loopback port that is free for TCP, and that no SIP program will choose meanwhile."""
    for _ in range(200):
        port = _random.choice(_CONTROL_PORTS)
        if _is_free(port, socket.SOCK_STREAM):
            return port
    raise AssertionError("no control port is free on 127.0.0.1")


def free_media_ports(count: int) -> range:
    """Return `count` neighbouring UDP ports, the first one even."""
    for _ in range(200):
        first = _random.randrange(_MEDIA_PORTS.start, _MEDIA_PORTS.stop - count, 2)
        if all(_is_free(port, socket.SOCK_DGRAM) for port in range(first, first + count)):
            return range(first, first + count)
    raise AssertionError(f"no {count} neighbouring media ports are free on 127.0.0.1")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
