"""What we call ourselves in Via, Contact and Record-Route: bound, advertised and per-trunk addresses apart."""

import re
from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.via import Via
from sipflow.sip.hop import Hop

_PORT = re.compile(r"[0-9]{1,5}")
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}  # RFC 3261 §19.1.2


def split_host_port(text: str) -> tuple[str, int]:
    """Split `host`, `host:port`, `[v6]` or `[v6]:port`; the port is 0 when there is none. IPv6 may lack its brackets.

    Raises:
        LocalProtocolError: brackets are not closed, or the port is not a number from 1 to 65535.
    """
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        sign, port = rest[:1], rest[1:]
        if not closed or sign not in ("", ":"):
            raise LocalProtocolError(f"not host or host:port: {text!r}")
    elif text.count(":") == 1:
        host, sign, port = text.partition(":")
    else:
        host, sign, port = text, "", ""
    if not sign:
        return host, 0
    if not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise LocalProtocolError(f"not host or host:port: {text!r}")
    return host, int(port)


def join_host_port(host: str, port: int) -> str:
    """Write `host:port`, with brackets around an IPv6 literal and no port when it is 0."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{port}" if port else bracketed


@dataclass(frozen=True, slots=True)
class Addressing:
    """Chooses the host and port by which peers reach us.

    Attributes:
        advertise: "host" or "host:port" for all transports, or "" for the address a message really uses.
        by_transport: the same per transport; it wins over `advertise`.
    """

    advertise: str = ""
    by_transport: dict[str, str] = field(default_factory=dict)

    def own(self, hop: Hop, override: str = "") -> tuple[str, int]:
        """Host and port of ours for a message on `hop`; `override` is a trunk's own advertised address.

        The port is the listening socket's: a peer that answers to the Via must reach a socket of ours
        (RFC 3261 §18.1.1).
        """
        chosen = override or self.by_transport.get(hop.transport, "") or self.advertise
        host, port = split_host_port(chosen) if chosen else (hop.local_host, 0)
        return host or hop.local_host, port or hop.local_port

    def via(self, hop: Hop, branch: str, override: str = "") -> Via:
        """Make our Via, with rport asked for (RFC 3581 §3)."""
        host, port = self.own(hop, override)
        return Via(hop.transport.upper(), host, port or None, (("branch", branch), ("rport", None)))

    def contact_uri(
        self,
        hop: Hop,
        user: str = "",
        params: tuple[tuple[str, str | None], ...] = (),
        override: str = "",
        *,
        secure: bool = False,
    ) -> str:
        """Write the URI at which the peer reaches us for the rest of the dialog (RFC 3261 §8.1.1.8).

        Args:
            hop: what the message uses.
            user: user part, escaped.
            params: URI parameters.
            override: a trunk's own advertised address.
            secure: whether the dialog is one of SIPS URIs, and ours must be one too (§8.1.1.8, §12.1.1).
        """
        host, port = self.own(hop, override)
        scheme = "sips" if secure else "sip"
        text = f"{scheme}:{user}@" if user else f"{scheme}:"
        text += join_host_port(host, port)
        if hop.transport != "udp" and not secure:
            text += f";transport={hop.transport}"
        for name, value in params:
            text += f";{name}" if value is None else f";{name}={value}"
        return text
