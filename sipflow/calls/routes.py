"""From an INVITE to an agent: trunk, then number, then agent; and why not, in words."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.numbers.inventory import Inventory, Lookup, Number
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.uri import SipUri, TelUri, Uri
from sipflow.trunks.table import Match, TrunkTable
from sipflow.trunks.trunk import Trunk


class Route(NamedTuple):
    """Where a call goes.

    Attributes:
        trunk, number, agent: what it led to; `agent` is a name.
        why: the steps, one sentence each.
    """

    trunk: Trunk
    number: Number
    agent: str
    why: tuple[str, ...]


class NoRoute(NamedTuple):
    """Why a call goes nowhere, and what to answer.

    Attributes:
        trunk: name of the trunk it came by; "" for a stranger's.
    """

    status: int
    why: str
    trunk: str = ""


class Reading(NamedTuple):
    """What one place of an INVITE says about the number that was called.

    Attributes:
        place: such as "Request-URI".
        dialled: what stands there.
        found: what that means here.
    """

    place: str
    dialled: str
    found: Lookup


class Unread(NamedTuple):
    """The store has not been read yet, so a trunk or number that is not found may still exist.

    Attributes:
        why: one sentence.
        brief: it will be over in a moment, so that whoever repeats a request by itself need not be answered.
    """

    why: str
    brief: bool


class Router:
    """Decides; holds no state of its own beyond what it is given.

    Attributes:
        trunks, numbers: what calls are led by.
        unread: set while these are not all there are.
    """

    def __init__(self, trunks: TrunkTable, numbers: Inventory) -> None:
        self.trunks = trunks
        self.numbers = numbers
        self.unread: Unread | None = None

    def match(self, request: Request, hop: Hop) -> Match:
        """Say which trunk a request belongs to."""
        return self.trunks.match(request, hop)

    def route(self, request: Request, match: Match, *, agent: str = "") -> Route | NoRoute:
        """Find number and agent for a call that belongs to a trunk; `agent` takes it whatever the number says."""
        trunk = match.trunk
        if trunk is None:
            return NoRoute(403, "; ".join(match.why))
        tried: list[str] = []
        for _, _, found in self.readings(request, trunk):
            if found.number is not None:
                return self._to_agent(trunk, found.number, match, agent)
            tried += found.tried
        number = self.number_of_account(request, trunk)
        if number is not None:
            return self._to_agent(trunk, number, match, agent)
        names = ", ".join(dict.fromkeys(tried)) or "no number at all"
        return NoRoute(404, f"no number of trunk {trunk.name} matches {names}", trunk.name)

    def readings(self, request: Request, trunk: Trunk) -> Iterator[Reading]:
        """Give each place that may say which number was called, and what it means here; the first that means one is it.

        A registrar sends calls to our Contact, whose user part is the account: then the number is in the others.
        """
        for place, uri in _uris(request):
            user = _user_of(uri)
            if user and user != trunk.username:
                yield Reading(place, user, self.numbers.lookup(user, region=trunk.region, trunk=trunk.name))

    def number_of_account(self, request: Request, trunk: Trunk) -> Number | None:
        """The number that a call to the registered account itself means.

        It is the account's own name, where that is a number of ours, as an extension is; or the trunk's only number.
        """
        if not _names_account(request, trunk):
            return None
        named = self.numbers.lookup(trunk.username, region=trunk.region, trunk=trunk.name).number
        if named is not None:
            return named
        mine = [number for number in self.numbers if number.trunk == trunk.name]
        return mine[0] if len(mine) == 1 else None

    def _to_agent(self, trunk: Trunk, number: Number, match: Match, agent: str) -> Route | NoRoute:
        if agent:
            return Route(trunk, number, agent, (*match.why, f"the call was announced for agent {agent}"))
        if number.inbound_agent is None:
            return NoRoute(404, f"number {number.number} has no inbound agent", trunk.name)
        return Route(trunk, number, number.inbound_agent, (*match.why, f"{number.number} -> {number.inbound_agent}"))


def _uris(request: Request) -> Iterator[tuple[str, Uri]]:
    yield "Request-URI", request.request_uri
    called = request.headers.get("P-Called-Party-ID")  # RFC 7315 §4.2
    if called is not None:
        with suppress(RemoteProtocolError):  # one that cannot be read says nothing; the others may
            yield "P-Called-Party-ID", NameAddr.parse(called).uri
    yield "To", request.to.uri


def _user_of(uri: Uri) -> str:
    if isinstance(uri, TelUri):
        return str(uri)
    if isinstance(uri, SipUri):
        return uri.unescaped_user or ""
    return ""


def _names_account(request: Request, trunk: Trunk) -> bool:
    """Whether the Request-URI means the account as such: its user name, or our Contact's token."""
    uri = request.request_uri
    if not isinstance(uri, SipUri):
        return False
    return uri.user == trunk.username or uri.has_param("line")
