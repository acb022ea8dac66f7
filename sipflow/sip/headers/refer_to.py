"""Refer-To: whom a REFER asks us, or we ask somebody, to call (RFC 3515 §2.1, RFC 3891 §7)."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.lines import write_line
from sipflow.sip.headers.replaces import Replaces
from sipflow.sip.uri import SipUri, TelUri, Uri, unescape

_MOST_HEADERS = 32  # of one URI; a transfer has one or two
_SAFE = "-_.!~*'()"  # RFC 3261 §25.1 mark: whatever else stands in a header of a URI is escaped


class ReferTo(NamedTuple):
    """One Refer-To value, its URI taken apart.

    Attributes:
        uri: whom to send the request to: without the headers and the method that are for it.
        display: the name beside it, "" when there is none.
        method: of the request; INVITE where nothing is said.
        headers: further header lines for it, names as written, escapes resolved.
        replaces: the dialog that the request is to replace: it stands among `headers` too.
    """

    uri: Uri
    display: str = ""
    method: str = "INVITE"
    headers: tuple[tuple[str, str], ...] = ()
    replaces: Replaces | None = None

    @classmethod
    def parse(cls, value: str) -> "ReferTo":
        """Read a Refer-To value.

        Raises:
            RemoteProtocolError: it is no address, its headers cannot be header lines, or Replaces among them is broken
                (status 400).
        """
        address = NameAddr.parse(value)
        uri = address.uri
        if not isinstance(uri, SipUri):
            return cls(uri, address.display)
        headers = _unescaped(uri.headers)
        found = [text for name, text in headers if name.lower() == "replaces"]
        if len(found) > 1:
            raise RemoteProtocolError("more than one Replaces in a Refer-To")  # RFC 3891 §3
        return cls(
            uri.without_params("method")._replace(headers=""),
            address.display,
            (uri.param("method") or "INVITE").upper(),
            headers,
            Replaces.parse(found[0]) if found else None,
        )


def write_refer_to(
    uri: SipUri | TelUri,
    *,
    method: str = "",
    headers: Sequence[tuple[str, str]] = (),
    replaces: Replaces | None = None,
) -> str:
    """Write a Refer-To value.

    Args:
        uri: whom the far end is to send the request to.
        method: of that request, "" for INVITE.
        headers: header lines for it, escaped here.
        replaces: the dialog that it is to replace.

    Raises:
        LocalProtocolError: CR, LF or NUL in `headers`, or a tel URI with a method, headers or Replaces.
    """
    lines = [*headers, *((("Replaces", str(replaces)),) if replaces is not None else ())]
    if isinstance(uri, TelUri):
        if lines or method:
            raise LocalProtocolError("a tel URI carries neither a method nor headers (RFC 3966)")
        return f"<{uri}>"
    for name, text in lines:
        write_line(name, text)
    if method:
        uri = uri.with_params(("method", method))
    written = "&".join([f"{_escaped(name)}={_escaped(text)}" for name, text in lines])
    return f"<{uri._replace(headers=written)}>"


def _escaped(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogateescape")


def _unescaped(text: str) -> tuple[tuple[str, str], ...]:
    pieces = text.split("&", _MOST_HEADERS + 1) if text else []
    if len(pieces) > _MOST_HEADERS:
        raise RemoteProtocolError(f"more than {_MOST_HEADERS} headers in a URI")
    headers = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        pair = (unescape(name), unescape(value))
        try:
            write_line(*pair)
        except LocalProtocolError as error:
            raise RemoteProtocolError(f"a URI has a header that cannot be one: {piece[:80]!r}") from error
        headers.append(pair)
    return tuple(headers)
