import pytest

from sipflow.sip.hop import Hop
from sipflow.sip.message import make_response
from sipflow.sip.transaction.return_path import note_source, response_hops
from tests.sip.transaction.playing import TCP, UDP, request

NAT = Hop("udp", "198.51.100.7", 31000, "192.0.2.99", 5060)


@pytest.mark.parametrize(
    ("via", "params", "source", "noted"),
    [
        ("SIP/2.0/UDP 192.0.2.1", "", UDP, ""),
        ("SIP/2.0/UDP 192.0.2.1:5062", "", UDP, ""),
        ("SIP/2.0/UDP phone.example.com", "", UDP, ";received=192.0.2.1"),
        ("SIP/2.0/UDP 10.0.0.5", "", NAT, ";received=198.51.100.7"),
        ("SIP/2.0/UDP 10.0.0.5", ";rport", NAT, ";rport=31000;received=198.51.100.7"),
        ("SIP/2.0/UDP 192.0.2.1", ";rport", UDP, ";rport=5060;received=192.0.2.1"),
        ("SIP/2.0/TCP 192.0.2.1", "", TCP, ""),
        ("SIP/2.0/UDP [2001:db8::1]", "", UDP._replace(host="2001:db8::1"), ""),
        ("SIP/2.0/UDP [2001:db8::9]", "", UDP._replace(host="2001:db8::1"), ";received=2001:db8::1"),
    ],
)
def test_the_top_via_says_where_the_request_really_came_from(via: str, params: str, source: Hop, noted: str) -> None:
    invite = request(via=via, via_params=params)

    note_source(invite, source)

    assert invite.headers.all("Via") == [f"{via};branch=z9hG4bK-1{noted}"]


@pytest.mark.parametrize(
    ("params", "noted"),
    [
        (";received=203.0.113.66", ";received=192.0.2.1"),
        (";rport=53", ";rport=5060;received=192.0.2.1"),
        (";received=203.0.113.66;rport=53", ";rport=5060;received=192.0.2.1"),
    ],
)
def test_what_the_sender_claims_about_its_source_is_overwritten(params: str, noted: str) -> None:
    invite = request(via_params=params)

    note_source(invite, UDP)

    assert invite.headers.all("Via") == [f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1{noted}"]


def test_only_the_top_via_changes_and_the_response_repeats_it() -> None:
    invite = request(via_params=";rport, SIP/2.0/UDP b.example.com;branch=z9hG4bK-b")
    invite.headers.add("Via", "SIP/2.0/UDP c.example.com;branch=z9hG4bK-c;rport")

    note_source(invite, UDP)

    assert make_response(invite, 100).headers.values("Via") == [
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1;rport=5060;received=192.0.2.1",
        "SIP/2.0/UDP b.example.com;branch=z9hG4bK-b",
        "SIP/2.0/UDP c.example.com;branch=z9hG4bK-c;rport",
    ]


@pytest.mark.parametrize(
    ("via", "params", "port"),
    [
        ("SIP/2.0/UDP 10.0.0.5", "", 5060),
        ("SIP/2.0/UDP 10.0.0.5:5070", "", 5070),
        ("SIP/2.0/UDP 10.0.0.5:5070", ";rport", 31000),
        ("SIP/2.0/UDP 10.0.0.5:5070", ";rport=9", 31000),
        ("SIP/2.0/UDP 10.0.0.5:5070", ";maddr=203.0.113.66", 5070),
        ("SIP/2.0/UDP 10.0.0.5", ";received=203.0.113.66", 5060),
    ],
)
def test_a_udp_response_goes_to_the_source_address_and_no_other(via: str, params: str, port: int) -> None:
    invite = request(via=via, via_params=params)

    assert response_hops(invite.via, NAT) == (NAT._replace(port=port), None)


@pytest.mark.parametrize(
    ("via", "params", "port"),
    [
        ("SIP/2.0/TCP 10.0.0.5", "", 5060),
        ("SIP/2.0/TCP 10.0.0.5:5070", ";rport", 5070),
        ("SIP/2.0/TCP phone.example.com:5070", ";maddr=203.0.113.66", 5070),
        ("SIP/2.0/TLS 10.0.0.5", "", 5061),
    ],
)
def test_a_stream_response_stays_on_its_connection_or_falls_back_to_sent_by(via: str, params: str, port: int) -> None:
    invite = request(via=via, via_params=params)

    assert response_hops(invite.via, TCP) == (TCP, TCP._replace(port=port, connection=0))
