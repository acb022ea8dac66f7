"""Sets of networks, asked once per message whether an address is among them."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sipflow.errors import LocalProtocolError

_CACHED_ADDRESSES = 8192  # a trunk has a handful of sources; a flood with forged ones must not fill the memory


class Networks:
    """Networks and addresses, IPv4 and IPv6, in no order.

    `"192.0.2.1" in networks` costs one dictionary look-up once the address has been seen.
    """

    __slots__ = ("_cache", "_masks", "_texts")

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Read networks as `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`.

        Raises:
            LocalProtocolError: one is not a network: a host name, or bits set behind the mask.
        """
        parsed = [_read(text) for text in networks]
        by_mask: dict[tuple[int, int], set[int]] = {}
        for network in parsed:
            shift = network.max_prefixlen - network.prefixlen
            by_mask.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        self._masks = [(version, shift, frozenset(heads)) for (version, shift), heads in by_mask.items()]
        self._texts = tuple(str(network) for network in parsed)
        self._cache: dict[str, bool] = {}

    def __contains__(self, host: str) -> bool:
        found = self._cache.get(host)
        if found is None:
            found = self._look(host)
            if len(self._cache) >= _CACHED_ADDRESSES:
                self._cache.clear()
            self._cache[host] = found
        return found

    def __bool__(self) -> bool:
        return bool(self._masks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and set(self._texts) == set(other._texts)

    def __hash__(self) -> int:
        return hash(frozenset(self._texts))

    def __str__(self) -> str:
        return ", ".join(self._texts) or "nobody"

    def _look(self, host: str) -> bool:
        address = _address(host)
        if address is None:
            return False
        number = int(address)
        return any(version == address.version and number >> shift in heads for version, shift, heads in self._masks)


def _read(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        pass
    try:
        meant = ip_network(text.strip(), strict=False)
    except ValueError:
        raise LocalProtocolError(
            f"not a network: {text!r} (write an address or a network, as in 192.0.2.1 or 10.0.0.0/8; "
            "a host name can change its address and cannot be trusted here)"
        ) from None
    raise LocalProtocolError(f"not a network: {text!r} has bits set behind its mask; did you mean {meant}?")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # An IPv4 peer on a socket for both families is the same peer (RFC 4291 §2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
