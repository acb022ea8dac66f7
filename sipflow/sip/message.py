"""Requests and responses (RFC 3261 §7), and the messages that are made from other messages."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.grammar import TOKEN, split_list
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.content import MediaType
from sipflow.sip.headers.cseq import CSeq
from sipflow.sip.headers.lines import Headers, refuse_unencodable, unfold
from sipflow.sip.headers.scalars import parse_expires, parse_max_forwards
from sipflow.sip.headers.via import Via
from sipflow.sip.ids import MAGIC_COOKIE
from sipflow.sip.status import reason_phrase
from sipflow.sip.uri import Uri, parse_uri

__all__ = ["Headers", "Message", "Request", "Response", "make_ack", "make_cancel", "make_response"]

T = TypeVar("T")

_SPELLED = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
_ECHOED = frozenset({"via", "from", "call-id", "cseq"})  # RFC 3261 §8.2.6.2; To is treated apart
_ECHOED_WITH_ROUTES = _ECHOED | {"record-route"}
_MAKES_DIALOG = frozenset({"INVITE", "SUBSCRIBE", "REFER"})  # RFC 3261 §12.1, RFC 6665, RFC 3515


class _Message:
    """What requests and responses share.

    The typed accessors parse a header when it is first read and keep the value until that header changes. Each raises
    RemoteProtocolError (status 400) when its header is mandatory and missing, stands twice, or is malformed.
    """

    __slots__ = ("_as_received", "body", "headers")

    headers: Headers
    body: bytes
    _as_received: bool

    @property
    def via(self) -> Via:
        """The top Via. Assigning replaces it alone."""
        typed = self.headers._typed
        found: Via | None = typed.get("via")
        if found is None:
            found = typed["via"] = Via.parse(self._first_of_list("via"))
        return found

    @via.setter
    def via(self, value: Via) -> None:
        self.headers.replace_first("Via", str(value))
        self.headers._typed["via"] = value

    @property
    def vias(self) -> list[Via]:
        return self._list("vias", "Via", Via.parse)

    @property
    def branch(self) -> str:
        """The top Via's branch; "" when there is none, or nothing but the magic cookie (RFC 4475 §3.2.1)."""
        branch = self.via.branch
        return "" if branch is None or branch == MAGIC_COOKIE else branch

    @property
    def from_(self) -> NameAddr:
        typed = self.headers._typed
        found: NameAddr | None = typed.get("from")
        if found is None:
            found = typed["from"] = NameAddr.parse(self._single("from"))
        return found

    @property
    def to(self) -> NameAddr:
        typed = self.headers._typed
        found: NameAddr | None = typed.get("to")
        if found is None:
            found = typed["to"] = NameAddr.parse(self._single("to"))
        return found

    @property
    def call_id(self) -> str:
        typed = self.headers._typed
        found: str | None = typed.get("call-id")
        if found is None:
            found = self._single("call-id")
            if not found or " " in found or "\t" in found:
                raise RemoteProtocolError(f"not a Call-ID: {found[:80]!r}")
            typed["call-id"] = found
        return found

    @property
    def cseq(self) -> CSeq:
        typed = self.headers._typed
        found: CSeq | None = typed.get("cseq")
        if found is None:
            found = typed["cseq"] = CSeq.parse(self._single("cseq"))
        return found

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none, or `*`."""
        headers = self.headers
        if "contact" not in headers._keys:
            return None
        typed = headers._typed
        found: NameAddr | None = typed.get("contact")
        if found is None:
            value = self._first_of_list("contact")
            if value == "*":
                return None
            found = typed["contact"] = NameAddr.parse(value)
        return found

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts; empty for `*` (see `contact_is_star`)."""
        return [] if self.contact_is_star else self._list("contacts", "Contact", NameAddr.parse)

    @property
    def contact_is_star(self) -> bool:
        """Whether the one Contact is `*`: a REGISTER that removes all bindings (RFC 3261 §10.2.2)."""
        return self.headers.all("Contact") == ["*"]

    @property
    def routes(self) -> list[NameAddr]:
        return self._list("routes", "Route", NameAddr.parse)

    @property
    def record_routes(self) -> list[NameAddr]:
        return self._list("record_routes", "Record-Route", NameAddr.parse)

    @property
    def max_forwards(self) -> int | None:
        """0 to 255; None when there is none, or one above 255 (RFC 4475 §3.1.2.4)."""
        value = self.headers.get("Max-Forwards")
        return None if value is None else parse_max_forwards(value)

    @property
    def expires(self) -> int | None:
        """Seconds; None when there is none, 3600 when it is malformed (RFC 3261 §20.10)."""
        value = self.headers.get("Expires")
        return None if value is None else parse_expires(value)

    @property
    def content_type(self) -> str | None:
        """The body's media type in lower case and without parameters; None when there is none."""
        value = self.headers.get("Content-Type")
        if value is None or value == "application/sdp":
            return value
        return MediaType.parse(value).essence

    def set_body(self, body: bytes, content_type: str) -> None:
        """Replace the body, its Content-Type (none for an empty body) and its Content-Length.

        Raises:
            LocalProtocolError: CR, LF or NUL in `content_type`.
        """
        if body:
            self.headers.set("Content-Type", content_type)
        else:
            self.headers.remove("Content-Type")
        self.headers.set("Content-Length", str(len(body)))
        self.body = body

    def _single(self, key: str) -> str:
        headers = self.headers
        count = headers._keys.count(key)
        if count != 1:
            name = _SPELLED[key]
            raise RemoteProtocolError(f"{name} stands {count} times, not once" if count else f"{name} is missing")
        return unfold(headers._lines[headers._keys.index(key)])

    def _first_of_list(self, key: str) -> str:
        headers = self.headers
        if key not in headers._keys:
            raise RemoteProtocolError(f"{_SPELLED[key]} is missing")
        value = unfold(headers._lines[headers._keys.index(key)])
        return split_list(value)[0] if "," in value else value

    def _list(self, cache_key: str, name: str, parse: Callable[[str], T]) -> list[T]:
        typed = self.headers._typed
        found: list[T] | None = typed.get(cache_key)
        if found is None:
            # An empty element is an error here: it may hide what the next hop reads as a value.
            found = [parse(value) for line in self.headers.all(name) for value in split_list(line)]
            typed[cache_key] = found
        return found.copy()

    def _serialise(self, start_line: str) -> bytes:
        headers = self.headers
        lines = [start_line, *headers._lines]
        if not self._as_received and "content-length" not in headers._keys:
            lines.append(f"Content-Length: {len(self.body)}")  # RFC 3261 §20.14: MUST be there on a stream
        lines.append("\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


class Request(_Message):
    """A request (RFC 3261 §7.1).

    Attributes:
        method: case-sensitive.
        uri: the Request-URI as text; `request_uri` is the parsed one.
        headers: its header lines.
        body: its octets.
    """

    __slots__ = ("_parsed_uri", "method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers | None = None, body: bytes = b"") -> None:
        self.method = method
        self.uri = uri
        self.headers = Headers() if headers is None else headers
        self.body = body
        self._as_received = False
        self._parsed_uri: tuple[str, Uri] | None = None

    @property
    def request_uri(self) -> Uri:
        parsed = self._parsed_uri
        if parsed is None or parsed[0] != self.uri:
            parsed = self._parsed_uri = (self.uri, parse_uri(self.uri))
        return parsed[1]

    def copy(self) -> "Request":
        """Copy the message; changing either leaves the other as it is."""
        twin = Request(self.method, self.uri, self.headers.copy(), self.body)
        twin._as_received = self._as_received
        return twin

    def __bytes__(self) -> bytes:
        """Serialise; a parsed valid message gives the very octets it was parsed from.

        Raises:
            LocalProtocolError: method or Request-URI hold spaces or control characters.
        """
        method, uri = self.method, self.uri
        if not (uri.isascii() and uri.isprintable() and " " not in uri and method.isalpha() and method.isascii()):
            _check_start_line(method, uri)
        return self._serialise(f"{method} {uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(_Message):
    """A response (RFC 3261 §7.2).

    Attributes:
        status: 100 to 699.
        reason: the reason phrase, perhaps "".
        headers: its header lines.
        body: its octets.
    """

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str = "", headers: Headers | None = None, body: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.headers = Headers() if headers is None else headers
        self.body = body
        self._as_received = False

    def copy(self) -> "Response":
        """Copy the message; changing either leaves the other as it is."""
        twin = Response(self.status, self.reason, self.headers.copy(), self.body)
        twin._as_received = self._as_received
        return twin

    def __bytes__(self) -> bytes:
        """Serialise; a parsed valid message gives the very octets it was parsed from.

        Raises:
            LocalProtocolError: CR, LF or NUL in the reason phrase.
        """
        reason = self.reason
        if "\r" in reason or "\n" in reason or "\0" in reason:
            raise LocalProtocolError(f"CR, LF or NUL in a reason phrase: {reason[:80]!r}")
        if not reason.isascii():
            refuse_unencodable(reason)
        return self._serialise(f"SIP/2.0 {self.status} {reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


Message = Request | Response


def _check_start_line(method: str, uri: str) -> None:
    if TOKEN.fullmatch(method) is None:
        raise LocalProtocolError(f"not a method: {method[:80]!r}")
    if not uri or any(character <= " " or character == "\x7f" for character in uri):
        raise LocalProtocolError(f"space or control character in a Request-URI: {uri[:80]!r}")
    refuse_unencodable(uri)


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Build the response to a request (RFC 3261 §8.2.6): Via, From, To, Call-ID and CSeq are its raw lines.

    What a broken request lacks, its response lacks too; this never raises for what a peer wrote.

    Args:
        request: what is answered; may be the message of a `Malformed`.
        status: 100 to 699.
        reason: the reason phrase; None for the standard one.
        to_tag: put into To when it has no tag and the status is above 100 (§8.2.6.2).
        headers: further lines, in order.
        body: the body, with its Content-Type in `content_type`.

    Raises:
        LocalProtocolError: CR, LF or NUL in `headers` or `content_type`.
    """
    source = request.headers
    # RFC 3261 §12.1.1: a response that makes a dialog repeats Record-Route.
    routes = 100 < status < 300 and request.method in _MAKES_DIALOG
    echoed = _ECHOED_WITH_ROUTES if routes else _ECHOED
    keys: list[str] = []
    lines: list[str] = []
    for key, line in zip(source._keys, source._lines, strict=True):
        if key in echoed:
            keys.append(key)
            lines.append(line)
        elif key == "to":
            keys.append(key)
            lines.append(f"{line};tag={to_tag}" if to_tag and status > 100 and not _has_tag(request) else line)
        elif key == "timestamp" and status == 100:  # RFC 3261 §8.2.6.1
            keys.append(key)
            lines.append(line)
    response = Response(status, reason_phrase(status) if reason is None else reason, Headers(keys, lines), body)
    for name, value in headers:
        response.headers.add(name, value)
    if content_type is not None and body:
        response.headers.add("Content-Type", content_type)
    keys.append("content-length")
    lines.append(f"Content-Length: {len(body)}")
    return response


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except RemoteProtocolError:
        return False  # it is refused for that; the answer still gets its tag


def make_ack(invite: Request, response: Response) -> Request:
    """Build the ACK to a final response other than 2xx (RFC 3261 §17.1.1.3): it belongs to the INVITE's transaction."""
    ack = _same_branch(invite, "ACK")
    for line in response.headers.raw("To"):
        ack.headers.add_raw(line)
    ack.headers.add("Content-Length", "0")
    return ack


def make_cancel(invite: Request) -> Request:
    """Build the CANCEL of a request of ours (RFC 3261 §9.1): everything but method and CSeq is the request's."""
    cancel = _same_branch(invite, "CANCEL")
    for line in invite.headers.raw("To"):
        cancel.headers.add_raw(line)
    cancel.headers.add("Content-Length", "0")
    return cancel


def _same_branch(invite: Request, method: str) -> Request:
    request = Request(method, invite.uri)
    headers = request.headers
    headers.add("Via", str(invite.via))  # the top one alone
    for name in ("Route", "From", "Call-ID"):
        for line in invite.headers.raw(name):
            headers.add_raw(line)
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    headers.add("Max-Forwards", "70")  # RFC 3261 §8.1.1.6
    return request
