"""`sipflow firewall`: what to let through, by the configuration; in words, as JSON, or as lines of nftables or ufw."""

import asyncio
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sipflow.config.configuration import Configuration
from sipflow.config.load import load
from sipflow.errors import LocalProtocolError, TransportError
from sipflow.net.literal import family_of, is_loopback
from sipflow.net.resolver import Resolver
from sipflow.sip.hop import Hop
from sipflow.trunks.trunk import Trunk

FORMATS = ("text", "json", "nft", "ufw")
_ANY = ("0.0.0.0", "::")  # noqa: S104  (compared, not listened on)
_HTTP_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to let through.

    Attributes:
        direction: "in" or "out".
        protocol: "udp" or "tcp".
        ports: of ours where it comes in, of the far end where it goes out: "5060" or "10000-20000"; "" for any.
        peers: addresses, networks or host names; empty for everybody.
        why: what it is for.
    """

    direction: str
    protocol: str
    ports: str
    peers: tuple[str, ...]
    why: str


def run_firewall(file: Path, form: str) -> int:
    """Print the rules of a configuration; returns the exit status.

    Raises:
        ConfigError: the configuration cannot be used.
        LocalProtocolError: there is no such format.
    """
    if form not in FORMATS:
        raise LocalProtocolError(f"--format {form!r} is none of {', '.join(FORMATS)}")
    configuration = load(file)
    hops, problems = asyncio.run(_resolved(configuration))
    rules = rules_of(configuration, hops)
    if form == "json":
        lines = [json.dumps({"rules": [asdict(rule) for rule in rules], "problems": problems})]
    elif form == "text":
        lines = [_sentence(rule) for rule in rules] or ["nothing: it listens on this machine only"]
    else:
        lines = [line for rule in rules for line in (nft(rule) if form == "nft" else ufw(rule))]
    sys.stdout.write("\n".join(lines) + "\n")
    for problem in problems:
        sys.stderr.write(f"sipflow: {problem}\n")
    return 0


async def _resolved(configuration: Configuration) -> tuple[dict[str, tuple[Hop, ...]], list[str]]:
    """Find where each trunk is."""
    resolver = Resolver(configuration.sip, clock=asyncio.get_running_loop().time)
    found: dict[str, tuple[Hop, ...]] = {}
    problems = []
    try:
        for trunk in configuration.trunks.values():
            if trunk.destination is not None:
                try:
                    found[trunk.name] = await resolver.resolve(trunk.destination)
                except TransportError as error:
                    problems.append(f"trunk {trunk.name}: {error}; its addresses are missing above")
    finally:
        await resolver.close()
    return found, problems


def rules_of(configuration: Configuration, hops: Mapping[str, tuple[Hop, ...]]) -> list[Rule]:
    """Say what a configuration needs.

    Args:
        configuration: which.
        hops: where each trunk is, by its name.
    """
    trunks = configuration.trunks.values()
    rules = [*_listeners(configuration, trunks, hops), *_media(configuration), *_api(configuration)]
    for trunk in trunks:
        rules += _to_trunk(trunk, hops.get(trunk.name, ()))
    return [*rules, *_others(configuration)]


def _listeners(
    configuration: Configuration, trunks: Iterable[Trunk], hops: Mapping[str, tuple[Hop, ...]]
) -> list[Rule]:
    peers = tuple(dict.fromkeys(peer for trunk in trunks for peer in _sources(trunk, hops.get(trunk.name, ()))))
    rules = []
    for address in configuration.sip.listen:
        if is_loopback(address.host):
            continue
        protocol = "udp" if address.transport == "udp" else "tcp"
        near = tuple(peer for peer in peers if address.host in _ANY or (":" in peer) is (":" in address.host))
        what = "SIP" if address.transport != "tls" else "SIP over TLS"
        rules.append(Rule("in", protocol, str(address.port), near, f"{what} of all trunks"))
    return rules


def _sources(trunk: Trunk, hops: tuple[Hop, ...]) -> Iterator[str]:
    if trunk.accept_from:
        yield from (each for each in str(trunk.accept_from).split(", ") if not is_loopback(each))
    yield from (hop.host for hop in hops if not is_loopback(hop.host))


def _media(configuration: Configuration) -> list[Rule]:
    media = configuration.media
    if is_loopback(media.bind_host):
        return []
    ports = f"{media.port_low}-{media.port_high}"
    return [
        Rule("in", "udp", ports, (), "audio; providers send it from other addresses than SIP"),
        Rule("out", "udp", "", (), "audio, to whatever port the far end names"),
    ]


def _api(configuration: Configuration) -> list[Rule]:
    api = configuration.api
    if api is None or is_loopback(api.host):
        return []
    return [Rule("in", "tcp", str(api.port), (), "the HTTP API; name the networks of its clients")]


def _to_trunk(trunk: Trunk, hops: tuple[Hop, ...]) -> list[Rule]:
    places: dict[tuple[str, int], list[str]] = {}
    for hop in hops:
        if not is_loopback(hop.host):
            places.setdefault(("udp" if hop.transport == "udp" else "tcp", hop.port), []).append(hop.host)
    return [
        Rule("out", protocol, str(port), tuple(dict.fromkeys(hosts)), f"SIP to trunk {trunk.name}")
        for (protocol, port), hosts in places.items()
    ]


def _others(configuration: Configuration) -> list[Rule]:
    """DNS, and whatever agents and webhooks reach over HTTP."""
    rules = []
    destinations = [trunk.destination for trunk in configuration.trunks.values() if trunk.destination is not None]
    if any(not family_of(uri.host) for uri in destinations):
        servers = tuple(configuration.sip.dns.servers)
        rules += [Rule("out", protocol, "53", servers, "DNS") for protocol in ("udp", "tcp")]
    places: dict[int, list[str]] = {}
    for url in _urls(configuration):
        parts = urlsplit(url)
        if parts.hostname and parts.scheme in _HTTP_PORTS and not is_loopback(parts.hostname):
            places.setdefault(parts.port or _HTTP_PORTS[parts.scheme], []).append(parts.hostname)
    for port, hosts in places.items():
        rules.append(Rule("out", "tcp", str(port), tuple(dict.fromkeys(hosts)), "webhooks and agents"))
    return rules


def _urls(configuration: Configuration) -> Iterator[str]:
    yield configuration.webhooks.events_url
    for spec in configuration.agents.values():
        for value in (*spec.options.values(), *spec.fields.values()):
            if isinstance(value, str) and "://" in value:
                yield value


def _sentence(rule: Rule) -> str:
    way = "from" if rule.direction == "in" else "to"
    ports = f"port {rule.ports}" if rule.ports else "any port"
    peers = ", ".join(rule.peers) or "everybody"
    return f"{rule.direction:<4}{rule.protocol:<4} {ports:<18} {way} {peers}: {rule.why}"


def nft(rule: Rule) -> list[str]:
    """Write a rule for nftables: into the chains input and output of the table `inet filter`."""
    chain = "input" if rule.direction == "in" else "output"
    side = "saddr" if rule.direction == "in" else "daddr"
    match = f"{rule.protocol} dport {rule.ports}" if rule.ports else f"meta l4proto {rule.protocol}"
    start, end = f"add rule inet filter {chain}", f'{match} accept comment "{rule.why[:100]}"'
    if not rule.peers:
        return [f"{start} {end}"]
    lines = []
    literals = [peer for peer in rule.peers if family_of(peer.partition("/")[0])]
    for family, colon in (("ip", False), ("ip6", True)):
        some = [peer for peer in literals if (":" in peer) is colon]
        if some:
            lines.append(f"{start} {family} {side} {{ {', '.join(some)} }} {end}")
    names = [peer for peer in rule.peers if peer not in literals]
    return [*lines, *[f"# {name}: a name; {start} {end}" for name in names]]


def ufw(rule: Rule) -> list[str]:
    """Write a rule for ufw."""
    way = "allow" if rule.direction == "in" else "allow out"
    ports = f" port {rule.ports.replace('-', ':')}" if rule.ports else ""
    comment = f" comment {shlex.quote(rule.why)}"
    if not rule.peers:
        return [f"ufw {way} proto {rule.protocol} to any{ports}{comment}"]
    lines = []
    for peer in rule.peers:
        if not family_of(peer.partition("/")[0]):
            lines.append(f"# {peer}: a name; ufw {way} proto {rule.protocol} to any{ports}{comment}")
        elif rule.direction == "in":
            lines.append(f"ufw {way} proto {rule.protocol} from {peer} to any{ports}{comment}")
        else:
            lines.append(f"ufw {way} proto {rule.protocol} to {peer}{ports}{comment}")
    return lines
