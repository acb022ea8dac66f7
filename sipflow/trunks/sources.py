"""Which trunks an IP address belongs to: an index of networks and addresses that answers in one look-up."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from sipflow.trunks.trunk import Trunk

_CACHED_HOSTS = 8192  # a trunk has a handful of sources; a flood from forged ones must not fill the memory
_ALL_BITS = 128


class Source(NamedTuple):
    """One reason why an address belongs to a trunk.

    Attributes:
        trunk: the trunk.
        bits: how narrow the reason is: prefix length for IPv6 and, as if mapped into it, for IPv4.
        why: one sentence.
    """

    trunk: Trunk
    bits: int
    why: str


class Sources:
    """Finds the trunks an address belongs to, the narrowest reason first, one reason for each trunk."""

    __slots__ = ("_cache", "_hosts", "_networks")

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        """Index the networks that trunks accept calls from; addresses come by `add`."""
        self._hosts: dict[int, list[Source]] = {}
        self._networks: dict[int, dict[int, list[Source]]] = {}
        self._cache: dict[str, tuple[Source, ...]] = {}
        for trunk in trunks:
            self._add_networks(trunk)

    def add(self, trunk: Trunk, host: str) -> None:
        """Let an address of a trunk's far end in; what is no IP address is ignored."""
        number = _number(host)
        if number is None:
            return
        self._cache.clear()
        why = f"{host} is an address of trunk {trunk.name}'s far end"
        self._hosts.setdefault(number, []).append(Source(trunk, _ALL_BITS, why))

    def discard(self, trunk: Trunk, host: str) -> None:
        """Take an address back that `add` let in."""
        number = _number(host)
        if number is None or number not in self._hosts:
            return
        self._cache.clear()
        left = [source for source in self._hosts[number] if source.trunk.name != trunk.name]
        if left:
            self._hosts[number] = left
        else:
            del self._hosts[number]

    def of(self, host: str) -> tuple[Source, ...]:
        """Find the trunks that `host` belongs to."""
        found = self._cache.get(host)
        if found is None:
            found = self._look(host)
            if len(self._cache) >= _CACHED_HOSTS:
                self._cache.clear()
            self._cache[host] = found
        return found

    def _add_networks(self, trunk: Trunk) -> None:
        if not trunk.accept_from:
            return
        for text in str(trunk.accept_from).split(", "):
            network = ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            head = _mapped(network.network_address) >> shift
            source = Source(trunk, _ALL_BITS - shift, f"it came from {text}, which trunk {trunk.name} accepts")
            self._networks.setdefault(shift, {}).setdefault(head, []).append(source)

    def _look(self, host: str) -> tuple[Source, ...]:
        number = _number(host)
        if number is None:
            return ()
        found = list(self._hosts.get(number, ()))
        for shift in sorted(self._networks):
            found += self._networks[shift].get(number >> shift, ())
        by_trunk: dict[str, Source] = {}
        for source in found:  # narrowest first
            by_trunk.setdefault(source.trunk.name, source)
        return tuple(by_trunk.values())


def _number(host: str) -> int | None:
    try:
        return _mapped(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _mapped(address: IPv4Address | IPv6Address) -> int:
    """One number space for both families: IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), which is the same peer."""
    return int(address) | 0xFFFF_0000_0000 if isinstance(address, IPv4Address) else int(address)
