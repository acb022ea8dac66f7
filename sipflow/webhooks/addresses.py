"""Which addresses webhooks may reach: whoever may write a URL must not be able to make us ask our own network.

The name in a URL is resolved here, every address is checked, and the connection goes to an address that was checked:
a name that changes its answer between the check and the connection (DNS rebinding) gains nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from sipflow.errors import LocalProtocolError, TransportError
from sipflow.net.acl import Networks
from sipflow.net.resolver import Resolver
from sipflow.net.settings import DnsSettings, ListenAddress, Settings
from sipflow.sip.uri import SipUri

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # name and port to addresses; raises TransportError
Address = IPv4Address | IPv6Address

LONGEST_URL = 2000
_LONGEST_NAME = 253  # RFC 1035 §2.3.4, as text
_PORTS = {"http": 80, "https": 443}

# The special-purpose registries of IANA (RFC 6890), and what clouds put elsewhere.
_SPECIAL: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::1/128", "loopback"),
        ("::/128", "this host"),
        ("2001::/23", "reserved, Teredo among it"),
        ("2001:db8::/32", "for documentation"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4: all that is routed on the internet lies in here
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 §2.5.5.1
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765 §2.1
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


class Endpoint(NamedTuple):
    """Where a URL leads: what is resolved and connected to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def endpoint_of(url: str) -> Endpoint:
    """Read where a URL leads.

    Raises:
        LocalProtocolError: it is no http or https URL, or one that we do not ask; the sentence never quotes it.
    """
    if len(url) > LONGEST_URL:
        raise LocalProtocolError(f"the URL is longer than {LONGEST_URL} characters")
    if not url.isascii() or any(not character.isprintable() or character == " " for character in url):
        raise LocalProtocolError("the URL has spaces, control or non-ASCII characters; they must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise LocalProtocolError("the URL cannot be read") from None
    _check_parts(parts)
    host = (parts.hostname or "").removesuffix(".")
    if len(host) > _LONGEST_NAME:
        raise LocalProtocolError(f"the host of the URL is longer than {_LONGEST_NAME} characters")
    return Endpoint(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme not in _PORTS:
        raise LocalProtocolError("the URL must begin with https:// or http://")
    if not parts.hostname:
        raise LocalProtocolError("the URL names no host")
    if "@" in parts.netloc:
        raise LocalProtocolError("the URL must not hold a user and password: requests are signed instead")
    if "\\" in parts.netloc or "%" in parts.netloc:
        raise LocalProtocolError("the host of the URL cannot be read")
    if parts.port == 0:
        raise LocalProtocolError("the URL's port is 0")


class Guard:
    """Says what webhooks may reach.

    Args:
        allowed: networks that they may reach although they are private.
        allow_http: whether `http://` will do.
        resolve: finds the addresses of a name.
    """

    def __init__(self, *, allowed: Networks, allow_http: bool, resolve: Resolve) -> None:
        self._allowed = allowed
        self._allow_http = allow_http
        self._resolve = resolve

    def check(self, url: str) -> Endpoint:
        """Look at a URL without asking DNS: what can be told of it when it is configured.

        Raises:
            LocalProtocolError: it cannot be used; the sentence says why.
        """
        endpoint = endpoint_of(url)
        if endpoint.scheme == "http" and not self._allow_http:
            raise LocalProtocolError("the URL must begin with https:// (webhooks.allow_http allows http://)")
        literal = _read(endpoint.host)
        if literal is not None and (why := self.refusal(literal)):
            raise LocalProtocolError(f"{endpoint.host} {why}")
        return endpoint

    async def addresses(self, host: str, port: int) -> list[str]:
        """Find the addresses of a host that may be connected to, in order.

        Raises:
            TransportError: it has none, or none that webhooks may reach (`final`).
        """
        found = [host] if _read(host) is not None else await self._resolve(host, port)
        refused = ""
        good = []
        for text in dict.fromkeys(found):
            address = _read(text)
            if address is None:
                continue
            why = self.refusal(address)
            if why:
                refused = refused or (f"{host} {why}" if text == host else f"{host} is {text}, which {why}")
            else:
                good.append(text)
        if not good:
            raise TransportError(refused or f"no address for {host}", final=bool(refused))
        return good

    def refusal(self, address: Address) -> str:
        """Say why an address may not be reached, to follow its name; "" if it may."""
        inside = _inside(address)
        if str(address) in self._allowed or (inside is not None and str(inside) in self._allowed):
            return ""
        what = _special(address) or (_special(inside) if inside is not None else "")
        return f"is {what}: webhooks may not reach it (webhooks.allow_networks allows networks)" if what else ""


def _read(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _inside(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for, whatever translates it on the way."""
    if isinstance(address, IPv4Address):
        return None
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _COMPATIBLE and int(address) > 1:
        return last
    if address.ipv4_mapped is not None or address in _TRANSLATED or address in _NAT64:
        return last
    return address.sixtofour


def _special(address: Address) -> str:
    """Say what an address is for, "" for one on the internet."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "link-local"
        if address not in _UNICAST and _inside(address) is None and not any(address in net for net, _ in _SPECIAL):
            return "not on the internet"
        if address in _COMPATIBLE and int(address) > 1:
            return "a form of IPv4 address that is out of use"
    return next((what for network, what in _SPECIAL if address in network), "")


def resolver_with(dns: DnsSettings) -> Resolver:
    """Make a resolver for both IP versions, whichever SIP listens on."""
    either = ListenAddress("tcp", "0.0.0.0", 0), ListenAddress("tcp", "::", 0)  # noqa: S104  (nothing listens)
    return Resolver(Settings(listen=either, dns=dns))


def resolving(resolver: Resolver) -> Resolve:
    """Resolve names as SIP's are: by the hosts file and DNS, remembered for as long as their zone says."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        hops = await resolver.resolve(SipUri("sip", None, None, host, port, (("transport", "tcp"),)))
        return [hop.host for hop in hops]

    return resolve
