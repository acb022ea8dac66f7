"""RTP port pairs: bound, lent, drained, lent again."""

import errno
import random
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from sipflow.errors import MediaError, PortsExhausted
from sipflow.media.latch import Address

RETRY_S = 30.0  # a port that another program holds is tried again after this
_RETRY_AT_ONCE_S = 0.2  # where nothing else is left they are tried at once, but not with every call of a flood
_SHARED_S = 600.0  # who found a port taken has a neighbour for so long, who needs what we do not
_CHOICE = 32  # rested pairs there must be before one is lent again: who saw the port of one call cannot tell the next
_UNUSED_S = 60.0  # what nobody needed for so long is closed; sooner, the next wave of calls would have to bind it again
_CLOSED_AT_ONCE = 8  # pairs; closing thousands after a busy hour would hold up every call
_READ_AWAY_LIMIT = 1024  # packets; a receive buffer of 208 KiB holds under 300 small ones, so more is a flood
_HEAD = struct.Struct("!HHII")  # RFC 3550 §5.1: bits, sequence number, timestamp, SSRC
_LATE = 64  # streams that are remembered; more of them are a flood
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EPERM})
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class PortPair:
    """Two bound, non-blocking UDP sockets that one stream borrows.

    Attributes:
        rtp, rtcp: the sockets; whoever borrows them stops reading before giving them back, and never closes them.
        port: the even port of `rtp`; `rtcp` has the next one (RFC 3550 §11).
        family: AF_INET or AF_INET6.
        late: the streams that came while nobody had the pair, by source and SSRC, with a sequence number of each.
    """

    __slots__ = ("_poll", "family", "late", "port", "rtcp", "rtp")

    def __init__(self, port: int, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.port = port
        self.rtp = rtp
        self.rtcp = rtcp
        self.family = rtp.family
        self.late: dict[tuple[Address, int], int] = {}
        self._poll = select.poll()
        self._poll.register(rtp, select.POLLIN)
        self._poll.register(rtcp, select.POLLIN)

    def __repr__(self) -> str:
        return f"PortPair({self.port})"

    @property
    def rtcp_port(self) -> int:
        """The odd port after `port`."""
        return self.port + 1

    def close(self) -> None:
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()

    def read_away(self) -> bool:
        """Discard what is queued on both sockets; False when packets come faster than they can be discarded."""
        self.late = {}
        try:  # nearly always nothing is: one question for both costs 1 us, two reads that raise BlockingIOError 6
            if not self._poll.poll(0):
                return True
        except OSError:
            pass  # poll(2) does not answer where the limit of open files has been set below two
        return _emptied(self.rtp, self.late) and _emptied(self.rtcp, {})


class PortCounts(NamedTuple):
    """Where the pairs of a pool are.

    Attributes:
        lent: in use by streams.
        draining: given back, resting.
        free: ready to be lent.
        taken: found held by other programs; tried again later.
    """

    lent: int
    draining: int
    free: int
    taken: int


class PortPool:
    """Lends the pairs of a port range in an order that strangers cannot guess.

    Sockets are bound when first needed and then stay bound, so that no other program takes the port and stray packets
    end in a buffer that is emptied before the next call. Those that have rested are lent again, one of many, before
    others are bound: that costs a tenth. Only what is unused beyond `idle_pairs` for a minute is closed again,
    and all but a few at once where another program has ports of the range, too.
    """

    def __init__(
        self,
        low: int,
        high: int,
        *,
        bind_host: str = "0.0.0.0",  # noqa: S104  (see Settings)
        drain_s: float = 10.0,
        idle_pairs: int = 512,
        dscp: int = 46,
        shuffle: Callable[[list[int]], None] = random.shuffle,
        choose: Callable[[int], int] = random.randrange,
    ) -> None:
        """Open nothing yet; the arguments are those of `Settings`, but for `shuffle` and `choose`: who picks ports."""
        self._low = low
        self._high = high
        self._bind_host = bind_host
        self._drain_s = drain_s
        self._idle_pairs = idle_pairs
        self._dscp = dscp
        ports = list(range(low + low % 2, high, 2))
        self._total = len(ports)
        shuffle(ports)
        self._choose = choose
        self._unbound = deque(ports)
        self._rested: list[PortPair] = []
        self._many_since = inf  # since when there are more of them than `idle_pairs`
        self._lent: dict[int, PortPair] = {}
        self._draining: deque[tuple[float, PortPair]] = deque()  # until when
        self._taken: deque[tuple[float, int]] = deque()  # tried again when
        self._retry_at = -inf
        self._shared_until = -inf
        self._closed = False

    @property
    def files_needed(self) -> int:
        """Open files when every pair is lent: what RLIMIT_NOFILE has to allow on top of everything else."""
        return 2 * self._total

    def counts(self, *, now: float) -> PortCounts:
        """Count the pairs; each of the range is in exactly one of the four."""
        self._settle(now)
        return PortCounts(len(self._lent), len(self._draining), self._free, len(self._taken))

    def tidy(self, *, now: float) -> None:
        """Free what has rested long enough, and close a few of what nobody needs."""
        if not self._closed:
            self._settle(now)

    def lend(self, *, now: float) -> PortPair:
        """Lend a pair that has rested, or was never used, with nothing queued on its sockets.

        Args:
            now: monotonic seconds.

        Raises:
            PortsExhausted: every pair is lent, draining or held by another program, or no more files may be opened.
            MediaError: `bind_host` is no address of this machine, or the pool is closed.
        """
        if self._closed:
            raise MediaError("the port pool is closed")
        self._settle(now)
        while (pair := self._next(now)) is not None:
            if pair.read_away():
                self._lent[pair.port] = pair
                return pair
            self._draining.append((now + self._drain_s, pair))  # somebody still floods it
        if (pair := self._bind_taken(now)) is not None:
            self._lent[pair.port] = pair
            return pair
        raise PortsExhausted(self._why_none())

    def _next(self, now: float) -> PortPair | None:
        """Take one of the rested pairs where there are many, else bind another; None when there is neither."""
        if len(self._rested) < _CHOICE:
            try:
                pair = self._bind_next(now)
            except PortsExhausted:
                if not self._rested:
                    raise
            else:
                if pair is not None:
                    return pair
        return self._take_rested(self._choose(len(self._rested))) if self._rested else None

    def _take_rested(self, number: int) -> PortPair:
        """Take out one of the rested pairs; their order does not matter."""
        rested = self._rested
        rested[number], rested[-1] = rested[-1], rested[number]
        return rested.pop()

    def give_back(self, pair: PortPair, *, now: float) -> None:
        """Take a pair back; it is lent again after `drain_s` at the earliest.

        Raises:
            MediaError: the pair is not lent by this pool, or was given back before.
        """
        if self._lent.get(pair.port) is not pair:
            raise MediaError(f"port {pair.port} was given back without being lent")
        del self._lent[pair.port]
        if self._closed:
            pair.close()
        else:
            self._draining.append((now + self._drain_s, pair))

    def close(self) -> None:
        """Close every socket that is not lent; those that are lent close when they are given back."""
        self._closed = True
        for pair in self._rested:
            pair.close()
        for _, pair in self._draining:
            pair.close()
        self._rested.clear()
        self._draining.clear()

    @property
    def _free(self) -> int:
        return len(self._unbound) + len(self._rested)

    def _settle(self, now: float) -> None:
        """Free what has rested long enough; close a few of what nobody needs."""
        while self._draining and self._draining[0][0] <= now:
            self._rested.append(self._draining.popleft()[1])
        self._close_unused(now)
        while self._taken and self._taken[0][0] <= now:
            self._unbound.append(self._taken.popleft()[1])

    def _close_unused(self, now: float) -> None:
        shared = now < self._shared_until
        surplus = len(self._rested) - (min(self._idle_pairs, _CHOICE) if shared else self._idle_pairs)
        if surplus <= 0:
            self._many_since = inf
            return
        self._many_since = min(self._many_since, now)
        if shared or now - self._many_since >= _UNUSED_S:
            for _ in range(min(surplus, _CLOSED_AT_ONCE)):
                pair = self._take_rested(0)
                pair.close()
                self._unbound.append(pair.port)

    def _bind_next(self, now: float) -> PortPair | None:
        """Bind the next pair of the range that is not; None when there is none that nobody else holds."""
        for _ in range(len(self._unbound)):
            port = self._unbound.popleft()
            pair = self._bind(port)
            if pair is not None:
                return pair
            self._taken.append((now + RETRY_S, port))
            self._shared_until = now + _SHARED_S
        return None

    def _bind_taken(self, now: float) -> PortPair | None:
        """Bind a pair that another program held when it was tried last, and has let go of since."""
        if now < self._retry_at:
            return None
        for _ in range(len(self._taken)):
            _, port = self._taken.popleft()
            pair = self._bind(port)
            if pair is not None:
                return pair
            self._taken.append((now + RETRY_S, port))
        self._retry_at = now + _RETRY_AT_ONCE_S
        return None

    def _bind(self, port: int) -> PortPair | None:
        """Open the two sockets of a pair; None when another program holds one of the ports."""
        opened: list[socket.socket] = []
        try:
            opened.append(_open(self._bind_host, port, self._dscp))
            opened.append(_open(self._bind_host, port + 1, self._dscp))
        except OSError as error:
            for sock in opened:
                sock.close()
            if error.errno in _TAKEN:
                return None
            self._unbound.appendleft(port)
            if error.errno in _NO_FILES:
                raise PortsExhausted(
                    f"no socket could be opened for RTP port {port} ({error.strerror}) while {len(self._lent)} pairs "
                    f"are lent; all of media.ports needs {self.files_needed} open files, so raise the limit (ulimit -n)"
                ) from error
            raise MediaError(
                f"RTP port {port} cannot be bound to {self._bind_host}: {error.strerror or error}; "
                "media.bind_host must be an address of this machine"
            ) from error
        return PortPair(port, *opened)

    def _why_none(self) -> str:
        return (
            f"no RTP port is free in {self._low}-{self._high}: {len(self._lent)} of {self._total} pairs are lent, "
            f"{len(self._draining)} rest for {self._drain_s:g} s after use, {len(self._taken)} are held by other "
            "programs; widen media.ports, and let no other program use the same range"
        )


def _open(host: str, port: int, dscp: int) -> socket.socket:
    """Bind a non-blocking UDP socket.

    Raises:
        OSError: the port is taken, the address is not ours, or no file is left.
    """
    ipv6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _emptied(sock: socket.socket, late: dict[tuple[Address, int], int]) -> bool:
    """Discard the packets queued on a socket, noting whose they were; False when they do not end."""
    for _ in range(_READ_AWAY_LIMIT):
        try:
            head, source = sock.recvfrom(_HEAD.size)  # the rest of a datagram goes with it
            if len(head) == _HEAD.size and len(late) < _LATE:
                _, sequence, _, ssrc = _HEAD.unpack(head)
                late[source[:2], ssrc] = sequence
        except BlockingIOError:
            return True
        except OSError:
            continue  # an ICMP error that was queued; reading it took it away
    return False
