"""Readers of what SIP peers say: messages, URIs, every header's grammar, credentials, descriptions."""

from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sipflow.calls.announced import read_ei
from sipflow.calls.variables import fill, party, variables_of
from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Capabilities, Encryption, Keying, LocalMedia
from sipflow.sdp.crypto import SECRET_BYTES, Crypto
from sipflow.sdp.description import SessionDescription
from sipflow.sdp.fingerprint import Fingerprint
from sipflow.sdp.offer_answer import answer_offer, read_answer
from sipflow.sip.body import sdp_of
from sipflow.sip.digest import Account, DigestClient, DigestServer
from sipflow.sip.dtmf_info import read_digit
from sipflow.sip.grammar import parse_params, split_list, write_params
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.auth import Challenge, Credentials, parse_info
from sipflow.sip.headers.content import MediaType, accepts
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.lines import Headers, write_line
from sipflow.sip.headers.rack import RAck, parse_rseq
from sipflow.sip.headers.reason import Reason, reasons_in
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.headers.replaces import Replaces, TargetDialog
from sipflow.sip.headers.scalars import (
    parse_content_length,
    parse_expires,
    parse_max_forwards,
    parse_min_expires,
    parse_retry_after,
)
from sipflow.sip.headers.session_expires import SessionExpires, parse_min_se
from sipflow.sip.headers.subscription import EventType, SubscriptionState
from sipflow.sip.headers.tokens import parse_tokens
from sipflow.sip.headers.via import Via
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import DEFAULT_LIMITS, KeepAlive, Malformed, Parsed, StreamParser, parse_datagram
from sipflow.sip.session_timer import min_se_of, session_expires_of
from sipflow.sip.sipfrag import read_sipfrag, write_sipfrag
from sipflow.sip.uri import SipUri, parse_uri
from sipflow.sip.validate import check_request, check_response
from sipflow.trunks.grant import read_seen_as
from tests.fuzz import words
from tests.fuzz.target import Target, pieces, text_of
from tests.support.calls import Callee
from tests.support.wire import WIRES, Wire

_TYPED = ("via", "vias", "branch", "from_", "to", "call_id", "cseq", "contact", "contacts", "contact_is_star", "routes",
          "record_routes", "max_forwards", "expires", "content_type")  # fmt: skip
_APART = b"\n--\n"  # between the datagrams of one input
_ENOUGH_S = 40.0  # for every transaction to be over


def read_datagram(data: bytes) -> bool:
    """What is read prints to the same octets, reads alike again, and can be answered."""
    parsed = parse_datagram(data)
    if isinstance(parsed, KeepAlive):
        return True
    if isinstance(parsed, Malformed):
        assert 400 <= parsed.error.status < 700
        if parsed.message is not None:
            _look_at(parsed.message)
        return False
    printed = bytes(parsed)
    again = parse_datagram(printed)
    assert _shape(again) == _shape(parsed)
    assert isinstance(again, Request | Response)
    assert bytes(again) == printed
    _look_at(parsed)
    return True


def _look_at(message: Request | Response) -> None:
    """Ask a message for everything that anybody asks."""
    for name in _TYPED:
        with suppress(RemoteProtocolError):
            getattr(message, name)
    assert sdp_of(message) in message.body
    session_expires_of(message)
    min_se_of(message)
    reasons_in(message.headers)
    assert all(value.isprintable() for value in variables_of(message.headers).values())
    if isinstance(message, Response):
        read_seen_as(message)
        with suppress(RemoteProtocolError):
            check_response(message)
        return
    read_digit(message)
    party(message, "From")
    with suppress(RemoteProtocolError):
        check_request(message)
    answer = parse_datagram(bytes(make_response(message, 404, to_tag="t")))
    assert isinstance(answer, Response), answer


def _shape(parsed: Parsed) -> object:
    if isinstance(parsed, Request):
        return ("request", parsed.method, parsed.uri, list(parsed.headers), parsed.body)
    if isinstance(parsed, Response):
        return ("response", parsed.status, parsed.reason, list(parsed.headers), parsed.body)
    if isinstance(parsed, Malformed):
        return ("malformed", str(parsed.error), parsed.message and _shape(parsed.message))
    return parsed


def read_stream(data: bytes) -> bool:
    """The messages do not depend on where the stream is cut, and what is kept of them is bounded."""
    whole, cut = pieces(data)
    at_once, piecewise = StreamParser(), StreamParser()
    found = [_shape(each) for each in at_once.feed(whole) if not isinstance(each, KeepAlive)]
    others: list[object] = []
    for piece in cut:
        others += [_shape(each) for each in piecewise.feed(piece) if not isinstance(each, KeepAlive)]
        assert piecewise.pending_bytes <= DEFAULT_LIMITS.message_bytes + len(piece)
    assert found == others
    assert (at_once.broken, at_once.pending_bytes) == (piecewise.broken, piecewise.pending_bytes)
    return bool(found) and not at_once.broken


def take_datagrams(data: bytes) -> bool:
    """A user agent raises nothing, and answers somebody or nobody."""
    wire = Wire()
    wire.node("192.0.2.2", Callee())
    for datagram in data.split(_APART)[:8]:
        wire.inject("192.0.2.9", "192.0.2.2", datagram)
    wire.run(until=_ENOUGH_S)
    WIRES.clear()
    return bool(wire.sent)


def read_uri(data: bytes) -> bool:
    """A URI prints to one that means the same, and stands beside itself as equal."""
    try:
        uri = parse_uri(text_of(data))
    except RemoteProtocolError:
        return False
    assert parse_uri(str(uri)) == uri
    if isinstance(uri, SipUri):
        assert uri.equivalent(uri)
        plain = uri.with_user(uri.unescaped_user)
        again = parse_uri(str(plain))
        assert isinstance(again, SipUri)
        assert again.unescaped_user == uri.unescaped_user
    return True


def _round_trip(parse: Callable[[str], Any]) -> Callable[[str], None]:
    def check(text: str) -> None:
        found = parse(text)
        for each in found if isinstance(found, list) else [found]:
            printed = str(each)
            again = parse(printed)
            assert again == ([each] if isinstance(found, list) else each), (each, again)
            assert not set(printed) & set("\r\n\0")  # nothing that we read lets us write what would break a message

    return check


def _settles(parse: Callable[[str], Any]) -> Callable[[str], None]:
    """The same for what is not repeated as it came, because people read it: what we make of it stays as it is."""

    def check(text: str) -> None:
        printed = str(parse(text))
        assert str(parse(printed)) == printed

    return check


def _params(text: str) -> None:
    params = parse_params(text)
    assert parse_params(write_params(params)) == params


def _list(text: str) -> None:
    assert [each for piece in split_list(text) for each in split_list(piece)] == split_list(text)


def _number(parse: Callable[[str], int | None]) -> Callable[[str], None]:
    def check(text: str) -> None:
        number = parse(text)
        assert number is None or parse(str(number)) == number
        assert number is None or 0 <= number < 2**32

    return check


def _fill(text: str) -> None:
    read_ei(text)
    assert fill(text, {}) is not None


# The letter with which an input begins -> what reads the rest of it.
GRAMMARS: dict[str, Callable[[str], object]] = {
    "a": _round_trip(NameAddr.parse),
    "v": _round_trip(Via.parse),
    "c": _round_trip(CSeq.parse),
    "k": _round_trip(RAck.parse),
    "q": _number(parse_rseq),
    "r": _settles(Reason.parse),
    "f": ReferTo.parse,
    "p": _round_trip(Replaces.parse),
    "d": _round_trip(TargetDialog.parse),
    "s": _round_trip(SessionExpires.parse),
    "i": _number(parse_min_se),
    "e": _round_trip(EventType.parse),
    "u": _round_trip(SubscriptionState.parse),
    "m": _round_trip(MediaType.parse),
    "h": _round_trip(Challenge.parse_all),
    "w": _round_trip(Credentials.parse_all),
    "n": parse_info,
    "t": lambda text: parse_tokens([text]),
    "x": lambda text: accepts([text], "application/sdp"),
    "P": _params,
    "L": _list,
    "M": _number(parse_max_forwards),
    "E": _number(parse_expires),
    "I": _number(parse_min_expires),
    "R": _number(parse_retry_after),
    "C": _number(lambda text: parse_content_length(text, 65535)),
    "X": _fill,
    "K": lambda text: Crypto.parse(text),
    "F": _round_trip(Fingerprint.parse),
}


def read_header(data: bytes) -> bool:
    """A value prints to one that reads alike, and never to what breaks a line."""
    text = text_of(data)
    grammar, value = GRAMMARS.get(text[:1]), text[1:].strip(" \t")
    if grammar is None or "\r" in value or "\n" in value:
        return False
    try:
        grammar(value)
    except RemoteProtocolError as error:
        return _refused(error, range(400, 700))
    return True


def _refused(error: RemoteProtocolError, statuses: Container[int]) -> bool:
    assert error.status in statuses
    return False


def answer_challenge(data: bytes) -> bool:
    """A challenge is answered with credentials that can be written and read; of credentials none is ever good."""
    value = text_of(data).strip()
    if any(control in value for control in "\r\n\0"):
        return False
    lines = "Call-ID: c\r\nCSeq: 1 INVITE\r\nWWW-Authenticate: " + value
    response = parse_datagram(f"SIP/2.0 401 No\r\n{lines}\r\n\r\n".encode("utf-8", "surrogateescape"))
    if not isinstance(response, Response):
        return False
    client = DigestClient([Account("2001", "secret")], cnonce=lambda: "0123456789abcdef")
    answers = client.authorize(response, method="INVITE", uri="sip:bob@example.com")
    for name, credentials in answers:
        write_line(name, credentials)
        assert Credentials.parse(credentials).is_digest
        assert "secret" not in credentials
    client.observe(replace_header(response, "Authentication-Info", value))
    server = DigestServer(realm="r", secret=b"s" * 32)
    headers = Headers()
    headers.add_raw(f"Authorization: {value}")
    assert not server.verify(Request("INVITE", "sip:bob@example.com", headers), {"2001": "secret"}, now=1.0)
    return bool(answers)


def replace_header(response: Response, name: str, value: str) -> Response:
    """The same as a 200 with this header."""
    headers = response.headers.copy()
    headers.add_raw(f"{name}: {value}")
    return Response(200, "OK", headers)


_OURS = LocalMedia(
    "192.0.2.9", 10000, 10001, session_id=77, version=1,
    secret=bytes(range(SECRET_BYTES)), fingerprint=Fingerprint("sha-256", bytes(32)),
)  # fmt: skip
_CAPABILITIES = (
    Capabilities(),
    Capabilities(srtp=Encryption.OPTIONAL),
    replace(Capabilities(srtp=Encryption.REQUIRED), keying=Keying.DTLS),
)


def answer_description(data: bytes) -> bool:
    """A description prints to itself; an answer to it has as many media, and one address at the most."""
    try:
        description = SessionDescription.parse(data)
    except RemoteProtocolError:
        return False
    assert bytes(description) == data
    accepted = False
    for capabilities in _CAPABILITIES:
        with suppress(RemoteProtocolError):
            read_answer(data, _OURS, capabilities)
        try:
            answer, agreed = answer_offer(data, _OURS, capabilities)
        except RemoteProtocolError as error:
            accepted = _refused(error, (400, 488)) or accepted
            continue
        accepted = True
        assert len(SessionDescription.parse(answer).media) == len(description.media)  # RFC 3264 §6
        assert 0 <= agreed.remote_rtp_port < 65536  # 0: it has no audio stream yet
        assert 10 <= agreed.ptime_ms <= 60
    return accepted


def read_fragment(data: bytes) -> bool:
    """A status line of somebody else's response, repeated, is the same."""
    fragment = read_sipfrag(data)
    if fragment is None:
        return False
    assert 100 <= fragment.status < 700
    again = read_sipfrag(write_sipfrag(fragment.status, fragment.reason))
    assert again is not None
    assert again.status == fragment.status
    assert not fragment.reason.strip() or again.reason == fragment.reason.strip()
    return True


TARGETS = {
    "datagram": Target(read_datagram, words.SIP, longest_bytes=8000),
    "stream": Target(read_stream, words.SIP, longest_bytes=8000),
    "user_agent": Target(take_datagrams, words.SIP, longest_bytes=8000),
    "uri": Target(read_uri, words.HEADER),
    "header": Target(read_header, words.HEADER),
    "digest": Target(answer_challenge, words.HEADER),
    "sdp": Target(answer_description, words.SDP, longest_bytes=8000),
    "sipfrag": Target(read_fragment, ("SIP/2.0", " 200 ")),
}
