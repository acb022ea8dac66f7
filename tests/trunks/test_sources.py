import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from sipflow.net.acl import Networks
from sipflow.trunks.sources import Source, Sources
from sipflow.trunks.trunk import Trunk


def carrier(name: str, *networks: str) -> Trunk:
    return Trunk(name, sip_domain=f"{name}.example.com", accept_from=Networks(networks))


def names(sources: Sources, host: str) -> list[tuple[str, int]]:
    return [(source.trunk.name, source.bits) for source in sources.of(host).by_name.values()]


def test_an_address_belongs_to_every_trunk_that_accepts_it_the_narrowest_reason_first() -> None:
    sources = Sources(
        [
            carrier("wide", "0.0.0.0/0", "::/0"),
            carrier("net", "10.0.0.0/8", "10.1.0.0/16"),
            carrier("host", "10.1.2.3", "2001:db8::/32"),
        ]
    )

    assert names(sources, "10.1.2.3") == [("host", 128), ("net", 112), ("wide", 96)]
    assert names(sources, "10.9.9.9") == [("net", 104), ("wide", 96)]
    assert names(sources, "192.0.2.1") == [("wide", 96)]
    assert names(sources, "2001:db8::7") == [("host", 32), ("wide", 0)]
    assert names(sources, "not an address") == []


def test_both_spellings_of_an_ipv4_address_are_one() -> None:
    sources = Sources([carrier("net", "10.0.0.0/8")])

    assert names(sources, "::ffff:10.0.0.1") == names(sources, "10.0.0.1") == [("net", 104)]


def test_a_zone_does_not_count() -> None:
    assert names(Sources([carrier("lan", "fe80::/10")]), "fe80::1%eth0") == [("lan", 10)]


def test_addresses_come_and_go() -> None:
    a, b = carrier("a"), carrier("b", "10.0.0.0/8")
    sources = Sources([a, b])
    assert names(sources, "10.0.0.5") == [("b", 104)]

    sources.add(a, "10.0.0.5")
    sources.add(b, "10.0.0.5")
    sources.add(a, "pbx.example.com")
    assert names(sources, "10.0.0.5") == [("a", 128), ("b", 128)]
    assert sources.of("10.0.0.5").by_name["a"] == Source(a, 128, "10.0.0.5 is an address of trunk a's far end")

    sources.discard(a, "10.0.0.5")
    sources.discard(a, "10.0.0.6")
    sources.discard(b, "10.0.0.5")
    assert names(sources, "10.0.0.5") == [("b", 104)]


def test_a_flood_of_forged_sources_does_not_fill_the_memory() -> None:
    sources = Sources([carrier("net", "10.0.0.0/8")])

    for number in range(20_000):
        sources.of(str(ipaddress.IPv4Address(number)))

    assert len(sources._cache) <= 8192


@given(st.ip_addresses(), st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), max_size=8))
def test_the_index_agrees_with_networks(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address,
    given_networks: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]],
) -> None:
    texts = [
        str(ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False))
        for address, bits in given_networks
    ]
    trunks = [carrier(f"t{number}", text) for number, text in enumerate(texts)]

    sources = Sources(trunks)

    for each in (host, *[address for address, _ in given_networks]):
        found = set(sources.of(str(each)).by_name)
        assert found == {trunk.name for trunk in trunks if str(each) in trunk.accept_from}
