import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import parse_datagram
from sipflow.sip.validate import check_request, check_response

LINES = {
    "Via": "SIP/2.0/UDP a;branch=z9hG4bK1",
    "From": "<sip:a@b>;tag=1",
    "To": "<sip:c@d>",
    "Call-ID": "x@y",
    "CSeq": "7 INVITE",
    "Max-Forwards": "70",
    "Contact": "<sip:a@192.0.2.1>",
}


def request(method: str = "INVITE", uri: str = "sip:c@d", **changes: str) -> Request:
    """A sound request with some headers changed: "" leaves one out, "|" makes two lines."""
    lines = LINES | {name.replace("_", "-"): value for name, value in changes.items()}
    made = Request(method, uri)
    for name, value in lines.items():
        for part in value.split("|") if value else []:
            made.headers.add(name, part)
    return made


def response(**changes: str) -> Response:
    return Response(200, "OK", request(**changes).headers)


def status_of(made: Request) -> int:
    try:
        check_request(made)
    except RemoteProtocolError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    "made",
    [
        request(),
        request(Max_Forwards=""),
        request(Max_Forwards="300"),
        request(Contact=""),
        request("REGISTER", CSeq="1 REGISTER", Contact="*"),
        request(Contact="<sip:a>|<sip:b>, <sip:c>", Record_Route="<sip:p;lr>"),
        request(From="<http://x>", To="isbn:1"),
        request(uri="tel:+123"),
        request(uri="sips:[::1]:5061;transport=tls"),
        request("FROB", CSeq="7 FROB"),
        request(Content_Type="application/SDP;x=y", Expires="never"),
        request(Via="SIP/2.0/UNKNOWN a, SIP/2.0/UDP b|SIP/2.0/UDP c"),
    ],
)
def test_a_sound_request_passes(made: Request) -> None:
    assert status_of(made) == 200


def _changed(name: str, value: str) -> Request:
    made = request()
    made.headers.remove(name)
    for part in value.split("|") if value else []:
        made.headers.add(name, part)
    return made


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_mandatory_header_that_is_missing_is_400(name: str) -> None:
    assert status_of(_changed(name, "")) == 400


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards"])
def test_a_header_that_stands_twice_is_400(name: str) -> None:
    assert status_of(_changed(name, f"{LINES[name]}|{LINES[name]}")) == 400


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (request(CSeq="7 BYE"), 400),
        (request(CSeq="7 invite"), 400),
        (request("NEWMETHOD"), 501),
        (request(CSeq="2147483648 INVITE"), 400),
        (request(Max_Forwards="many"), 400),
        (request(uri="nobodyKnowsThisScheme:x"), 416),
        (request(uri="http://x"), 416),
        (request(uri="sip:"), 400),
        (request(uri="/"), 400),
        (request(uri="sip:c@d?Route=%3Csip:evil%3E"), 400),
        (request(From="/"), 400),
        (request(To='"Mr. J. User <sip:j.user@example.com>'), 400),
        (request(Via="SIP/2.0/UDP 192.0.2.15;;,;,,"), 400),
        (request(Via="SIP/2.0/UDP a, x"), 400),
        (request(Via="SIP/2.0/UDP a|x"), 400),
        (request(Contact='"Joe" <sip:joe@example.org>;;;;'), 400),
        (request(Contact="<sip:a>|x"), 400),
        (request(Contact="<sip:a>, x"), 400),
        (request(Contact="*|<sip:a>"), 400),
        (request(Record_Route="x"), 400),
        (request(Call_ID="a b"), 400),
        (request(Content_Type="sdp"), 400),
    ],
)
def test_a_broken_request_gets_its_status(made: Request, status: int) -> None:
    assert status_of(made) == status


def test_a_sound_response_passes() -> None:
    check_response(response())


@pytest.mark.parametrize(
    "made",
    [
        response(Via=""),
        response(Via="SIP/2.0/UDP a|SIP/2.0/UDP b"),
        response(Via="SIP/2.0/UDP a, SIP/2.0/UDP b"),
        response(From=""),
        response(To="x"),
        response(Call_ID=""),
        response(CSeq="9292394834772304023312 OPTIONS"),
    ],
)
def test_a_broken_response_is_dropped(made: Response) -> None:
    with pytest.raises(RemoteProtocolError):
        check_response(made)


@pytest.mark.parametrize("header", ["Contact", "Record_Route"])
def test_an_answer_counts_whatever_it_says_about_where_to_go_on(header: str) -> None:
    for method, status in (("REGISTER", 200), ("INVITE", 486), ("OPTIONS", 404), ("INVITE", 200)):
        made = request(CSeq=f"7 {method}", **{header: "<sip:2001@10.0.0.9:99999>"})

        check_response(Response(status, "", made.headers))


def test_what_was_checked_is_not_parsed_again() -> None:
    made = request()
    check_request(made)

    assert made.from_ is made.from_
    assert {"via", "from", "to", "call-id", "cseq", "contact"} <= made.headers._typed.keys()


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"From: /\r\n",
        b"Via: SIP/2.0/UDP\r\nFrom: sip:\r\nTo: <>\r\nCall-ID: \r\nCSeq: \r\n",
        b"v:\r\nf:\r\nt:\r\ni:\r\nCSeq:\r\nm:\r\nc:\r\n",
    ],
)
def test_what_scanners_send_is_400_and_nothing_worse(lines: bytes) -> None:
    parsed = parse_datagram(b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n" + lines + b"\r\n")

    assert isinstance(parsed, Request)
    assert status_of(parsed) == 400
