import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.0.0.0", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("::1", True),
        ("::2", False),
        ("2001:db8:1::9", True),
        ("2001:DB8:1:0::9", True),
        ("2001:db8:2::9", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8:1::9%eth0", True),
        ("pbx.example.com", False),
        ("", False),
        ("10.0.0.1\0", False),
    ],
)
def test_an_address_is_inside_or_outside(host: str, inside: bool) -> None:
    networks = Networks(["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8:1::/48"])

    assert [host in networks, host in networks] == [inside, inside]


def test_no_networks_are_nobody() -> None:
    assert (bool(Networks()), "127.0.0.1" in Networks(), str(Networks())) == (False, False, "nobody")


def test_all_networks_are_everybody() -> None:
    everybody = Networks(["0.0.0.0/0", "::/0"])

    assert ("203.0.113.7" in everybody, "2001:db8::7" in everybody) == (True, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "pbx.example.com",
            "not a network: 'pbx.example.com' (write an address or a network, as in 192.0.2.1 or 10.0.0.0/8; "
            "a host name can change its address and cannot be trusted here)",
        ),
        (
            "10.1.2.3/8",
            "not a network: '10.1.2.3/8' has bits set behind its mask; did you mean 10.0.0.0/8?",
        ),
    ],
)
def test_what_is_no_network_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Networks([text])

    assert str(caught.value) == why


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.0/-1", "300.1.1.1", "1", "::/129", "10.0.0.0/٨"])
def test_nonsense_is_no_network(text: str) -> None:
    with pytest.raises(LocalProtocolError, match="not a network"):
        Networks([text])


def test_a_flood_of_sources_does_not_fill_the_memory() -> None:
    networks = Networks(["10.0.0.0/8"])

    assert all(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" in networks for n in range(20_000))
    assert len(networks._cache) <= 8192


def test_equal_networks_are_equal_in_any_order() -> None:
    one, other = Networks(["10.0.0.0/8", "::1"]), Networks([" ::1/128", "10.0.0.0/8"])

    assert (one == other, hash(one) == hash(other), one == Networks(["::1"])) == (True, True, False)
    assert str(one) == "10.0.0.0/8, ::1/128"
