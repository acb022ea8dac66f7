"""Which trunks an IP address belongs to: an index of networks and addresses that answers in one look-up."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from sipflow.trunks.trunk import Trunk

_CACHED_HOSTS = 8192  # a trunk has a handful of sources; a flood from forged ones must not fill the memory
_ALL_BITS = 128

_Address = tuple[int, int]  # IP version, and the address as a number


class Source(NamedTuple):
    """One reason why an address belongs to a trunk.

    Attributes:
        trunk: the trunk.
        bits: how narrow the reason is: 128 for one address, one less for each bit left open.
        why: one sentence.
    """

    trunk: Trunk
    bits: int
    why: str


class Found(NamedTuple):
    """The trunks that one address belongs to.

    Attributes:
        by_name: one reason for each, the narrowest first.
        regions: the countries of their national numbers, each once.
    """

    by_name: dict[str, Source]
    regions: tuple[str | None, ...]


_Heads = dict[int, dict[int, list[Source]]]  # bits behind the mask -> bits before it -> sources
_NOBODY = Found({}, ())


class Sources:
    """Finds the trunks an address belongs to."""

    __slots__ = ("_cache", "_hosts", "_networks")

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        """Index the networks that trunks accept calls from; addresses come by `add`."""
        self._hosts: dict[_Address, list[Source]] = {}
        self._networks: dict[int, _Heads] = {4: {}, 6: {}}
        self._cache: dict[str, Found] = {}
        for trunk in trunks:
            self._add_networks(trunk)

    def add(self, trunk: Trunk, host: str) -> None:
        """Let an address of a trunk's far end in; what is no IP address is ignored."""
        address = _address(host)
        if address is None:
            return
        self._cache.clear()
        why = f"{host} is an address of trunk {trunk.name}'s far end"
        self._hosts.setdefault(address, []).append(Source(trunk, _ALL_BITS, why))

    def discard(self, trunk: Trunk, host: str) -> None:
        """Take an address back that `add` let in."""
        address = _address(host)
        if address is None or address not in self._hosts:
            return
        self._cache.clear()
        left = [source for source in self._hosts[address] if source.trunk.name != trunk.name]
        if left:
            self._hosts[address] = left
        else:
            del self._hosts[address]

    def of(self, host: str) -> Found:
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
            head = int(network.network_address) >> shift
            source = Source(trunk, _ALL_BITS - shift, f"it came from {text}, which trunk {trunk.name} accepts")
            self._networks[network.version].setdefault(shift, {}).setdefault(head, []).append(source)

    def _look(self, host: str) -> Found:
        address = _address(host)
        if address is None:
            return _NOBODY
        found = list(self._hosts.get(address, ()))
        version, number = address
        for shift, heads in sorted(self._networks[version].items()):
            found += heads.get(number >> shift, ())
        if not found:
            return _NOBODY
        by_name: dict[str, Source] = {}
        for source in found:  # narrowest first
            by_name.setdefault(source.trunk.name, source)
        regions = dict.fromkeys(source.trunk.region for source in by_name.values())
        return Found(by_name, tuple(regions))


def _address(host: str) -> _Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address  # the same peer, on a socket for both families (RFC 4291 §2.5.5.2)
    return address.version, int(address)
