"""Bots at the far end of a WebSocket: scripts of a few lines, in this process, on loopback."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

Script = Callable[["Visit"], Awaitable[None]]


@dataclass
class Visit:
    """One call's WebSocket as the bot sees it.

    Attributes:
        socket: to do anything with.
        heard: every message, JSON read.
        close_code: once the socket is closed.
    """

    socket: ServerConnection
    heard: list[Any] = field(default_factory=list)
    close_code: int | None = None

    async def hear(self) -> Any:
        """Wait for the next message."""
        async with asyncio.timeout(10):
            data = await self.socket.recv()
        self.heard.append(json.loads(data) if isinstance(data, str) else data)
        return self.heard[-1]

    async def hear_event(self, event: str) -> Any:
        """Wait for the next message with this event."""
        while True:
            message = await self.hear()
            if isinstance(message, dict) and message.get("event") == event:
                return message

    async def hear_all(self) -> None:
        """Listen until the end."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed:
            return

    async def say(self, *messages: Any) -> None:
        """Send objects as JSON, text and bytes as they are."""
        for message in messages:
            await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))


@dataclass
class Bot:
    """A WebSocket server.

    Attributes:
        url: where it is.
        visits: every WebSocket so far.
        requests: every handshake so far, refused ones too.
        server: itself.
    """

    url: str = ""
    visits: list[Visit] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    server: Server | None = None

    async def visited(self) -> Visit:
        """Wait for the first WebSocket."""
        async with asyncio.timeout(10):
            while not self.visits:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.visits[0]


@asynccontextmanager
async def bot(
    script: Script,
    *,
    refuse: Callable[[int], int] = lambda visit: 0,
    subprotocols: list[Subprotocol] | None = None,
    tls: ssl.SSLContext | None = None,
    path: str = "/ws",
    **options: Any,
) -> AsyncIterator[Bot]:
    """Run a bot; `refuse` gives the HTTP status for the n-th handshake from 0, 0 to let it in."""
    found = Bot()

    async def visit(socket: ServerConnection) -> None:
        found.visits.append(Visit(socket))
        try:
            await script(found.visits[-1])
        except ConnectionClosed:
            pass
        finally:
            await socket.wait_closed() if socket.close_code is not None else await socket.close()
            found.visits[-1].close_code = socket.close_code

    def look(connection: ServerConnection, request: Request) -> Response | None:
        found.requests.append(request)
        status = refuse(len(found.requests) - 1)
        return connection.respond(status, "no") if status else None

    settings = {"ping_interval": None, "close_timeout": 0.5, **options}
    async with serve(
        visit, "127.0.0.1", 0, process_request=look, subprotocols=subprotocols, ssl=tls, **settings
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        found.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{path}"
        found.server = server
        yield found
