import socket

import pytest

from sipflow.net.literal import family_of, is_loopback, is_private


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("192.0.2.1", socket.AF_INET),
        ("2001:db8::1", socket.AF_INET6),
        ("fe80::1%eth0", socket.AF_INET6),
        ("pbx.example.com", 0),
        ("192.0.2", 0),
        ("192.0.2.1.", 0),
        ("0x7f000001", 0),
        ("2130706433", 0),
        ("[::1]", 0),
        ("", 0),
        ("127.0.0.1\0", 0),
        ("١٢٧.0.0.1", 0),
        ("\udce9", 0),
    ],
)
def test_only_a_plain_ip_literal_has_a_family(host: str, family: int) -> None:
    assert family_of(host) == family


def test_loopback_is_known_in_both_versions() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "192.0.2.1", "::2")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.1.2.3", True), ("172.31.0.1", True), ("172.32.0.1", False), ("192.168.1.5", True), ("100.64.0.1", True),
        ("169.254.1.1", True), ("fd00::1", True), ("fe80::1%eth0", True), ("203.0.113.5", False), ("8.8.8.8", False),
        ("2001:db8::1", False), ("pbx.example.com", False), ("127.0.0.1", False),
    ],
)  # fmt: skip
def test_private_is_what_many_networks_have_for_themselves(host: str, private: bool) -> None:
    assert is_private(host) is private
