"""A core that decides nothing and remembers everything, messages to send, and a way to wait for what comes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from sipflow.net.endpoint import Endpoint
from sipflow.net.resolver import Resolver
from sipflow.net.settings import ListenAddress, Settings
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import Malformed, Parsed
from sipflow.sip.transaction.outputs import Transmit

PATIENCE_S = 5.0  # only a failing test waits so long


def soonest(deadline: float | None) -> float:
    """What a core says of itself in one number."""
    return inf if deadline is None else deadline


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RememberingCore:
    """Remembers what it is told; answers with what `replies` returns."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.received: list[tuple[Parsed, Hop]] = []
        self.timers: list[float] = []
        self.failed_hops: list[Hop] = []
        self.failed_transactions: list[object] = []
        self.resolutions: list[tuple[object, tuple[Hop, ...]]] = []
        self.unresolved_keys: list[tuple[object, str]] = []
        self.events: list[object] = []
        self.replies: Callable[[Parsed, Hop], Sequence[object]] = lambda parsed, hop: []
        self.on_timer: Callable[[float], Sequence[object]] = lambda now: []
        self.on_event: Callable[[object], None] = lambda event: None
        self._news = asyncio.Event()

    @property
    def soonest(self) -> float:
        return soonest(self.deadline)

    def receive(self, parsed: Parsed, hop: Hop, *, now: float) -> Sequence[object]:
        self.received.append((parsed, hop))
        self._news.set()
        return self.replies(parsed, hop)

    def handle_timer(self, *, now: float) -> Sequence[object]:
        self.timers.append(now)
        self.deadline = None
        self._news.set()
        return self.on_timer(now)

    def hop_failed(self, hop: Hop, *, now: float) -> Sequence[object]:
        self.failed_hops.append(hop)
        self._news.set()
        return []

    def transport_failed(self, transaction: object, *, now: float) -> Sequence[object]:
        self.failed_transactions.append(transaction)
        self._news.set()
        return []

    def resolved(self, key: object, hops: tuple[Hop, ...], *, now: float) -> Sequence[object]:
        self.resolutions.append((key, hops))
        self._news.set()
        return []

    def unresolved(self, key: object, reason: str, *, now: float) -> Sequence[object]:
        self.unresolved_keys.append((key, reason))
        self._news.set()
        return []

    def remember(self, event: object) -> None:
        self.events.append(event)
        self._news.set()
        self.on_event(event)

    @property
    def methods(self) -> list[str]:
        return [name_of(parsed) for parsed, _ in self.received]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for news until `condition` holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_received(self, count: int) -> None:
        await self.until(lambda: len(self.received) >= count)


class Proxy:
    """A peer that listens by hand and keeps what it is sent."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Streams] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await self.connections.put((reader, writer))

    async def connected(self) -> Streams:
        async with asyncio.timeout(PATIENCE_S):
            return await self.connections.get()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hop]:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        try:
            yield Hop("tcp", *server.sockets[0].getsockname())
        finally:
            server.close()
            for writer in self._writers:
                writer.close()


def name_of(parsed: Parsed) -> str:
    """The method of a request, the status of a response, "malformed" for neither."""
    match parsed:
        case Request():
            return parsed.method
        case Response():
            return str(parsed.status)
        case Malformed():
            return "malformed"
        case _:
            return "keep-alive"


def request(method: str = "OPTIONS", *, branch: str = "z9hG4bK1", transport: str = "UDP", padding: int = 0) -> bytes:
    """A request that parses, with `padding` octets of body."""
    body = b"x" * padding
    head = (
        f"{method} sip:echo@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 127.0.0.1:5099;branch={branch};rport\r\n"
        "From: <sip:caller@example.com>;tag=1\r\n"
        "To: <sip:echo@example.com>\r\n"
        f"Call-ID: {branch}@127.0.0.1\r\n"
        f"CSeq: 1 {method}\r\n"
        "Max-Forwards: 70\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


OK = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"


def transmit(data: bytes, hop: Hop, transaction: object = None) -> Transmit:
    """A `Transmit` whose transaction may be anything that can be told apart."""
    owner: Any = transaction
    return Transmit(data, hop, owner)


def listen(*texts: str) -> tuple[ListenAddress, ...]:
    return tuple(ListenAddress.parse(text) for text in texts)


@asynccontextmanager
async def running(
    *texts: str, settings: Settings | None = None, core: RememberingCore | None = None, **more: Any
) -> AsyncIterator[tuple[Endpoint, RememberingCore]]:
    """An endpoint that listens on `texts`, and its core; nothing may be left of it afterwards."""
    core = core or RememberingCore()
    settings = settings or Settings(listen=listen(*texts))
    endpoint = Endpoint(core, settings, Resolver(settings), on_event=core.remember, **more)
    await endpoint.start()
    try:
        yield endpoint, core
    finally:
        await endpoint.close()
        assert {name: count for name, count in endpoint.counts.items() if name != "kept_alive"} == {
            "connections": 0,
            "tasks": 0,
        }


def hop_to(endpoint: Endpoint, position: int = 0, **changes: Any) -> Hop:
    """The hop at which `endpoint` is reached through its listener number `position`."""
    address = endpoint.listening[position]
    return Hop(address.transport, address.host, address.port)._replace(**changes)
