"""Which header lines of one leg's messages leave on the other, and what of them may be seen there."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sipflow.calls.variables import fill, printable
from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import split_list
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.lines import Headers, holds_controls
from sipflow.sip.uri import SipUri
from sipflow.trunks.crossing import HeaderSettings
from sipflow.trunks.trunk import Trunk

Lines = tuple[tuple[str, str], ...]
NOTHING_CROSSES = HeaderSettings()
HOPS = 70  # RFC 3261 §8.1.1.6: where nobody has counted yet
_NOWHERE = "anonymous.invalid"  # RFC 3323 §4.1.1.3
_IDENTITIES = frozenset({"p-asserted-identity", "p-preferred-identity", "remote-party-id"})
_ADDRESSES = _IDENTITIES | {"diversion", "history-info", "referred-by", "b", "p-called-party-id"}
# What names hosts or calls of one leg by its nature, with no address that could be written anew.
_TELLING = frozenset({
    "call-info", "alert-info", "error-info", "geolocation", "identity", "y", "identity-info", "n", "in-reply-to",
    "join", "reply-to", "p-charging-vector", "p-charging-function-addresses", "p-access-network-info",
    "p-visited-network-id", "p-associated-uri",
})  # fmt: skip
_KEPT_PARAMS = frozenset({"user"})  # of a URI whose host is hidden
_PLACES = re.compile(
    r"\b(?:sips?|udp|tcp|tls|wss?):[^\s;,\"'<>]*[^\s;,\"'<>).]|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?|"
    r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?\b|\b(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f:]+|(?:tel:)?\+[1-9][0-9]{6,14}\b"
)


@dataclass(frozen=True, slots=True)
class Behalf:
    """What a call is that another one is placed on behalf of.

    Attributes:
        headers: of its INVITE.
        variables: what `{name}` stands for in lines that a trunk sets.
        max_forwards: what is left for the second INVITE (RFC 3261 §16.6).
        withheld: whether the caller wants not to be shown (RFC 3323).
    """

    headers: Headers = field(default_factory=Headers)
    variables: Mapping[str, str] = field(default_factory=dict)
    max_forwards: int = HOPS
    withheld: bool = False


def crossing(came: Headers, trunk: Trunk | None) -> Lines:
    """Give the lines of one leg's message that leave, in ours of the same kind, by the trunk of the other leg.

    Without a trunk nothing crosses. An identity that crosses takes its Privacy along (RFC 3325 §7), and `X-EI`, which
    is between two parties, crosses only where it is named in full. Where hosts are hidden, so does what names hosts by
    its nature, such as Call-Info; addresses that cannot be read stay back, and a Reason's text says no place. Nothing
    that holds control characters crosses.
    """
    policy = trunk.headers if trunk is not None else NOTHING_CROSSES
    if trunk is None or not policy.passed:
        return ()
    host = _shown_host(trunk) if policy.topology == "hidden" else ""
    lines: list[tuple[str, str]] = []
    for name, value in came:
        lower = name.lower()
        if not policy.lets(name):
            continue
        if (lower == "x-ei" or (host and lower in _TELLING)) and not _named(lower, policy):
            continue
        shown = _hidden(lower, value, host) if host else value
        if shown and not holds_controls(shown):
            lines.append((name, shown))
    names = {name.lower() for name, _ in lines}
    privacy = came.get("Privacy")
    if names & _IDENTITIES and privacy and "privacy" not in names and not policy.hides("Privacy"):
        lines.append(("Privacy", privacy))
    return tuple(lines)


def composed(*layers: Iterable[tuple[str, str]], trunk: Trunk | None, variables: Mapping[str, str]) -> Lines:
    """Put lines together for an INVITE by a trunk: of one name, the later layer counts; then what the trunk sets.

    Args:
        layers: our own lines first, then what crosses, then what an agent has asked for.
        trunk: what it hides is left out, and what it sets stands in the end; None hides and sets nothing.
        variables: for what it sets.
    """
    policy = trunk.headers if trunk is not None else NOTHING_CROSSES
    if not policy.set and not any(layers):
        return ()
    set_here = ((name, fill(text, variables).strip()) for name, text in policy.set.items())
    lines: list[tuple[str, str]] = []
    for layer in (*layers, tuple((name, printable(text)) for name, text in set_here)):
        new = tuple(layer)
        names = {name.lower() for name, _ in new}
        lines = [line for line in lines if line[0].lower() not in names]
        lines += new
    wanted = {name.lower() for name in policy.set}
    return tuple((name, value) for name, value in lines if value and (name.lower() in wanted or not policy.hides(name)))


def joined_lines(lines: Lines) -> dict[str, str]:
    """Give lines as a mapping; those of one name are put together, which means the same (RFC 3261 §7.3.1)."""
    found: dict[str, str] = {}
    for name, value in lines:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def without_places(text: str) -> str:
    """Take addresses and numbers out of a sentence of ours: where one leg leads is no matter of the other's."""
    return _PLACES.sub("the far end", text)


def wants_privacy(headers: Headers) -> bool:
    """Whether a caller asks not to be shown to whoever is called (RFC 3323 §4.2, RFC 3325 §9.3)."""
    wanted = {word.strip(" \t").lower() for value in headers.all("Privacy") for word in re.split("[;,]", value)}
    return bool(wanted & {"id", "user", "header", "full"})


def _named(lower: str, policy: HeaderSettings) -> bool:
    return lower in [name.lower() for name in policy.passed]


def _shown_host(trunk: Trunk) -> str:
    if trunk.outbound.from_domain:
        return trunk.outbound.from_domain
    return trunk.domain.host if trunk.domain is not None else _NOWHERE


def _hidden(lower: str, value: str, host: str) -> str:
    """Put a host in the place of those of a list of addresses; "" where that cannot be read."""
    if lower == "reason":
        return without_places(value)
    if lower not in _ADDRESSES:
        return value
    try:
        return ", ".join(_with_host(NameAddr.parse(each), host) for each in split_list(value) if each)
    except RemoteProtocolError:
        return ""


def _with_host(address: NameAddr, host: str) -> str:
    uri = address.uri
    if not isinstance(uri, SipUri):
        return str(address)
    params = tuple(param for param in uri.params if param[0].lower() in _KEPT_PARAMS)
    hidden = SipUri(uri.scheme, uri.user, None, host, None, params, uri.headers)
    return str(NameAddr(address.display, hidden, address.params))
