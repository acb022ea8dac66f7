"""The ports that our connections leave from where nothing listens: by them a proxy finds the connection again."""

import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from sipflow.net.sockets import share_port
from sipflow.sip.hop import Hop

_REST_S = 120.0  # TIME_WAIT lasts 60 s; a connection whose peer is gone lingers longer
_MOST = 1000  # ports in all, for 1,000 names at one address
_MOST_RESTING = 8  # at one address; one who comes and goes faster needs no port that can be found again
_PLACES = 4096


@dataclass(slots=True)
class _Place:
    """One address and port of a peer.

    Attributes:
        chosen: the port we call it from, by transport and server name.
        resting: ports that cannot be used towards it, and until when.
    """

    chosen: dict[tuple[str, str], int] = field(default_factory=dict)
    resting: dict[int, float] = field(default_factory=dict)


class OwnPorts:
    """Reserves ports by binding them, and says from which one each peer is called.

    The port is known before the connection is there, so that Via and Contact name it and a proxy that believes our
    Contact comes back on the connection that is open. It stays the same for all peers and connections but those that
    the system would confuse: two at once to one address and port, and one right after another that we ended, for
    which the system reserves the pair of ports for a while (TIME_WAIT).

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reserved: dict[int, socket.socket] = {}
        self._places: OrderedDict[tuple[str, int], _Place] = OrderedDict()
        self._closed = False

    def __len__(self) -> int:
        return len(self._reserved)

    def port(self, hop: Hop) -> int:
        """Say from which port `hop` is called; 0 where none can be reserved, and the system chooses one."""
        place = self._place(hop)
        key = (hop.transport, hop.server_name)
        port = place.chosen.get(key)
        if port is None:
            port = self._choose(place)
            if port:
                place.chosen[key] = port
        return port

    def first(self) -> int:
        """The port from which a peer is called of which we know nothing yet; 0 for none."""
        return next(iter(self._reserved), 0) or self._reserve()

    def rest(self, hop: Hop, port: int) -> None:
        """Use another port towards `hop` for a while: we have ended a connection from `port`, or cannot open one."""
        if port not in self._reserved:
            return
        place = self._place(hop)
        place.resting[port] = self._clock() + _REST_S
        key = (hop.transport, hop.server_name)
        if place.chosen.get(key) == port:
            del place.chosen[key]

    def close(self) -> None:
        """Give all ports back, and reserve none any more; connections from them stay."""
        self._closed = True
        for sock in self._reserved.values():
            sock.close()
        self._reserved.clear()
        self._places.clear()

    def _place(self, hop: Hop) -> _Place:
        where = hop[1:3]
        place = self._places.get(where)
        if place is None:
            place = self._places[where] = _Place()
            if len(self._places) > _PLACES:
                self._places.popitem(last=False)
        else:
            self._places.move_to_end(where)
        return place

    def _choose(self, place: _Place) -> int:
        now = self._clock()
        place.resting = {port: until for port, until in place.resting.items() if now < until}
        if len(place.resting) >= _MOST_RESTING:
            return 0
        taken = {*place.chosen.values(), *place.resting}
        free = next((port for port in self._reserved if port not in taken), 0)
        return free or self._reserve()

    def _reserve(self) -> int:
        """Bind one more port, of both IP versions where this host has both."""
        if self._closed or len(self._reserved) >= _MOST:
            return 0
        for family in (socket.AF_INET6, socket.AF_INET):
            try:
                sock = _bound(family)
            except OSError:  # a host without IPv6, or no port is left
                continue
            port: int = sock.getsockname()[1]
            self._reserved[port] = sock
            return port
        return 0


def _bound(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        share_port(sock)
        sock.bind(("", 0))
    except OSError:
        sock.close()
        raise
    return sock
