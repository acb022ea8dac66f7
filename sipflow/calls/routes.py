"""From an INVITE to an agent: trunk, then number, then agent; and why not, in words."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.numbers.inventory import Inventory, Number
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
    """Why a call goes nowhere, and what to answer."""

    status: int
    why: str


class Router:
    """Decides; holds no state of its own beyond what it is given."""

    def __init__(self, trunks: TrunkTable, numbers: Inventory) -> None:
        self.trunks = trunks
        self.numbers = numbers

    def match(self, request: Request, hop: Hop) -> Match:
        """Say which trunk a request belongs to."""
        return self.trunks.match(request, hop)

    def route(self, request: Request, match: Match) -> Route | NoRoute:
        """Find number and agent for a call that belongs to a trunk."""
        trunk = match.trunk
        if trunk is None:
            return NoRoute(403, "; ".join(match.why))
        tried: list[str] = []
        for dialled in _dialled(request, trunk):
            found = self.numbers.lookup(dialled, region=trunk.region, trunk=trunk.name)
            if found.number is not None:
                return self._to_agent(trunk, found.number, match)
            tried += found.tried
        number = self._only_number(trunk)
        if number is not None and _names_account(request, trunk):
            return self._to_agent(trunk, number, match)
        names = ", ".join(dict.fromkeys(tried)) or "no number at all"
        return NoRoute(404, f"no number of trunk {trunk.name} matches {names}")

    def _only_number(self, trunk: Trunk) -> Number | None:
        """The trunk's number where it has exactly one: a call to the registered account itself can mean no other."""
        mine = [number for number in self.numbers if number.trunk == trunk.name]
        return mine[0] if len(mine) == 1 else None

    def _to_agent(self, trunk: Trunk, number: Number, match: Match) -> Route | NoRoute:
        if number.inbound_agent is None:
            return NoRoute(404, f"number {number.number} has no inbound agent")
        return Route(trunk, number, number.inbound_agent, (*match.why, f"{number.number} -> {number.inbound_agent}"))


def dialled_numbers(request: Request, trunk: Trunk) -> list[str]:
    """What may say which number was called, best first: Request-URI, P-Called-Party-ID, To.

    A registrar sends calls to our Contact, whose user part is the account: then the number is in the others.
    """
    return list(dict.fromkeys(_dialled(request, trunk)))


def _dialled(request: Request, trunk: Trunk) -> Iterator[str]:
    """Give what may say which number was called; most often the first is it, and nobody asks for the next."""
    for uri in _uris(request):
        user = _user_of(uri)
        if user and user != trunk.username:
            yield user


def _uris(request: Request) -> Iterator[Uri]:
    yield request.request_uri
    called = request.headers.get("P-Called-Party-ID")  # RFC 7315 §4.2
    if called is not None:
        with suppress(RemoteProtocolError):  # one that cannot be read says nothing; the others may
            yield NameAddr.parse(called).uri
    yield request.to.uri


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
