import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.lines import write_lines
from sipflow.sip.message import Request, Response, make_ack, make_cancel, make_response
from sipflow.sip.parser import Malformed, parse_datagram

INVITE = (
    b"INVITE sip:bob@biloxi.com SIP/2.0\r\n"
    b"v: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport\r\n"
    b"Via: SIP/2.0/TCP  proxy , SIP/2.0/UDP last\r\n"
    b"Max-Forwards: 70\r\n"
    b"Record-Route: <sip:p1;lr>\r\n"
    b"Record-Route: <sip:p2;lr>\r\n"
    b"Route: <sip:p3;lr>\r\n"
    b"Timestamp: 54.1\r\n"
    b"To:Bob <sip:bob@biloxi.com>\r\n"
    b'From: "Alice"\r\n <sip:alice@atlanta.com>;tag=1928301774\r\n'
    b"Call-ID: a84b4c76e66710\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)


def invite(data: bytes = INVITE) -> Request:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Request)
    return parsed


def test_a_response_repeats_the_lines_of_its_request_octet_for_octet() -> None:
    answer = make_response(invite(), 180, to_tag="b1")

    assert bytes(answer) == (
        b"SIP/2.0 180 Ringing\r\n"
        b"v: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport\r\n"
        b"Via: SIP/2.0/TCP  proxy , SIP/2.0/UDP last\r\n"
        b"Record-Route: <sip:p1;lr>\r\n"
        b"Record-Route: <sip:p2;lr>\r\n"
        b"To:Bob <sip:bob@biloxi.com>;tag=b1\r\n"
        b'From: "Alice"\r\n <sip:alice@atlanta.com>;tag=1928301774\r\n'
        b"Call-ID: a84b4c76e66710\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_a_response_carries_reason_headers_and_body() -> None:
    answer = make_response(
        invite(),
        200,
        "Fine",
        to_tag="b1",
        headers=[("Contact", "<sip:bob@192.0.2.4>")],
        body=b"v=0\r\n",
        content_type="application/sdp",
    )

    start_line, _, rest = bytes(answer).partition(b"\r\n")
    assert start_line == b"SIP/2.0 200 Fine"
    assert rest.endswith(
        b"Contact: <sip:bob@192.0.2.4>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )


def test_100_trying_gets_timestamp_and_no_tag() -> None:
    answer = make_response(invite(), 100, to_tag="b1")

    assert (answer.to.tag, answer.headers.get("Timestamp")) == (None, "54.1")
    assert "Record-Route" not in answer.headers


@pytest.mark.parametrize(
    ("method", "status", "count"),
    [
        ("INVITE", 183, 2),
        ("INVITE", 200, 2),
        ("INVITE", 302, 0),
        ("INVITE", 486, 0),
        ("BYE", 200, 0),
        ("REFER", 202, 2),
    ],
)
def test_record_route_is_repeated_where_a_dialog_is_made(method: str, status: int, count: int) -> None:
    request = invite()
    request.method = method

    assert make_response(request, status).headers.count("Record-Route") == count


def test_a_to_tag_that_is_there_stays() -> None:
    request = invite(INVITE.replace(b"To:Bob <sip:bob@biloxi.com>", b't: "x;tag=7" <sip:bob@biloxi.com> ; TAG = 8'))

    assert make_response(request, 200, to_tag="9").headers.raw("To") == ['t: "x;tag=7" <sip:bob@biloxi.com> ; TAG = 8']


def test_a_tag_inside_a_quoted_name_is_no_tag() -> None:
    request = invite(INVITE.replace(b"To:Bob <sip:bob@biloxi.com>", b'To: "x;tag=7" <sip:bob@biloxi.com;tag=6>'))

    assert make_response(request, 200, to_tag="9").to.tag == "9"


def test_a_request_without_anything_can_be_answered() -> None:
    assert bytes(make_response(Request("INVITE", "sip:x"), 400, to_tag="1")) == (
        b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    )


def test_the_answer_to_a_request_with_repeated_headers_repeats_the_first() -> None:
    parsed = parse_datagram(INVITE.replace(b"Timestamp: 54.1", b"To: <sip:eve@x>\r\nCall-ID: second"))
    assert isinstance(parsed, Request)

    answer = make_response(parsed, 400, to_tag="1")

    assert (answer.headers.all("To"), answer.headers.all("Call-ID")) == (["<sip:eve@x>;tag=1"], ["second"])


def test_the_answer_to_a_malformed_message_holds_no_line_that_is_not_sound() -> None:
    parsed = parse_datagram(INVITE.replace(b"a84b4c76e66710", b"a\nContact: <sip:evil>").replace(b"Bob <", b"Bob \0<"))
    assert isinstance(parsed, Malformed)
    assert isinstance(parsed.message, Request)

    answer = bytes(make_response(parsed.message, parsed.error.status, to_tag="1"))

    assert answer.startswith(b"SIP/2.0 400 Bad Request\r\nv: SIP/2.0/UDP pc33")
    assert b"evil" not in answer
    assert b"\0" not in answer


def test_the_ack_to_a_refusal_belongs_to_the_invite_s_transaction() -> None:
    answer = make_response(invite(), 486, to_tag="b1")

    assert bytes(make_ack(invite(), answer)) == (
        b"ACK sip:bob@biloxi.com SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport\r\n"
        b"Route: <sip:p3;lr>\r\n"
        b'From: "Alice"\r\n <sip:alice@atlanta.com>;tag=1928301774\r\n'
        b"Call-ID: a84b4c76e66710\r\n"
        b"To:Bob <sip:bob@biloxi.com>;tag=b1\r\n"
        b"CSeq: 314159 ACK\r\n"
        b"Max-Forwards: 70\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_a_cancel_differs_from_its_invite_in_method_alone() -> None:
    cancel = make_cancel(invite())

    assert (cancel.method, cancel.uri, cancel.branch, str(cancel.cseq)) == (
        "CANCEL",
        "sip:bob@biloxi.com",
        "z9hG4bK776asdhds",
        "314159 CANCEL",
    )
    assert (cancel.to, cancel.from_, cancel.call_id) == (invite().to, invite().from_, invite().call_id)
    assert (len(cancel.vias), cancel.headers.all("Route"), cancel.body) == (1, ["<sip:p3;lr>"], b"")


def test_a_copy_stands_alone() -> None:
    request = invite()
    twin = request.copy()
    twin.headers.set("Subject", "x")
    twin.method = "BYE"

    assert bytes(request) == INVITE
    assert bytes(request.copy()) == INVITE
    assert twin.headers.get("Subject") == "x"

    answer = make_response(request, 200)
    other = answer.copy()
    other.status = 404
    assert (answer.status, bytes(answer.copy())) == (200, bytes(answer))


def test_a_message_of_ours_says_its_length_even_if_nobody_thought_of_it() -> None:
    assert bytes(Request("OPTIONS", "sip:x", body=b"ab")) == b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 2\r\n\r\nab"
    assert bytes(Response(200, "OK")) == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "uri", ["", "sip:a b", "sip:a SIP/2.0\r\nX: y\r\n", "sip:a\tb", "sip:a\0", "sip:a\x7f", "sip:\ud800"]
)
def test_a_request_uri_that_would_inject_is_refused(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        bytes(Request("OPTIONS", uri))


@pytest.mark.parametrize("method", ["", "A B", "A\r\n", "Ä"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(LocalProtocolError):
        bytes(Request(method, "sip:x"))


def test_odd_methods_and_uris_that_are_legal_are_written() -> None:
    assert bytes(Request("X-a.b", "sip:ä@x")).startswith("X-a.b sip:ä@x SIP/2.0\r\n".encode())


@pytest.mark.parametrize("reason", ["a\r\nX: y", "a\nb", "a\0", "\ud800"])
def test_a_reason_phrase_that_would_inject_is_refused(reason: str) -> None:
    with pytest.raises(LocalProtocolError):
        bytes(Response(400, reason))


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0"])
def test_a_response_header_that_would_inject_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        make_response(invite(), 200, headers=[("Contact", value)])
    with pytest.raises(LocalProtocolError):
        make_response(invite(), 200, body=b"x", content_type=value)


def test_messages_show_what_they_are() -> None:
    assert (repr(invite()), repr(make_response(invite(), 404))) == (
        "<Request INVITE sip:bob@biloxi.com>",
        "<Response 404 Not Found>",
    )


def test_what_responses_repeat_is_what_the_request_says_when_they_are_made() -> None:
    request = invite()
    before = make_response(request, 100)
    request.via = request.via._replace(params=(*request.via.params, ("received", "192.0.2.7")))

    assert make_response(request, 180, to_tag="1").headers.raw("Via")[0].endswith(";received=192.0.2.7")
    assert make_response(request, 200, to_tag="1").headers.raw("To") == make_response(
        request, 486, to_tag="1"
    ).headers.raw("To")
    assert "received" not in before.headers.raw("Via")[0]


def test_lines_that_are_written_already_come_after_those_that_are_not() -> None:
    answer = make_response(invite(), 486, headers=[("Reason", "x")], written=write_lines((("Server", "y"),)))

    assert list(answer.headers)[-3:] == [("Reason", "x"), ("Server", "y"), ("Content-Length", "0")]
    assert answer.headers.get("server") == "y"


def test_what_one_message_says_is_never_taken_for_what_another_says() -> None:
    first, second = invite(), invite()
    first.headers.set("From", "<sip:eve@x>;tag=1")

    assert (first.from_.tag, str(first.from_.uri)) == ("1", "sip:eve@x")
    assert second.from_.tag != "1"
