"""Which address and port of ours a peer sees, and which listener therefore speaks to it."""

import errno
import socket
from collections.abc import Callable, Sequence

from sipflow.net.literal import WILDCARDS, family_of, is_loopback
from sipflow.net.own_ports import OwnPorts
from sipflow.net.settings import ListenAddress
from sipflow.sip.hop import Hop

_KEPT_S = 60.0  # an address may come and go while we run (DHCP, VPN, fail-over)
_CACHED = 4096
_ANY_PORT = 5060  # connecting a UDP socket sends nothing; the port does not matter


class LocalAddresses:
    """Fills in the near end of a hop from the routes of this host and the sockets that are open.

    Args:
        clock: monotonic seconds.

    Attributes:
        ports: where connections leave from that have no listener.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.ports = OwnPorts(clock)
        self._clock = clock
        self._listening: Sequence[ListenAddress] = ()
        self._sources: dict[str, str] = {}
        self._forget_at = 0.0

    def listen_on(self, listening: Sequence[ListenAddress]) -> None:
        """Take the listeners, with their real ports."""
        self._listening = tuple(listening)

    def source_of(self, host: str) -> str:
        """Say which address of ours the system uses towards an IP literal, "" when it has no route."""
        now = self._clock()
        if now >= self._forget_at or len(self._sources) >= _CACHED:
            self._sources.clear()
            self._forget_at = now + _KEPT_S
        source = self._sources.get(host)
        if source is None:
            source = self._sources[host] = _ask_system(host)
        return source

    def forget(self) -> None:
        """Ask the system anew; its addresses or routes have changed."""
        self._sources.clear()

    def listener(self, hop: Hop) -> ListenAddress | None:
        """Choose the listener of the hop's transport and IP version from whose address it is reached.

        First the one that the hop itself names, then the one on the address the system would use, then one on all
        addresses; and where none fits, the first, so that the failure is the network's word and not a guess of ours.
        """
        family = family_of(hop.host)
        fitting = [one for one in self._listening if one.transport == hop.transport and one.family == family]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        wanted = hop.local_host or self.source_of(hop.host)
        loopback = is_loopback(hop.host)

        def distance(one: ListenAddress) -> tuple[bool, bool, bool, bool]:
            exact = one.host == wanted
            other_port = hop.local_port not in (0, one.port)
            return (other_port, not exact, one.host not in WILDCARDS, is_loopback(one.host) != loopback)

        return min(fitting, key=distance)

    def fill(self, hop: Hop) -> Hop:
        """Give `hop` with local_host and local_port: what the peer will see, and where it reaches us.

        That is the listener of that transport and IP version; without one, for TCP and TLS, the port from which our
        connection leaves, by which a proxy finds it again; and for UDP 0.
        """
        listener = self.listener(hop)
        if listener is None:
            port = self.ports.port(hop) if hop.reliable else 0
            return hop._replace(local_host=hop.local_host or self.source_of(hop.host), local_port=port)
        host = listener.host
        if host in WILDCARDS:
            host = hop.local_host or self.source_of(hop.host) or host
        return hop._replace(local_host=host, local_port=listener.port)


def has_address(host: str) -> bool:
    """Whether this machine has an address, an IP literal; where that cannot be told, it has."""
    try:
        with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def _ask_system(host: str) -> str:
    """Ask by connecting a UDP socket, which sends nothing."""
    family = family_of(host)
    if not family:
        return ""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, _ANY_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
