"""Requests and responses (RFC 3261 §7), and the messages that are made from other messages."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from typing import NamedTuple

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.grammar import TOKEN
from sipflow.sip.headers.lines import ECHO, Headers, Written, refuse_controls, refuse_unencodable, write_pair
from sipflow.sip.headers.typed import TypedHeaders
from sipflow.sip.status import reason_phrase
from sipflow.sip.uri import Uri, parse_uri

__all__ = ["Headers", "Message", "Request", "Response", "make_ack", "make_cancel", "make_response"]

_ECHOED = frozenset({"via", "from", "to", "call-id", "cseq"})  # RFC 3261 §8.2.6.2
_ECHOED_WITH_ROUTES = _ECHOED | {"record-route"}
_ECHOED_WITH_TIME = _ECHOED | {"timestamp"}  # RFC 3261 §8.2.6.1
_REPEATABLE = frozenset({"via", "record-route"})
_MAKES_DIALOG = frozenset({"INVITE", "SUBSCRIBE", "REFER"})  # RFC 3261 §12.1, RFC 6665, RFC 3515
_SHARED_WITH_INVITE = frozenset({"route", "from", "call-id"})  # RFC 3261 §9.1, §17.1.1.3


class Request(TypedHeaders):
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
        if not (
            uri and uri.isascii() and uri.isprintable() and " " not in uri and method.isalpha() and method.isascii()
        ):
            _check_start_line(method, uri)
        return self._serialise(f"{method} {uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(TypedHeaders):
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
        return self._serialise(_status_line(self.status, self.reason))

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


Message = Request | Response


@lru_cache(maxsize=256)  # a few statuses with their own phrases are all that is sent
def _status_line(status: int, reason: str) -> str:
    if not reason.isprintable():
        refuse_controls(reason, "a reason phrase")
    if not reason.isascii():
        refuse_unencodable(reason)
    return f"SIP/2.0 {status} {reason}"


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
    written: Written = ((), ()),
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
        written: lines after `headers`, from `write_lines`: what all responses carry need not be written each time.

    Raises:
        LocalProtocolError: CR, LF or NUL in `headers` or `content_type`.
    """
    echo = _echo(request, _echoed(request, status))
    keys, lines = echo.keys.copy(), echo.lines.copy()
    if to_tag and status > 100 and echo.untagged >= 0:
        lines[echo.untagged] += f";tag={to_tag}"
    for pair in headers:
        key, line = _written(pair)
        keys.append(key)
        lines.append(line)
    keys += written[0]
    lines += written[1]
    if content_type is not None and body:
        keys.append("content-type")
        lines.append(_written(("Content-Type", content_type))[1])
    keys.append("content-length")
    lines.append(f"Content-Length: {len(body)}")
    return Response(status, reason_phrase(status) if reason is None else reason, Headers(keys, lines), body)


# Our Contact, Reason and Content-Type are the same in many responses: looked up in 0.1 us, checked and written in 1.
_written = lru_cache(maxsize=512)(write_pair)


class _Echo(NamedTuple):
    """What of a request its responses repeat.

    Attributes:
        names: of which headers.
        keys, lines: of these, as in `Headers`.
        untagged: where a To without a tag stands, -1 where there is none.
    """

    names: frozenset[str]
    keys: list[str]
    lines: list[str]
    untagged: int


def _echo(request: Request, names: frozenset[str]) -> _Echo:
    """Collect these lines. An INVITE has three responses: kept with it until one of its headers changes."""
    typed = request.headers._typed
    kept: _Echo | None = typed.get(ECHO)
    if kept is not None and kept.names is names:
        return kept
    chosen = list(map(names.__contains__, request.headers._keys))
    keys, lines = list(compress(request.headers._keys, chosen)), list(compress(request.headers._lines, chosen))
    if len(keys) > len(set(keys)):  # several Via or Record-Route; of a header that must stand once the first counts
        stays = [key in _REPEATABLE or keys.index(key) == at for at, key in enumerate(keys)]
        keys, lines = list(compress(keys, stays)), list(compress(lines, stays))
    untagged = keys.index("to") if "to" in keys and not _has_tag(request) else -1
    made = typed[ECHO] = _Echo(names, keys, lines, untagged)
    return made


def _echoed(request: Request, status: int) -> frozenset[str]:
    """Say which headers the response repeats, and the same for all statuses where there is nothing else to repeat."""
    keys = request.headers._keys
    if status == 100:
        return _ECHOED_WITH_TIME if "timestamp" in keys else _ECHOED
    if status < 300 and "record-route" in keys and request.method in _MAKES_DIALOG:
        return _ECHOED_WITH_ROUTES  # RFC 3261 §12.1.1: a response that makes a dialog repeats Record-Route
    return _ECHOED


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except RemoteProtocolError:
        return False  # it is refused for that; the answer still gets its tag


def make_ack(invite: Request, response: Response) -> Request:
    """Build the ACK to a final response other than 2xx (RFC 3261 §17.1.1.3): it belongs to the INVITE's transaction.

    Raises:
        RemoteProtocolError: `invite` has no sound Via or CSeq, which no INVITE of ours lacks.
    """
    return _same_transaction(invite, "ACK", response)


def make_cancel(invite: Request) -> Request:
    """Build the CANCEL of a request of ours (RFC 3261 §9.1): everything but method and CSeq is the request's.

    Raises:
        RemoteProtocolError: `invite` has no sound Via or CSeq, which no INVITE of ours lacks.
    """
    return _same_transaction(invite, "CANCEL", invite)


def _same_transaction(invite: Request, method: str, to_from: "Request | Response") -> Request:
    keys = ["via"]
    lines = [f"Via: {invite.via}"]  # the top one alone
    for key, line in zip(invite.headers._keys, invite.headers._lines, strict=True):
        if key in _SHARED_WITH_INVITE:
            keys.append(key)
            lines.append(line)
    for line in to_from.headers.raw("To")[:1]:
        keys.append("to")
        lines.append(line)
    keys += ("cseq", "max-forwards", "content-length")
    lines += (f"CSeq: {invite.cseq.number} {method}", "Max-Forwards: 70", "Content-Length: 0")  # RFC 3261 §8.1.1.6
    return Request(method, invite.uri, Headers(keys, lines))
