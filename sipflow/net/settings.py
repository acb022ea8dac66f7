"""What an operator can set about sockets, TLS and DNS; each with its unit and the reason for its default."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from sipflow.errors import LocalProtocolError
from sipflow.net.literal import family_of
from sipflow.sip.addressing import DEFAULT_PORTS, split_host_port
from sipflow.sip.brake import OverloadSettings
from sipflow.sip.parser import Limits

_LISTEN = re.compile(r"(udp|tcp|tls):(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?", re.ASCII)
_DNS_PORT = 53
_TLS_VERSIONS = ("1.2", "1.3")  # RFC 8996 forbids the older ones


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One socket to open.

    Attributes:
        transport: "udp", "tcp" or "tls".
        host: IP literal without brackets; 0.0.0.0 or :: for every address of that family.
        port: 0 to 65535; 0 lets the system choose.
    """

    transport: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "udp:127.0.0.1:5060", "tls:[::1]:5061" or, with the transport's own port, "tcp:0.0.0.0".

        Raises:
            LocalProtocolError: `text` is not such an address; the sentence says what it should be.
        """
        match = _LISTEN.fullmatch(text.strip())
        if match is None:
            raise LocalProtocolError(
                f"not a listen address: {text!r} "
                "(write transport:address:port, as in udp:0.0.0.0:5060 or tls:[::]:5061)"
            )
        transport, v6, other, port = match.groups()
        host = v6 or other
        if family_of(host) != (socket.AF_INET6 if v6 else socket.AF_INET):
            raise LocalProtocolError(
                f"not a listen address: {text!r}: {host} is not an IP address "
                "(0.0.0.0 is every IPv4 address of this host, [::] every IPv6 one)"
            )
        number = int(port) if port else DEFAULT_PORTS[transport]
        if number > 65535:
            raise LocalProtocolError(f"not a listen address: {text!r}: port {number} is not in 0..65535")
        return cls(transport, host, number)

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return family_of(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates, and whom we trust. Paths of PEM files.

    Attributes:
        certificate, key: our chain and its private key; every tls listener needs them.
        key_passphrase: opens `key` where it is encrypted; appears in no repr.
        ca: certificates of the authorities we trust instead of the system's; "" for the system's.
        verify: whether the far end of a connection that we open must prove its name. Without it anybody on the way
            can read the calls and take the credentials.
        minimum_version: "1.2" or "1.3" (RFC 8996 forbids older ones).
        client_certificate, client_key: what we show a server that asks; "" shows `certificate`.
        client_key_passphrase: opens `client_key` where it is encrypted; appears in no repr.
        verify_client: whether those who connect to us must show a certificate of `ca`.
    """

    certificate: str = ""
    key: str = ""
    ca: str = ""
    verify: bool = True
    minimum_version: str = "1.2"
    client_certificate: str = ""
    client_key: str = ""
    verify_client: bool = False
    key_passphrase: str = field(default="", repr=False)
    client_key_passphrase: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.minimum_version not in _TLS_VERSIONS:
            raise LocalProtocolError(
                f"tls.minimum_version is {self.minimum_version!r}; it can be 1.2 or 1.3 (RFC 8996 forbids older ones)"
            )
        if self.verify_client and not self.ca:
            raise LocalProtocolError("tls.verify_client needs tls.ca: the authority of the certificates to be shown")
        for name, certificate, key, passphrase in (
            ("", self.certificate, self.key, self.key_passphrase),
            ("client_", self.client_certificate, self.client_key, self.client_key_passphrase),
        ):
            if bool(certificate) != bool(key):
                raise LocalProtocolError(f"tls.{name}certificate and tls.{name}key belong together: set both or none")
            if passphrase and not key:
                raise LocalProtocolError(f"tls.{name}key_passphrase opens tls.{name}key: set that, too")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Limits of TCP and TLS connections.

    Attributes:
        connect_s: how long a TCP handshake may take; then the next target is tried, well before timers B and F.
        handshake_s: the same for the TLS handshake that follows.
        partial_message_s: how long a message may stay incomplete, and how long one who connects may say nothing at
            all; 64*T1, for nobody waits longer for what it belongs to.
        idle_s: a connection that a peer opened is closed after so long without an octet either way. Calls outlive it:
            their next request opens another.
        unused_s: a connection that we opened is closed after so long without a message (pings do not count), unless
            somebody wants it open. Longer than calls last, for behind NAT the peer can reach us by no other.
        pong_s: how long a peer that answers pings may take (RFC 5626 §4.4.1).
        write_buffer_bytes: a peer that leaves so much unread is dropped; also what may wait for a connection to open.
        connections_per_source: connections that one address may hold open to us; a site behind one NAT is one address.
        connections_total: the same for all addresses; never more than half of the files this process may open.
        backlog: connections the system holds until we take them.
    """

    connect_s: float = 5.0
    handshake_s: float = 5.0
    partial_message_s: float = 32.0
    idle_s: float = 600.0
    unused_s: float = 14400.0
    pong_s: float = 10.0
    write_buffer_bytes: int = 1_048_576
    connections_per_source: int = 256
    connections_total: int = 4096
    backlog: int = 512


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """How names are looked up (RFC 3263).

    Attributes:
        servers: IP addresses of DNS servers, as "10.0.0.53" or "10.0.0.53:5353"; empty for the system's.
        lookup_s: how long one question may take, repetitions included.
        total_s: how long all questions about one URI may take.
        ttl_max_s: an answer is kept as long as it says, at least 1 s and at most so long.
        negative_ttl_s: how long "no such name" and "no answer" are kept; short, for an operator who has just put
            it right waits for it.
        stale_s: how long an expired answer still serves when DNS does not answer (RFC 8767 §4).
        cache_entries: answers kept; the one asked for longest ago goes first.
    """

    servers: tuple[str, ...] = ()
    lookup_s: float = 3.0
    total_s: float = 8.0
    ttl_max_s: float = 3600.0
    negative_ttl_s: float = 5.0
    stale_s: float = 86400.0
    cache_entries: int = 4096

    def __post_init__(self) -> None:
        for text in self.servers:
            server_address(text)


def server_address(text: str) -> tuple[str, int]:
    """Read a DNS server as IP literal and port.

    Raises:
        LocalProtocolError: it is a name, for which one would have to ask a DNS server.
    """
    host, port = split_host_port(text) if text.startswith("[") or text.count(":") == 1 else (text, 0)
    if not family_of(host):
        raise LocalProtocolError(f"not a DNS server: {text!r} is not an IP address")
    return host, port or _DNS_PORT


_LOOPBACK = (ListenAddress("udp", "127.0.0.1", 5060), ListenAddress("tcp", "127.0.0.1", 5060))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about SIP sockets.

    Attributes:
        listen: sockets to open; of several that could carry a message, the first fitting one does.
        advertise: "host" or "host:port" that peers should use instead of the listening address; "" for none.
        advertise_by_transport: the same per transport; wins over `advertise`.
        tls: certificates and trust.
        streams: limits of TCP and TLS connections.
        dns: how names are looked up.
        keepalive_s: seconds between the pings of a connection that we opened, and between those that keep a UDP path
            open through NAT; NATs forget a UDP path after 30 s or more (RFC 4787 §4.3 says how much more they should).
        udp_buffer_bytes: socket buffers asked for; 4 MiB holds some 2,000 requests that come while we are busy.
        dscp: DiffServ code point of our packets, 0 to 63 (24, CS3, is usual for signalling); None leaves it alone.
        messages: what a message may measure.
        overload: when new calls are refused because what comes has to wait.
    """

    listen: tuple[ListenAddress, ...] = _LOOPBACK
    advertise: str = ""
    advertise_by_transport: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tls: TlsSettings = field(default_factory=TlsSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    keepalive_s: float = 25.0
    udp_buffer_bytes: int = 4 * 1_048_576
    dscp: int | None = None
    messages: Limits = field(default_factory=Limits)
    overload: OverloadSettings = field(default_factory=OverloadSettings)

    def __post_init__(self) -> None:
        for text in (self.advertise, *self.advertise_by_transport.values()):
            split_host_port(text)
        if any(address.transport == "tls" for address in self.listen) and not self.tls.certificate:
            raise LocalProtocolError("a tls listener needs tls.certificate and tls.key")
        if self.dscp is not None and not 0 <= self.dscp <= 63:
            raise LocalProtocolError(f"dscp {self.dscp} is not in 0..63")
        if not 1.0 <= self.keepalive_s <= 3600.0:
            raise LocalProtocolError(f"keepalive_s {self.keepalive_s} is not in 1..3600")
