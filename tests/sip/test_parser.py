import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import KeepAlive, Limits, Malformed, Parsed, StreamParser, parse_datagram
from sipflow.sip.validate import check_request, check_response

HEAD = (
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
)
OPTIONS = b"OPTIONS sip:c@d SIP/2.0\r\n" + HEAD
MESSAGE = OPTIONS + b"Content-Length: 3\r\n\r\nabc"
RESPONSE = b"SIP/2.0 200 OK\r\n" + HEAD + b"l: 0\r\n\r\n"


def show(parsed: Parsed) -> object:
    """What two results must share to be the same."""
    if isinstance(parsed, Malformed):
        return ("malformed", parsed.error.status, str(parsed.error), repr(parsed.message))
    return parsed if isinstance(parsed, KeepAlive) else bytes(parsed)


def malformed(data: bytes, limits: Limits | None = None) -> Malformed:
    parsed = parse_datagram(data) if limits is None else parse_datagram(data, limits)
    assert isinstance(parsed, Malformed)
    return parsed


# -- datagrams


@pytest.mark.parametrize("data", [MESSAGE, RESPONSE, OPTIONS + b"\r\n", b"SIP/2.0 100 \r\n" + HEAD + b"\r\n"])
def test_a_sound_message_serialises_to_its_own_octets(data: bytes) -> None:
    parsed = parse_datagram(data)

    assert isinstance(parsed, Request | Response)
    assert bytes(parsed) == data


def test_a_request_and_a_response_are_read() -> None:
    request, response = parse_datagram(MESSAGE), parse_datagram(RESPONSE)

    assert isinstance(request, Request)
    assert (request.method, request.uri, request.body, len(request.headers)) == ("OPTIONS", "sip:c@d", b"abc", 6)
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.body) == (200, "OK", b"")


def test_octets_that_are_no_utf8_survive() -> None:
    data = b"OPTIONS sip:c@d SIP/2.0\r\nSubject: caf\xe9 \xff\r\n" + HEAD + b"\r\n\xe9\0\r\n\r\n"
    parsed = parse_datagram(data)

    assert isinstance(parsed, Request)
    assert bytes(parsed) == data
    assert parsed.headers.get("Subject") == "caf\udce9 \udcff"


def test_line_ends_before_a_message_are_skipped() -> None:
    assert isinstance(parse_datagram(b"\r\n\r\n" + MESSAGE), Request)


@pytest.mark.parametrize(
    ("data", "ping"), [(b"\r\n\r\n", True), (b"\r\n", False), (b"", False), (b"\0", False), (b"\0\0\0\0", False)]
)
def test_idle_octets_are_keep_alives(data: bytes, ping: bool) -> None:
    assert parse_datagram(data) == KeepAlive(ping=ping)


def test_octets_beyond_content_length_are_dropped() -> None:
    parsed = parse_datagram(MESSAGE + MESSAGE)

    assert isinstance(parsed, Request)
    assert parsed.body == b"abc"


def test_without_content_length_the_body_is_the_rest_of_the_datagram() -> None:
    parsed = parse_datagram(OPTIONS + b"\r\nrest\r\n\r\n")

    assert isinstance(parsed, Request)
    assert parsed.body == b"rest\r\n\r\n"


@pytest.mark.parametrize("start", [b"ACK sip:c@d SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"])
def test_what_nobody_could_refuse_may_lack_its_empty_line_where_it_says_that_it_has_no_body(start: bytes) -> None:
    """voip-utils, the telephone of Home Assistant, writes its ACK and its answer to BYE like that."""
    whole, cut = (parse_datagram(start + HEAD + end) for end in (b"Content-Length: 0\r\n", b"Content-Length: 3\r\n"))

    assert not isinstance(whole, (Malformed, KeepAlive))
    assert whole.headers.get("Content-Length") == "0"
    assert isinstance(cut, Malformed)


@pytest.mark.parametrize("spelling", [b"Content-Length", b"CONTENT-LENGTH  ", b"l", b"L\t"])
def test_content_length_is_known_however_it_is_spelled(spelling: bytes) -> None:
    parsed = parse_datagram(OPTIONS + spelling + b":\t003 \r\n\r\nabcdef")

    assert isinstance(parsed, Request)
    assert parsed.body == b"abc"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (OPTIONS + b"Content-Length: 4\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: -1\r\n\r\n", 400),
        (OPTIONS + b"Content-Length: +3\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: 0x3\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: 1_0\r\n\r\nabcdefghij", 400),
        (OPTIONS + "Content-Length: ٣\r\n\r\nabc".encode(), 400),
        (OPTIONS + b"Content-Length:\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: 3\x0b\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: 3\r\nl: 2\r\n\r\nabc", 400),
        (OPTIONS + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc", 413),
        (OPTIONS + b"Content-Length: 65536\r\n\r\nabc", 413),
        (OPTIONS, 400),  # no empty line
        (OPTIONS + b"Broken\r\n\r\n", 400),
        (OPTIONS + b": x\r\n\r\n", 400),
        (OPTIONS + b"X y: x\r\n\r\n", 400),
        (OPTIONS + b"X\x0b: x\r\n\r\n", 400),
        (OPTIONS + b"X\0: x\r\n\r\n", 400),
        (OPTIONS + b"X: a\0b\r\n\r\n", 400),
        (OPTIONS + b"X: a\rb\r\n\r\n", 400),
        (OPTIONS + b"X: a\nY: b\r\n\r\n", 400),
        (OPTIONS + b"X: a\r\r\n\r\n", 400),
        (OPTIONS.replace(b"\r\n", b"\n") + b"\n", 400),
        (b"OPTIONS sip:c@d SIP/2.0\r\n Via: x\r\n" + HEAD + b"\r\n", 400),
        (b"OPTIONS  sip:c@d SIP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"OPTIONS sip:c@d SIP/2.0 \r\n" + HEAD + b"\r\n", 400),
        (b"OPTIONS sip:c@d\tSIP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"OPTIONS <sip:c@d> SIP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"OPT\xc3\xa4IONS sip:c@d SIP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"OPTIONS sip:c@d SIP/3.0\r\n" + HEAD + b"\r\n", 505),
        (b"OPTIONS sip:" + b"c" * 5000 + b" SIP/2.0\r\n" + HEAD + b"\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"SIP/2.0 99 x\r\n\r\n", 400),
        (b"SIP/2.0 700 x\r\n\r\n", 400),
        (b"SIP/2.0 0200 x\r\n\r\n", 400),
        (b"SIP/2.0 4294967301 x\r\n\r\n", 400),
        (b"SIP/2.0 +20 x\r\n\r\n", 400),
        (OPTIONS + b"X: y\r\n" * 300 + b"\r\n", 400),
        (OPTIONS + b"X: " + b"y" * 9000 + b"\r\n\r\n", 400),
        (OPTIONS + b"\r\n" + b"x" * 70000, 413),
        (b"x" * 70000, 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"OPTIONS sip:" + b"c" * 70000, 400),
    ],
    ids=lambda value: value[-30:] if isinstance(value, bytes) else None,
)
def test_broken_datagrams_are_malformed(data: bytes, status: int) -> None:
    assert malformed(data).error.status == status


def test_a_broken_request_can_be_answered() -> None:
    found = malformed(OPTIONS + b"Broken\r\nX\x0b: y\r\nUser-Agent: z\r\nContent-Length: 9\r\n\r\n")

    assert isinstance(found.message, Request)
    assert list(found.message.headers)[-2:] == [("User-Agent", "z"), ("Content-Length", "9")]
    assert make_response(found.message, 400).call_id == "x"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe", b"SIP/2.0 700 x\r\n\r\n", b"x: y\r\n\r\n"])
def test_what_is_no_sip_has_nobody_to_answer(data: bytes) -> None:
    assert malformed(data).message is None


def test_limits_can_be_set() -> None:
    limits = Limits(message_bytes=400, headers=6, header_bytes=50, uri_bytes=10)

    assert isinstance(parse_datagram(MESSAGE, limits), Request)
    assert malformed(MESSAGE.replace(b"sip:c@d S", b"sip:cccc@dddd S"), limits).error.status == 414
    assert malformed(MESSAGE.replace(b"Call-ID", b"X: y\r\nCall-ID"), limits).error.status == 400
    assert malformed(MESSAGE.replace(b"Call-ID: x", b"Call-ID: " + b"x" * 50), limits).error.status == 400
    assert malformed(OPTIONS + b"\r\n" + b"x" * 400, limits).error.status == 413


# -- streams

CUTTINGS = [
    MESSAGE,
    RESPONSE,
    MESSAGE.replace(b"abc", b"\r\n\r"),
    OPTIONS.replace(b"OPTIONS sip", b"OPTIONS   sip") + b"l: 4\r\n\r\n\r\n\r\n",
    b"\r\n\r\n",
    OPTIONS + b"Content-Length: 99999999999\r\n\r\n",
    OPTIONS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    OPTIONS + b"\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\n",
    OPTIONS + b"X: a\nb\r\nl: 0\r\n\r\n",
]


def feed(pieces: list[bytes], limits: Limits | None = None) -> tuple[list[object], bool]:
    parser = StreamParser() if limits is None else StreamParser(limits)
    found = [show(parsed) for piece in pieces for parsed in parser.feed(piece)]
    return found, parser.broken


@given(st.lists(st.sampled_from(CUTTINGS), max_size=6), st.lists(st.integers(0, 3000), max_size=12))
def test_a_stream_gives_the_same_messages_however_it_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    borders = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(borders)]
    idle = (KeepAlive(ping=True), KeepAlive(ping=False))  # a ping that arrives as two CRLFs is taken for two pongs

    whole, cut, single = feed([stream]), feed(pieces), feed([stream[at : at + 1] for at in range(len(stream))])

    expected = ([part for part in whole[0] if part not in idle], whole[1])
    assert ([part for part in cut[0] if part not in idle], cut[1]) == expected
    assert ([part for part in single[0] if part not in idle], single[1]) == expected


def test_messages_follow_each_other_in_one_piece() -> None:
    found, broken = feed([MESSAGE + RESPONSE + b"\r\n\r\n" + MESSAGE])

    assert (found, broken) == ([MESSAGE, RESPONSE, KeepAlive(ping=True), MESSAGE], False)


def test_a_ping_wants_an_answer_and_a_pong_does_not() -> None:
    assert feed([b"\r\n\r\n"]) == ([KeepAlive(ping=True)], False)
    assert feed([b"\r\n"]) == ([KeepAlive(ping=False)], False)
    assert feed([b"\r\n\r", b"\n"]) == ([KeepAlive(ping=True)], False)
    assert feed([b"\r", b"\n"]) == ([KeepAlive(ping=False)], False)


def test_a_message_waits_for_its_body() -> None:
    parser = StreamParser()

    assert parser.feed(MESSAGE[:-1]) == []
    assert (parser.in_message, parser.pending_bytes) == (True, len(MESSAGE) - 1)
    (found,) = parser.feed(MESSAGE[-1:])
    assert show(found) == MESSAGE
    assert (parser.in_message, parser.pending_bytes) == (False, 0)


def test_a_fault_with_certain_borders_leaves_the_stream_usable() -> None:
    bad = b"OPTIONS sip:c@d SIP/7.0\r\n" + HEAD + b"l: 2\r\n\r\nxy"
    parser = StreamParser()

    first, second = parser.feed(bad + MESSAGE)

    assert isinstance(first, Malformed)
    assert (first.error.status, parser.broken, show(second)) == (505, False, MESSAGE)


def test_a_response_on_a_stream_that_says_nothing_of_a_body_has_none() -> None:
    silent = RESPONSE.replace(b"l: 0\r\n", b"")

    assert [show(parsed) for parsed in StreamParser().feed(silent + MESSAGE)] == [silent, MESSAGE]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (OPTIONS + b"\r\n", 400),  # RFC 3261 §20.14
        (RESPONSE.replace(b"l: 0", b"Content-Type: application/sdp"), 400),
        (OPTIONS + b"Content-Length: 99999999999\r\n\r\n", 413),
        (OPTIONS + b"Content-Length: 65500\r\n\r\n", 413),
        (OPTIONS + b"Content-Length: x\r\n\r\n", 400),
        (OPTIONS + b"l: 1\r\nl: 2\r\n\r\nab", 400),
        (OPTIONS + b"X: a\nl: 5\r\nl: 0\r\n\r\n", 400),
        (OPTIONS + b"Broken\r\nl: 0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"x" * 65535, 413),
        (b"\n", 400),
        (b"\rx", 400),
    ],
    ids=lambda value: value[-30:] if isinstance(value, bytes) else None,
)
def test_a_stream_without_certain_borders_is_broken_for_good(data: bytes, status: int) -> None:
    parser = StreamParser()

    (found,) = parser.feed(data + MESSAGE)

    assert isinstance(found, Malformed)
    assert (found.error.status, parser.broken) == (status, True)
    assert (parser.feed(MESSAGE), parser.pending_bytes, parser.in_message) == ([], 0, False)


def test_a_huge_content_length_is_refused_before_its_body_comes() -> None:
    parser = StreamParser()

    (found,) = parser.feed(OPTIONS + b"Content-Length: 4294967295\r\n\r\n")

    assert isinstance(found, Malformed)
    assert isinstance(found.message, Request)  # it can be told
    assert parser.broken


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b" OPTIONS", b"\0", b"\xff", b"{"])
def test_what_cannot_begin_a_message_breaks_a_stream_at_once(data: bytes) -> None:
    assert feed([data]) == ([("malformed", 400, "what comes in is not SIP", "None")], True)


def test_a_stream_is_never_buffered_beyond_one_message() -> None:
    parser = StreamParser(Limits(message_bytes=1000))
    most = 0
    for _ in range(200):
        parser.feed(b"x" * 10)
        most = max(most, parser.pending_bytes)

    assert parser.broken
    assert most < 1000


def test_feeding_octet_by_octet_is_not_quadratic() -> None:
    parser = StreamParser()
    large = OPTIONS + b"X-Pad: " + b"\r\n " * 20 + b"y" * 8000 + b"\r\nContent-Length: 56000\r\n\r\n" + b"z" * 56000

    started = time.process_time()
    count = sum(len(parser.feed(large[at : at + 1])) for at in range(len(large)))

    assert count == 1
    assert time.process_time() - started < 2.0  # linear: some 50 ms; quadratic: tens of seconds


@pytest.mark.parametrize(
    "filler",
    [b"\r\n ", b"X: y\r\n", b" ", b"\t \r\n\t", b'"', b"\\\0", b"a:", b"\r", b"\xff", b"\r\nl: 1", b" SIP/2.0"],
)
def test_no_datagram_takes_quadratic_time(filler: bytes) -> None:
    started = time.process_time()
    for start in (b"", b"OPTIONS ", b"OPTIONS sip:c@d SIP/2.0\r\n", OPTIONS + b"X: ", OPTIONS + b"To: "):
        parsed = parse_datagram(start + filler * (60000 // len(filler)) + b"\r\n\r\n")
        if isinstance(parsed, Request):
            with pytest.raises(RemoteProtocolError):
                check_request(parsed)
    assert time.process_time() - started < 1.0  # linear: some 30 ms


# -- anything at all


def read_all_of(parsed: Parsed) -> None:
    """Do with a result what the layers above do: nothing but RemoteProtocolError may come of it."""
    message = parsed.message if isinstance(parsed, Malformed) else parsed
    if isinstance(message, Request):
        bytes(make_response(message, 400, to_tag="t"))
        with suppress(RemoteProtocolError):
            check_request(message)
    elif isinstance(message, Response):
        with suppress(RemoteProtocolError):
            check_response(message)


@given(st.binary(max_size=200))
def test_no_octets_crash_the_parser(data: bytes) -> None:
    read_all_of(parse_datagram(data))
    read_all_of(parse_datagram(OPTIONS + data + b"\r\n\r\n"))
    for parsed in StreamParser().feed(data):
        read_all_of(parsed)


PIECES = [
    *MESSAGE.split(b" "),
    *RESPONSE.split(b"\r\n"),
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\\\0",
    b" ",
    b"\t",
    b":",
    b";",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_mixture_of_sound_pieces_crashes_the_parser(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    for prefix in (b"", b"OPTIONS sip:c@d SIP/2.0\r\n", OPTIONS):
        for tail in (b"", b"\r\n\r\n"):
            parsed = parse_datagram(prefix + data + tail)
            read_all_of(parsed)
            if isinstance(parsed, Request | Response) and "Content-Length" not in parsed.headers:
                assert bytes(parsed) == (prefix + data + tail).lstrip(b"\r\n")


@given(st.integers(0, len(MESSAGE) - 1), st.binary(min_size=0, max_size=3))
def test_no_damaged_octet_crashes_the_parser(place: int, damage: bytes) -> None:
    data = MESSAGE[:place] + damage + MESSAGE[place + 1 :]
    read_all_of(parse_datagram(data))
    for parsed in StreamParser().feed(data):
        read_all_of(parsed)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_a_message_that_parses_serialises_and_parses_the_same(values: list[bytes]) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (number, value) for number, value in enumerate(values))
    data = OPTIONS + lines + b"\r\nbody"
    parsed = parse_datagram(data)
    if isinstance(parsed, Request) and parsed.body == b"body":
        assert bytes(parsed) == data
        again = parse_datagram(bytes(parsed))
        assert isinstance(again, Request)
        assert list(again.headers) == list(parsed.headers)
