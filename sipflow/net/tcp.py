"""Opening and accepting TCP connections."""

import asyncio
import errno
import socket
from collections.abc import Callable

from sipflow.errors import TransportError
from sipflow.net.literal import family_of
from sipflow.net.settings import ListenAddress
from sipflow.net.sockets import bind, prepare_stream, share_port
from sipflow.sip.hop import Hop

_BATCH = 64  # connections per wake-up
_REST_S = 1.0  # how long to accept nobody when this process may open no more files
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Accepted = Callable[[socket.socket, str, int, ListenAddress], None]


async def dial(
    hop: Hop, *, bind_host: str = "", bind_port: int = 0, dscp: int | None, timeout_s: float
) -> socket.socket:
    """Open a TCP connection to `hop`, from `bind_host` if it is not "" and from `bind_port` if it is not 0.

    Raises:
        TransportError: it is no address; a name is never looked up here.
        OSError: it was refused, or there is no way.
        TimeoutError: nobody answered in `timeout_s` seconds.
    """
    if not (family_of(hop.host) and 0 < hop.port < 65536):
        raise TransportError(f"{hop.host!r} port {hop.port} is not an IP address and port")
    sock = socket.socket(family_of(hop.host), socket.SOCK_STREAM)
    try:
        prepare_stream(sock, dscp)
        if bind_port:
            share_port(sock)
        if bind_host or bind_port:
            sock.bind((bind_host, bind_port))
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, (hop.host, hop.port))
    except BaseException:  # whatever ends it, a cancellation too, the socket must not leak
        sock.close()
        raise
    return sock


class Acceptor:
    """Takes the connections that peers open to one address.

    Args:
        address: where to listen.
        on_accepted: gets each socket, the peer's address and port, and the listener.
        on_exhausted: told when connections must wait because this process may open no more files.

    Attributes:
        address: where it listens, with the real port once open.
    """

    def __init__(
        self, address: ListenAddress, *, on_accepted: Accepted, on_exhausted: Callable[[OSError], None]
    ) -> None:
        self.address = address
        self._on_accepted = on_accepted
        self._on_exhausted = on_exhausted
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)

    def open(self, *, backlog: int) -> None:
        """Listen, and be called by the running loop from now on.

        Raises:
            TransportError: the address cannot be used; the sentence says which and why.
        """
        sock, address = self._socket, self.address
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # start again while old connections time out
            bind(sock, address)
            sock.listen(backlog)
        except OSError as error:
            sock.close()
            raise TransportError(f"cannot listen on {address}: {error.strerror or error}") from error
        except TransportError:
            sock.close()
            raise
        self.address = ListenAddress(address.transport, address.host, sock.getsockname()[1])
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._acceptable)

    def close(self) -> None:
        """Stop listening; accepted connections stay."""
        if self._rest is not None:
            self._rest.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None
        self._socket.close()

    def _acceptable(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, source = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if self._loop is None:
                    return
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # that one peer gave up meanwhile
            self._on_accepted(sock, _host(source), source[1], self.address)

    def _pause(self, error: OSError) -> None:
        """Leave connections in the backlog for a while; polling would spin."""
        self._on_exhausted(error)
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._rest = self._loop.call_later(_REST_S, self._resume)

    def _resume(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._socket.fileno(), self._acceptable)


def _host(source: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The peer's address; a link-local one is an address only with its zone."""
    if len(source) == 4 and source[3]:
        return f"{source[0].partition('%')[0]}%{source[3]}"
    return source[0]
