import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError
from sipflow.sip.uri import SipUri, parse_uri
from sipflow.trunks.proxy import parse_advertise, parse_origination_uri, parse_outbound_proxy, parse_sip_domain

FORMS = " (write sip:host, sip:host:port, sip:host;transport=tcp, sips:host, host:port or host:port;transport=tls)"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("sip:pbx.example.com", "sip:pbx.example.com"),
        ("sip:pbx.example.com:5065", "sip:pbx.example.com:5065"),
        ("sip:10.0.0.5;transport=tcp", "sip:10.0.0.5;transport=tcp"),
        ("sip:10.0.0.5:5065;transport=TCP", "sip:10.0.0.5:5065;transport=tcp"),
        ("sips:pbx.example.com", "sips:pbx.example.com"),
        ("sips:pbx.example.com:5061;transport=tls", "sips:pbx.example.com:5061;transport=tls"),
        ("pbx.example.com", "sip:pbx.example.com"),
        ("pbx", "sip:pbx"),
        ("my_pbx:5065", "sip:my_pbx:5065"),
        ("10.0.0.5:5065", "sip:10.0.0.5:5065"),
        ("10.0.0.5:5065;transport=tls", "sip:10.0.0.5:5065;transport=tls"),
        ("<sip:pbx.example.com;lr>", "sip:pbx.example.com;lr"),
        ("<pbx.example.com:5065;transport=udp;lr>", "sip:pbx.example.com:5065;transport=udp;lr"),
        ("SIP:pbx.example.com;Transport=Tls;LR", "sip:pbx.example.com;transport=tls;lr"),
        ("  < sip:pbx.example.com:5065 ; transport = tcp ; lr >  ", "sip:pbx.example.com:5065;transport=tcp;lr"),
        ("sip:pbx.example.com;lr=on;maddr=10.0.0.5;", "sip:pbx.example.com;lr=on;maddr=10.0.0.5"),
        ("[::1]:5060", "sip:[::1]:5060"),
        ("[2001:db8::1]", "sip:[2001:db8::1]"),
        ("<sip:[2001:db8::1]:5065;transport=tcp;lr>", "sip:[2001:db8::1]:5065;transport=tcp;lr"),
        ("sip:pbx.example.com\n", "sip:pbx.example.com"),
    ],
)
def test_every_written_form_of_an_outbound_proxy_is_read(written: str, canonical: str) -> None:
    assert str(parse_outbound_proxy(written)) == canonical
    assert parse_outbound_proxy(written) == parse_uri(canonical)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "it is empty"),
        ("<>", "it is empty"),
        ("::1", "an IPv6 address stands in brackets, as in [2001:db8::1]:5060"),
        ("sip:2001:db8::1:5060", "an IPv6 address stands in brackets, as in [2001:db8::1]:5060"),
        ("[::g]", "'::g' is no host name and no IP address"),
        ("[fe80::1%eth0]", "'fe80::1%eth0' is no host name and no IP address"),
        ("http://pbx.example.com", "it is not a host or host:port"),
        ("sip://pbx.example.com", "it is not a host or host:port"),
        ("tls:pbx.example.com:5061", "it is not a host or host:port"),
        ("pbx.example.com:", "it is not a host or host:port"),
        ("pbx.example.com:5o60", "it is not a host or host:port"),
        ("pbx.example.com:0", "port 0 is not in 1..65535"),
        ("pbx.example.com:99999", "port 99999 is not in 1..65535"),
        ("pbx.example.com:٥٠٦٠", "it is not a host or host:port"),
        (":5060", "there is no host"),
        ("sip:5060", "'5060' is no host name and no IP address"),
        ("10.0.0.300", "'10.0.0.300' is no host name and no IP address"),
        ("10.0.0", "'10.0.0' is no host name and no IP address"),
        ("-pbx.example.com", "'-pbx.example.com' is no host name and no IP address"),
        ("pbx..example.com", "'pbx..example.com' is no host name and no IP address"),
        ("pbx.example.com, other", "'pbx.example.com, other' is no host name and no IP address"),
        ("pbx.example.com;transport=ws", "transport can be udp, tcp, tls, not 'ws'"),
        ("pbx.example.com;transport", "transport can be udp, tcp, tls, not ''"),
        ("pbx.example.com;transport=udp;transport=tcp", "transport is given twice"),
        ("sips:pbx.example.com;transport=udp", "sips is TLS, which does not run over UDP"),
        ("pbx.example.com;a=b=c", "'a=b=c' is not a parameter"),
        ("pbx.example.com;%", "'%' is not a parameter"),
        ("pbx.example.com;a=%4", "'a=%4' is not a parameter"),
        ("pbx.example.com?Route=x", "it has headers after a question mark"),
    ],
)
def test_a_wrong_outbound_proxy_is_refused_with_the_right_forms(written: str, why: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_outbound_proxy(written)

    assert str(caught.value) == f"{written!r} cannot be used: {why}{FORMS}"


def test_a_password_in_a_proxy_is_not_repeated_in_the_error() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_outbound_proxy("sip:2001:secret@pbx.example.com")

    expected = f"'pbx.example.com' cannot be used: it has a user part; the user belongs into username{FORMS}"
    assert str(caught.value) == expected


@given(st.text(alphabet=":;[]<>.@%=-_ \t\r\nsip0aé٣", max_size=40))
def test_any_text_is_a_proxy_that_reads_the_same_again_or_refused_in_words(text: str) -> None:
    try:
        uri = parse_outbound_proxy(text)
    except LocalProtocolError:
        return
    assert parse_outbound_proxy(str(uri)) == uri == parse_uri(str(uri))


def test_a_domain_is_a_host_perhaps_with_a_port() -> None:
    assert [
        str(parse_sip_domain(text)) for text in ("pbx.example.com", "sip:pbx:5070", "[::1]:5070", " 10.0.0.5 ")
    ] == [
        "sip:pbx.example.com",
        "sip:pbx:5070",
        "sip:[::1]:5070",
        "sip:10.0.0.5",
    ]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("sips:pbx.example.com", "a domain has no scheme; for TLS set transport: tls"),
        ("pbx.example.com;transport=tcp", "a domain has no parameters; they belong into outbound_proxy"),
        ("2001@pbx.example.com", "it has a user part; the user belongs into username"),
    ],
)
def test_a_wrong_domain_says_where_the_rest_belongs(written: str, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"write pbx\.example\.com") as caught:
        parse_sip_domain(written)

    assert why in str(caught.value)


def test_an_origination_uri_is_an_address_of_ours() -> None:
    assert parse_origination_uri("sip:203.0.113.5:5060") == SipUri("sip", None, None, "203.0.113.5", 5060)


def test_what_is_advertised_is_a_host_and_port_and_nothing_else() -> None:
    texts = ("203.0.113.5", "edge.example.com:5080", "[2001:db8::1]:5060")
    assert tuple(parse_advertise(text) for text in texts) == texts
    for wrong in ("sip:203.0.113.5", "203.0.113.5;transport=tcp", "2001:db8::1"):
        with pytest.raises(LocalProtocolError, match=r"write 203.0.113.5, 203.0.113.5:5060 or edge.example.com"):
            parse_advertise(wrong)
