"""RFC 4475: what parser and syntax check say to each of its messages; the whole daemon's verdicts are elsewhere."""

import csv
import hashlib
from pathlib import Path

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import KeepAlive, Malformed, StreamParser, parse_datagram
from sipflow.sip.uri import SipUri, Uri
from sipflow.sip.validate import check_request, check_response

DATA = Path(__file__).parent / "data"
INDEX = {row["name"]: row for row in csv.DictReader((DATA / "index.csv").read_text(encoding="utf-8").splitlines())}

# "ok": for the layers above (401, 405, 415, 416 of other headers, 420 are theirs); a number: the status to answer;
# "drop": a response nobody is told about.
VERDICTS: dict[str, str | int] = {
    "badaspec": 400,
    "badbranch": "ok",
    "baddate": "ok",
    "baddn": 400,
    "badinv01": 400,
    "badvers": 505,
    "bcast": "drop",
    "bext01": "ok",
    "bigcode": "drop",
    "clerr": 400,
    "cparam01": "ok",
    "cparam02": "ok",
    "dblreq": "ok",
    "esc01": "ok",
    "esc02": "ok",
    "escnull": "ok",
    "escruri": 400,
    "insuf": 400,
    "intmeth": "ok",
    "inv2543": "ok",
    "invut": "ok",
    "longreq": "ok",
    "ltgtruri": 400,
    "lwsdisp": "ok",
    "lwsruri": 400,
    "lwsstart": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 501,
    "mpart01": "ok",
    "multi01": 400,
    "ncl": 400,
    "noreason": "ok",
    "novelsc": 416,
    "quotbal": 400,
    "regaut01": "ok",
    "regbadct": 400,
    "regescrt": "ok",
    "scalar02": 400,
    "scalarlg": "drop",
    "sdp01": "ok",
    "semiuri": "ok",
    "transports": "ok",
    "trws": 400,
    "unkscm": 416,
    "unksm2": "ok",
    "unreason": "ok",
    "wsinv": "ok",
    "zeromf": "ok",
}


def read(name: str) -> bytes:
    return (DATA / f"{name}.dat").read_bytes()


def message(name: str) -> Request:
    parsed = parse_datagram(read(name))
    assert isinstance(parsed, Request)
    return parsed


def response(name: str) -> Response:
    parsed = parse_datagram(read(name))
    assert isinstance(parsed, Response)
    return parsed


def sip(uri: Uri) -> SipUri:
    assert isinstance(uri, SipUri)
    return uri


def verdict(data: bytes) -> str | int:
    parsed = parse_datagram(data)
    assert not isinstance(parsed, KeepAlive)
    try:
        match parsed:
            case Malformed():
                is_request = isinstance(parsed.message, Request)
                return parsed.error.status if is_request else "drop"
            case Request():
                check_request(parsed)
            case Response():
                check_response(parsed)
    except RemoteProtocolError as error:
        return error.status if isinstance(parsed, Request) else "drop"
    return "ok"


def test_the_verdicts_leave_no_message_out() -> None:
    assert set(VERDICTS) == set(INDEX) == {path.stem for path in DATA.glob("*.dat")}


def test_the_copies_are_exact_to_the_octet() -> None:
    assert {name: hashlib.sha256(read(name)).hexdigest() for name in INDEX} == {
        name: row["sha256"] for name, row in INDEX.items()
    }


@pytest.mark.parametrize("name", sorted(INDEX))
def test_each_message_gets_its_verdict(name: str) -> None:
    assert verdict(read(name)) == VERDICTS[name]


@pytest.mark.parametrize("name", sorted(INDEX))
def test_each_verdict_is_one_that_rfc4475_allows(name: str) -> None:
    result = VERDICTS[name]
    allowed = INDEX[name]["allowed_status_ua"]

    if result != "ok":
        assert str(result) in allowed
    elif INDEX[name]["verdict"] == "reject":
        assert allowed not in ("400", "505")  # refused for its meaning, by the layers above


@pytest.mark.parametrize("name", sorted(name for name, result in VERDICTS.items() if result == "ok"))
def test_each_sound_message_serialises_to_its_own_octets(name: str) -> None:
    parsed = parse_datagram(read(name))

    assert not isinstance(parsed, Malformed | KeepAlive)
    data = read(name)
    if name == "dblreq":  # a second request behind its end, which RFC 3261 §18.3 drops
        data = data[: data.index(b"\r\n\r\n") + 4]
    assert bytes(parsed) == data


def test_wsinv_is_read_through_its_folds_and_spaces() -> None:
    invite = message("wsinv")

    assert str(invite.request_uri) == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert (invite.to.tag, invite.from_.display, invite.from_.tag) == ("1918181833n", 'J Rosenberg \\"', "98asjd8")
    assert (invite.max_forwards, invite.cseq.number, invite.cseq.method) == (68, 9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in invite.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert invite.headers.get("Subject") == ""
    assert invite.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert invite.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert [str(route) for route in invite.routes] == [
        "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"
    ]
    contact = invite.contact
    assert contact is not None
    assert contact.display == 'Quoted string ""'
    assert contact.params == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    assert len(invite.body) == 150


def test_intmeth_keeps_its_method_call_id_and_odd_characters() -> None:
    request = message("intmeth")

    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.cseq.number == 139122385
    assert request.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert request.branch == "z9hG4bK-.!%66*_+`'~"
    assert request.to.display == "BEL:\x07 NUL: DEL:\x7f"  # the NUL is left out of what we read, not of what we repeat
    assert request.from_.display == "token1~` token2'+_ token3*%!.-"
    assert request.from_.param("fromparam''~+*_!.-%") == "работающий"
    assert request.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert bytes(request) == read("intmeth")


def test_esc01_resolves_escapes_once_and_only_where_they_are_escapes() -> None:
    invite = message("esc01")
    contact = invite.contact

    assert str(invite.request_uri) == "sip:sips%3Auser%40example.com@example.net"
    assert sip(invite.to.uri).unescaped_user == "user"
    assert sip(invite.from_.uri).unescaped_user == "I have spaces"
    assert contact is not None
    assert sip(contact.uri).has_param("lr")
    assert sip(contact.uri).param("name") == "value%41"


def test_escnull_keeps_two_contacts_that_differ() -> None:
    first, second = message("escnull").contacts

    assert (sip(first.uri).unescaped_user, sip(second.uri).unescaped_user) == ("\0", "\0\0")
    assert not sip(first.uri).equivalent(second.uri)


def test_esc02_is_not_a_register_and_has_two_contacts() -> None:
    request = message("esc02")

    assert (request.method, request.cseq.method) == ("RE%47IST%45R", "RE%47IST%45R")
    assert request.from_.display == "%Z%45"
    assert [str(contact) for contact in request.contacts] == [
        "<sip:alias1@host1.example.com>",
        "<sip:alias3@host3.example.com>",
    ]
    assert request.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"


def test_lwsdisp_reads_a_name_that_touches_its_bracket() -> None:
    assert message("lwsdisp").from_.display == "caller"


def test_longreq_is_echoed_whole() -> None:
    data = read("longreq").decode()
    invite = message("longreq")

    answer = make_response(invite, 180, to_tag="1")

    assert len(answer.vias) == 34
    assert f"tag={invite.from_.tag};unknownheaderparam" in data
    assert f"Call-ID: {answer.call_id}\r\n" in data
    for name in ("Via", "From", "Call-ID", "CSeq"):
        assert answer.headers.raw(name) == invite.headers.raw(name)


def test_dblreq_is_one_message_in_a_datagram_and_two_in_a_stream() -> None:
    assert message("dblreq").method == "REGISTER"

    found = StreamParser().feed(read("dblreq"))

    assert [part.method for part in found if isinstance(part, Request)] == ["REGISTER", "INVITE"]


def test_semiuri_keeps_semicolon_in_the_user_part() -> None:
    uri = sip(message("semiuri").request_uri)

    assert (uri.unescaped_user, uri.host, uri.params) == ("user;par=u@example.net", "example.com", ())


def test_transports_keeps_unknown_transports() -> None:
    assert [via.transport for via in message("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01_keeps_a_binary_body() -> None:
    body = message("mpart01").body

    assert len(body) == 553
    assert b"\0" in body


def test_unreason_and_noreason_read_their_phrases() -> None:
    assert response("unreason").reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (response("noreason").status, response("noreason").reason) == (100, "")


def test_badbranch_has_no_branch_to_match_by() -> None:
    assert message("badbranch").branch == ""


def test_scalar02_reads_absurd_numbers_as_rfc4475_3_1_2_4_says() -> None:
    request = message("scalar02")

    assert (request.max_forwards, request.expires) == (None, 3600)


def test_unksm2_accessors_do_not_raise_on_foreign_schemes() -> None:
    request = message("unksm2")

    assert [str(request.to), str(request.from_), str(request.contact)] == [
        "<isbn:2983792873>",
        "<http://www.example.com>;tag=3234233",
        "<name:John_Smith>",
    ]


def test_contact_parameters_stay_on_their_side_of_the_bracket() -> None:
    header, uri = message("cparam01").contact, message("cparam02").contact

    assert header is not None
    assert uri is not None
    assert (header.params, sip(header.uri).params) == ((("unknownparam", None),), ())
    assert (uri.params, sip(uri.uri).params) == ((), (("unknownparam", None),))


def test_regescrt_keeps_escaped_headers_verbatim() -> None:
    contact = message("regescrt").contact

    assert contact is not None
    assert sip(contact.uri).headers == "Route=%3Csip:sip.example.com%3E"


def test_inv2543_has_no_branch_no_tag_and_all_of_its_body() -> None:
    invite = message("inv2543")

    assert (invite.branch, invite.from_.tag, invite.max_forwards, len(invite.body)) == ("", None, None, 105)


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_what_has_no_certain_end_breaks_a_stream(name: str) -> None:
    parser = StreamParser()

    (found,) = parser.feed(read(name) + read("lwsdisp"))

    assert isinstance(found, Malformed)
    assert parser.broken


@pytest.mark.parametrize("name", ["badvers", "trws", "lwsstart"])
def test_a_bad_start_line_is_answered_and_leaves_the_stream_usable(name: str) -> None:
    parser = StreamParser()
    data = read(name)

    *_, last = parser.feed(data[: data.index(b"\r\n\r\n") + 4] + bytes(_body_length(data)) + read("lwsdisp"))

    assert isinstance(last, Request)
    assert not parser.broken


def _body_length(data: bytes) -> int:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Malformed)
    assert parsed.message is not None
    return int(parsed.message.headers.get("Content-Length") or "0")
