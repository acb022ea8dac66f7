"""The sockets that peers can reach, and which of them speaks to whom."""

from collections.abc import Callable

from sipflow.errors import TransportError
from sipflow.net.local import LocalAddresses
from sipflow.net.settings import ListenAddress, Settings
from sipflow.net.tcp import Accepted, Acceptor
from sipflow.net.tls import TlsContexts
from sipflow.net.udp import UdpSocket
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop

_HOPS = 4096  # remembered; a flood of answers to forged sources must not fill the memory


class Listeners:
    """Opens the listeners of `settings`, and finds the UDP socket of a hop.

    Args:
        settings: what to listen on.
        local: told what is open; says which listener reaches a peer.
        contexts: must have a certificate that can be used before a TLS listener opens.
        on_datagram, on_unreachable: see `UdpSocket`.
        on_accepted, on_exhausted: see `Acceptor`.
        brake: see `UdpSocket`.
    """

    def __init__(
        self,
        settings: Settings,
        local: LocalAddresses,
        contexts: TlsContexts,
        *,
        on_datagram: Callable[[bytes, Hop], None],
        on_unreachable: Callable[[Hop, str], None],
        on_accepted: Accepted,
        on_exhausted: Callable[[OSError], None],
        brake: Brake | None = None,
    ) -> None:
        self._settings = settings
        self._local = local
        self._contexts = contexts
        self._on_datagram = on_datagram
        self._on_unreachable = on_unreachable
        self._on_accepted = on_accepted
        self._on_exhausted = on_exhausted
        self._brake = brake
        self._open: list[UdpSocket | Acceptor] = []
        self._udp: dict[ListenAddress, UdpSocket] = {}
        self._udp_by_near: dict[tuple[str, int], UdpSocket] = {}  # what hops carry -> the socket, once looked up
        self._udp_by_hop: dict[Hop, UdpSocket] = {}

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Where we listen, in the order of the settings, with real ports."""
        return tuple(one.address for one in self._open)

    @property
    def dropped_datagrams(self) -> int:
        """Datagrams we could not send because the system's buffer and our own stayed full."""
        return sum(udp.dropped for udp in self._udp.values())

    def open(self) -> None:
        """Open all.

        Raises:
            TransportError: one cannot be opened, and the sentence says which; none is open then.
        """
        try:
            for address in self._settings.listen:
                self._open_one(address)
        except TransportError:
            self.close()
            raise
        self._udp = {one.address: one for one in self._open if isinstance(one, UdpSocket)}
        self._local.listen_on(self.addresses)

    def close(self) -> None:
        """Give all addresses back."""
        for one in self._open:
            one.close()
        self._open = []
        self._udp_by_near.clear()
        self._udp_by_hop.clear()
        self._udp.clear()

    def udp(self, hop: Hop) -> UdpSocket | None:
        """Find the socket that speaks to `hop`: the one that it names as its near end, or the one that reaches it."""
        found = self._udp_by_near.get(hop[3:5])
        if found is None:
            listener = self._local.listener(hop)
            found = self._udp.get(listener) if listener is not None else None
            if found is None or not hop.local_host:
                return found
            self._udp_by_near[hop[3:5]] = found
        if len(self._udp_by_hop) >= _HOPS:
            self._udp_by_hop.clear()
        self._udp_by_hop[hop] = found
        return found

    def known_udp(self, hop: Hop) -> UdpSocket | None:
        """Give what `udp` found for this very hop; None if it has not been asked yet, or found nothing."""
        return self._udp_by_hop.get(hop)

    def forget_routes(self) -> None:
        """Ask the system anew which of our addresses each peer sees."""
        self._udp_by_near.clear()
        self._udp_by_hop.clear()
        for udp in self._udp.values():
            udp.forget_hops()

    def _open_one(self, address: ListenAddress) -> None:
        if address.transport == "udp":
            udp = UdpSocket(
                address,
                on_datagram=self._on_datagram,
                on_unreachable=self._on_unreachable,
                source_of=self._local.source_of,
                brake=self._brake,
            )
            udp.open(buffer_bytes=self._settings.udp_buffer_bytes, dscp=self._settings.dscp)
            self._open.append(udp)
            return
        if address.transport == "tls":
            self._contexts.server()
        acceptor = Acceptor(address, on_accepted=self._on_accepted, on_exhausted=self._on_exhausted)
        acceptor.open(backlog=self._settings.streams.backlog)
        self._open.append(acceptor)
