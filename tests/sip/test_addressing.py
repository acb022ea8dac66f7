"""What we call ourselves in Via and Contact (RFC 3261 §8.1.1.7, §8.1.1.8, §18.1.1)."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.addressing import DEFAULT_PORTS, Addressing, join_host_port, split_host_port
from sipflow.sip.hop import Hop

UDP = Hop("udp", "198.51.100.1", 5060, "10.0.0.5", 5062)
TLS = Hop("tls", "2001:db8::1", 5061, "2001:db8::5", 5061)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pbx.example.com", ("pbx.example.com", 0)),
        ("192.0.2.1:5070", ("192.0.2.1", 5070)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("", ("", 0)),
    ],
)
def test_host_and_port_are_split_and_joined(text: str, parts: tuple[str, int]) -> None:
    assert split_host_port(text) == parts
    assert split_host_port(join_host_port(*parts)) == parts


@pytest.mark.parametrize(
    "text",
    [
        "a:",
        "a:0",
        "a:65536",
        "a:999999",
        "a:+5",
        "a:5_0",
        "a:\u0665",
        "a:5060 ",
        "[::1",
        "[::1]x",
        "[::1]5060",
        "[::1]:",
    ],
)
def test_what_is_neither_host_nor_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        split_host_port(text)


def test_ports_are_left_out_where_there_is_none() -> None:
    assert (join_host_port("a", 0), join_host_port("::1", 5060)) == ("a", "[::1]:5060")
    assert DEFAULT_PORTS == {"udp": 5060, "tcp": 5060, "tls": 5061}  # RFC 3261 §19.1.2


def test_without_a_word_we_are_where_the_message_comes_from() -> None:
    addressing = Addressing()

    assert addressing.own(UDP) == ("10.0.0.5", 5062)
    assert str(addressing.via(UDP, "z9hG4bK1")) == "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK1;rport"
    assert str(addressing.via(TLS, "z9hG4bK1")) == "SIP/2.0/TLS [2001:db8::5]:5061;branch=z9hG4bK1;rport"
    assert addressing.contact_uri(UDP, "bob") == "sip:bob@10.0.0.5:5062"
    assert addressing.contact_uri(TLS) == "sip:[2001:db8::5]:5061;transport=tls"


def test_a_trunk_wins_over_a_transport_and_a_transport_over_all() -> None:
    addressing = Addressing("edge.example.com", {"tls": "tls.example.com:443"})

    assert addressing.own(UDP) == ("edge.example.com", 5062)  # the port stays the socket's
    assert addressing.own(TLS) == ("tls.example.com", 443)
    assert addressing.own(TLS, "203.0.113.7") == ("203.0.113.7", 5061)
    assert addressing.own(UDP, "[2001:db8::7]:5070") == ("2001:db8::7", 5070)


def test_a_transport_that_we_do_not_listen_on_has_no_port() -> None:
    assert str(Addressing().via(UDP._replace(local_port=0), "z9hG4bK1")) == "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport"


def test_a_contact_carries_its_parameters() -> None:
    params = (("line", "abc"), ("ob", None))

    assert Addressing().contact_uri(UDP, "bob", params) == "sip:bob@10.0.0.5:5062;line=abc;ob"
    assert Addressing().contact_uri(TLS, "bob", params, "e") == "sip:bob@e:5061;transport=tls;line=abc;ob"


def test_a_secure_contact_is_a_sips_uri_and_names_no_transport_rfc3261_26_2_2() -> None:
    assert Addressing().contact_uri(TLS, "bob", secure=True) == "sips:bob@[2001:db8::5]:5061"
