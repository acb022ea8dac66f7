from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.names import header_key
from sipflow.sip.headers.via import Via
from sipflow.sip.message import Request

ACCESSORS = (
    "via",
    "vias",
    "branch",
    "from_",
    "to",
    "call_id",
    "cseq",
    "contact",
    "contacts",
    "contact_is_star",
    "routes",
    "record_routes",
    "max_forwards",
    "expires",
    "content_type",
    "request_uri",
)


def request(*lines: tuple[str, str]) -> Request:
    made = Request("INVITE", "sip:bob@biloxi.com")
    for name, value in lines:  # as the parser does it: what it takes is more than we would write
        made.headers._keys.append(header_key(name) or name.lower())
        made.headers._lines.append(f"{name}: {value}")
    return made


def test_each_accessor_reads_its_header() -> None:
    made = request(
        ("v", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b"),
        ("Via", "SIP/2.0/TLS c"),
        ("f", "<sip:a@b>;tag=1"),
        ("t", "Bob <sip:bob@biloxi.com>"),
        ("i", "x@y"),
        ("CSeq", "7 INVITE"),
        ("m", "<sip:one@b>, <sip:two@b>"),
        ("Route", "<sip:p1;lr>,<sip:p2;lr>"),
        ("Record-Route", "<sip:p3;lr>"),
        ("Max-Forwards", "70"),
        ("Expires", "60"),
        ("c", "Application/SDP;charset=x"),
    )

    assert (str(made.via), made.branch, made.call_id) == ("SIP/2.0/UDP a;branch=z9hG4bK1", "z9hG4bK1", "x@y")
    assert [via.host for via in made.vias] == ["a", "b", "c"]
    assert (made.from_.tag, made.to.display, made.to.tag) == ("1", "Bob", None)
    assert made.cseq == CSeq(7, "INVITE")
    assert (str(made.contact), list(map(str, made.contacts))) == ("<sip:one@b>", ["<sip:one@b>", "<sip:two@b>"])
    assert (list(map(str, made.routes)), list(map(str, made.record_routes))) == (
        ["<sip:p1;lr>", "<sip:p2;lr>"],
        ["<sip:p3;lr>"],
    )
    assert (made.max_forwards, made.expires, made.content_type) == (70, 60, "application/sdp")
    assert str(made.request_uri) == "sip:bob@biloxi.com"


def test_optional_headers_that_are_missing_are_none_or_empty() -> None:
    made = request()

    assert (made.contact, made.contacts, made.routes, made.record_routes) == (None, [], [], [])
    assert (made.max_forwards, made.expires, made.content_type, made.contact_is_star) == (None, None, None, False)


@pytest.mark.parametrize("accessor", ["via", "branch", "from_", "to", "call_id", "cseq"])
def test_mandatory_headers_that_are_missing_raise(accessor: str) -> None:
    with pytest.raises(RemoteProtocolError, match="is missing") as caught:
        getattr(request(), accessor)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("accessor", "name", "value"),
    [("from_", "From", "<sip:a@b>"), ("to", "To", "<sip:a@b>"), ("call_id", "i", "x"), ("cseq", "CSeq", "1 A")],
)
def test_headers_that_stand_twice_raise(accessor: str, name: str, value: str) -> None:
    with pytest.raises(RemoteProtocolError, match="2 times"):
        getattr(request((name, value), (name, value)), accessor)


@pytest.mark.parametrize(
    ("accessor", "name", "value"),
    [
        ("via", "Via", "x"),
        ("via", "Via", 'SIP/2.0/UDP a;x=", SIP/2.0/UDP b'),
        ("vias", "Via", "SIP/2.0/UDP a,, SIP/2.0/UDP b"),
        ("from_", "From", ""),
        ("to", "To", "/"),
        ("call_id", "Call-ID", ""),
        ("call_id", "Call-ID", "a b"),
        ("call_id", "Call-ID", "a\x01b"),
        ("cseq", "CSeq", "x"),
        ("contact", "Contact", ""),
        ("contacts", "Contact", "<sip:a>,"),
        ("contacts", "Contact", "*, <sip:a>"),
        ("routes", "Route", "x"),
        ("record_routes", "Record-Route", "x"),
        ("max_forwards", "Max-Forwards", "x"),
        ("content_type", "Content-Type", "sdp"),
    ],
)
def test_malformed_headers_raise(accessor: str, name: str, value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        getattr(request((name, value)), accessor)


def test_a_contact_star_is_no_address() -> None:
    made = request(("Contact", "*"))

    assert (made.contact, made.contacts, made.contact_is_star) == (None, [], True)


def test_a_branch_that_is_only_the_cookie_is_no_branch() -> None:
    assert request(("Via", "SIP/2.0/UDP a;branch=z9hG4bK")).branch == ""
    assert request(("Via", "SIP/2.0/UDP a")).branch == ""
    assert request(("Via", "SIP/2.0/UDP a;branch=1")).branch == "1"


def test_a_value_is_parsed_once_until_its_header_changes() -> None:
    made = request(
        ("Via", "SIP/2.0/UDP a"),
        ("From", "<sip:a@b>"),
        ("To", "<sip:t@b>"),
        ("Contact", "<sip:c@d>"),
        ("Call-ID", "1"),
        ("CSeq", "1 INVITE"),
    )
    first = (made.via, made.from_, made.to, made.contact, made.call_id, made.cseq)
    assert made.vias == [made.via]
    assert made.contacts == [made.contact]

    made.headers.set("X-Other", "1")
    second = (made.via, made.from_, made.to, made.contact, made.call_id, made.cseq)
    assert all(one is other for one, other in zip(first, second, strict=True))

    made.headers.insert("v", "SIP/2.0/UDP b")
    made.headers.replace_first("Contact", "<sip:e@f>")
    made.headers.set("From", "<sip:g@h>")
    made.headers.remove("t")
    made.headers.add("To", "<sip:i@j>")
    made.headers.set("CSeq", "2 INVITE")
    made.uri = "sip:other@h"
    assert [via.host for via in made.vias] == ["b", "a"]
    assert (made.via.host, made.cseq.number, str(made.request_uri)) == ("b", 2, "sip:other@h")
    assert [str(made.contact), str(made.from_), str(made.to)] == ["<sip:e@f>", "<sip:g@h>", "<sip:i@j>"]
    assert list(map(str, made.contacts)) == ["<sip:e@f>"]


def test_a_list_may_be_changed_by_who_asked_for_it() -> None:
    made = request(("Via", "SIP/2.0/UDP a"))

    made.vias.clear()

    assert len(made.vias) == 1


def test_the_top_via_is_replaced_alone() -> None:
    made = request(("Via", "SIP/2.0/UDP a;rport, SIP/2.0/UDP b"), ("Via", "SIP/2.0/UDP c"))

    made.via = Via("UDP", "a", None, (("rport", "4711"), ("received", "192.0.2.1")))

    assert made.headers.all("Via") == [
        "SIP/2.0/UDP a;rport=4711;received=192.0.2.1, SIP/2.0/UDP b",
        "SIP/2.0/UDP c",
    ]
    assert made.vias[0] == made.via == Via("UDP", "a", None, (("rport", "4711"), ("received", "192.0.2.1")))


def test_set_body_keeps_length_and_type_true() -> None:
    made = request(("l", "5"))

    made.set_body(b"v=0\r\n", "application/sdp")
    assert (list(made.headers), made.body) == (
        [("Content-Length", "5"), ("Content-Type", "application/sdp")],
        b"v=0\r\n",
    )

    made.set_body(b"", "")
    assert (list(made.headers), made.body) == ([("Content-Length", "0")], b"")


NAMES = ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "Expires", "c"]
NASTY = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60) | st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                "SIP/2.0/UDP ",
                "sip:",
                "<",
                ">",
                '"',
                "\\",
                ";",
                ",",
                "=",
                "a",
                "tag",
                " ",
                "\t",
                "1",
                "@",
                "[::1]",
                "*",
                "%",
            ]
        ),
        max_size=20,
    ),
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), NASTY), max_size=6), NASTY)
def test_no_header_text_makes_an_accessor_raise_anything_but_remote_protocol_error(
    lines: list[tuple[str, str]], uri: str
) -> None:
    made = request(*lines)
    made.uri = uri
    for accessor in ACCESSORS:
        with suppress(RemoteProtocolError):
            getattr(made, accessor)


def test_a_via_that_is_put_on_top_need_not_be_read_again() -> None:
    made = request(("Via", "SIP/2.0/UDP proxy.test;branch=z9hG4bK2"))
    via = Via("UDP", "2001:db8::1", 5060, (("branch", "z9hG4bK1"), ("rport", None)))

    made.push_via(via)

    assert made.headers.all("Via") == [
        "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;rport",
        "SIP/2.0/UDP proxy.test;branch=z9hG4bK2",
    ]
    assert made.via is via
    assert made.via == Via.parse(made.headers.all("Via")[0])
    assert made.branch == "z9hG4bK1"
