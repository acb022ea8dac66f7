"""Which paths are kept open, and when the next ping of a UDP path is due (RFC 5626 §3.5, RFC 5245 §10)."""

from sipflow.sip.hop import Hop

PING = b"\r\n\r\n"  # RFC 5626 §3.5.1
PONG = b"\r\n"

# Pings of one interval are spread over its last fifth (RFC 5626 §4.4.1), by the golden ratio: evenly, and by no chance.
_SPREAD = 0.2
_GOLDEN = 0.6180339887498949


class KeepAlives:
    """Paths that somebody wants open, counted: two trunks to one proxy share a path.

    UDP paths get a ping every interval, so that the NAT in between does not forget us; a stream's own connection asks
    `in` and pings by itself.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval = interval_s
        self._wanted: dict[Hop, int] = {}
        self._next: dict[Hop, float] = {}
        self._phase = 0.0

    def __len__(self) -> int:
        return len(self._wanted)

    def __contains__(self, hop: Hop) -> bool:
        return _path(hop) in self._wanted

    def add(self, hop: Hop, *, now: float) -> None:
        """Keep the path to `hop` open until `remove` is called as often."""
        path = _path(hop)
        self._wanted[path] = self._wanted.get(path, 0) + 1
        if not path.reliable and path not in self._next:
            self._next[path] = now + self._wait()

    def remove(self, hop: Hop) -> None:
        """Undo one `add`; a path nobody added is none the worse."""
        path = _path(hop)
        count = self._wanted.get(path, 0)
        if count > 1:
            self._wanted[path] = count - 1
        else:
            self._wanted.pop(path, None)
            self._next.pop(path, None)

    def due(self, *, now: float) -> list[Hop]:
        """Give the UDP paths to ping now, and note their next time."""
        due = [hop for hop, at in self._next.items() if at <= now]
        for hop in due:
            self._next[hop] = now + self._wait()
        return due

    def _wait(self) -> float:
        self._phase = (self._phase + _GOLDEN) % 1.0
        return self._interval * (1.0 - _SPREAD * self._phase)


def _path(hop: Hop) -> Hop:
    """The hop without what differs between messages: for a stream any connection to the peer is the path."""
    if hop.reliable:
        return hop._replace(connection=0, local_host="", local_port=0)
    return hop._replace(connection=0, server_name="")
