"""From a URI to transport, address and port: the choosing of RFC 3263 §4, without DNS and without waiting.

`locate` is a generator: it yields the questions whose answers it needs next and is sent those answers. Whoever drives
it may look them up, take them from a cache or, in a test, from a dictionary.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sipflow.errors import TransportError
from sipflow.net.literal import family_of
from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.sip.addressing import DEFAULT_PORTS
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri

MOST_HOPS = 16  # nobody waits for more; and a zone with a thousand targets must not make us ask for each

_NAPTR_SERVICES = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}  # RFC 3263 §4.1; others are not spoken here
_SRV_PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}

Answers = Mapping[Question, Answer]
Located = Generator[tuple[Question, ...], Answers, tuple[Hop, ...]]
Choose = Callable[[int], int]  # a number from 0 to n-1, each as likely


class _Server(NamedTuple):
    transport: str
    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What our sockets can reach.

    Attributes:
        kinds: for each transport that we can send with, in the order we like them, the address records that are of
            use: "A", "AAAA" or both, preferred first.
    """

    kinds: Mapping[str, tuple[str, ...]]

    def transports(self, *, secure: bool) -> tuple[str, ...]:
        """List what a sip or (`secure`) sips URI may use (RFC 3261 §26.2.2)."""
        return tuple(transport for transport in self.kinds if transport == "tls" or not secure)

    def require(self, transport: str, host: str = "") -> None:
        """Raise TransportError when `transport` cannot carry anything (to the IP literal `host`)."""
        kinds = self.kinds.get(transport)
        if not kinds:
            raise TransportError(f"no {transport} socket is open here: add {transport}:ADDRESS:PORT to sip.listen")
        if host:
            version = 6 if ":" in host else 4
            if ("AAAA" if version == 6 else "A") not in kinds:
                raise TransportError(f"no {transport} socket for IPv{version} is open here, so {host} is out of reach")


def locate(uri: SipUri, reach: Reach, choose: Choose) -> Located:
    """Find the hops of `uri`, best first, at most 16; TLS hops carry the name the certificate must have.

    Raises:
        TransportError: there is none; the sentence says whose fault that is.
    """
    secure = uri.scheme == "sips"
    host = (uri.param("maddr") or uri.host).lower().removesuffix(".")  # RFC 3263 §4: maddr is the target
    transport = _transport_said(uri, secure=secure)
    if family_of(host):
        return _numeric(uri, host, transport or _default_transport(reach, secure=secure), reach)
    _check_name(host)
    if uri.port is not None:  # §4.2: with a port, only the address is missing
        server = _Server(transport or _default_transport(reach, secure=secure), host, uri.port)
        return (yield from _addresses([server], uri, reach))
    wanted = (transport,) if transport else reach.transports(secure=secure)
    for one in wanted:
        reach.require(one)
    services, answers = yield from _services(host, wanted, ask_naptr=not transport)
    servers = [_Server(t, srv.target, srv.port) for t, q in services for srv in ordered(answers[q].srv, choose)]
    if not servers:
        _refuse_without_srv(host, services, answers)
        chosen = transport or _default_transport(reach, secure=secure)  # §4.1 last paragraph, §4.2
        servers = [_Server(chosen, host, DEFAULT_PORTS[chosen])]
    return (yield from _addresses(servers, uri, reach))


def ordered(records: Iterable[Srv], choose: Choose) -> list[Srv]:
    """Put SRV records in the order to try them: by priority, and within one by chance and weight (RFC 2782)."""
    by_priority: dict[int, list[Srv]] = {}
    for record in sorted(records, key=lambda one: (one.priority, one.weight)):  # those of weight 0 first
        if record.target and record.port:
            by_priority.setdefault(record.priority, []).append(record)
    result: list[Srv] = []
    for left in by_priority.values():
        while left:
            mark = choose(sum(one.weight for one in left) + 1)
            index = 0
            running = left[0].weight
            while running < mark:
                index += 1
                running += left[index].weight
            result.append(left.pop(index))
    return result


def _transport_said(uri: SipUri, *, secure: bool) -> str:
    """Read the transport parameter, "" when there is none."""
    said = uri.param("transport")
    if not said:
        return ""
    transport = said.lower()
    if transport not in DEFAULT_PORTS:
        raise TransportError(f"transport {said} is not spoken here (udp, tcp and tls are)")
    if not secure:
        return transport
    if transport == "udp":
        raise TransportError("a sips URI cannot go over udp (RFC 3261 §26.2.2)")
    return "tls"


def _default_transport(reach: Reach, *, secure: bool) -> str:
    """UDP for sip, TLS for sips (RFC 3263 §4.1); whoever opened no UDP socket means something else."""
    if secure:
        return "tls"
    return "udp" if reach.kinds.get("udp") else next(iter(reach.kinds), "udp")


def _numeric(uri: SipUri, host: str, transport: str, reach: Reach) -> tuple[Hop, ...]:
    reach.require(transport, host)
    return (_hop(uri, _Server(transport, host, uri.port or DEFAULT_PORTS[transport]), host),)


def _hop(uri: SipUri, server: _Server, address: str) -> Hop:
    # The certificate must carry the name that was asked for, not one that DNS put in its place (RFC 5922 §7.3).
    named = server.transport == "tls" and not family_of(uri.host)
    return Hop(server.transport, address, server.port, server_name=uri.host.lower().removesuffix(".") if named else "")


def _check_name(host: str) -> None:
    labels = host.split(".")
    if not host.isascii() or len(host) > 253 or any(not 0 < len(label) < 64 for label in labels):  # RFC 1035 §2.3.4
        raise TransportError(f"no address for {host[:80]!r}: it is not a DNS name")


def _services(
    host: str, transports: Sequence[str], *, ask_naptr: bool
) -> Generator[tuple[Question, ...], Answers, tuple[list[tuple[str, Question]], dict[Question, Answer]]]:
    """Find the SRV names that apply, preferred first, and their answers (§4.1).

    NAPTR and the usual SRV names are asked for together: it saves a round trip to most callers, and costs a few small
    questions that the cache remembers.
    """
    naptr = Question("NAPTR", host)
    usual = [(transport, Question("SRV", _SRV_PREFIXES[transport] + host)) for transport in transports]
    answers = dict((yield (*((naptr,) if ask_naptr else ()), *(question for _, question in usual))))
    if not ask_naptr:
        return usual, answers
    named = _supported(answers[naptr].naptr, transports)
    unasked = tuple(dict.fromkeys(question for _, question in named if question not in answers))
    if unasked:
        answers.update((yield unasked))
    if any(answers[question].srv for _, question in named):
        return named, answers
    return usual, answers


def _supported(records: Iterable[Naptr], transports: Sequence[str]) -> list[tuple[str, Question]]:
    """Pick the NAPTR records that name a service we can use, by order and preference (§4.1)."""
    found = []
    for record in sorted(records)[:MOST_HOPS]:
        transport = _NAPTR_SERVICES.get(record.service.lower(), "")
        if transport in transports and record.flags.lower() == "s" and record.replacement:
            found.append((transport, Question("SRV", record.replacement.lower())))
    return found


def _refuse_without_srv(host: str, services: list[tuple[str, Question]], answers: Answers) -> None:
    """Raise where a missing SRV record does not mean: ask for the address of the host itself."""
    asked = [answers[question] for _, question in services]
    if any(answer.srv for answer in asked):
        names = " and ".join(transport for transport, question in services if answers[question].srv)
        raise TransportError(f"no address for {host}: its SRV record says that it offers no SIP over {names}")
    if answers and all(answer.silent for answer in answers.values()):
        raise TransportError(f"no address for {host}: {asked[0].problem}")


def _addresses(servers: Sequence[_Server], uri: SipUri, reach: Reach) -> Located:
    """Look up the addresses of `servers` and put them in their order (§4.2)."""
    servers = servers[:MOST_HOPS]
    for server in servers:
        reach.require(server.transport)
    questions = {
        Question(kind, server.name): None
        for server in servers
        if not family_of(server.name)
        for kind in reach.kinds[server.transport]
    }
    answers = (yield tuple(questions)) if questions else {}
    hops: dict[Hop, None] = {}
    for server in servers:
        for address in _addresses_of(server, reach, answers):
            hops[_hop(uri, server, address)] = None
    if not hops:
        raise TransportError(_no_address(servers[0], reach, answers))
    return tuple(hops)[:MOST_HOPS]


def _addresses_of(server: _Server, reach: Reach, answers: Answers) -> list[str]:
    if family_of(server.name):  # an SRV target must be a name (RFC 2782), yet zones exist where it is not
        return [server.name]
    kinds = reach.kinds[server.transport]
    return [address for kind in kinds for address in answers[Question(kind, server.name)].addresses]


def _no_address(server: _Server, reach: Reach, answers: Answers) -> str:
    kinds = reach.kinds[server.transport]
    problems = [
        answers[Question(kind, server.name)].problem for kind in kinds if Question(kind, server.name) in answers
    ]
    why = next(filter(None, problems), "")
    if not why:
        why = f"DNS has no {' or '.join(kinds)} record for it"
        if len(kinds) == 1:
            other = "IPv6" if kinds[0] == "A" else "IPv4"
            why += f", and no {server.transport} socket for {other} is open here"
    return f"no address for {server.name}: {why}"
