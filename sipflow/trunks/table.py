"""Says which trunk a request came from, and why, or why from none."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.uri import SipUri, TelUri, Uri
from sipflow.trunks.sources import Found, Source, Sources
from sipflow.trunks.trunk import TOKEN_PARAM, Trunk

_LEARNT_HOSTS = 16  # addresses kept per trunk besides those its name leads to; the oldest goes first
_SECRET_BYTES = 16

Owner = Callable[[str, str | None], str | None]
"""Given what was dialled and the country of national numbers, the name of the only trunk that number is reached by."""


class By(StrEnum):
    """What told the trunk."""

    NOTHING = ""
    REGISTRATION = "registration"
    SOURCE = "source"
    USERNAME = "username"
    DID = "did"


_ADDRESSES_SHOWN = 6
_BETTER = {  # why one trunk goes before another of the same source
    By.NOTHING: "{} goes before",
    By.REGISTRATION: "the call carries the token of trunk {}'s registration",
    By.SOURCE: "the network that trunk {} accepts is narrower",
    By.USERNAME: "the call is for the username of trunk {}",
    By.DID: "the number is trunk {}'s",
}


class Match(NamedTuple):
    """Which trunk a request belongs to.

    Attributes:
        trunk: None when it belongs to none, or nobody can say to which.
        by: what told it.
        why: the steps, one sentence each, for an operator.
        candidates: the trunks of its source when they could not be told apart.
    """

    trunk: Trunk | None
    by: By
    why: tuple[str, ...]
    candidates: tuple[Trunk, ...] = ()


class TrunkTable:
    """All trunks by how their requests are recognised.

    In this order: the token that our Contact carries (whoever presents it has it from a registrar), the source address
    (`accept_from`, or an address of the trunk's destination); and where several trunks share a source, the account
    named in the Request-URI, then the number dialled, then the narrowest network. The number alone lets nobody in.
    """

    def __init__(
        self,
        trunks: Iterable[Trunk] = (),
        *,
        secret: bytes,
        numbers: Mapping[str, str] | None = None,
        owner: Owner | None = None,
    ) -> None:
        """Index the trunks.

        Args:
            trunks: with names that differ.
            secret: key of the tokens, at least 16 octets; kept over restarts, or calls to bindings that the last
                process left behind are told by their source alone.
            numbers: trunk name by number, for the numbers that only one trunk reaches.
            owner: does the same with all the ways to write a number; wins over `numbers`.

        Raises:
            LocalProtocolError: the secret is too short, or two trunks have one name.
        """
        if len(secret) < _SECRET_BYTES:
            raise LocalProtocolError(f"the secret of the trunk table needs {_SECRET_BYTES} octets, not {len(secret)}")
        self._secret = secret
        self._trunks: dict[str, Trunk] = {}
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._learnt: dict[str, deque[str]] = {}
        self.replace(trunks, numbers=numbers, owner=owner)

    def __len__(self) -> int:
        return len(self._trunks)

    def __iter__(self) -> Iterator[Trunk]:
        return iter(self._trunks.values())

    def get(self, name: str) -> Trunk | None:
        """Return the trunk of that name."""
        return self._trunks.get(name)

    def replace(
        self, trunks: Iterable[Trunk], *, numbers: Mapping[str, str] | None = None, owner: Owner | None = None
    ) -> None:
        """Take other trunks in the place of all; addresses of those whose destination stays are kept.

        Raises:
            LocalProtocolError: two trunks have one name; the table stays as it was.
        """
        listed = list(trunks)
        named = {trunk.name: trunk for trunk in listed}
        if len(named) != len(listed):
            raise LocalProtocolError("two trunks have the same name")
        known = self._trunks
        kept = {name for name, trunk in named.items() if name in known and _same_far_end(known[name], trunk)}
        self._resolved = {name: hosts for name, hosts in self._resolved.items() if name in kept}
        self._learnt = {name: hosts for name, hosts in self._learnt.items() if name in kept}
        self._trunks = named
        self._owner = owner or _by_list(numbers or {}, named)
        self._by_token = {
            trunk.registration_token(self._secret): Match(
                trunk, By.REGISTRATION, (f"it came to the registration of trunk {trunk.name}",)
            )
            for trunk in listed
            if trunk.register is not None
        }
        self._by_username: dict[str, list[str]] = {}
        for trunk in listed:
            if trunk.username:
                self._by_username.setdefault(trunk.username, []).append(trunk.name)
        self._sources = Sources(listed)
        for trunk in listed:
            for host in self._hosts_of(trunk):
                self._sources.add(trunk, host)

    def set_addresses(self, name: str, hosts: Iterable[str]) -> None:
        """Set what the names of a trunk's far end resolve to: requests from these IP addresses belong to it."""
        trunk = self._trunks.get(name)
        if trunk is not None:
            before = self._hosts_of(trunk)
            self._resolved[name] = tuple(hosts)
            self._move(trunk, before)

    def learn(self, name: str, host: str) -> None:
        """Add one IP address of a trunk's far end, such as the registrar that has just taken us."""
        trunk = self._trunks.get(name)
        if trunk is None:
            return
        before = self._hosts_of(trunk)
        if host not in before:
            self._learnt.setdefault(name, deque(maxlen=_LEARNT_HOSTS)).append(host)
            self._move(trunk, before)

    def knows(self, hop: Hop) -> bool:
        """Whether anything from this source can belong to a trunk."""
        return bool(self._sources.of(hop.host).by_name)

    def match(self, request: Request, hop: Hop) -> Match:
        """Find the trunk a request outside a dialog belongs to."""
        uri = _request_uri(request)
        doubt = ""
        if isinstance(uri, SipUri) and uri.params:
            token = uri.param(TOKEN_PARAM)
            if token:
                registered = self._by_token.get(token)
                if registered is not None:
                    return registered
                doubt = f"{TOKEN_PARAM}={_plain(token)} is no registration of ours; perhaps one of an earlier start"
        found = self._sources.of(hop.host)
        if not found.by_name:
            return self._stranger(hop, doubt)
        if len(found.by_name) > 1:
            return self._tell_apart(request, uri, found)
        source = next(iter(found.by_name.values()))
        return Match(source.trunk, By.SOURCE, (doubt, source.why) if doubt else (source.why,))

    def others(self, match: Match, hop: Hop, *, most: int = 8) -> tuple[str, ...]:
        """Say why a call of this source is not one of each other trunk's: a sentence each, for an operator.

        Args:
            match: what it was found to be.
            hop: its source.
            most: how many sentences; the trunks beyond are counted.
        """
        sources = self._sources.of(hop.host).by_name
        names = [name for name in self._trunks if match.trunk is None or name != match.trunk.name]
        near = [name for name in names if name in sources]
        shown = [*near, *[name for name in names if name not in sources]][:most]
        said = [f"trunk {name}: {self._why_not(name, sources.get(name), match, hop)}" for name in shown]
        if len(names) > most:
            said.append(f"and {len(names) - most} more trunks, none of which it is")
        return tuple(said)

    def _why_not(self, name: str, source: Source | None, match: Match, hop: Hop) -> str:
        if source is None:
            trunk = self._trunks[name]
            known = [*(str(trunk.accept_from).split(", ") if trunk.accept_from else ()), *self._hosts_of(trunk)]
            shown = known[:_ADDRESSES_SHOWN] + ["..."] * (len(known) > _ADDRESSES_SHOWN)
            return f"{hop.host} is none of its addresses ({', '.join(shown) or 'it has none'})"
        if match.trunk is None:
            return f"{source.why}, but nothing in the call tells it from the others of this source"
        return f"{source.why}, but {_BETTER[match.by].format(match.trunk.name)}"

    def _stranger(self, hop: Hop, doubt: str) -> Match:
        why = (
            f"{hop.host} is in no trunk's accept_from and is not the address of any registrar: "
            "add it to trunks.<name>.accept_from"
        )
        return Match(None, By.NOTHING, (doubt, why) if doubt else (why,))

    def _tell_apart(self, request: Request, uri: Uri | None, found: Found) -> Match:
        """Choose among the trunks of one source, of which there may be hundreds."""
        user = uri.unescaped_user if isinstance(uri, SipUri) else ""
        names = [name for name in self._by_username.get(user, ()) if name in found.by_name]
        if len(names) == 1:
            source = found.by_name[names[0]]
            return Match(source.trunk, By.USERNAME, (source.why, f"it is for {user}, the trunk's username"))
        candidates = {name: found.by_name[name] for name in names} if names else found.by_name
        for number in _dialled(request, uri):
            owning = self._owning(number, candidates, found.regions)
            if len(owning) == 1:
                why = f"{_plain(number)} is a number of trunk {owning[0].trunk.name}"
                return Match(owning[0].trunk, By.DID, (owning[0].why, why))
        first, second = islice(candidates.values(), 2)
        if first.bits > second.bits:
            return Match(first.trunk, By.SOURCE, (first.why,))
        return _undecided(next(_dialled(request, uri), ""), candidates)

    def _owning(self, number: str, candidates: Mapping[str, Source], regions: tuple[str | None, ...]) -> list[Source]:
        """Find the candidates that own a number as those of their country read it."""
        owning = []
        for region in regions:
            source = candidates.get(self._owner(number, region) or "")
            if source is not None and source.trunk.region == region:
                owning.append(source)
        return owning

    def _hosts_of(self, trunk: Trunk) -> dict[str, None]:
        literals = [uri.host for uri in (trunk.destination, trunk.domain) if uri is not None]
        name = trunk.name
        return dict.fromkeys([*literals, *self._resolved.get(name, ()), *self._learnt.get(name, ())])

    def _move(self, trunk: Trunk, before: dict[str, None]) -> None:
        """Bring the index up to date after the addresses of one trunk were others."""
        after = self._hosts_of(trunk)
        for host in before.keys() - after.keys():
            self._sources.discard(trunk, host)
        for host in after.keys() - before.keys():
            self._sources.add(trunk, host)


def _undecided(dialled: str, candidates: Mapping[str, Source]) -> Match:
    trunks = tuple([source.trunk for source in candidates.values()])
    names = ", ".join(trunk.name for trunk in trunks[:8])
    number = _plain(dialled) or "no number"
    why = (
        f"its source belongs to the trunks {names} alike, and {number} to none of them alone: "
        "add numbers.<number>.trunk, or register these trunks"
    )
    return Match(None, By.NOTHING, (why,), trunks)


def _by_list(numbers: Mapping[str, str], trunks: Mapping[str, Trunk]) -> Owner:
    """Look numbers up as they are written, with a + before them and with + for 00."""
    listed = {trunk.phone_number: name for name, trunk in trunks.items() if trunk.phone_number} | dict(numbers)

    def owner(dialled: str, region: str | None) -> str | None:  # noqa: ARG001  (an Owner's shape)
        international = f"+{dialled[2:]}" if dialled.startswith("00") else f"+{dialled}"
        return listed.get(dialled) or listed.get(international)

    return owner


def _request_uri(request: Request) -> Uri | None:
    try:
        return request.request_uri
    except RemoteProtocolError:
        return None


def _dialled(request: Request, uri: Uri | None) -> Iterator[str]:
    """Give what was dialled, as far as the request says it: Request-URI, then To."""
    first = _user(uri)
    if first:
        yield first
    try:
        second = _user(request.to.uri)
    except RemoteProtocolError:
        return
    if second and second != first:
        yield second


def _user(uri: Uri | None) -> str:
    if isinstance(uri, SipUri):
        return uri.unescaped_user
    return uri.digits if isinstance(uri, TelUri) else ""


def _same_far_end(one: Trunk, other: Trunk) -> bool:
    return (one.destination, one.domain) == (other.destination, other.domain)


def _plain(text: str) -> str:
    text = text[:40]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
