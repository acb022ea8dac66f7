"""Octets to messages: one datagram, or a stream that is cut anywhere (RFC 3261 §7, §18.3).

Line ends are CRLF and nothing else: a lone CR or LF that one reader takes for a line end and another does not lets a
message carry headers that only the second sees.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import NAME_CHARACTERS, TOKEN
from sipflow.sip.headers.lines import Headers, unfold
from sipflow.sip.headers.names import LINE_STARTS, header_key
from sipflow.sip.headers.scalars import parse_content_length
from sipflow.sip.message import Request, Response

__all__ = ["DEFAULT_LIMITS", "KeepAlive", "Limits", "Malformed", "Parsed", "StreamParser", "parse_datagram"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be. What is larger is refused before it costs anything.

    Attributes:
        message_bytes: of a whole message: what a UDP datagram can carry (RFC 3261 §18.1.1); a stream that announces
            more would make us buffer it for a peer that nobody knows yet.
        headers: lines, continuations counted; calls through many proxies carry under a hundred, and every look-up
            walks them.
        header_bytes: of one line, counted in characters; the longest seen in the wild are Identity tokens of 2 to 4 KB.
        uri_bytes: of the Request-URI, counted in characters; it is copied into logs, records and routes.
    """

    message_bytes: int = 65535
    headers: int = 256
    header_bytes: int = 8192
    uri_bytes: int = 4096


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class Malformed:
    """Something that is no valid message.

    Attributes:
        message: what could be read of it, for answering; None when not even that. Only headers that are sound lines
            are in it. A Response is there to be logged, never to be acted on.
        error: what is wrong, and the status to answer with.
    """

    message: Request | Response | None
    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Line ends between messages (RFC 5626 §3.5.1).

    Attributes:
        ping: True for CRLFCRLF, which wants a CRLF back; False for that CRLF, and for other idle octets in a datagram.
    """

    ping: bool


Parsed = Request | Response | Malformed | KeepAlive

_REQUEST_LINE = re.compile(rf"([{NAME_CHARACTERS}]+) ([^\x00-\x20\x7f<>\"]+) [sS][iI][pP]/2\.0")  # RFC 3261 §7.1
_STATUS_LINE = re.compile(r"[sS][iI][pP]/2\.0 ([1-6][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")  # RFC 3261 §7.2
_ANY_REQUEST_LINE = re.compile(
    rf"([{NAME_CHARACTERS}]++)[ \t]++([^\x00-\x1f\x7f]*)[ \t][sS][iI][pP]/([0-9]++\.[0-9]++)[ \t]*"
)
_NAMES = re.compile(r"\n([^:\r\n]*+:)")  # how each line begins that is one
_FOLD = re.compile(r"\r\n(?![ \t])")
_IDLE = b"\r\n\0 \t"  # what phones and routers send to keep a NAT binding open
_NUL_IN_QUOTED_PAIR = re.compile(rb"(?<=\\)\0")
_END = b"\r\n\r\n"
_UNANSWERED = (b"ACK ", b"SIP/")
_NO_BODY = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*0[ \t]*\r\n\Z", re.IGNORECASE)


def parse_datagram(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """Read the one message of a datagram. Octets beyond its Content-Length are dropped (RFC 3261 §18.3).

    An ACK or a response with no body may lack the empty line: its sender could not be told, and waits in vain.
    """
    if data[:1] in b"\r\n\0":
        idle = _idle_datagram(data)
        if idle is not None:
            return idle
        data = data.lstrip(b"\r\n")  # RFC 3261 §7.5
    end = data.find(_END)
    if end < 0 and data[:4].upper() in _UNANSWERED and _NO_BODY.search(data) is not None:
        data += b"\r\n"
        end = data.find(_END)
    try:
        if end < 0:
            raise RemoteProtocolError(_endless(data))
        if len(data) > limits.message_bytes:
            raise RemoteProtocolError(f"a message of {len(data)} octets is too large", status=413)
        message = _read_head(data[:end], limits)
        length = _content_length(message.headers, limits)
        body = data[end + 4 :]
        if length is not None and length != len(body):
            if length > len(body):
                raise RemoteProtocolError(f"Content-Length {length}, but only {len(body)} octets follow")
            body = body[:length]
        message.body = body
    except RemoteProtocolError as error:
        return Malformed(_salvage(data[: limits.message_bytes] if end < 0 else data[:end], limits), error)
    return message


def _endless(data: bytes) -> str:
    """Say why no end of the header section was found."""
    if b"\n\n" in data:
        return "its lines end with LF alone, where SIP wants CR LF"
    return "the header section does not end with an empty line"


def _idle_datagram(data: bytes) -> KeepAlive | None:
    return None if data.strip(_IDLE) else KeepAlive(ping=data == _END)


def _read_head(head: bytes, limits: Limits) -> Request | Response:
    """Read start line and header lines, without the empty line behind them.

    Raises:
        RemoteProtocolError: anything in it is not as RFC 3261 §7 says.
    """
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise RemoteProtocolError("a CR or LF that is no line end")
    if "\0" in text and b"\0" in _NUL_IN_QUOTED_PAIR.sub(b"", head):  # RFC 3261 §25.1 quoted-pair may hold NUL
        raise RemoteProtocolError("NUL in the header section")
    start_line = lines.pop(0)
    if len(lines) > limits.headers:
        raise RemoteProtocolError(f"{len(lines)} header lines are too many")
    keys = list(map(LINE_STARTS.get, _NAMES.findall(text)))
    known: list[str] = keys  # type: ignore[assignment]  # or else it is replaced
    if len(keys) != len(lines) or None in keys:
        unusual = _read_keys(lines)
        if unusual is None:  # a line is folded (RFC 3261 §7.3.1), which hardly anybody does any more
            start_line, *lines = _FOLD.split(text)
            unusual = _read_keys(lines) or []  # none begins with a space any more
        known = unusual
    if len(text) > limits.header_bytes and max(map(len, lines), default=0) > limits.header_bytes:
        raise RemoteProtocolError(f"a header line is longer than {limits.header_bytes}")
    message = _read_start_line(start_line, Headers(known, lines), limits)
    message._as_received = True
    return message


def _read_start_line(line: str, headers: Headers, limits: Limits) -> Request | Response:
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        if len(match[2]) > limits.uri_bytes:
            raise RemoteProtocolError(f"a Request-URI of {len(match[2])} characters is too long", status=414)
        return Request(match[1], match[2], headers)
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        return Response(int(match[1]), match[2] or "", headers)
    match = _ANY_REQUEST_LINE.fullmatch(line)
    if match is not None and match[3] != "2.0":
        raise RemoteProtocolError(f"SIP/{match[3][:20]} is not spoken here", status=505)  # RFC 3261 §21.5.6
    raise RemoteProtocolError(f"not a start line: {line[:80]!r}")


def _read_keys(lines: list[str]) -> list[str] | None:
    """Return the canonical name of each line; None when one is the continuation of another."""
    keys: list[str] = []
    for line in lines:
        name, colon, _ = line.partition(":")
        key = header_key(name)
        if key is None or not colon:
            if line.startswith((" ", "\t")):
                return None
            raise RemoteProtocolError(f"not a header line: {line[:80]!r}")
        keys.append(key)
    return keys


def _content_length(headers: Headers, limits: Limits) -> int | None:
    """Return the body's length, None when it is not said.

    Raises:
        RemoteProtocolError: not 1*DIGIT, two that differ (request smuggling), or too large.
    """
    keys = headers._keys
    count = keys.count("content-length")
    if count == 0:
        return None
    if count == 1:
        return _read_length(headers._lines[keys.index("content-length")], limits.message_bytes)
    lengths = {parse_content_length(value, limits.message_bytes) for value in headers.all("Content-Length")}
    if len(lengths) > 1:
        raise RemoteProtocolError(f"Content-Length stands {count} times and says different things")
    return lengths.pop()


@lru_cache(maxsize=256)  # nearly all messages have one of a few dozen lengths
def _read_length(line: str, limit: int) -> int:
    return parse_content_length(unfold(line), limit)


def _salvage(head: bytes, limits: Limits) -> Request | Response | None:
    """Read what can be answered of a broken header section: sound lines only, in order."""
    text = head.decode("utf-8", "surrogateescape")
    lines = _FOLD.split(text, limits.headers + 1)[: limits.headers + 1]
    message = _salvage_start_line(lines[0][: limits.uri_bytes + limits.header_bytes])
    if message is None:
        return None
    for line in lines[1:]:
        name, colon, _ = line.partition(":")
        key = header_key(name)
        unfolded = line.replace("\r\n", "")
        sound = not ("\r" in unfolded or "\n" in unfolded or "\0" in unfolded)
        if key is not None and colon and sound and len(line) <= limits.header_bytes:
            message.headers._keys.append(key)
            message.headers._lines.append(line)
    return message


def _salvage_start_line(line: str) -> Request | Response | None:
    match = _ANY_REQUEST_LINE.fullmatch(line)
    if match is not None:
        return Request(match[1], match[2].strip(" \t"))
    status = _STATUS_LINE.fullmatch(line)
    if status is not None:
        return Response(int(status[1]), status[2] or "")
    return None


class StreamParser:
    """Cuts a stream into messages by their Content-Length (RFC 3261 §18.3). It buffers one message at most.

    Once `broken` is set, where the next message would start is not known: nothing more is read, close the connection.
    A fault inside a message whose borders are certain leaves the stream usable.
    """

    __slots__ = ("_body_bytes", "_broken", "_buffer", "_head_bytes", "_limits", "_message", "_scanned_bytes")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._message: Request | Response | Malformed | None = None  # its head is read, its body is not
        self._head_bytes = 0  # of that message, already taken from the buffer
        self._body_bytes = 0  # that it announces
        self._scanned_bytes = 0  # of the buffer, in which no end of a header section begins
        self._broken = False

    @property
    def broken(self) -> bool:
        return self._broken

    @property
    def pending_bytes(self) -> int:
        """Octets of a message that is not complete: a peer that leaves some for long is to be closed."""
        return len(self._buffer) + self._head_bytes

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self.pending_bytes > 0

    def feed(self, data: bytes) -> list[Parsed]:
        """Take octets from the stream and return what is complete now.

        The messages do not depend on where the stream was cut. A CRLFCRLF that arrives in two halves, each a CRLF, is
        taken for two answers to a ping: a lone CRLF must be reported at once.
        """
        found: list[Parsed] = []
        if self._broken:
            return found
        self._buffer += data
        while not self._broken and self._step(found):
            pass
        if self._broken:
            self._buffer.clear()
            self._message = None
            self._head_bytes = 0
        return found

    def _step(self, found: list[Parsed]) -> bool:
        """Read the next thing in the buffer; False when it is not complete."""
        if self._message is not None:
            return self._finish_body(found)
        if self._buffer.startswith((b"\r", b"\n")):
            return self._read_line_ends(found)
        return self._begin_message(found)

    def _read_line_ends(self, found: list[Parsed]) -> bool:
        buffer = self._buffer
        if buffer.startswith(_END):
            del buffer[:4]
            found.append(KeepAlive(ping=True))
        elif buffer.startswith(b"\r\n"):
            if buffer[2:] == b"\r":
                return False  # the third octet of a ping
            del buffer[:2]
            found.append(KeepAlive(ping=False))
        elif buffer == b"\r":
            return False
        else:
            self._break(found, RemoteProtocolError("a CR or LF that is no line end"), None)
        return True

    def _begin_message(self, found: list[Parsed]) -> bool:
        buffer, limits = self._buffer, self._limits
        if buffer and TOKEN.match(chr(buffer[0])) is None:  # a TLS hello, say: no need to wait for an empty line
            self._break(found, RemoteProtocolError("what comes in is not SIP"), None)
            return True
        end = buffer.find(_END, self._scanned_bytes, limits.message_bytes)
        if end < 0:
            self._scanned_bytes = max(0, len(buffer) - 3)
            if len(buffer) < limits.message_bytes:
                return False
            error = RemoteProtocolError("the header section does not end", status=413)
            self._break(found, error, bytes(buffer[: limits.message_bytes]))
            return True
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        self._scanned_bytes = 0
        self._frame(head, found)
        return True

    def _frame(self, head: bytes, found: list[Parsed]) -> None:
        """Find out where the message ends, or break."""
        message: Request | Response | Malformed
        try:
            message = _read_head(head, self._limits)
            headers = message.headers
        except RemoteProtocolError as error:
            message = Malformed(_salvage(head, self._limits), error)
            if message.message is None or not _keeps_borders(head, message.message):
                return self._break(found, error, head)
            headers = message.message.headers
        try:
            length = _content_length(headers, self._limits)
            if length is None:  # RFC 3261 §20.14: on a stream it MUST be there
                if not isinstance(message, Response) or "content-type" in headers:
                    raise RemoteProtocolError("Content-Length is missing on a stream")
                length = 0  # simple registrars leave it out; whose 200 has no Content-Type has no body (§20.15)
            if len(head) + 4 + length > self._limits.message_bytes:
                raise RemoteProtocolError(f"a message of {len(head) + 4 + length} octets is too large", status=413)
        except RemoteProtocolError as error:
            return self._break(found, error, head)
        self._message = message
        self._head_bytes = len(head) + 4
        self._body_bytes = length
        return None

    def _finish_body(self, found: list[Parsed]) -> bool:
        buffer, length, message = self._buffer, self._body_bytes, self._message
        if message is None or len(buffer) < length:
            return False
        if length:
            if not isinstance(message, Malformed):
                message.body = bytes(buffer[:length])
            del buffer[:length]
        self._message = None
        self._head_bytes = 0
        found.append(message)
        return True

    def _break(self, found: list[Parsed], error: RemoteProtocolError, head: bytes | None) -> None:
        self._broken = True
        found.append(Malformed(None if head is None else _salvage(head, self._limits), error))


def _keeps_borders(head: bytes, salvaged: Request | Response) -> bool:
    """Whether a broken message still says for certain where it ends: every line is sound but the start line."""
    return head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n") and len(salvaged.headers) == len(
        _FOLD.split(head.decode("utf-8", "surrogateescape"))[1:]
    )
