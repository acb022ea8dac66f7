"""Refer-To, with what stands in its URI for the request that is asked for (RFC 3515 §2.1, RFC 3891 §7)."""

import pytest

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.refer_to import ReferTo, write_refer_to
from sipflow.sip.headers.replaces import Replaces
from sipflow.sip.uri import OtherUri, SipUri, TelUri

BOB = SipUri("sip", "bob", None, "b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<sip:bob@b>", ReferTo(BOB)),
        ("sip:bob@b", ReferTo(BOB)),
        ('"Bob" <sip:bob@b>', ReferTo(BOB, "Bob")),
        ("<tel:+1-206>", ReferTo(TelUri("+1-206"))),
        ("<http://b>", ReferTo(OtherUri("http", "//b"))),
        ("<sip:bob@b;method=bye>", ReferTo(BOB, method="BYE")),
        ("<sip:bob@b?X-A=1%202&Subject=a>", ReferTo(BOB, headers=(("X-A", "1 2"), ("Subject", "a")))),
        (
            "<sip:bob@b?Replaces=c%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            ReferTo(BOB, headers=(("Replaces", "c@h;to-tag=1;from-tag=2"),), replaces=Replaces("c@h", "1", "2")),
        ),
    ],
)
def test_what_can_be_read(value: str, expected: ReferTo) -> None:
    assert ReferTo.parse(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "<sip:>", "bob", "<sip:bob@b?X=a%0d%0aVia:%20x>", "<sip:bob@b?X=%00>", "<sip:bob@b?a b=1>", "<sip:b?=1>",
     "<sip:b?Replaces=x>", "<sip:b?replaces=c%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=c%3Bto-tag%3D1%3Bfrom-tag%3D2>",
     "<sip:b?" + "&".join(["X=1"] * 33) + ">"],
)  # fmt: skip
def test_what_cannot(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        ReferTo.parse(value)


def test_what_is_written_can_be_read() -> None:
    replaces = Replaces("c@h", "a=b", "x%y", early_only=True)
    written = write_refer_to(BOB, method="INVITE", headers=(("X-Note", "a & b; ü"),), replaces=replaces)

    assert written == (
        "<sip:bob@b;method=INVITE?X-Note=a%20%26%20b%3B%20%C3%BC"
        "&Replaces=c%40h%3Bto-tag%3Da%3Db%3Bfrom-tag%3Dx%25y%3Bearly-only>"
    )
    assert ReferTo.parse(written) == ReferTo(
        BOB, headers=(("X-Note", "a & b; ü"), ("Replaces", str(replaces))), replaces=replaces
    )
    assert write_refer_to(TelUri("+1206")) == "<tel:+1206>"


def test_what_would_inject_a_line_or_cannot_be_carried_is_not_written() -> None:
    with pytest.raises(LocalProtocolError):
        write_refer_to(BOB, headers=(("X", "a\r\nVia: x"),))
    with pytest.raises(LocalProtocolError):
        write_refer_to(TelUri("+1206"), replaces=Replaces("c", "1", "2"))
