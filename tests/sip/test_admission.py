"""What is refused before anybody looks at it, in the order of RFC 3261 §8.2."""

import pytest

from sipflow.sip.admission import ABLE, Abilities, Refusal, one_line, refuse, warning
from sipflow.sip.message import Request
from tests.support.peer import Lines

SDP_BODY = b"v=0\r\n"


def request(method: str = "INVITE", headers: Lines = (), *, body: bytes = b"", uri: str = "sip:b") -> Request:
    made = Request(method, uri, body=body)
    for name, value in headers:
        made.headers.add(name, value)
    return made


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY"])
def test_what_we_serve_passes(method: str) -> None:
    assert refuse(request(method)) is None


def test_known_methods_are_not_allowed_and_unknown_ones_not_implemented() -> None:
    assert refuse(request("REFER")) == Refusal(405, "REFER is not served here", (("Allow", ABLE.allow),))
    assert refuse(request("FROB")) == Refusal(501, "FROB is not served here", (("Allow", ABLE.allow),))


def test_what_is_switched_on_is_served_supported_and_said() -> None:
    able = Abilities(refer=True, replaces=True, message=True)

    assert able.allow == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER, MESSAGE"
    assert able.supported == "100rel, norefersub, replaces, tdialog, timer"
    for method in ("REFER", "MESSAGE"):
        assert refuse(request(method), able) is None
    assert refuse(request("REFER", (("Require", able.supported),)), able) is None


def test_what_is_switched_off_is_neither_served_nor_said() -> None:
    able = Abilities(timers=False)

    assert (able.allow, able.supported) == ("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY", "100rel")
    for method in ("REFER", "MESSAGE"):
        assert refuse(request(method), able) == Refusal(405, f"{method} is not served here", (("Allow", able.allow),))
    for tag in ("timer", "replaces", "norefersub", "tdialog"):
        refusal = refuse(request(headers=(("Require", tag),)), able)
        assert refusal is not None
        assert (refusal.status, refusal.headers) == (420, (("Unsupported", tag),))


def test_a_call_in_which_some_is_off_says_the_rest() -> None:
    assert Abilities().supported_without("timer") == "100rel"
    assert Abilities().supported_without("100rel", "timer") == ""


@pytest.mark.parametrize("uri", ["sip:b", "SIPS:b", "tel:+1"])
def test_sip_sips_and_tel_are_understood(uri: str) -> None:
    assert refuse(request(uri=uri)) is None


def test_another_scheme_is_not() -> None:
    assert refuse(request(uri="http://b")) == Refusal(416, "Request-URI scheme http is not sip, sips or tel")


@pytest.mark.parametrize(
    ("lines", "unsupported"),
    [
        ((("Require", "100rel, precondition"),), "precondition"),
        ((("Require", "a, b"), ("Require", "c")), "a, b, c"),
        ((("require", " gruu "),), "gruu"),
    ],
)
def test_a_required_extension_is_named_in_unsupported(lines: Lines, unsupported: str) -> None:
    why = f"the request requires {unsupported}, which we do not support"

    assert refuse(request(headers=lines)) == Refusal(420, why, (("Unsupported", unsupported),))


@pytest.mark.parametrize("tag", ["tim\x01er", '"timer"', "a b", "\x85"])
def test_what_is_no_option_tag_is_refused_and_not_repeated(tag: str) -> None:
    asked = request()
    asked.headers.add_raw(f"Require: {tag}")

    refusal = refuse(asked)

    assert refusal is not None
    assert (refusal.status, refusal.headers) == (400, ())


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_require_means_nothing_in_cancel_and_ack_rfc3261_8_2_2_3(method: str) -> None:
    assert refuse(request(method, (("Require", "100rel"),))) is None


def test_an_empty_require_requires_nothing() -> None:
    assert refuse(request(headers=(("Require", ""),))) is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((("Content-Type", "application/sdp"),), None),
        ((("Content-Type", "Application/SDP;charset=utf-8"),), None),
        ((), None),  # no type: it can only be SDP
        ((("Content-Type", "text/plain"),), 415),
        ((("Content-Type", "text/plain"), ("Content-Disposition", "render;handling=optional")), None),
        ((("Content-Type", "text/plain"), ("Content-Disposition", "render; handling = Optional")), None),
        ((("Content-Type", "text/plain"), ("Content-Disposition", "render;handling=required")), 415),
        ((("Content-Type", "multipart/mixed;boundary=x"),), 415),
        ((("Content-Encoding", "gzip"),), 415),
        ((("Content-Encoding", "Identity"),), None),
        ((("Content-Encoding", "gzip"), ("Content-Disposition", "session;handling=optional")), None),
    ],
)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_body_must_be_sdp_or_optional_rfc3261_8_2_3(method: str, lines: Lines, status: int | None) -> None:
    refusal = refuse(request(method, lines, body=SDP_BODY))

    assert (refusal and refusal.status) == status


def test_a_415_says_what_would_be_understood() -> None:
    assert refuse(request(headers=(("Content-Type", "text/plain"),), body=b"x")) == Refusal(
        415, "Content-Type text/plain is not understood", (("Accept", "application/sdp, multipart/mixed"),)
    )
    assert refuse(request(headers=(("Content-Encoding", "gzip"),), body=b"x")) == Refusal(
        415, "Content-Encoding gzip is not understood", (("Accept-Encoding", "identity"),)
    )


@pytest.mark.parametrize("method", ["INFO", "BYE", "OPTIONS"])
def test_other_methods_may_carry_anything(method: str) -> None:
    assert refuse(request(method, (("Content-Type", "text/plain"), ("Accept", "a/b")), body=b"x")) is None


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("application/sdp", True),
        ("application/*", True),
        ("*/*;q=0.1", True),
        ("text/plain, application/sdp", True),
        ("text/plain", False),
        ("application/sdp;q=0", False),
        ("", False),  # §20.1: an empty Accept takes nothing
    ],
)
def test_an_answer_that_the_caller_would_not_take_is_refused_406(accept: str, taken: bool) -> None:
    refusal = refuse(request(headers=(("Accept", accept),)))

    assert refusal == (None if taken else Refusal(406, f"the caller accepts only {accept}"))


@pytest.mark.parametrize(
    "line", [("Require", '"open, x'), ("Accept", '"open, x'), ("Accept", "?"), ("Accept", "a/b;;")]
)
def test_a_header_that_breaks_its_grammar_is_refused_400_and_never_raises(line: tuple[str, str]) -> None:
    refusal = refuse(request(headers=(line,)))

    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain words", "plain words"),
        ('say "no" \\ never', "say 'no' ' never"),
        ("a\r\nVia: x\0\x7f\t", "a''Via: x'''"),
        ("caf\u00e9 \ud83d\ude00", "caf\u00e9 ''"),
        ("\udc80", "'"),
        ("x" * 300, "x" * 200),
        ("", ""),
    ],
)
def test_any_text_becomes_one_safe_line(text: str, safe: str) -> None:
    assert one_line(text) == safe
    assert warning(text) == ("Warning", f'399 sipflow "{safe}"')
