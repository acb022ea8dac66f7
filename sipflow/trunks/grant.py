"""Reads what a registrar granted out of its 200 (RFC 3261 §10.2.4)."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.scalars import parse_number
from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri
from sipflow.trunks.settings import LONGEST_EXPIRES_S
from sipflow.trunks.trunk import TOKEN_PARAM

_SHORTEST_GRANT_S = 5  # less would let a hostile 200 keep us busy
_NOT_BOUND_S = 30  # who grants nothing is not asked more often for it
_DELTA_LIMIT = 2**32  # RFC 3261 §25.1 delta-seconds


class Sought(NamedTuple):
    """How to tell our binding among all that a 200 lists.

    Attributes:
        user: user part of our Contact, as written.
        token: its token.
        local: host and port our Contact carried, if known.
        asked_s: the expiry we asked for.
    """

    user: str
    token: str
    local: tuple[str, int] | None
    asked_s: int


class Grant(NamedTuple):
    """What was granted.

    Attributes:
        expires_s: 5 to 86400 seconds.
        doubt: why calls might not reach us all the same; "" when all is well.
    """

    expires_s: int
    doubt: str


def read_grant(response: Response, sought: Sought) -> Grant:
    """Find how long our binding lasts.

    The list holds the bindings of other devices too, whose expiries are none of ours. Ours is known by its token; where
    the registrar drops URI parameters, by its user. Several may be ours (a former address, another device of the same
    user): the one with the address we sent, else the one that ends first but has not ended. The only one listed may be
    ours though nothing in it is, since some proxies rewrite it all: it counts, and is doubted. Without any, or without
    an expiry, the Expires header counts, and without that what we asked for.
    """
    contacts = _contacts(response)
    ours = [uri for uri in contacts if uri[0].param(TOKEN_PARAM) == sought.token]
    ours = ours or [uri for uri in contacts if (uri[0].user or "") == sought.user]
    counting = ours or (contacts if len(contacts) == 1 else [])
    expires_s = _shortest(counting, sought.local)
    if expires_s is None:
        expires_s = _number(response.headers.get("Expires"))
    if expires_s is None:
        expires_s = sought.asked_s
    return Grant(_clamp(expires_s), _doubt(expires_s, bool(ours), bool(contacts)))


def read_seen_as(response: Response) -> tuple[str, int] | None:
    """Find the address the far end saw us at (RFC 3581 §4), None when it did not say."""
    try:
        via = response.via
    except RemoteProtocolError:
        return None
    if via.received is None and via.rport is None:
        return None
    return via.received or via.host, via.rport or via.port or 0


def _contacts(response: Response) -> list[tuple[SipUri, NameAddr]]:
    """All SIP bindings; one that cannot be read is another device's trouble."""
    try:
        values = response.headers.values("Contact")
    except RemoteProtocolError:
        return []
    found: list[tuple[SipUri, NameAddr]] = []
    for value in values:
        try:
            contact = NameAddr.parse(value)
        except RemoteProtocolError:
            continue
        if isinstance(contact.uri, SipUri):
            found.append((contact.uri, contact))
    return found


def _shortest(ours: list[tuple[SipUri, NameAddr]], local: tuple[str, int] | None) -> int | None:
    if local is not None:
        exact = [pair for pair in ours if pair[0].host == local[0] and (pair[0].port or local[1]) == local[1]]
        ours = exact or ours
    expiries = [seconds for _, contact in ours if (seconds := _number(contact.param("expires"))) is not None]
    # A registrar may list a binding that it has just removed with an expiry of 0.
    return min([seconds for seconds in expiries if seconds] or expiries, default=None)


def _number(text: str | None) -> int | None:
    return None if text is None else parse_number(text, _DELTA_LIMIT)


def _clamp(seconds: int) -> int:
    return max(_SHORTEST_GRANT_S, min(seconds, LONGEST_EXPIRES_S)) if seconds else _NOT_BOUND_S


def _doubt(expires_s: int, ours: bool, any_contact: bool) -> str:
    if not ours:
        listed = "lists only Contacts of others" if any_contact else "lists no Contact"
        return f"the 200 {listed}, so calls may not reach this trunk: see whether the registrar allows one more device"
    if expires_s < _SHORTEST_GRANT_S:
        return (
            f"the registrar grants only {expires_s} s, and is asked again every {_clamp(expires_s)} s at most: "
            "calls in between may not reach this trunk"
        )
    return ""
