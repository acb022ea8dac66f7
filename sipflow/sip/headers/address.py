"""From, To, Contact, Route and their kin: a name, a URI and parameters (RFC 3261 §20.10, §25.1 name-addr)."""

import re
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import (
    PLAIN_PARAMS,
    QUOTED_STRING,
    Params,
    find_param,
    parse_params,
    plain_params,
    quote,
    replace_param,
    unquote,
    write_params,
)
from sipflow.sip.uri import Uri, parse_uri

# A display name without quotes is a list of tokens; what real peers put there ("(", "/", UTF-8) is taken as well,
# except what could end or begin something else (RFC 4475 §3.1.2.15).
_DISPLAY_CLASS = r"""^\x00-\x08\x0a-\x1f\x7f",:;<>\\"""
_COMMON = re.compile(rf'(?:"([^"\\]*+)"[ \t]*+|([{_DISPLAY_CLASS}]*+))<([^<>"]++)>({PLAIN_PARAMS})')
_DISPLAY = re.compile(r"""[^\x00-\x08\x0a-\x1f\x7f":;<>\\]*""")  # with commas: `Bell, Alexander <...>` is no list here


class NameAddr(NamedTuple):
    """One address of a From, To, Contact, Route, Refer-To ... header.

    Attributes:
        display: the name without quotes and escapes, "" when there is none.
        uri: the address.
        params: header parameters; names in lower case, values as written (with their quotes).
    """

    display: str
    uri: Uri
    params: Params = ()

    @classmethod
    def parse(cls, value: str) -> "NameAddr":
        """Read `"name" <uri>;params`, `<uri>;params` or `uri;params`.

        Without `<>` everything after the first semicolon belongs to the header (RFC 3261 §20).

        Raises:
            RemoteProtocolError: the value breaks the grammar (status 400).
        """
        match = _COMMON.fullmatch(value)
        if match is None:
            return _parse_rare(value)
        quoted, plain, uri, params = match.groups()
        display = plain.rstrip(" \t") if quoted is None else quoted
        if "\0" in display:
            raise RemoteProtocolError(f"NUL in a display name: {value[:80]!r}")
        return cls(display, parse_uri(uri), plain_params(params) if params else ())

    @property
    def tag(self) -> str | None:
        for name, value in self.params:
            if name == "tag":
                return value
        return None

    def param(self, name: str) -> str | None:
        """Return a parameter's unquoted value, "" for a flag, None when it is absent."""
        return find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> "NameAddr":
        """Set a parameter to a value that is a token or already quoted; None makes a flag."""
        return NameAddr(self.display, self.uri, replace_param(self.params, name, value))

    def without_params(self) -> "NameAddr":
        return NameAddr(self.display, self.uri)

    def __str__(self) -> str:
        address = f"<{self.uri}>{write_params(self.params)}"
        return f"{quote(self.display)} {address}" if self.display else address


def _parse_rare(value: str) -> NameAddr:
    if value[:1] == '"':
        match = QUOTED_STRING.match(value)
        if match is None:
            raise RemoteProtocolError(f"a quote is not closed: {value[:80]!r}")
        rest = value[match.end() :].lstrip(" \t")
        if rest[:1] != "<":
            raise RemoteProtocolError(f"no <URI> after the name: {value[:80]!r}")
        return _bracketed(unquote(match[0]), rest)
    opening = value.find("<")
    semicolon = value.find(";")
    if opening >= 0 and (semicolon < 0 or opening < semicolon):
        display = value[:opening].strip(" \t")
        if _DISPLAY.fullmatch(display) is None:
            raise RemoteProtocolError(f"a display name that needs quotes: {value[:80]!r}")
        return _bracketed(display, value[opening:])
    return _addr_spec(value)


def _bracketed(display: str, text: str) -> NameAddr:
    """Read `<uri>` and parameters; `text` starts with `<`."""
    closing = text.find(">")
    if closing < 0:
        raise RemoteProtocolError(f"'<' is not closed: {text[:80]!r}")
    return NameAddr(display, parse_uri(text[1:closing]), parse_params(text[closing + 1 :]))


def _addr_spec(value: str) -> NameAddr:
    text, semicolon, params = value.partition(";")
    text = text.rstrip(" \t")
    if "?" in text or "," in text:
        # RFC 3261 §20: a URI with a comma, question mark or semicolon MUST be enclosed in <>.
        raise RemoteProtocolError(f"a URI with ',' or '?' needs '<' and '>': {value[:80]!r}")
    return NameAddr("", parse_uri(text), parse_params(semicolon + params))
