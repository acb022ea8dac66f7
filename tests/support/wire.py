"""Whole user agents on a fake clock, joined by a network that loses, repeats and reorders."""

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol, TypeVar

from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Confirmed, Ended, Event, InviteReceived, Output, Progressed, Resolve, Transmit
from sipflow.sip.parser import parse_datagram
from sipflow.sip.plan import RequestPlan
from sipflow.sip.stack import Settings
from sipflow.sip.usage.invite import InviteUsage
from sipflow.sip.usage.uac import UacInvite
from sipflow.sip.usage.uas import UasInvite
from sipflow.sip.user_agent import Gate, UserAgent, admit_all

App = Callable[["Node", Event], None]
E = TypeVar("E")
MOMENT = 0.025  # seconds: there and back
EPHEMERAL_PORT = 40001  # where a stream comes from that its sender opened
_MINTED = re.compile(r"(z9hG4bK|tag=)[a-z][0-9a-f]{16}")
WIRES: list["Wire"] = []  # those of the running test; what checks that nothing is left closes them


@dataclass
class Weather:
    """What happens to datagrams: probabilities 0 to 1, delays in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0


class Station(Protocol):
    """What has an address: a user agent, or a far end played by hand."""

    host: str

    def arrive(self, data: bytes, hop: Hop) -> None:
        """Take what came from `hop`."""


class Node:
    """One user agent with an address; `app` is called with each of its events.

    Attributes:
        events: all events so far.
        calls: every call it placed, was offered or heard of, in that order.
        addresses: what a name resolves to; a name that is not here resolves to itself, over UDP.
    """

    def __init__(self, wire: "Wire", host: str, *, settings: Settings, gate: Gate, app: App) -> None:
        self.wire = wire
        self.host = host
        self.app = app
        self.events: list[Event] = []
        self.calls: dict[InviteUsage, None] = {}
        self.addresses: dict[str, tuple[Hop, ...]] = {}
        self.ua = UserAgent(settings, Ids(wire.random.randbytes, node=host[-1]), gate=gate)
        self.ua.listening({"udp": 5060, "tcp": 5060, "tls": 5061})
        self._deadline: float | None = None
        self._asked = False

    @property
    def deadline(self) -> float | None:
        """That of the user agent, which is asked only when something has happened to it: it has to look for it."""
        if not self._asked:
            self._asked, self._deadline = True, self.ua.deadline
        return self._deadline

    def changed(self) -> None:
        """Something may have happened to the user agent."""
        self._asked = False

    def perform(self, outputs: list[Output]) -> None:
        self.changed()
        for output in outputs:
            if isinstance(output, Transmit):
                self.wire.send(self, output)
            elif isinstance(output, Resolve):
                self._resolve(output)
            else:
                if isinstance(output, InviteReceived | Progressed | Confirmed | Ended):
                    self.calls[output.usage] = None
                if self.wire.keep_sent:
                    self.events.append(output)
                self.app(self, output)

    def _resolve(self, output: Resolve) -> None:
        host = output.uri.host
        transport = (output.uri.param("transport") or "udp").lower()
        hops = self.addresses.get(host, (Hop(transport, host, output.uri.port or 5060, self.host, 5060),))
        if hops:
            self.perform(self.ua.resolved(output.key, hops, now=self.wire.now))
        else:
            self.perform(self.ua.unresolved(output.key, f"no address for {host}", now=self.wire.now))

    def arrive(self, data: bytes, hop: Hop) -> None:
        self.perform(self.ua.receive(parse_datagram(data), hop, now=self.wire.now))

    def place(self, plan: RequestPlan, *, hops: tuple[Hop, ...] = ()) -> UacInvite:
        """Place a call now."""
        usage, outputs = self.ua.invite(plan, now=self.wire.now, hops=hops)
        self.calls[usage] = None
        self.perform(outputs)
        return usage

    def happened(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def the(self, kind: type[E]) -> E:
        """The only event of one kind."""
        (event,) = self.happened(kind)
        return event

    @property
    def called(self) -> UasInvite:
        """The call that came in last."""
        return [usage for usage in self.calls if isinstance(usage, UasInvite)][-1]

    def ring(self, status: int = 180, body: bytes = b"") -> None:
        self.perform(self.called.ring(now=self.wire.now, status=status, body=body))

    def answer(self, body: bytes = b"") -> None:
        self.perform(self.called.answer(body, now=self.wire.now))

    def reject(self, status: int, why: str = "") -> None:
        self.perform(self.called.reject(status, now=self.wire.now, why=why))

    def bye(self, usage: InviteUsage | None = None, **more: Any) -> None:
        self.perform((usage or self.called).bye(now=self.wire.now, **more))

    def hang_up(self, usage: InviteUsage) -> None:
        """End a call, wherever it stands."""
        now = self.wire.now
        if isinstance(usage, UasInvite) and usage.pending:
            self.perform(usage.reject(480, now=now))
        elif isinstance(usage, UacInvite):
            self.perform(usage.cancel(now=now))
        else:
            self.perform(usage.bye(now=now))


@dataclass
class Wire:
    """The network and the clock.

    Attributes:
        dropped: may swallow chosen messages: it sees (from, data) and says True to lose it.
        unreachable: (transport, host) pairs that nothing can be sent to.
        gone: numbers of connections that are closed.
    """

    seed: int = 1
    weather: Weather = field(default_factory=Weather)
    dropped: Callable[[str, bytes], bool] = lambda _host, _data: False
    unreachable: set[tuple[str, str]] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.now = 0.0
        self.random = Random(self.seed)
        self.nodes: dict[str, Node] = {}
        self.stations: dict[str, Station] = {}
        self.sent: list[tuple[float, str, bytes]] = []
        self.hops: list[Hop] = []
        self.keep_sent = True
        self._opened: dict[frozenset[str], str] = {}
        self._queue: list[tuple[float, int, str, str, str, bytes]] = []
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        WIRES.append(self)

    def node(
        self, host: str, app: App = lambda _n, _e: None, *, settings: Settings | None = None, gate: Gate = admit_all
    ) -> Node:
        node = Node(self, host, settings=settings or Settings(), gate=gate, app=app)
        self.nodes[host] = self.stations[host] = node
        return node

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something at a moment of the fake clock."""
        heapq.heappush(self._calls, (when, next(self._order), what))

    def send(self, sender: Node, transmit: Transmit) -> None:
        hop = transmit.hop
        if hop.connection in self.gone:
            hop = hop._replace(connection=0)  # as the shell does: a new one, to the same address
        lost = hop.reliable and hop.port == EPHEMERAL_PORT and not hop.connection  # where nobody listens
        if lost or (hop.transport, hop.host) in self.unreachable:
            self.at(self.now, lambda: sender.perform(sender.ua.transport_failed(transmit.transaction, now=self.now)))
            return
        if self.keep_sent:
            self.hops.append(hop)
        self.carry(sender.host, hop.host, transmit.data, hop.transport)

    def carry(self, source: str, target: str, data: bytes, transport: str = "udp") -> None:
        """Note a message as sent, and deliver it as the weather allows."""
        if self.keep_sent:
            self.sent.append((self.now, source, data))
        self._opened.setdefault(frozenset((source, target)), source)
        if self.dropped(source, data):
            return
        copies = 1 + (self.random.random() < self.weather.duplication)
        for _ in range(copies):
            if self.random.random() >= self.weather.loss:
                arrival = self.now + self.weather.delay + self.random.random() * self.weather.jitter
                heapq.heappush(self._queue, (arrival, next(self._order), source, target, transport, data))

    def inject(self, source: str, target: str, data: bytes) -> None:
        """Let a datagram of no node arrive now."""
        heapq.heappush(self._queue, (self.now, next(self._order), source, target, "udp", data))

    def run(self, until: float = 1e9) -> None:
        """Play until nothing is left to happen, or until a moment of the fake clock."""
        for node in self.nodes.values():
            node.changed()  # whoever holds the wire may have done something to it
        while (moment := self._next()) is not None and moment <= until:
            self.now = max(self.now, moment)
            self._deliver()
            while self._calls and self._calls[0][0] <= self.now:
                heapq.heappop(self._calls)[2]()
            for node in self.nodes.values():
                if node.deadline is not None and node.deadline <= self.now:
                    node.perform(node.ua.handle_timer(now=self.now))
        if until < 1e9:
            self.now = until

    def play(self, seconds: float = MOMENT) -> None:
        """Play so many seconds more; by default until what was said has been heard and answered."""
        self.run(until=self.now + seconds)

    def _next(self) -> float | None:
        moments = [node.deadline for node in self.nodes.values()]
        moments += [self._queue[0][0] if self._queue else None, self._calls[0][0] if self._calls else None]
        return min((at for at in moments if at is not None), default=None)

    def _deliver(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, source, target, transport, data = heapq.heappop(self._queue)
            station = self.stations.get(target)
            if station is not None:
                station.arrive(data, self._seen(source, target, transport))

    def _seen(self, source: str, target: str, transport: str) -> Hop:
        """The hop that `target` sees a message of `source` come from."""
        if transport == "udp":
            return Hop("udp", source, 5060, target, 5060)
        opener = self._opened[frozenset((source, target))]
        return Hop(transport, source, EPHEMERAL_PORT if opener == source else 5060, target, 5060, connection=7)

    def methods(self, *, since: float = 0.0) -> list[str]:
        """Who sent what, in order: `a INVITE`, `b 180`."""
        return [f"{host} {_word(data)}" for at, host, data in self.sent if at >= since]

    def timeline(self) -> list[tuple[float, str]]:
        """The same with the moment of each, in seconds rounded to milliseconds."""
        return [(round(at, 3), f"{host} {_word(data)}") for at, host, data in self.sent]

    def messages(self, word: str) -> list[Request | Response]:
        """All messages sent that `methods` would call `word`, such as "a ACK"."""
        found = []
        for _, host, data in self.sent:
            if f"{host} {_word(data)}" == word:
                message = parse_datagram(data)
                assert isinstance(message, Request | Response)
                found.append(message)
        return found

    def request(self, word: str) -> Request:
        """The only request that `methods` would call `word`."""
        (message,) = self.messages(word)
        assert isinstance(message, Request)
        return message

    def response(self, word: str) -> Response:
        """The only response that `methods` would call `word`."""
        (message,) = self.messages(word)
        assert isinstance(message, Response)
        return message

    def close(self) -> None:
        """End every call that is still going, let every timer run out, and see that nothing is left."""
        for _ in range(2):  # what was on its way may begin another
            for node in self.nodes.values():
                for usage in list(node.calls):
                    node.hang_up(usage)
            self.run()
        for node in self.nodes.values():
            assert {name: size for name, size in node.ua.sizes.items() if size} == {}, node.host
            assert node.ua.deadline is None


def _word(data: bytes) -> str:
    first = data.split(b" ", 2)
    return (first[1] if first[0] == b"SIP/2.0" else first[0]).decode()


def shown(message: Request | Response) -> list[str]:
    """The lines of a message, with the random part of every branch and tag of ours written as `*`."""
    head = bytes(message).partition(b"\r\n\r\n")[0].decode()
    return _MINTED.sub(r"\1*", head).split("\r\n")
