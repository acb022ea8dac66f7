"""IP literals: what a socket may be given. A name handed to a socket would block the event loop on DNS."""

import socket
from functools import lru_cache
from ipaddress import ip_address, ip_network

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  (recognised here, not bound)


@lru_cache(maxsize=8192)
def family_of(host: str) -> int:
    """Say AF_INET or AF_INET6 for an IP literal without brackets, 0 for anything else."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate inside
        pass
    else:
        return socket.AF_INET
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])  # a zone follows a link-local address (RFC 4007 §11)
    except (OSError, ValueError):
        return 0
    return socket.AF_INET6


def is_loopback(host: str) -> bool:
    """Whether an IP literal stays on this machine."""
    return host == "::1" or host.startswith("127.")


def is_private(host: str) -> bool:
    """Whether an IP literal is one that many networks have for themselves, and that leads nowhere from outside.

    RFC 1918, 3927, 4193 and 6598; not what documents use for examples, which Python's `is_private` holds private, too.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in _PRIVATE)


_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
