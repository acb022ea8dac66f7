"""The session description in a body of one or of many parts (RFC 5621), from friends and from enemies."""

import pytest

from sipflow.sip.body import sdp_of
from sipflow.sip.message import Request, Response
from tests.support.peer import Lines

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
ISUP = (
    b"Content-Type: application/isup;version=x\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x02--x\r\n"
)


def message(body: bytes, content_type: str | None = None, more: Lines = ()) -> Request:
    request = Request("INVITE", "sip:b", body=body)
    if content_type is not None:
        request.headers.add("Content-Type", content_type)
    for name, value in more:
        request.headers.add(name, value)
    return request


def mixed(*parts: bytes, boundary: str = "x", end: bytes = b"--", kind: str = "mixed", quoted: bool = False) -> Request:
    """A multipart body of parts, each with its headers, the empty line and its content."""
    delimiter = b"\r\n--" + boundary.encode()
    body = b"".join(delimiter + b"\r\n" + part for part in parts)[2:] + delimiter + end + b"\r\n"
    return message(body, f"multipart/{kind};boundary=" + (f'"{boundary}"' if quoted else boundary))


def part(*lines: str, content: bytes = SDP) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + content


SDP_PART = part("Content-Type: application/sdp")


@pytest.mark.parametrize("content_type", [None, "application/sdp", "APPLICATION/SDP ; charset=utf-8"])
def test_a_body_of_one_part_is_taken_as_it_is(content_type: str | None) -> None:
    assert sdp_of(message(SDP, content_type)) == SDP
    response = Response(200, body=SDP)
    assert sdp_of(response) == SDP


@pytest.mark.parametrize(
    "request_",
    [
        message(b"", "application/sdp"),
        message(b"hello", "text/plain"),
        message(SDP, "not a type"),
        message(SDP, "application/sdp", (("Content-Encoding", "gzip"),)),
    ],
)
def test_where_there_is_no_sdp_that_can_be_read_there_is_none(request_: Request) -> None:
    assert sdp_of(request_) == b""


@pytest.mark.parametrize("kind", ["mixed", "alternative", "related"])
def test_the_sdp_part_is_found_among_others(kind: str) -> None:
    assert sdp_of(mixed(ISUP, SDP_PART, part("Content-Type: text/html", content=b"<b>"), kind=kind)) == SDP


def test_the_first_of_two_sdp_parts_counts() -> None:
    assert sdp_of(mixed(SDP_PART, part("Content-Type: application/sdp", content=b"other"))) == SDP


@pytest.mark.parametrize("boundary", ["x", "gc0p4Jq0M2Yt08jU534c0p", "a b", "'()+_,./:=?", "1" * 70])
def test_any_boundary_of_rfc2046_5_1_1_is_taken(boundary: str) -> None:
    assert sdp_of(mixed(SDP_PART, boundary=boundary, quoted=True)) == SDP


@pytest.mark.parametrize(
    "lines",
    [
        ("content-type:application/sdp",),
        ("Content-Type: application/sdp", "Content-Disposition: session;handling=required"),
        ("Content-Type: application/sdp", "Content-Transfer-Encoding: binary", "Content-Length: 4"),
        ("Content-Type:", "\tapplication/sdp"),
        ("Content-ID: <1@a>", "Content-Type: Application/Sdp; charset=utf-8"),
    ],
)
def test_a_part_may_say_the_same_in_many_ways(lines: tuple[str, ...]) -> None:
    assert sdp_of(mixed(part(*lines))) == SDP


@pytest.mark.parametrize(
    "lines",
    [
        (),  # RFC 2046 §5.1: without a type it is text/plain
        ("Content-Type: application/sdp", "Content-Transfer-Encoding: base64"),
        ("Content-Type: application/sdp", "Content-Encoding: gzip"),
        ("Content-Type: application/sdp", "Content-Disposition: early-session"),  # RFC 3959: not the call's
        ("Content-Type: application/sdp\x00",),
        ("Content-Type application/sdp",),
        ("Content-Type: ;;;",),
    ],
)
def test_a_part_that_is_not_the_plain_session_is_passed_over(lines: tuple[str, ...]) -> None:
    assert sdp_of(mixed(part(*lines))) == b""


def test_a_part_that_must_be_understood_and_is_not_spoils_the_whole() -> None:
    strict = part("Content-Type: application/isup", "Content-Disposition: signal; handling=REQUIRED", content=b"x")

    assert sdp_of(mixed(strict, SDP_PART)) == b""


def test_the_last_of_alternatives_counts_rfc2046_5_1_4() -> None:
    assert (
        sdp_of(mixed(SDP_PART, part("Content-Type: application/sdp", content=b"best"), kind="alternative")) == b"best"
    )


def test_text_before_and_after_the_parts_is_ignored() -> None:
    body = b"preamble\r\n--x \t\r\n" + SDP_PART + b"\r\n--x--\r\nepilogue\r\n--x\r\n" + ISUP
    assert sdp_of(message(body, "multipart/mixed; boundary=x")) == SDP


@pytest.mark.parametrize(("depth", "found"), [(1, SDP), (2, SDP), (3, b""), (50, b"")])
def test_multiparts_are_looked_into_three_deep_rfc2046_5_1_2(depth: int, found: bytes) -> None:
    request = mixed(ISUP, SDP_PART)
    for level in range(depth):
        request = mixed(
            part(f"Content-Type: {request.headers.get('Content-Type')}", content=request.body), boundary=f"n{level}"
        )

    assert sdp_of(request) == found


@pytest.mark.parametrize(
    "request_",
    [
        message(b"--x\r\n\r\n--x--", "multipart/mixed"),
        message(b"--\r\n\r\n----", 'multipart/mixed;boundary=""'),
        message(b"--x\r\n\r\n--x--", "multipart/mixed;boundary=" + "x" * 71),
        message(b"--x\r\n\r\n--x--", 'multipart/mixed;boundary="\u20ac"'),
        message(b"", "multipart/mixed;boundary=x"),
        message(b"--x--", "multipart/mixed;boundary=x"),
        message(b"--x", "multipart/mixed;boundary=x"),
        message(b"--x\r\n" + SDP_PART, "multipart/mixed;boundary=x"),  # no end
        mixed(*[ISUP] * 16, SDP_PART),  # too many
        mixed(part("X: " + "y" * 4000, "Content-Type: application/sdp")),
        message(b"--xContent-Type: application/sdp\r\n\r\nv=0\r\n--x--", "multipart/mixed;boundary=x"),
        message(b"--x" * 20_000, "multipart/mixed;boundary=x"),
        message(b"\r\n--x" + b"\r\n " * 20_000 + b"--x--", "multipart/mixed;boundary=x"),
    ],
)
def test_a_broken_multipart_holds_no_sdp_and_never_raises(request_: Request) -> None:
    assert sdp_of(request_) == b""


def test_sixteen_parts_are_not_too_many() -> None:
    assert sdp_of(mixed(*[ISUP] * 15, SDP_PART)) == SDP
