"""Media types, and what an Accept header takes (RFC 3261 §20.1, §20.15)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import NAME_CHARACTERS, Params, find_param, parse_params, split_list, write_params

_TYPE = re.compile(rf"([{NAME_CHARACTERS}]++)[ \t]*+/[ \t]*+([{NAME_CHARACTERS}]++)[ \t]*+(;.*)?", re.DOTALL)
_ZERO = re.compile(r"0?(?:\.0{0,3})?")


class MediaType(NamedTuple):
    """A media type with its parameters (RFC 3261 §25.1).

    Attributes:
        type, subtype: in lower case; "*" in an Accept.
        params: names in lower case, values as written.
    """

    type: str
    subtype: str
    params: Params = ()

    @classmethod
    def parse(cls, value: str) -> "MediaType":
        """Read `type/subtype;params`.

        Raises:
            RemoteProtocolError: the value breaks the grammar (status 400).
        """
        match = _TYPE.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(f"not a media type: {value[:80]!r}")
        return cls(match[1].lower(), match[2].lower(), parse_params(match[3] or ""))

    @property
    def essence(self) -> str:
        """`type/subtype`, without parameters."""
        return f"{self.type}/{self.subtype}"

    def param(self, name: str) -> str | None:
        """Return a parameter's unquoted value, "" for a flag, None when it is absent."""
        return find_param(self.params, name)

    def __str__(self) -> str:
        return self.essence + write_params(self.params)


def accepts(accept_lines: Iterable[str], essence: str) -> bool:
    """Say whether the lines of an Accept header take a body of type `essence` (lower case).

    The most specific range that matches decides, and q=0 refuses. No line at all means application/sdp for the methods
    that carry it (RFC 3261 §20.1): the caller knows whether there was a line. An empty one accepts nothing (§20.1).

    Raises:
        RemoteProtocolError: a range breaks the grammar (status 400).
    """
    wanted_type = essence.partition("/")[0]
    best, taken = -1, False
    for line in accept_lines:
        for value in split_list(line):
            if not value:
                continue
            range_ = MediaType.parse(value)
            rank = {essence: 2, f"{wanted_type}/*": 1, "*/*": 0}.get(range_.essence, -1)
            if rank > best:
                best, taken = rank, _ZERO.fullmatch(range_.param("q") or "1") is None
    return taken
