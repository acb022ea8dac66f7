"""Carries out the test of a trunk: an edge of its own asks the far end, registers, and takes its Contact back."""

import asyncio
import os
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.cli.call import NoAgents
from sipflow.config.configuration import Configuration
from sipflow.daemon.build import Edge, build
from sipflow.errors import TransportError
from sipflow.net.lookups import DnsLookup
from sipflow.net.records import Answer, Question
from sipflow.net.resolver import Resolver
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.net.tls import client_context, explain
from sipflow.net.tracers import Settings as TraceSettings
from sipflow.net.tracers import Tracers
from sipflow.numbers.inventory import Inventory
from sipflow.sip.addressing import split_host_port
from sipflow.sip.hop import Hop
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.trunks import findings
from sipflow.trunks.findings import Finding, Judgement
from sipflow.trunks.health import Health
from sipflow.trunks.outputs import Output, RegistrationState, Send
from sipflow.trunks.registration import Registration
from sipflow.trunks.settings import HealthSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk

Say = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class ProbeEdge:
    """What a test talks through.

    Attributes:
        edge: with sockets of its own, on other ports than the daemon's.
        trunk: that is tested, without the port of ours that it advertises.
        tracers: have every message.
        patience_s: how long an answer may take.
    """

    edge: Edge
    trunk: Trunk
    tracers: Tracers
    patience_s: float


def make_edge(configuration: Configuration, trunk: Trunk, *, patience_s: float) -> ProbeEdge:
    """Prepare an edge for the test of a trunk; nothing is opened yet. Must be called in a running loop."""
    host = split_host_port(trunk.advertise)[0] if trunk.advertise else ""
    tested = replace(trunk, advertise=host, health=HealthSettings())
    tracers = Tracers(TraceSettings(), log=lambda: None)
    edge = build(
        router=Router(TrunkTable([tested], secret=os.urandom(16)), Inventory()),
        agents=lambda _tasks: NoAgents(),
        net=own_sockets(configuration.sip),
        media=replace(configuration.media, drain_s=0.0),
        calls=CallSettings(user_agent=configuration.calls.user_agent),
        tracers=tracers,
    )
    return ProbeEdge(edge, tested, tracers, patience_s)


def own_sockets(settings: NetSettings) -> NetSettings:
    """Give the settings of sockets beside those of the daemon: the same addresses, ports that the system chooses."""
    hosts = dict.fromkeys(address.host for address in settings.listen)
    listen = tuple(ListenAddress(transport, host, 0) for host in hosts for transport in ("udp", "tcp"))
    advertise = split_host_port(settings.advertise)[0] if settings.advertise else ""
    by_transport = {name: split_host_port(each)[0] for name, each in settings.advertise_by_transport.items()}
    return replace(settings, listen=listen, advertise=advertise, advertise_by_transport=by_transport)


async def resolve(net: NetSettings, trunk: Trunk, say: Say) -> tuple[Hop, ...]:
    """Look the trunk's destination up; nothing where it has no address."""
    asked: dict[Question, Answer] = {}
    dns = DnsLookup(net.dns)

    async def remembered(question: Question) -> Answer:
        asked[question] = answer = await dns(question)
        return answer

    loop = asyncio.get_running_loop()
    resolver, began = Resolver(net, lookup=remembered, clock=loop.time), loop.time()
    uri = trunk.destination
    if uri is None:
        return ()
    try:
        hops = await resolver.resolve(uri)
    except TransportError as error:
        say(findings.unresolved(str(error), asked, 1000 * (loop.time() - began)))
        return ()
    finally:
        await resolver.close()
    say(findings.resolved(str(uri), hops, asked, 1000 * (loop.time() - began)))
    return hops


async def connect(net: NetSettings, hop: Hop, say: Say, *, patience_s: float) -> bool:
    """Open a connection to a far end that wants one, look at its certificate, and close it again."""
    if hop.transport == "udp":
        say(Finding("connect", Judgement.SKIPPED, f"{hop} is reached without a connection"))
        return True
    loop = asyncio.get_running_loop()
    began = loop.time()
    secure = hop.transport == "tls"
    try:
        context = await asyncio.to_thread(client_context, net.tls) if secure else None
        async with asyncio.timeout(patience_s):
            _, writer = await asyncio.open_connection(
                hop.host, hop.port, ssl=context, server_hostname=(hop.server_name or hop.host) if secure else None
            )
    except (OSError, TransportError) as error:  # TimeoutError and ssl.SSLError are among them
        advice = "a firewall is between, or nothing listens there: check the port and the transport"
        if isinstance(error, ssl.SSLError):
            advice = "the sentence says which certificate or setting must change"
            if "does not speak TLS" in explain(error, hop):
                advice = "check the port, and whether the transport is tls at all"
        took_ms = 1000 * (loop.time() - began)
        say(Finding("tls" if secure else "connect", Judgement.FAILED, explain(error, hop), advice, took_ms))
        return False
    say(Finding("connect", Judgement.OK, f"connected to {hop}", "", 1000 * (loop.time() - began)))
    shown = writer.get_extra_info("ssl_object")
    if secure and shown is not None:
        certificate = shown.getpeercert()
        if certificate:
            until = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
            say(findings.certificate_of(certificate, shown.version() or "TLS", hop, now=datetime.now(UTC), until=until))
        else:
            text = f"{shown.version()}; its certificate is not checked (sip.tls.verify: false)"
            say(Finding("tls", Judgement.WARNING, text, "anybody on the way can read the calls and the password"))
    writer.close()
    return True


async def ask(probe: ProbeEdge, plan: RequestPlan) -> tuple[Outcome, float]:
    """Send a request; returns its end, 408 after `patience_s`, and how long it took in milliseconds."""
    board = probe.edge.switchboard
    began = board.now
    try:
        async with asyncio.timeout(probe.patience_s):
            outcome = await board.request(plan)
    except TimeoutError:
        why = f"no answer in {probe.patience_s:g} s"
        outcome = Outcome(408, why, None, None, "", plan.cseq, 0, None)
    return outcome, 1000 * (board.now - began)


async def options(probe: ProbeEdge, say: Say) -> bool:
    """Send OPTIONS; returns whether anybody answered."""
    ids = probe.edge.ua.ids
    machine = Health(probe.trunk, call_id=ids.call_id(), tag=ids.tag(), jitter=random.random)
    (sent,) = machine.start(now=probe.edge.switchboard.now)
    if not isinstance(sent, Send):
        return False
    outcome, took_ms = await ask(probe, sent.plan)
    found = findings.asked_options(outcome, took_ms)
    say(found)
    for each in findings.abilities(outcome.response if outcome.response is not None else None):
        say(each)
    return outcome.response is not None


async def register(probe: ProbeEdge, say: Say) -> bool:
    """Register, say what the far end saw, and take our Contact back; returns whether anybody answered."""
    ids, board = probe.edge.ua.ids, probe.edge.switchboard
    machine = Registration(
        probe.trunk,
        call_id=ids.call_id(),
        tag=ids.tag(),
        token=probe.trunk.registration_token(os.urandom(16)),  # not the daemon's: its binding stays
        jitter=random.random,
    )
    began = board.now
    outcome = await _follow(probe, machine, machine.start(now=board.now))
    took_ms = 1000 * (board.now - began)
    expires_s = (machine.registered_until or board.now) - board.now
    say(findings.registered(machine, expires_s, took_ms))
    local = outcome.local if outcome is not None else None
    if machine.state is not RegistrationState.REGISTERED:
        return machine.answered_by is not None
    say(findings.seen_through_nat(probe.trunk, local, machine.seen_as))
    began = board.now
    await _follow(probe, machine, machine.stop(now=board.now))
    say(findings.unregistered(machine, 1000 * (board.now - began)))
    return True


async def _follow(probe: ProbeEdge, machine: Registration, outputs: list[Output]) -> Outcome | None:
    """Send what a registration wants to send, as long as it goes on at once."""
    outcome: Outcome | None = None
    while plans := [output.plan for output in outputs if isinstance(output, Send)]:
        outcome, _ = await ask(probe, plans[0])
        outputs = machine.outcome(outcome, now=probe.edge.switchboard.now)
    return outcome
