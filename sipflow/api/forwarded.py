"""Who asks when a proxy stands before the API: what proxies that are trusted say, and nothing that anybody else says.

Every proxy adds to the right end of the header whom it took the request from, and leaves what stood there. So it is
read from the right, for as long as the one who wrote is trusted; what is left of that, the client may have made up.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any

from sipflow.net.acl import Networks

FORWARDED, X_FORWARDED_FOR = "forwarded", "x-forwarded-for"
_MOST_HOPS = 16  # proxies in a row; more is an attempt to keep us reading
_LONGEST = 64  # characters of one address, with brackets and port

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class BehindProxies:
    """ASGI around everything: puts the client in the place of the proxies that brought its request."""

    def __init__(self, app: App, proxies: Iterable[str], header: str = X_FORWARDED_FOR) -> None:
        """Trust some networks.

        Args:
            app: is told who asks as `client`, and `https` as `scheme` where the nearest proxy says so.
            proxies: addresses and networks.
            header: the one that they write. The other is not read: they would pass on what a client made up in it.

        Raises:
            LocalProtocolError: one of the proxies is not a network.
        """
        self._app = app
        self._proxies = Networks(proxies)
        self._header = header.encode()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Carry one request through."""
        client = scope.get("client")
        if scope["type"] == "http" and client is not None and client[0] in self._proxies:
            hops = last_hops([value for name, value in scope["headers"] if name == self._header])
            its = self._header.decode()
            host = client_of(client[0], [_host_in(hop, its) for hop in hops], self._proxies)
            if host != client[0]:
                scope["client"] = (host, 0)
            if self._scheme(scope, hops) == "https":
                scope["scheme"] = "https"
        await self._app(scope, receive, send)

    def _scheme(self, scope: Scope, hops: list[str]) -> str:
        if self._header == FORWARDED.encode():
            return _pair(hops[0], "proto").lower() if hops else ""
        said = last_hops([value for name, value in scope["headers"] if name == b"x-forwarded-proto"])
        return said[0].lower() if said else ""


def last_hops(values: list[bytes]) -> list[str]:
    """Return what the nearest proxies wrote, the nearest first; a few of them, however many there are."""
    hops: list[str] = []
    for value in reversed(values):
        hops += [each.strip() for each in reversed(value.decode("latin-1").rsplit(",", _MOST_HOPS)[-_MOST_HOPS:])]
        if len(hops) >= _MOST_HOPS:
            return hops[:_MOST_HOPS]
    return hops


def client_of(peer: str, said: list[str], proxies: Networks) -> str:
    """Return who asks: the first that is no proxy of ours, or else the farthest address that a proxy of ours named.

    Args:
        peer: who connected to us.
        said: addresses, the one that the nearest proxy wrote first; "" for what is no address.
        proxies: who is believed.
    """
    for host in said:
        if peer not in proxies or not host:
            break
        peer = host
    return peer


def _host_in(hop: str, header: str) -> str:
    """Return the address that one hop names, without its port; "" for none (`unknown`, a word, too long)."""
    text = _pair(hop, "for") if header == FORWARDED else hop
    if len(text) > _LONGEST:
        return ""
    if text.startswith("["):  # RFC 7239 §6: an IPv6 address stands in brackets
        text, closed, _ = text[1:].partition("]")
        text = text if closed else ""
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _pair(hop: str, wanted: str) -> str:
    """Return the value of a pair such as `for=192.0.2.1` or `for="[2001:db8::1]:80"` in an element (RFC 7239 §4)."""
    for pair in hop.split(";", 8):
        name, _, value = pair.partition("=")
        if name.strip().lower() == wanted:
            return value.strip().strip('"')
    return ""
