"""The session description of a message: its whole body, or one part of a multipart body (RFC 5621)."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.content import MediaType
from sipflow.sip.message import Request, Response

SDP = "application/sdp"
ACCEPT = f"{SDP}, multipart/mixed"
_FLAT = frozenset({"multipart/mixed", "multipart/alternative", "multipart/related"})
_MOST_PARTS = 16  # SDP, ISUP, a location and a picture are four
_MOST_DEPTH = 3  # of multiparts inside each other
_MOST_HEADER_BYTES = 2048  # of one part
_BOUNDARY = re.compile(r"[-'()+_,./:=? 0-9A-Za-z]{1,70}")  # RFC 2046 §5.1.1
_FOLD = re.compile(rb"\r\n[ \t]+")
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


class _Part(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def essence(self) -> str:
        """Media type without parameters, "" when it cannot be read."""
        return _essence(self.headers.get("content-type", "text/plain"))  # RFC 2046 §5.1: the default

    @property
    def is_session(self) -> bool:
        """Whether it is the plain session description: as it stands, and not early-session or an icon."""
        headers = self.headers
        disposition = headers.get("content-disposition", "session").partition(";")[0].strip().lower()
        return (
            self.essence == SDP
            and disposition == "session"
            and headers.get("content-transfer-encoding", "").lower() in _IDENTITY
            and headers.get("content-encoding", "identity").lower() == "identity"
        )

    @property
    def must_be_understood(self) -> bool:
        """Whether the sender says so; without a word it may be ignored, or no call with ISUP beside it would pass."""
        return "handling=required" in self.headers.get("content-disposition", "").replace(" ", "").lower()


def sdp_of(message: Request | Response) -> bytes:
    """Return the session description a message carries, b"" when there is none that we can read. Never raises.

    A body without Content-Type is taken as SDP. In a multipart body it is the first part that is one, and the last of
    alternatives; other parts are ignored unless their sender marks them `handling=required` (RFC 5621 §8).
    """
    body = message.body
    if not body:
        return b""
    try:
        essence = message.content_type
    except RemoteProtocolError:
        return b""
    encoding = message.headers.get("Content-Encoding")
    if encoding is not None and encoding.lower() != "identity":
        return b""
    if essence is None or essence == SDP:
        return body
    return _first_sdp(message) if essence in _FLAT else b""


def _first_sdp(message: Request | Response) -> bytes:
    parts = list(islice(_leaves(message.body, message.headers.get("Content-Type") or ""), _MOST_PARTS))
    found = [part for part in parts if part.is_session]
    others = [part for part in parts if not part.is_session]
    if not found or any(part.must_be_understood for part in others):
        return b""
    return found[0].body


def _leaves(body: bytes, content_type: str, depth: int = 1) -> Iterator[_Part]:
    """List the parts of a multipart body, and those of the multiparts among them (RFC 2046 §5.1.2).

    Of alternatives the last comes first: it is the best one (RFC 2046 §5.1.4).
    """
    parts = _parts(body, content_type)
    for part in reversed(parts) if _essence(content_type) == "multipart/alternative" else parts:
        if part.essence in _FLAT and depth < _MOST_DEPTH:
            yield from _leaves(part.body, part.headers["content-type"], depth + 1)
        else:
            yield part


def _parts(body: bytes, content_type: str) -> list[_Part]:
    """Split a multipart body (RFC 2046 §5.1); empty when it is broken, endless or has too many parts."""
    boundary = MediaType.parse(content_type).param("boundary") or ""
    if _BOUNDARY.fullmatch(boundary) is None:
        return []
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _MOST_PARTS + 1)
    closing = next((index for index, piece in enumerate(pieces) if index and piece[:2] == b"--"), 0)
    parts = [_read_part(piece) for piece in pieces[1:closing]]
    return [part for part in parts if part is not None]


def _read_part(piece: bytes) -> _Part | None:
    padding, _, content = piece.partition(b"\r\n")
    if padding.strip(b" \t"):
        return None
    head, blank, body = (b"\r\n" + content).partition(b"\r\n\r\n")
    if not blank or len(head) > _MOST_HEADER_BYTES:
        return None
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", head).split(b"\r\n")[1:]:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return _Part(headers, body)


def _essence(content_type: str) -> str:
    try:
        return MediaType.parse(content_type).essence
    except RemoteProtocolError:
        return ""
