"""RFC 5118: messages with IPv6 addresses in every place, and what parser and user agent say to each."""

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Capabilities, LocalMedia
from sipflow.sdp.offer_answer import answer_offer
from sipflow.sip.message import Request
from sipflow.sip.parser import parse_datagram
from sipflow.sip.uri import SipUri
from sipflow.sip.validate import check_request
from tests.support.wire import Wire

VIA = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK-five-1"


def message(method: str, uri: str, *vias: str, to_tag: str = "", sdp: tuple[str, ...] = ()) -> bytes:
    body = "".join(f"{line}\r\n" for line in sdp)
    lines = [
        f"{method} {uri} SIP/2.0",
        *[f"Via: {via}" for via in (vias or (VIA,))],
        "Max-Forwards: 70",
        "From: sip:caller@example.com;tag=five",
        "To: sip:callee@[2001:db8::10]" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID: 5118@caller",
        f"CSeq: 689 {method}",
        'Contact: "Caller" <sip:caller@[2001:db8::9:1]>',
        *(["Content-Type: application/sdp"] if sdp else []),
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join([*lines, "", body])).encode()


def request(data: bytes) -> Request:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Request), parsed
    check_request(parsed)
    return parsed


def target(uri: str) -> tuple[str, int | None]:
    found = request(message("REGISTER", uri)).request_uri
    assert isinstance(found, SipUri)
    return found.host, found.port


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("sip:[2001:db8::10]", "2001:db8::10", None),  # §4.1
        ("sip:[2001:db8::10:5070]", "2001:db8::10:5070", None),  # §4.3: a well-formed address, whatever was meant
        ("sip:[2001:db8::10]:5070", "2001:db8::10", 5070),  # §4.4
        ("sip:user@[2001:db8::192.0.2.1]", "2001:db8::192.0.2.1", None),  # §4.10
        ("sip:user@[2001:db8:::192.0.2.1]", "2001:db8::192.0.2.1", None),  # §4.10: MUST be tolerated
        ("sip:user@[::ffff:192.0.2.2]", "::ffff:192.0.2.2", None),  # §4.9
    ],
)
def test_an_ipv6_reference_is_read_as_address_and_port(uri: str, host: str, port: int | None) -> None:
    assert target(uri) == (host, port)


@pytest.mark.parametrize("uri", ["sip:2001:db8::10", "sip:[2001:db8:::10]", "sip:[2001:::db8:::192.0.2.1]"])
def test_an_ipv6_address_that_is_none_or_lacks_its_brackets_is_refused(uri: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        request(message("REGISTER", uri))

    assert caught.value.status == 400


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_received_is_read_with_and_without_brackets(received: str) -> None:
    via = f"SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3"

    top = request(message("BYE", "sip:[2001:db8::10]", via, to_tag="bd76ya")).via

    assert (top.host, top.port, top.received, top.branch) == ("2001:db8::9:1", None, "2001:db8::9:255", "z9hG4bKas3")


def test_hops_of_both_families_stand_in_one_message() -> None:
    vias = [
        "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bK-1",
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-2",
        "SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK-3;received=192.0.2.200",
    ]

    found = request(message("BYE", "sip:user@host.example.net", *vias, to_tag="9817")).vias

    assert [(via.host, via.port, via.received) for via in found] == [
        ("2001:db8::9:1", 6050, None),
        ("192.0.2.1", None, None),
        ("2001:db8::9:255", None, "192.0.2.200"),
    ]


@pytest.mark.parametrize(
    ("address", "lines", "reached"),
    [
        ("2001:db8::9", ("c=IN IP6 2001:db8::20", "t=0 0", "m=audio 6000 RTP/AVP 0"), "2001:db8::20"),  # §4.6
        (  # §4.8: each medium in a family of its own
            "192.0.2.9",
            (
                "t=0 0",
                "m=audio 6000 RTP/AVP 0",
                "c=IN IP4 192.0.2.1",
                "m=video 6024 RTP/AVP 31",
                "c=IN IP6 2001:db8::1",
            ),
            "192.0.2.1",
        ),
        ("192.0.2.9", ("c=IN IP6 ::ffff:192.0.2.2", "t=0 0", "m=audio 6000 RTP/AVP 0"), "192.0.2.2"),  # §4.9
    ],
)
def test_audio_goes_to_the_address_of_its_medium(address: str, lines: tuple[str, ...], reached: str) -> None:
    sdp = ("v=0", "o=caller 1 1 IN IP6 2001:db8::20", "s=-", *lines)
    invite = request(message("INVITE", "sip:user@[2001:db8::10]", sdp=sdp))

    _, agreed = answer_offer(invite.body, LocalMedia(address, 10000, 10001, 1, 1), Capabilities())

    assert (agreed.remote_host, agreed.remote_rtp_port) == (reached, 6000)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (message("OPTIONS", "sip:user@[2001:db8:::192.0.2.1]"), 200),
        (message("OPTIONS", "sip:2001:db8::10"), 400),
        (message("BYE", "sip:[2001:db8::10]", to_tag="nobody"), 481),
    ],
)
def test_a_caller_over_ipv6_is_answered_where_he_is(data: bytes, status: int) -> None:
    wire = Wire()
    wire.node("2001:db8::10")

    wire.inject("2001:db8::9:1", "2001:db8::10", data)
    wire.run(until=0.4)  # before any retransmission

    assert wire.methods() == [f"2001:db8::10 {status}"]
