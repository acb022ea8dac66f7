"""Ports that nothing else uses, below those that the system gives to clients."""

import random
import socket
from contextlib import closing
from itertools import pairwise
from pathlib import Path

_SIP_PORTS = range(14000, 19000)
_CONTROL_PORTS = range(12000, 14000)
_MEDIA_PORTS = range(22000, 32600)
_TRIED = 20  # of many ports: trying each would take longer than some tests
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
    """Return `count` neighbouring UDP ports, the first one even: somewhere between those that are in use."""
    taken = sorted(_bound_udp_ports() & set(_MEDIA_PORTS))
    edges = pairwise([_MEDIA_PORTS.start - 1, *taken, _MEDIA_PORTS.stop])
    gaps = [range(low + 1 + (low + 1) % 2, high - count + 1, 2) for low, high in edges]
    sizes = [len(gap) for gap in gaps]
    for _ in range(200 if any(sizes) else 0):
        first = _random.choice(_random.choices(gaps, sizes)[0])
        if all(_is_free(port, socket.SOCK_DGRAM) for port in range(first, first + min(count, _TRIED))):
            return range(first, first + count)
    raise AssertionError(f"no {count} neighbouring media ports are free on 127.0.0.1")


def _bound_udp_ports() -> set[int]:
    """Every UDP port of this machine that is in use, as far as the system says so."""
    found = set()
    for table in map(Path, ("/proc/net/udp", "/proc/net/udp6")):
        if table.exists():
            rows = table.read_text(encoding="ascii").splitlines()[1:]
            found |= {int(row.split()[1].rpartition(":")[2], 16) for row in rows}  # such as 0100007F:13C4
    return found


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
