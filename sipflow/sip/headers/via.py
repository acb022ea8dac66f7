"""Via: where a request came from and its response goes (RFC 3261 §20.42, RFC 3581)."""

import re
from functools import lru_cache, partial
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import (
    HOST,
    NAME_CHARACTERS,
    PLAIN_PARAMS,
    TOKEN,
    Params,
    find_param,
    parse_params,
    plain_params,
)
from sipflow.sip.headers.lines import unfold

_COMMON = re.compile(rf"SIP/2\.0/([{NAME_CHARACTERS}]+) ({HOST})(?::([0-9]{{1,5}}))?({PLAIN_PARAMS})")
# RFC 3261 §25.1 with LWS wherever it may stand. Any version: a 505 must find its way back (RFC 4475 §3.1.2.16).
_FULL = re.compile(
    rf"[sS][iI][pP][ \t]*+/[ \t]*+[{NAME_CHARACTERS}]++[ \t]*+/[ \t]*+([{NAME_CHARACTERS}]++)[ \t]++"
    rf"({HOST})(?>(?:[ \t]*+:[ \t]*+([0-9]{{1,5}}))?)[ \t]*+(;.*)?",
    re.DOTALL,
)
_PORT = re.compile(r"[0-9]{1,5}")


class Via(NamedTuple):
    """One hop of a request's way.

    Attributes:
        transport: as written, such as "UDP"; unknown ones are kept.
        host: sent-by, IPv6 without brackets.
        port: of sent-by, None when there is none.
        params: names in lower case, values as written.
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @classmethod
    def parse(cls, value: str) -> "Via":
        """Read one Via value.

        Raises:
            RemoteProtocolError: the value breaks the grammar, or its port is not in 1..65535 (status 400).
        """
        match = _COMMON.fullmatch(value)
        if match is not None:
            transport, host, port, rest = match.groups()
            params = plain_params(rest) if rest else ()
        else:
            match = _FULL.fullmatch(value)
            if match is None:
                raise RemoteProtocolError(f"not a Via: {value[:80]!r}")
            transport, host, port, rest = match.groups()
            params = parse_params(rest or "")
        if host[0] == "[":
            host = host[1:-1]
        if port is None:
            return cls(transport, host, None, params)
        number = int(port)
        if not 0 < number < 65536:
            raise RemoteProtocolError(f"port {number} of a Via is not in 1..65535")
        return cls(transport, host, number, params)

    @property
    def branch(self) -> str | None:
        for name, value in self.params:
            if name == "branch":
                return value
        return None

    @property
    def received(self) -> str | None:
        """The address the request really came from, IPv6 without brackets (RFC 3261 §18.2.1)."""
        value = find_param(self.params, "received")
        return value.strip("[]") if value else None

    @property
    def wants_rport(self) -> bool:
        """Whether an rport parameter is there, with or without a value (RFC 3581 §3)."""
        return "rport" in [name for name, _ in self.params]

    @property
    def rport(self) -> int | None:
        """The port the request really came from; None when nobody has filled it in (RFC 3581 §4)."""
        value = find_param(self.params, "rport")
        if not value or _PORT.fullmatch(value) is None:
            return None
        port = int(value)
        return port if 0 < port < 65536 else None

    def param(self, name: str) -> str | None:
        """Return a parameter's unquoted value, "" for a flag, None when it is absent."""
        return find_param(self.params, name)

    def __str__(self) -> str:
        transport, host, port, params = self
        if ":" in host:
            host = f"[{host}]"
        text = f"SIP/2.0/{transport} {host}" if port is None else f"SIP/2.0/{transport} {host}:{port}"
        for name, value in params:
            text += f";{name}" if value is None else f";{name}={value}"
        return text


_via = partial(tuple.__new__, Via)  # a third of what calling a named tuple costs


@lru_cache(maxsize=1024)
def _around(front: str, behind: str) -> tuple[str, str, int | None, Params, Params] | None:
    """Read what stands before and behind the branch in the line of a Via; None where that tells nothing for sure."""
    if '"' in front or '"' in behind:  # the branch might stand inside quotes
        return None
    try:
        transport, host, port, params = Via.parse(unfold(f"{front};branch=;{behind}" if behind else f"{front};branch="))
    except RemoteProtocolError:
        return None
    place = [name for name, _ in params].index("branch")
    return transport, host, port, params[:place], params[place + 1 :]


def read_via(line: str) -> Via:
    """Read the line of a Via with one value.

    Its branch is new in each transaction, and the rest is what the sender's other messages have, too: only that is
    remembered.

    Raises:
        RemoteProtocolError: as `Via.parse`.
    """
    front, _, rest = line.partition(";branch=")
    branch, _, behind = rest.partition(";")
    if TOKEN.fullmatch(branch) is not None and (known := _around(front, behind)) is not None:
        transport, host, port, before, after = known
        return _via((transport, host, port, (*before, ("branch", branch), *after)))
    return Via.parse(unfold(line))
