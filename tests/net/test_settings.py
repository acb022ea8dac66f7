from types import MappingProxyType
from typing import Any

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.settings import DnsSettings, ListenAddress, Settings, TlsSettings, server_address


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("udp:127.0.0.1:5060", ListenAddress("udp", "127.0.0.1", 5060), "udp:127.0.0.1:5060"),
        ("tls:[::1]:5061", ListenAddress("tls", "::1", 5061), "tls:[::1]:5061"),
        ("tcp:0.0.0.0", ListenAddress("tcp", "0.0.0.0", 5060), "tcp:0.0.0.0:5060"),
        ("tls:[::]", ListenAddress("tls", "::", 5061), "tls:[::]:5061"),
        (" udp:127.0.0.1:0 ", ListenAddress("udp", "127.0.0.1", 0), "udp:127.0.0.1:0"),
    ],
)
def test_a_listen_address_is_read_and_written(text: str, address: ListenAddress, written: str) -> None:
    assert (ListenAddress.parse(text), str(address)) == (address, written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5060",
        "127.0.0.1:5060",
        "sctp:127.0.0.1:5060",
        "UDP:127.0.0.1:5060",
        "udp:pbx.example.com:5060",
        "udp:::1:5060",
        "udp:[127.0.0.1]:5060",
        "udp:127.0.0.1:65536",
        "udp:127.0.0.1:99999999999",
        "udp:127.0.0.1:-1",
        "udp:127.0.0.1:+5060",
        "udp:127.0.0.1:5_060",
        "udp:127.0.0.1:٥٠٦٠",
        "udp:127.0.0.1:5060:5061",
    ],
)
def test_what_is_no_listen_address_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^not a listen address: "):
        ListenAddress.parse(text)


def test_a_name_to_listen_on_is_refused_with_the_remedy() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ListenAddress.parse("udp:pbx.example.com:5060")

    assert str(caught.value) == (
        "not a listen address: 'udp:pbx.example.com:5060': pbx.example.com is not an IP address "
        "(0.0.0.0 is every IPv4 address of this host, [::] every IPv6 one)"
    )


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        ({"verify_client": True}, "tls.verify_client needs tls.ca: the authority of the certificates to be shown"),
        (
            {"minimum_version": "1.1"},
            "tls.minimum_version is '1.1'; it can be 1.2 or 1.3 (RFC 8996 forbids older ones)",
        ),
        ({"certificate": "a.pem"}, "tls.certificate and tls.key belong together: set both or none"),
        ({"key_passphrase": "x"}, "tls.key_passphrase opens tls.key: set that, too"),
        (
            {"client_key_passphrase": "x", "certificate": "a.pem", "key": "a.key"},
            "tls.client_key_passphrase opens tls.client_key: set that, too",
        ),
        ({"client_key": "a.key"}, "tls.client_certificate and tls.client_key belong together: set both or none"),
    ],
)
def test_tls_settings_that_cannot_work_are_refused(tls: dict[str, Any], why: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        TlsSettings(**tls)

    assert str(caught.value) == why


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": (ListenAddress("tls", "127.0.0.1", 5061),)},
        {"advertise": "203.0.113.1:99999"},
        {"advertise_by_transport": MappingProxyType({"tls": "sip.example.com:x"})},
        {"dscp": 64},
        {"keepalive_s": 0.0},
        {"keepalive_s": float("nan")},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        Settings(**settings)  # type: ignore[arg-type]


def test_without_settings_we_listen_on_loopback_alone_and_verify_everybody() -> None:
    settings = Settings()

    assert [str(address) for address in settings.listen] == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
    assert (settings.tls.verify, settings.tls.minimum_version) == (True, "1.2")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.53", ("10.0.0.53", 53)),
        ("10.0.0.53:5353", ("10.0.0.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_a_dns_server_is_an_address_with_or_without_port(text: str, address: tuple[str, int]) -> None:
    assert server_address(text) == address


def test_a_dns_server_that_is_a_name_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"not a DNS server: 'ns\.example\.com' is not an IP address"):
        DnsSettings(servers=("ns.example.com",))
