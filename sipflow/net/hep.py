"""SIP messages for a Homer collector: HEP version 3. Pure but for the socket of `HepTracer`.

The format: https://github.com/sipcapture/HEP (HEP3 rev. 36): `HEP3`, total length, then chunks of vendor, type, length
and value, all in network order.
"""

import socket
import struct
import time
from collections.abc import Callable

from sipflow.net.ring import call_id_of
from sipflow.net.trace import masked
from sipflow.sip.hop import Hop

_FAMILY, _PROTOCOL, _SOURCE4, _TARGET4, _SOURCE6, _TARGET6 = 1, 2, 3, 4, 5, 6
_SOURCE_PORT, _TARGET_PORT, _SECONDS, _MICROSECONDS, _KIND, _AGENT = 7, 8, 9, 10, 11, 12
_KEY, _PAYLOAD, _CORRELATION = 14, 15, 17
_SIP = 1
_IPV4, _IPV6 = 2, 10  # Linux's numbers, whatever this system has
_IP_PROTOCOLS = {"udp": 17, "tcp": 6, "tls": 6}


def write_hep(
    data: bytes, hop: Hop, *, sent: bool, at: float, agent_id: int, key: str = "", correlation: str = ""
) -> bytes:
    """Write one message as a HEP3 packet.

    Args:
        data: the SIP message.
        hop: far and near end.
        sent: whether we sent it.
        at: seconds since 1970.
        agent_id: number of this sipflow among all that report to the collector.
        key: the collector's password, "" for none.
        correlation: what messages of one call have in common.
    """
    near = (hop.local_host or ("::" if ":" in hop.host else "0.0.0.0"), hop.local_port)  # noqa: S104
    far = (hop.host, hop.port)
    source, target = (near, far) if sent else (far, near)
    ipv6 = ":" in source[0] or ":" in target[0]
    kinds = (_SOURCE6, _TARGET6) if ipv6 else (_SOURCE4, _TARGET4)
    chunks = [
        _chunk(_FAMILY, bytes([_IPV6 if ipv6 else _IPV4])),
        _chunk(_PROTOCOL, bytes([_IP_PROTOCOLS.get(hop.transport, 17)])),
        _chunk(kinds[0], _packed(source[0], ipv6)),
        _chunk(kinds[1], _packed(target[0], ipv6)),
        _chunk(_SOURCE_PORT, struct.pack("!H", source[1])),
        _chunk(_TARGET_PORT, struct.pack("!H", target[1])),
        _chunk(_SECONDS, struct.pack("!I", int(at))),
        _chunk(_MICROSECONDS, struct.pack("!I", int(at % 1 * 1_000_000))),
        _chunk(_KIND, bytes([_SIP])),
        _chunk(_AGENT, struct.pack("!I", agent_id)),
    ]
    if key:
        chunks.append(_chunk(_KEY, key.encode()))
    if correlation:
        chunks.append(_chunk(_CORRELATION, correlation.encode("latin-1", "replace")))
    chunks.append(_chunk(_PAYLOAD, data[: 65_535 - 512]))
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


class HepTracer:
    """A `Tracer` that sends every message to a collector by UDP, secrets masked; what cannot be sent is counted.

    Attributes:
        sent_packets, failed: how many went out, and how many could not.
    """

    def __init__(
        self, collector: tuple[str, int], *, agent_id: int = 1, key: str = "", wall: Callable[[], float] = time.time
    ) -> None:
        """Open a socket.

        Args:
            collector: IP literal and port, most often 9060.
            agent_id, key: as `write_hep` has them.
            wall: seconds since 1970.
        """
        family = socket.AF_INET6 if ":" in collector[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._collector = collector
        self._agent_id = agent_id
        self._key = key
        self._wall = wall
        self.sent_packets = self.failed = 0

    def sent(self, data: bytes, hop: Hop) -> None:
        """Report a message given to the network."""
        self._report(data, hop, sent=True)

    def received(self, data: bytes, hop: Hop) -> None:
        """Report a message that came from the network."""
        self._report(data, hop, sent=False)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _report(self, data: bytes, hop: Hop, *, sent: bool) -> None:
        packet = write_hep(
            masked(data),
            hop,
            sent=sent,
            at=self._wall(),
            agent_id=self._agent_id,
            key=self._key,
            correlation=call_id_of(data),
        )
        try:
            self._socket.sendto(packet, self._collector)
        except OSError:  # no collector there, or no room: tracing must not disturb what is traced
            self.failed += 1
        else:
            self.sent_packets += 1


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value


def _packed(host: str, ipv6: bool) -> bytes:
    name = host.partition("%")[0]
    try:
        if not ipv6:
            return socket.inet_pton(socket.AF_INET, name)
        return socket.inet_pton(socket.AF_INET6, name if ":" in name else f"::ffff:{name}")
    except OSError:
        return bytes(16 if ipv6 else 4)
