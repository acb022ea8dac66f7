"""Challenges and credentials: WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization.

Reading is lenient, because a challenge that cannot be read is a trunk that cannot register: blanks around `=`, quotes
where the RFC has none and none where it has some, several challenges in one line, missing or doubled commas. What is
broken beyond that spoils its own challenge only. Writing follows RFC 3261 §25.1 and RFC 7616 §3.3 and §3.4 exactly.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from sipflow.errors import RemoteProtocolError

_TOKEN = r"[-.!%*_+`'~0-9A-Za-z]"  # RFC 3261 §25.1  # noqa: S105  (a grammar, no password)
_BLANK = r"[ \t\r\n]"
_IN_QUOTES = r'[^"\\\0\r\n]*+(?>(?:\\[^\0\r\n][^"\\\0\r\n]*+)*)'  # no CR, LF, NUL: they could not be sent back
# A scheme, or a parameter. Possessive quantifiers: an octet is looked at a fixed number of times, whatever the input.
_ITEM = re.compile(
    rf'[ \t\r\n,]*+({_TOKEN}++)(?>(?:{_BLANK}*+={_BLANK}*+(?:"({_IN_QUOTES})"|([^ \t\r\n,"\0]*+)))?)(?=[ \t\r\n,]|\Z)'
)
# What nearly everybody sends: one scheme, no blanks but after commas, no escapes. Two passes in C instead of a loop.
_SIMPLE_PARAM = rf'({_TOKEN}++)=(?:"([^"\\\0\r\n]*+)"|({_TOKEN}++))'
_SIMPLE_PARAMS = re.compile(_SIMPLE_PARAM)
_SIMPLE = re.compile(rf"({_TOKEN}++) ({_SIMPLE_PARAM}(?>(?:,[ ]?{_SIMPLE_PARAM})*))")
_REST = re.compile(r"[ \t\r\n,]*+\Z")
_BROKEN_ITEM = re.compile(r"[ \t\r\n,]*+[^,]*+")
_ESCAPED = re.compile(r"\\(.)")
_TO_ESCAPE = re.compile(r'(["\\])')
_PLAIN = re.compile(rf"{_TOKEN}+")
_BARE_IN_CHALLENGE = frozenset(("algorithm", "stale", "charset", "userhash"))  # RFC 7616 §3.3
_BARE_IN_CREDENTIALS = frozenset(("algorithm", "qop", "nc", "userhash"))  # RFC 7616 §3.4

_Read = tuple[str, dict[str, str] | None]  # a scheme and its parameters, None where these are broken


def quote(text: str) -> str:
    """Write `text` as a quoted-string (RFC 3261 §25.1)."""
    if '"' in text or "\\" in text:
        text = _TO_ESCAPE.sub(r"\\\1", text)
    return f'"{text}"'


@dataclass(slots=True)
class _AuthValue:
    """A scheme and its parameters. Not to be changed once made.

    Attributes:
        scheme: as written; compare it without regard to case.
        params: in order, names in lower case, values without quotes and escapes.
    """

    scheme: str
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read a header value that holds exactly one scheme.

        Raises:
            RemoteProtocolError: it holds none, several or a broken one (status 400).
        """
        found = _read(value)
        if len(found) != 1 or found[0][1] is None:
            raise RemoteProtocolError("not one whole authentication scheme with its parameters")
        return cls(found[0][0], found[0][1])

    @classmethod
    def parse_all(cls, value: str) -> list[Self]:
        """Read every scheme in one header value, in order, leaving out the broken ones.

        Raises:
            RemoteProtocolError: there is none that can be read (status 400).
        """
        whole = [cls(scheme, params) for scheme, params in _read(value) if params is not None]
        if whole:
            return whole
        raise RemoteProtocolError("no authentication scheme can be read in the header")

    @property
    def is_digest(self) -> bool:
        """Whether the scheme is Digest (RFC 7616), in any case."""
        scheme = self.scheme
        return scheme == "Digest" or scheme.lower() == "digest"

    def param(self, name: str) -> str | None:
        """Value of the parameter `name` (any case) without its quotes, or None."""
        return self.params.get(name.lower())

    def __str__(self) -> str:
        unquoted = self._unquoted()
        written = [
            f"{name}={value}" if name in unquoted and _PLAIN.fullmatch(value) else f"{name}={quote(value)}"
            for name, value in self.params.items()
        ]
        return f"{self.scheme} {', '.join(written)}" if written else self.scheme

    def _unquoted(self) -> frozenset[str]:
        """Names whose values stand without quotes where they can: none, unless a kind of value says so."""
        return frozenset()


class Challenge(_AuthValue):
    """What a server asks for: one value of WWW-Authenticate or Proxy-Authenticate (RFC 3261 §20.27, §20.44)."""

    __slots__ = ()

    def _unquoted(self) -> frozenset[str]:
        return _BARE_IN_CHALLENGE


class Credentials(_AuthValue):
    """What a client shows: one value of Authorization or Proxy-Authorization (RFC 3261 §20.7, §20.28)."""

    __slots__ = ()

    def _unquoted(self) -> frozenset[str]:
        return _BARE_IN_CREDENTIALS


def parse_info(value: str) -> dict[str, str]:
    """Read an Authentication-Info value (RFC 3261 §20.6, RFC 7616 §3.5): names in lower case, values unquoted.

    Raises:
        RemoteProtocolError: it is not a list of parameters (status 400).
    """
    found = _read(f"info {value}")
    if len(found) != 1 or found[0][1] is None:
        raise RemoteProtocolError("Authentication-Info is not a list of parameters")
    return found[0][1]


def _read(value: str) -> list[_Read]:
    """Read each scheme with its parameters."""
    simple = _SIMPLE.fullmatch(value)
    if simple is not None:
        written = _SIMPLE_PARAMS.findall(simple[2])
        params = {name.lower(): quoted or bare for name, quoted, bare in written}
        if len(params) == len(written):
            return [(simple[1], params)]
    return list(_scan(value))


def _scan(value: str) -> Iterator[_Read]:
    scheme = ""
    params: dict[str, str] | None = None
    position, end = 0, len(value)
    while position < end:
        match = _ITEM.match(value, position)
        if match is None:
            if _REST.match(value, position):
                break
            params = None
            position = _end_of_broken_item(value, position)
            continue
        position = match.end()
        name, quoted, bare = match.groups()
        if quoted is None and bare is None:
            if scheme:
                yield scheme, params
            scheme, params = name, {}
        elif params is not None:
            text = bare if quoted is None else _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
            if params.setdefault(name.lower(), text) != text:
                params = None  # said twice, differently: which one is meant cannot be known
    if scheme:
        yield scheme, params


def _end_of_broken_item(value: str, position: int) -> int:
    match = _BROKEN_ITEM.match(value, position)
    return match.end() if match else len(value)
