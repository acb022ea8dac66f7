"""One UDP socket: no queue between the network and the core, and no error that stops it."""

import asyncio
import errno
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from sipflow.errors import TransportError
from sipflow.net.addressed import SPACE_BYTES, Addressed, Ancillary, watch
from sipflow.net.literal import WILDCARDS
from sipflow.net.settings import ListenAddress
from sipflow.net.sockets import arrival_of, ask_for_buffers, bind, note_arrivals, set_traffic_class
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop

_BATCH = 64  # datagrams per wake-up; then timers and streams have their turn
_LOOKED_AT = 16  # every so many of them one is asked how long it has waited
_LARGEST_BYTES = 65535
_HOPS = 4096  # remembered peers; a flood from forged sources must not fill the memory
_BACKLOG = 1024  # datagrams that wait for a full send buffer; later ones are lost, as UDP may, and sent again by timers
_RETRY_S = 0.005
_TRANSIENT = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})

# Linux tells an unconnected socket which destination an ICMP error is about, if asked (ip(7), IP_RECVERR).
_RECVERR: dict[int, tuple[int, int]] = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_ORIGIN_LOCAL = 1
# RFC 3261 §18.4: host, network, port or protocol unreachable and parameter problem are failures; others are ignored.
_UNREACHABLE = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EPROTO, errno.EACCES}
)


class _Loop(Protocol):
    """What is needed of a loop. asyncio's says whether it watched what it is to forget, uvloop's gives nothing."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object: ...

    def remove_reader(self, fd: int, /) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


class UdpSocket:
    """Receives and sends datagrams on one listening address.

    Args:
        address: where to listen.
        on_datagram: gets every datagram and where it came from; must not raise.
        on_unreachable: gets a destination that the network says cannot be reached (RFC 3261 §18.4), and why.
        source_of: says which address of ours a peer sees, for a socket on all addresses.
        brake: told how long datagrams have waited, where several do; None where nobody minds.

    Attributes:
        address: where it listens, with the real port once open.
        dropped: datagrams that found the send buffer and the backlog full.
    """

    def __init__(
        self,
        address: ListenAddress,
        *,
        on_datagram: Callable[[bytes, Hop], None],
        on_unreachable: Callable[[Hop, str], None],
        source_of: Callable[[str], str],
        brake: Brake | None = None,
    ) -> None:
        self.address = address
        self.dropped = 0
        self._on_datagram = on_datagram
        self._on_unreachable = on_unreachable
        self._source_of = source_of
        self._brake = brake
        self._hops: dict[tuple[object, ...], Hop] = {}
        self._addressed: Addressed | None = None
        self._backlog: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._poll: select.epoll | None = None
        self._loop: _Loop | None = None
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)

    def open(self, *, buffer_bytes: int, dscp: int | None) -> None:
        """Bind, and be called by the running loop from now on.

        Raises:
            TransportError: the address cannot be used; the sentence says which and why.
        """
        sock, address = self._socket, self.address
        try:
            sock.setblocking(False)
            set_traffic_class(sock, dscp)
            ask_for_buffers(sock, buffer_bytes)
            if sys.platform == "linux":
                sock.setsockopt(*_RECVERR[address.family], 1)
            bind(sock, address)
            self._addressed = watch(sock, address.host, self._source_of)
            if self._brake is not None and not note_arrivals(sock):
                self._brake = None
        except TransportError:
            sock.close()
            raise
        self.address = ListenAddress(address.transport, address.host, sock.getsockname()[1])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watched(), self._readable)

    def close(self) -> None:
        """Stop receiving and give the address back; what waits for a full buffer is lost."""
        if self._loop is not None:
            self._loop.remove_reader(self._poll.fileno() if self._poll is not None else self._socket.fileno())
            self._loop = None
        if self._poll is not None:
            self._poll.close()
        if self._retry is not None:
            self._retry.cancel()
        self._backlog.clear()
        self._socket.close()

    def send(self, data: bytes, host: str, port: int) -> str:
        """Send at once to an IP literal of the socket's family; give "" or a sentence why it cannot be sent."""
        if self._addressed is not None and self._addressed.odd:
            ancillary = self._addressed.odd.get((host, port))
            if ancillary is not None and self._send_from(ancillary, data, (host, port)):
                return ""
        try:
            self._socket.sendto(data, (host, port))
        except OSError as error:
            return self._send_again(data, (host, port), error)
        except OverflowError:
            return f"port {port} is not in 1..65535"
        return ""

    def forget_hops(self) -> None:
        """Ask anew which of our addresses each peer sees; routes may have changed."""
        self._hops.clear()
        if self._addressed is not None:
            self._addressed.forget()

    def _watched(self) -> int:
        """Give the descriptor that the loop should watch.

        A pending ICMP error makes poll report an error condition, upon which libuv (uvloop) stops watching for good.
        An epoll set around the socket is merely readable then.
        """
        if sys.platform != "linux":
            return self._socket.fileno()
        self._poll = select.epoll()
        self._poll.register(self._socket.fileno(), select.EPOLLIN)
        return self._poll.fileno()

    def _readable(self) -> None:
        receive = self._socket.recvfrom if self._addressed is None else self._receive_noting
        hops, deliver, brake = self._hops, self._on_datagram, self._brake
        held: tuple[bytes, tuple[object, ...]] | None = None  # read, and handled when it is known whether more waits
        for turn in range(_BATCH):
            try:
                taken = receive(_LARGEST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                if self._loop is None:
                    return  # a datagram made somebody close us
                self._read_errors()
                continue
            if held is not None:
                if brake is not None and turn % _LOOKED_AT == 1:
                    brake.waited(max(0.0, time.time() - arrival_of(self._socket)), now=time.monotonic())
                if held[0]:
                    deliver(held[0], hops.get(held[1]) or self._hop(held[1]))
            held = taken
        if held is not None and held[0] and self._loop is not None:
            deliver(held[0], hops.get(held[1]) or self._hop(held[1]))
        if brake is not None:
            brake.dry()

    def _receive_noting(self, size: int) -> tuple[bytes, tuple[object, ...]]:
        data, ancillary, _, source = self._socket.recvmsg(size, SPACE_BYTES)
        if self._addressed is not None:
            self._addressed.note(source, ancillary)
        return data, source

    def _send_from(self, ancillary: Ancillary, data: bytes, target: tuple[str, int]) -> bool:
        """Send from the address that the peer wrote to; False when that fails: the usual way may work, or says why."""
        try:
            self._socket.sendmsg([data], ancillary, 0, target)
        except OSError:
            return False
        return True

    def _hop(self, source: tuple[object, ...]) -> Hop:
        host, port = str(source[0]), source[1]
        if len(source) == 4 and source[3]:
            host = f"{host.partition('%')[0]}%{source[3]}"  # a link-local peer is one only with its zone
        ours = self.address.host
        if ours in WILDCARDS:
            ours = self._source_of(host)
        hop = Hop("udp", host, port if isinstance(port, int) else 0, ours, self.address.port)
        if len(self._hops) >= _HOPS:
            self._hops.clear()
        self._hops[source] = hop
        return hop

    def _send_again(self, data: bytes, target: tuple[str, int], error: OSError) -> str:
        """Send once more where the failure was not this message's: a full buffer, or news of an earlier one."""
        if error.errno not in _TRANSIENT and self._read_errors():
            try:
                self._socket.sendto(data, target)
            except OSError as second:
                error = second
            else:
                return ""
        if error.errno not in _TRANSIENT:
            return _why_not(data, error)
        if len(self._backlog) >= _BACKLOG or self._loop is None:
            self.dropped += 1
            return ""
        self._backlog.append((data, target))
        if self._retry is None:
            self._retry = self._loop.call_later(_RETRY_S, self._flush)
        return ""

    def _flush(self) -> None:
        self._retry = None
        for _ in range(len(self._backlog)):
            data, target = self._backlog.popleft()
            self.send(data, *target)

    def _read_errors(self) -> bool:
        """Take the ICMP errors off the socket and report each destination once; whether there was any."""
        if sys.platform != "linux":
            return False
        failed: dict[Hop, str] = {}
        found = False
        while True:
            try:
                _, ancillary, _, target = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            found = True
            number = _unreachable(ancillary)
            if number and target:
                failed[self._hop(target)] = os.strerror(number)
        for hop, why in failed.items():
            self._on_unreachable(hop, why)
        return found


def _unreachable(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Give the errno of an ICMP error that means a failure, 0 for any other."""
    for level, kind, data in ancillary:
        if (level, kind) in _RECVERR.values() and len(data) >= _EXTENDED_ERROR.size:
            number, origin = _EXTENDED_ERROR.unpack_from(data)[:2]
            if origin != _ORIGIN_LOCAL and number in _UNREACHABLE:
                return int(number)
    return 0


def _why_not(data: bytes, error: OSError) -> str:
    if error.errno == errno.EMSGSIZE:
        return f"a message of {len(data)} octets is too large for UDP"
    if error.errno == errno.EPERM:
        return "a firewall of this machine forbids it"
    return error.strerror or str(error)
