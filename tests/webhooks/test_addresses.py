from collections.abc import Sequence

import pytest

from sipflow.errors import LocalProtocolError, TransportError
from sipflow.net.acl import Networks
from sipflow.net.settings import DnsSettings
from sipflow.webhooks.addresses import Endpoint, Guard, endpoint_of, resolver_with, resolving

NAMES = {
    "hooks.example.com": ["203.0.114.10", "2606:4700::10"],
    "intranet.example.com": ["10.0.0.5"],
    "half.example.com": ["192.168.1.5", "203.0.114.10"],
    "metadata.example.com": ["169.254.169.254"],
    "nonsense.example.com": ["not an address"],
    "empty.example.com": [],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    if host not in NAMES:
        raise TransportError(f"no address for {host}: DNS says the name does not exist")
    return NAMES[host]


def guard(*allowed: str, allow_http: bool = False) -> Guard:
    return Guard(allowed=Networks(allowed), allow_http=allow_http, resolve=resolve)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "168.63.129.16",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.0.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::10.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:0:10.0.0.1",
        "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::",
        "2002:7f00:1::1", "3fff::1", "4000::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
        "ff02::1",
    ],
)  # fmt: skip
async def test_addresses_that_are_not_on_the_internet_are_refused_in_every_form(address: str) -> None:
    with pytest.raises(TransportError) as refused:
        await guard().addresses(address, 443)

    assert refused.value.final
    assert str(refused.value).startswith(f"{address} is ")
    assert str(refused.value).endswith(": webhooks may not reach it (webhooks.allow_networks allows networks)")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "203.0.114.10", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
async def test_addresses_on_the_internet_are_reached(address: str) -> None:
    assert await guard().addresses(address, 443) == [address]


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::"])
async def test_an_allowed_network_is_reached_in_every_form_and_no_other(address: str) -> None:
    allowing = guard("10.0.0.0/8")

    assert await allowing.addresses(address, 443) == [address]
    with pytest.raises(TransportError):
        await allowing.addresses("192.168.0.1", 443)


async def test_only_checked_addresses_of_a_name_are_handed_on() -> None:
    assert await guard().addresses("hooks.example.com", 443) == ["203.0.114.10", "2606:4700::10"]
    assert await guard().addresses("half.example.com", 443) == ["203.0.114.10"]


@pytest.mark.parametrize(
    ("host", "final", "why"),
    [
        ("intranet.example.com", True, "intranet.example.com is 10.0.0.5, which is private: webhooks may not reach it"),
        ("metadata.example.com", True, "metadata.example.com is 169.254.169.254, which is link-local, where clouds"),
        ("nonsense.example.com", False, "no address for nonsense.example.com"),
        ("empty.example.com", False, "no address for empty.example.com"),
        ("nobody.example.com", False, "no address for nobody.example.com: DNS says the name does not exist"),
    ],
)
async def test_a_name_without_an_address_that_may_be_reached_is_refused(host: str, final: bool, why: str) -> None:
    with pytest.raises(TransportError) as refused:
        await guard().addresses(host, 443)

    assert (refused.value.final, str(refused.value)[: len(why)]) == (final, why)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://Hooks.Example.com./a?b=c", "https://hooks.example.com:443"),
        ("HTTP://hooks.example.com:8080", "http://hooks.example.com:8080"),
        ("https://[2606:4700::1]:444/x", "https://[2606:4700::1]:444"),
    ],
)
def test_a_url_leads_to_scheme_host_and_port(url: str, endpoint: str) -> None:
    assert str(endpoint_of(url)) == endpoint


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://hooks.example.com/", "the URL must begin with https:// or http://"),
        ("file:///etc/passwd", "the URL must begin with https:// or http://"),
        ("https:///path", "the URL names no host"),
        ("https://user:word@hooks.example.com/", "the URL must not hold a user and password"),
        ("https://hooks.example.com\\@10.0.0.1/", "the URL must not hold a user and password"),
        ("https://hooks.example.com\\.evil/", "the host of the URL cannot be read"),
        ("https://[fe80::1%25eth0]/", "the host of the URL cannot be read"),
        ("https://hooks.example.com:99999/", "the URL cannot be read"),
        ("https://hooks.example.com:0/", "the URL's port is 0"),
        ("https://[::1/", "the URL cannot be read"),
        ("https://hooks.example.com/a b", "the URL has spaces, control or non-ASCII characters"),
        ("https://hooks.example.com/\r\nX: y", "the URL has spaces, control or non-ASCII characters"),
        ("https://bücher.example/", "the URL has spaces, control or non-ASCII characters"),
        ("https://hooks.example.com/" + 2000 * "a", "the URL is longer than 2000 characters"),
        ("https://" + 300 * "a" + "/", "the host of the URL is longer than 253 characters"),
    ],
)
def test_urls_that_cannot_be_asked_are_refused_in_words(url: str, why: str) -> None:
    with pytest.raises(LocalProtocolError, match="^" + why.replace("(", r"\(")):
        endpoint_of(url)


def test_plain_http_must_be_allowed() -> None:
    url = "http://hooks.example.com/"

    with pytest.raises(LocalProtocolError, match=r"must begin with https:// \(webhooks.allow_http allows http://\)"):
        guard().check(url)
    assert guard(allow_http=True).check(url) == Endpoint("http", "hooks.example.com", 80)


def test_a_private_literal_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(LocalProtocolError, match=r"^10.0.0.5 is private"):
        guard().check("https://10.0.0.5/")


async def test_names_are_resolved_as_those_of_sip() -> None:
    resolver = resolver_with(DnsSettings())

    assert await resolving(resolver)("localhost", 443) == ["127.0.0.1", "::1"]
    with pytest.raises(TransportError):
        await Guard(allowed=Networks(), allow_http=False, resolve=resolving(resolver)).addresses("localhost", 443)
    await resolver.close()
