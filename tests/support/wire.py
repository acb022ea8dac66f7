"""Two whole user agents on a fake clock, joined by a network that loses, repeats and reorders."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.outputs import Event, Output, Resolve, Transmit
from sipflow.sip.parser import parse_datagram
from sipflow.sip.stack import Settings
from sipflow.sip.user_agent import Gate, UserAgent, admit_all

App = Callable[["Node", Event], None]


@dataclass
class Weather:
    """What happens to datagrams: probabilities 0 to 1, delays in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0


class Node:
    """One user agent with an address; `app` is called with each of its events."""

    def __init__(self, wire: "Wire", host: str, *, settings: Settings, gate: Gate, app: App) -> None:
        self.wire = wire
        self.host = host
        self.app = app
        self.events: list[Event] = []
        self.ua = UserAgent(settings, Ids(wire.random.randbytes, node=host[-1]), gate=gate)
        self.ua.listening({"udp": 5060})

    def perform(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.wire.send(self, output)
            elif isinstance(output, Resolve):
                hop = Hop("udp", output.uri.host, output.uri.port or 5060, self.host, 5060)
                self.perform(self.ua.resolved(output.key, (hop,), now=self.wire.now))
            else:
                self.events.append(output)
                self.app(self, output)


@dataclass
class Wire:
    """The network and the clock. `dropped` may swallow chosen datagrams: it sees (from, data) and says True to lose it."""

    seed: int = 1
    weather: Weather = field(default_factory=Weather)
    dropped: Callable[[str, bytes], bool] = lambda _host, _data: False

    def __post_init__(self) -> None:
        self.now = 0.0
        self.random = Random(self.seed)
        self.nodes: dict[str, Node] = {}
        self.sent: list[tuple[float, str, bytes]] = []
        self.keep_sent = True
        self._queue: list[tuple[float, int, str, str, bytes]] = []
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def node(self, host: str, app: App = lambda _n, _e: None, *, settings: Settings | None = None, gate: Gate = admit_all) -> Node:
        self.nodes[host] = Node(self, host, settings=settings or Settings(), gate=gate, app=app)
        return self.nodes[host]

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something at a moment of the fake clock."""
        heapq.heappush(self._calls, (when, next(self._order), what))

    def send(self, sender: Node, transmit: Transmit) -> None:
        if self.keep_sent:
            self.sent.append((self.now, sender.host, transmit.data))
        if self.dropped(sender.host, transmit.data):
            return
        copies = 1 + (self.random.random() < self.weather.duplication)
        for _ in range(copies):
            if self.random.random() >= self.weather.loss:
                arrival = self.now + self.weather.delay + self.random.random() * self.weather.jitter
                entry = (arrival, next(self._order), sender.host, transmit.hop.host, transmit.data)
                heapq.heappush(self._queue, entry)

    def inject(self, source: str, target: str, data: bytes) -> None:
        """Let a datagram of no node arrive now."""
        heapq.heappush(self._queue, (self.now, next(self._order), source, target, data))

    def run(self, until: float = 1e9) -> None:
        """Play until nothing is left to happen, or until a moment of the fake clock."""
        while (moment := self._next()) is not None and moment <= until:
            self.now = max(self.now, moment)
            self._deliver()
            while self._calls and self._calls[0][0] <= self.now:
                heapq.heappop(self._calls)[2]()
            for node in self.nodes.values():
                deadline = node.ua.deadline
                if deadline is not None and deadline <= self.now:
                    node.perform(node.ua.handle_timer(now=self.now))
        if until < 1e9:
            self.now = until

    def _next(self) -> float | None:
        moments = [node.ua.deadline for node in self.nodes.values()]
        moments += [self._queue[0][0] if self._queue else None, self._calls[0][0] if self._calls else None]
        return min((at for at in moments if at is not None), default=None)

    def _deliver(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, source, target, data = heapq.heappop(self._queue)
            node = self.nodes.get(target)
            if node is not None:
                hop = Hop("udp", source, 5060, target, 5060)
                node.perform(node.ua.receive(parse_datagram(data), hop, now=self.now))

    def methods(self) -> list[str]:
        """Who sent what, in order: `A INVITE`, `B 180`."""
        names = []
        for _, host, data in self.sent:
            first = data.split(b" ", 2)
            names.append(f"{host} {(first[1] if first[0] == b'SIP/2.0' else first[0]).decode()}")
        return names
