import ssl

import pytest

from sipflow.net.identity import Certificate, check_name


def carrying(*alternatives: tuple[str, str], common_name: str = "pbx.example.com") -> Certificate:
    """A certificate as the ssl module shows it."""
    subject = ((("countryName", "US"),), (("commonName", common_name),))
    return {"subject": subject, **({"subjectAltName": alternatives} if alternatives else {})}


def is_for(certificate: Certificate, name: str) -> bool:
    try:
        check_name(certificate, name)
    except ssl.SSLCertVerificationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("DNS", "pbx.example.com", "pbx.example.com"),
        ("DNS", "PBX.example.COM", "pbx.Example.com"),
        ("DNS", "pbx.example.com", "pbx.example.com."),
        ("DNS", "*.example.com", "pbx.example.com"),
        ("URI", "sip:pbx.example.com", "pbx.example.com"),
        ("URI", "SIP:Pbx.Example.com", "pbx.example.com"),
        ("URI", "sip:pbx.example.com;transport=tls", "pbx.example.com"),
        ("IP Address", "192.0.2.1", "192.0.2.1"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("IP Address", "FE80:0:0:0:0:0:0:1", "fe80::1%eth0"),
    ],
)
def test_a_certificate_is_for_what_it_names(kind: str, value: str, name: str) -> None:
    assert is_for(carrying(("DNS", "first.example.net"), (kind, value)), name)


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("DNS", "example.com", "pbx.example.com"),
        ("DNS", "pbx.example.com.evil.net", "pbx.example.com"),
        ("DNS", "pbx.example.com\0.evil.net", "pbx.example.com"),
        ("DNS", "*.example.com", "a.pbx.example.com"),
        ("DNS", "*.example.com", "example.com"),
        ("DNS", "*.example.com", ".example.com"),
        ("DNS", "*.com", "example.com"),
        ("DNS", "p*.example.com", "pbx.example.com"),
        ("DNS", "*.*.com", "pbx.example.com"),
        ("DNS", "*", "localhost"),
        ("DNS", "192.0.2.1", "192.0.2.1"),
        ("URI", "sip:2001@pbx.example.com", "pbx.example.com"),
        ("URI", "sips:pbx.example.com", "pbx.example.com"),
        ("URI", "https://pbx.example.com", "pbx.example.com"),
        ("URI", "sip:*.example.com", "pbx.example.com"),
        ("URI", "not a uri", "pbx.example.com"),
        ("URI", "sip:192.0.2.1", "192.0.2.1"),
        ("email", "pbx.example.com", "pbx.example.com"),
        ("IP Address", "192.0.2.1", "192.0.2.2"),
        ("IP Address", "<invalid>", "192.0.2.1"),
        ("IP Address", "192.0.2.1", "pbx.example.com"),
        ("DNS", "", ""),
    ],
)
def test_a_certificate_is_not_for_what_only_resembles_it(kind: str, value: str, name: str) -> None:
    assert not is_for(carrying((kind, value)), name)


def test_the_common_name_counts_only_where_nothing_else_is_named() -> None:
    assert is_for(carrying(), "pbx.example.com")
    assert not is_for(carrying(("IP Address", "192.0.2.1")), "pbx.example.com")
    assert not is_for({}, "pbx.example.com")


def test_who_is_refused_is_told_with_what_his_certificate_names() -> None:
    names = [("DNS", f"{letter}.example.net") for letter in "abcdef"]

    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        check_name(carrying(*names, ("URI", "sip:\x1b[31m.example.net")), "pbx.example.com")

    listed = "a.example.net, b.example.net, c.example.net, d.example.net, e.example.net"
    assert (caught.value.verify_code, caught.value.verify_message) == (
        62,
        f"it names {listed} and 1 more, not pbx.example.com",
    )
