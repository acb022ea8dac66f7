import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.uri import OtherUri, SipUri, TelUri, escape_user, parse_uri, unescape


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:host", SipUri("sip", None, None, "host")),
        ("SIPS:bob@Host.Example", SipUri("sips", "bob", None, "Host.Example")),
        (
            "sip:alice:secret@192.0.2.1:5070;Transport=TCP;lr?Subject=x&a=b",
            SipUri(
                "sip", "alice", "secret", "192.0.2.1", 5070, (("transport", "TCP"), ("lr", None)), "Subject=x&a=b"
            ),
        ),
        ("sip:+49%20(30);phone-context=x@[2001:db8::1]:5061", SipUri(
            "sip", "+49%20(30);phone-context=x", None, "2001:db8::1", 5061
        )),
        ("sip:*72#@pbx_1.local", SipUri("sip", "*72#", None, "pbx_1.local")),
        ("sip:müller@host", SipUri("sip", "müller", None, "host")),
        ("sip:@192.0.2.1", SipUri("sip", "", None, "192.0.2.1")),
        ("sip:a:@h", SipUri("sip", "a", "", "h")),
        ("sip:h;%6C%72;n%61me=v%61lue%25%34%31", SipUri(
            "sip", None, None, "h", None, (("lr", None), ("name", "v%61lue%25%34%31"))
        )),
        ("sip:h;x=;y=1", SipUri("sip", None, None, "h", None, (("x", ""), ("y", "1")))),
        ("sip:h;a=1;A=2", SipUri("sip", None, None, "h", None, (("a", "1"),))),
        ("tel:+1-201-555-0123;ext=22", TelUri("+1-201-555-0123", (("ext", "22"),))),
        ("tel:7042;phone-context=example.com", TelUri("7042", (("phone-context", "example.com"),))),
        ("soap.beep://192.0.2.103:3002", OtherUri("soap.beep", "//192.0.2.103:3002")),
        ("URN:service:sos", OtherUri("urn", "service:sos")),
    ],
)  # fmt: skip
def test_uris_are_read_and_written(text: str, uri: SipUri | TelUri | OtherUri) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:a%20b:p%41w@host:5060;transport=udp;x=%00?h=v%0D",
        "sips:[::ffff:192.0.2.1]",
        "tel:*31#0301234567",
        "http://example.com/?a=b",
    ],
)
def test_a_valid_uri_is_written_as_it_came(text: str) -> None:
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "host",
        ":host",
        "sip:",
        "sip:@",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@c",
        "sip: a@c",
        "sip:a@c ",
        "sip:a@c;",
        "sip:a@c;;x",
        "sip:a@c;=x",
        "sip:a@c;x=y z",
        "sip:a@c?",
        "sip:a@c:",
        "sip:a@c:0",
        "sip:a@c:65536",
        "sip:a@c:+5060",
        "sip:a@c:5_0",
        "sip:a@c:٥٠٦٠",
        "sip:a@c:" + "9" * 5000,
        "sip:a@-c",
        "sip:a@b..c",
        "sip:a@" + "x" * 256,
        "sip:a@[::1",
        "sip:a@[::1]x",
        "sip:a@[1::2::3]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@hösť",
        "sip:a%@c",
        "sip:a%4@c",
        "sip:a%zz@c",
        'sip:"a"@c',
        "sip:<a>@c",
        "sip:a\r\n@c",
        "sip:a\0@c",
        "ſip:a@c",
        "tel:",
        "tel:---",
        "tel:12x",
        "tel:12;",
        "1http:x",
        "http:",
        "http:a b",
    ],
)
def test_broken_uris_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_uri(text)
    assert caught.value.status == 400


def test_parameters_are_looked_up_with_escapes_resolved_once() -> None:
    uri = sip("sip:h;lr;name=v%61lue%25%34%31")

    assert [uri.param(name) for name in ("lr", "name", "none")] == ["", "value%41", None]
    assert [uri.has_param(name) for name in ("lr", "none")] == [True, False]


def test_uris_are_changed_by_copies() -> None:
    uri = sip("sip:a:pw@h:5060;x=1;lr?s=t")

    assert str(uri.with_params(("x", "2"), ("transport", "tcp"))) == "sip:a:pw@h:5060;x=2;lr;transport=tcp?s=t"
    assert str(uri.without_params("x", "lr")) == "sip:a:pw@h:5060?s=t"
    assert str(uri.with_user("+49 30/1@")) == "sip:+49%2030%2F1%40@h:5060;x=1;lr?s=t"
    assert str(uri.with_user(None)) == "sip:h:5060;x=1;lr?s=t"
    assert str(uri.with_address("::1", None)) == "sip:a:pw@[::1];x=1;lr?s=t"
    assert str(uri.bare) == "sip:a@h:5060"
    assert (uri.host_port, uri.with_address("::1", 1).host_port, uri.with_address("h", None).host_port) == (
        "h:5060",
        "[::1]:1",
        "h",
    )
    assert str(uri) == "sip:a:pw@h:5060;x=1;lr?s=t"


def test_the_number_of_a_tel_uri_has_no_separators() -> None:
    uri = parse_uri("tel:+49.(30)-12")

    assert isinstance(uri, TelUri)
    assert uri.digits == "+493012"


@pytest.mark.parametrize(
    ("one", "other"),
    [  # RFC 3261 §19.1.4
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"),
    ],
)
def test_equivalent_uris_are_recognised(one: str, other: str) -> None:
    assert sip(one).equivalent(sip(other))
    assert sip(other).equivalent(sip(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [  # RFC 3261 §19.1.4
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h", "sip:h"),
        ("sip:a@h;maddr=1.1.1.1", "sip:a@h"),
    ],
)
def test_uris_that_differ_are_told_apart(one: str, other: str) -> None:
    assert not sip(one).equivalent(sip(other))
    assert not sip(other).equivalent(sip(one))


def test_a_sip_uri_is_never_equivalent_to_another_scheme() -> None:
    assert not sip("sip:1@h").equivalent(parse_uri("tel:1"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_user_part_comes_back_as_it_was(text: str) -> None:
    assert sip(f"sip:{escape_user(text)}@host").unescaped_user == text


def test_octets_that_are_no_utf8_survive_escaping() -> None:
    assert escape_user(unescape("%FF%00a")) == "%FF%00a"


@given(st.text(max_size=60) | st.from_regex(r"sips?:[^@]{0,20}@?[a-z0-9.:\[\]]{0,20}[;?][ -~]{0,30}"))
def test_whatever_parses_prints_and_parses_the_same(text: str) -> None:
    try:
        uri = parse_uri(text)
    except RemoteProtocolError:
        return
    assert parse_uri(str(uri)) == uri
    if isinstance(uri, SipUri):
        assert uri.equivalent(uri)
        assert isinstance(uri.unescaped_user, str)


@pytest.mark.parametrize("piece", ["a", ":", ";a", ";a=b", "%41", "1", "-", "@", "a:", ".", "[", "=", "?a", "&"])
def test_no_uri_takes_quadratic_time(piece: str) -> None:
    started = time.process_time()
    for start in ("sip:", "sip:a@", "sip:a@h", "sip:a@h;a=", "tel:", "tel:1", "x:", ""):
        with suppress(RemoteProtocolError):
            parse_uri(start + piece * 20000 + "\x01")
    assert time.process_time() - started < 1.0  # linear: some 20 ms; quadratic: minutes
