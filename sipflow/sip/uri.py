"""SIP, SIPS and tel URIs, and every other scheme as opaque text (RFC 3261 §19.1, RFC 3966)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import HOST, Params

# Liberal where a wrong character cannot be misread: "#" and UTF-8 in the user part are common, "_" in hosts too.
_NAME = r"[-_.!~*'()\[\]/:&+$%0-9A-Za-z]++"  # RFC 3261 §25.1 paramchar
_VALUE = r"""[^\x00-\x20\x7f;?,"<>@]++"""
_SIP = re.compile(
    r"([sS][iI][pP][sS]?):"
    r"""(?>(?:([^\x00-\x20\x7f"<>@:]*+)(?>(?::([^\x00-\x20\x7f"<>@:]*+))?)@)?)"""
    rf"({HOST})(?>(?::([0-9]{{1,5}}))?)"
    rf"((?>(?:;{_NAME}(?>(?:=(?>(?:{_VALUE})?))?))*))"  # a value may be missing behind its "="
    r"""(?>(?:\?([^\x00-\x20\x7f"<>]++))?)"""
)
_TEL = re.compile(
    r"[tT][eE][lL]:(\+?(?=[-.()]*[0-9*#A-Da-d])[-.()0-9*#A-Da-d]++)"  # RFC 3966 §3: at least one digit
    rf"((?>(?:;[-0-9A-Za-z]++(?>(?:={_VALUE})?))*))"
)
_OTHER = re.compile(r"""([A-Za-z][-+.0-9A-Za-z]*):([^\x00-\x20\x7f"<>]+)""")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN_NAME = re.compile(r"[-_.!~*'()\[\]/:&+$0-9A-Za-z]+")  # RFC 3261 §25.1 paramchar without escapes
_SEPARATORS = str.maketrans("", "", "-.()")  # RFC 3966 §3 visual-separator

_CACHED_LENGTH = 128
_HOST_LIMIT = 255  # RFC 1035 §2.3.4: no longer name can be looked up
_USER_SAFE = "-_.!~*'()&=+$"  # RFC 3261 §25.1 unreserved and those of user-unreserved that no peer misreads
# RFC 3261 §19.1.4: present in only one of two URIs, these make them differ, even at their default.
_NEVER_IGNORED = frozenset({"user", "ttl", "method", "maddr", "transport"})


class SipUri(NamedTuple):
    """A SIP or SIPS URI (RFC 3261 §19.1.1). Immutable; a tuple, because a call builds a dozen.

    Attributes:
        scheme: "sip" or "sips".
        user: as written, escapes kept; None when there is no "@".
        password: as written, None when there is none.
        host: name or IP literal as written; IPv6 without brackets.
        port: 1 to 65535, None when there is none (not the same as 5060, §19.1.4).
        params: in order; names in lower case, values as written, None for a flag.
        headers: raw text after "?", "" when there is none.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None = None
    params: Params = ()
    headers: str = ""

    def param(self, name: str) -> str | None:
        """Return a parameter with its escapes resolved once, "" for a flag, None when it is absent."""
        for known, value in self.params:
            if known == name:
                if value is None:
                    return ""
                return unescape(value) if "%" in value else value
        return None

    def has_param(self, name: str) -> bool:
        return any(known == name for known, _ in self.params)

    def with_params(self, *params: tuple[str, str | None]) -> "SipUri":
        """Set parameters, each at its place or at the end; None makes a flag."""
        merged = dict(self.params)
        merged.update(params)
        return self._replace(params=tuple(merged.items()))

    def without_params(self, *names: str) -> "SipUri":
        return self._replace(params=tuple([pair for pair in self.params if pair[0] not in names]))

    def with_user(self, user: str | None) -> "SipUri":
        """Replace the user part by plain text, which is escaped here; the password goes."""
        return self._replace(user=None if user is None else escape_user(user), password=None)

    def with_address(self, host: str, port: int | None) -> "SipUri":
        return self._replace(host=host, port=port)

    @property
    def bare(self) -> "SipUri":
        """Scheme, user, host and port alone: what an address of record keeps."""
        return self._replace(password=None, params=(), headers="")

    @property
    def unescaped_user(self) -> str:
        """The user part with escapes resolved once, "" when there is none."""
        user = self.user or ""
        return unescape(user) if "%" in user else user

    @property
    def host_port(self) -> str:
        """`host` or `host:port`, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def equivalent(self, other: "Uri") -> bool:
        """Compare by RFC 3261 §19.1.4: escapes resolved, host and parameters case-blind, default port not implied."""
        return (
            isinstance(other, SipUri)
            and self.scheme == other.scheme
            and _plain(self.user) == _plain(other.user)
            and _plain(self.password) == _plain(other.password)
            and _host_key(self.host) == _host_key(other.host)
            and self.port == other.port
            and _same_params(dict(self.params), dict(other.params))
            and _header_set(self.headers) == _header_set(other.headers)
        )

    def __str__(self) -> str:
        return _written(self)


@lru_cache(maxsize=1024)  # most are our peers' and trunks', and stand in each of their calls
def _written(uri: SipUri) -> str:
    scheme, user, password, host, port, params, headers = uri
    if ":" in host:
        host = f"[{host}]"
    where = host if port is None else f"{host}:{port}"
    if user is None:
        text = f"{scheme}:{where}"
    elif password is None:
        text = f"{scheme}:{user}@{where}"
    else:
        text = f"{scheme}:{user}:{password}@{where}"
    for name, value in params:
        text += f";{name}" if value is None else f";{name}={value}"
    return f"{text}?{headers}" if headers else text


class TelUri(NamedTuple):
    """A telephone number (RFC 3966).

    Attributes:
        number: as written, with "+" and visual separators.
        params: names in lower case, values as written.
    """

    number: str
    params: Params = ()

    @property
    def digits(self) -> str:
        """The number without visual separators (RFC 3966 §5.1.1: they do not count)."""
        return self.number.translate(_SEPARATORS)

    def __str__(self) -> str:
        return f"tel:{self.number}" + "".join([f";{n}" if v is None else f";{n}={v}" for n, v in self.params])


class OtherUri(NamedTuple):
    """A URI of a scheme we do not speak; kept to be repeated.

    Attributes:
        scheme: in lower case.
        text: what follows the colon, as written.
    """

    scheme: str
    text: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.text}"


Uri = SipUri | TelUri | OtherUri


def parse_uri(text: str) -> Uri:
    """Read a URI without `<>` around it.

    Raises:
        RemoteProtocolError: no scheme, or a sip, sips or tel URI that breaks its grammar (status 400).
    """
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Uri:
    match = _SIP.fullmatch(text)
    if match is None:
        return _parse_other(text)
    scheme, user, password, host, port, params, headers = match.groups()
    if "%" in text:
        _check_escapes(text)
    if host[0] == "[":
        host = _ipv6(host[1:-1])
    elif len(host) > _HOST_LIMIT or ".." in host:
        raise RemoteProtocolError(f"not a host name: {host[:80]!r}")
    number = None
    if port is not None:
        number = int(port)
        if not 0 < number < 65536:
            raise RemoteProtocolError(f"port {number} is not in 1..65535")
    return SipUri(scheme.lower(), user, password, host, number, _params(params) if params else (), headers or "")


# One call repeats its four URIs in every message, and the values are immutable. Long texts stay out, so that a flood of
# them cannot pin memory: a full cache is about a megabyte.
_parse_cached = lru_cache(maxsize=1024)(_parse)


def escape_user(text: str) -> str:
    """Escape plain text so that it can stand as a URI's user part (RFC 3261 §19.1.2)."""
    if text.isascii() and text.isalnum():
        return text
    return quote(text, safe=_USER_SAFE, errors="surrogateescape")


def unescape(text: str) -> str:
    """Resolve %HH once; octets that are no UTF-8 become surrogate escapes."""
    return unquote(text, errors="surrogateescape")


def _parse_other(text: str) -> Uri:
    match = _TEL.fullmatch(text)
    if match is not None:
        return TelUri(match[1], _params(match[2]))
    match = _OTHER.fullmatch(text)
    if match is None or match[1].lower() in ("sip", "sips", "tel"):
        raise RemoteProtocolError(f"not a URI: {text[:80]!r}")
    return OtherUri(match[1].lower(), match[2])


def _params(text: str) -> Params:
    """Read URI parameters; a name's escapes are resolved where nothing is lost: `%6C%72` is lr (RFC 4475 §3.1.1.3)."""
    found: list[tuple[str, str | None]] = []
    for piece in text[1:].split(";") if text else ():
        name, sign, value = piece.partition("=")
        if "%" in name:
            plain = unescape(name)
            name = plain if _PLAIN_NAME.fullmatch(plain) else name
        found.append((name.lower(), value if sign else None))
    if len(found) > 1 and len({name for name, _ in found}) != len(found):
        found = list({name: (name, value) for name, value in reversed(found)}.values())[::-1]  # the first one counts
    return tuple(found)


def _check_escapes(text: str) -> None:
    if _BAD_ESCAPE.search(text):
        raise RemoteProtocolError(f"'%' without two hexadecimal digits in {text[:80]!r}")


def _ipv6(text: str) -> str:
    if ":::" in text and "." in text:  # RFC 5118 §4.10: RFC 3261's own grammar has a colon too many before an IPv4 part
        text = text.replace(":::", "::", 1)
    try:
        IPv6Address(text)
    except AddressValueError as error:
        raise RemoteProtocolError(f"not an IPv6 address: {text[:80]!r}") from error
    return text


def _plain(part: str | None) -> str | None:
    return None if part is None else unescape(part)


def _host_key(host: str) -> str:
    return str(IPv6Address(host)) if ":" in host else host.lower()


def _same_params(ours: dict[str, str | None], theirs: dict[str, str | None]) -> bool:
    if any((name in ours) != (name in theirs) for name in _NEVER_IGNORED):
        return False
    return all(
        unescape(ours[name] or "").lower() == unescape(theirs[name] or "").lower()
        for name in ours.keys() & theirs.keys()
    )


def _header_set(text: str) -> frozenset[tuple[str, str]]:
    pairs: Sequence[tuple[str, str, str]] = [pair.partition("=") for pair in text.split("&")] if text else []
    return frozenset((unescape(name).lower(), unescape(value)) for name, _, value in pairs)
