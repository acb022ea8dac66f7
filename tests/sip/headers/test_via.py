import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.lines import unfold
from sipflow.sip.headers.via import Via, read_via


@pytest.mark.parametrize(
    ("text", "via"),
    [
        (
            "SIP/2.0/UDP pc33.atlanta.com:5066;branch=z9hG4bK776asdhds;rport",
            Via("UDP", "pc33.atlanta.com", 5066, (("branch", "z9hG4bK776asdhds"), ("rport", None))),
        ),
        ("SIP/2.0/tls [2001:db8::9:1]", Via("tls", "2001:db8::9:1")),
        (
            "sip / 2.0 / UDP  first.example.com : 4000 ;ttl = 16 ;maddr=224.2.0.1 ;Branch=z9hG4bKa7c6a8dlze.1",
            Via(
                "UDP",
                "first.example.com",
                4000,
                (("ttl", "16"), ("maddr", "224.2.0.1"), ("branch", "z9hG4bKa7c6a8dlze.1")),
            ),
        ),
        ("SIP/7.0/UDP host", Via("UDP", "host")),
        ('SIP/2.0/UDP h;x="a;b"', Via("UDP", "h", None, (("x", '"a;b"'),))),
        ("SIP/2.0/UDP h;received=2001:db8::1", Via("UDP", "h", None, (("received", "2001:db8::1"),))),
    ],
)
def test_a_via_is_read_and_written(text: str, via: Via) -> None:
    assert Via.parse(text) == via
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h;branch=a;branch=b",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h:99999999999",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP []",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
    ],
)
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


def test_the_parameters_of_response_routing_are_read() -> None:
    via = Via.parse("SIP/2.0/TCP h;branch=z9hG4bK1;received=[2001:db8::1];rport=4711")

    assert (via.branch, via.received, via.rport, via.wants_rport) == (
        "z9hG4bK1",
        "2001:db8::1",
        4711,
        True,
    )


@pytest.mark.parametrize("rport", ["rport", "rport=0", "rport=65536", "rport=+1", "rport=x", "rport=" + "9" * 5000])
def test_an_rport_that_is_no_port_is_none(rport: str) -> None:
    assert Via.parse(f"SIP/2.0/UDP h;{rport}").rport is None


def test_a_bare_via_has_no_parameters() -> None:
    via = Via("UDP", "h")

    assert (via.branch, via.received, via.rport, via.wants_rport, via.param("x")) == (None, None, None, False, None)


@pytest.mark.parametrize(
    "value",
    [
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1;rport",
        "SIP/2.0/UDP 192.0.2.1;rport=5060;received=192.0.2.9;branch=z9hG4bK-1",
        "SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bK.1;alias",
        "SIP/2.0/UDP 192.0.2.1:5060;Branch=z9hG4bK-1",
        "SIP / 2.0 / UDP 192.0.2.1 ; branch = z9hG4bK-1",
        'SIP/2.0/UDP 192.0.2.1;x=";branch=z9hG4bK-2;";branch=z9hG4bK-1',
        'SIP/2.0/UDP 192.0.2.1;x=";branch=z9hG4bK-2;"',
        "SIP/2.0/UDP 192.0.2.1;branch=;rport",
        "SIP/2.0/UDP 192.0.2.1;branch",
        "SIP/2.0/UDP 192.0.2.1",
        "SIP/2.0/UDP 192.0.2.1:5060\r\n ;branch=z9hG4bK-1 \r\n ;rport",
    ],
)
def test_a_line_is_read_as_its_value_is_however_often(value: str) -> None:
    expected = Via.parse(unfold(f"Via: {value}"))

    assert [read_via(f"Via: {value}"), read_via(f"v:{value}")] == [expected, expected]
    another = f"Via: {value}".replace("bK-1", "bK-3")
    assert read_via(another) == Via.parse(unfold(another))


@pytest.mark.parametrize(
    "value",
    ["SIP/2.0/UDP 192.0.2.1;branch=a;branch=b", "SIP/2.0/UDP 192.0.2.1:0;branch=a", "UDP;branch=a", ";branch=a"],
)
def test_a_line_whose_value_is_broken_is_refused_in_the_same_words(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as parsed:
        Via.parse(value)
    with pytest.raises(RemoteProtocolError) as read:
        read_via(f"Via: {value}")

    assert str(read.value) == str(parsed.value)
