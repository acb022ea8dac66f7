"""What a refusal of a call means: try the next target, go where it points, or believe it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.scalars import parse_preference
from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri
from sipflow.trunks.trunk import Trunk

_FOLLOWED = frozenset({300, 301, 302})  # 305 and 380 ask for what a trunk's provider has no business to ask
_MOST_CONTACTS = 8  # of one 3xx that are tried


class Meaning(Enum):
    """What to do after a refusal."""

    NEXT = auto()
    REDIRECTED = auto()
    OVER = auto()


def meaning_of(status: int, *, rang: bool) -> Meaning:
    """Say what a final status other than 2xx means.

    What a target says about itself (5xx, 408, could not be reached: 503) sends the call to the next one. All else is
    about the callee or about us, and the next target could only say the same: 404, 480, 486, 487, 600, 603, 607, 608,
    and 401 or 407 that our password did not answer. A 408 from a target at which it rang is a callee who does not
    answer.

    Args:
        status: 300 to 699.
        rang: whether this target said that it rings.
    """
    if status in _FOLLOWED:
        return Meaning.REDIRECTED
    if status == 408:
        return Meaning.OVER if rang else Meaning.NEXT
    return Meaning.NEXT if 500 <= status < 600 else Meaning.OVER


@dataclass(frozen=True, slots=True)
class Redirected:
    """One place that a 3xx points to.

    Attributes:
        uri: the Request-URI of the next INVITE.
        trunk: by which it goes.
        direct: whether it goes where the URI says, and not by the trunk's own way.
    """

    uri: SipUri
    trunk: Trunk
    direct: bool = False


def redirections(
    response: Response, trunk: Trunk, trunks: Mapping[str, Trunk], tried: frozenset[str]
) -> tuple[tuple[Redirected, ...], str]:
    """Say where a 3xx leads, as far as the trunk's `outbound.redirects` allows, best first (RFC 3261 §8.1.3.4).

    Args:
        response: the 3xx.
        trunk: it came by.
        trunks: all that are known.
        tried: Request-URIs of this call so far.

    Returns:
        The places, and if there is none, why in one sentence.
    """
    policy = trunk.outbound.redirects
    if policy == "reject":
        return (), "redirections of this trunk are not followed (outbound.redirects: reject)"
    why = "it names no SIP address"
    found: list[Redirected] = []
    for contact in _by_preference(response)[:_MOST_CONTACTS]:
        uri = contact.uri
        if not isinstance(uri, SipUri):
            continue
        target = SipUri(uri.scheme, uri.user, None, uri.host, uri.port, uri.params)  # §19.1.5: headers are not for us
        place = _allowed(target, trunk, trunks)
        if place is None:
            why = f"{target.bare} is not where this trunk may be sent (outbound.redirects: {policy})"
        elif str(place.uri) in tried:
            why = f"it leads back to {place.uri}"
        else:
            found.append(place)
    return tuple(found), "" if found else why


def _allowed(target: SipUri, trunk: Trunk, trunks: Mapping[str, Trunk]) -> Redirected | None:
    policy = trunk.outbound.redirects
    if is_home(target, trunk):
        return Redirected(target, trunk)
    if policy == "same_host":
        return None
    for other in trunks.values():
        if is_home(target, other) and other.destination is not None:
            return Redirected(target, other)
    return Redirected(target, trunk, direct=True) if policy == "anywhere" else None


def is_home(target: SipUri, trunk: Trunk) -> bool:
    """Whether an address is one of the trunk's own: of its domain, or where its calls go."""
    homes = [uri.host.lower() for uri in (trunk.domain, trunk.destination) if uri is not None]
    return target.host.lower() in homes


def _by_preference(response: Response) -> list[NameAddr]:
    """Give the Contacts, best first (RFC 3261 §20.10: q)."""
    try:
        contacts = response.contacts
    except RemoteProtocolError:
        return []
    return sorted(contacts, key=lambda contact: -parse_preference(contact.param("q")))
