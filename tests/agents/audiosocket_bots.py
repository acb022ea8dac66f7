"""A bot on an AudioSocket, written from the protocol alone: type, two bytes of length, payload."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

HANGUP, UUID, DTMF, SLIN, ERROR = 0x00, 0x01, 0x03, 0x10, 0xFF


def message(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind, len(payload) >> 8, len(payload) & 0xFF]) + payload


@dataclass
class Visit:
    """One connection to the bot.

    Attributes:
        heard: type and payload of each message, oldest first.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[tuple[int, bytes]] = field(default_factory=list)

    async def hear(self) -> tuple[int, bytes]:
        header = await self.reader.readexactly(3)
        heard = header[0], await self.reader.readexactly(header[1] << 8 | header[2])
        self.heard.append(heard)
        return heard

    async def hear_until(self, kind: int) -> bytes:
        """Hear until a message of this type, and give its payload."""
        while True:
            found, payload = await self.hear()
            if found == kind:
                return payload

    async def say(self, kind: int, payload: bytes = b"") -> None:
        self.writer.write(message(kind, payload))
        await self.writer.drain()

    def audio(self, kind: int = SLIN) -> bytes:
        """Everything that was said to it."""
        return b"".join(payload for found, payload in self.heard if found == kind)


Script = Callable[[Visit], Awaitable[None]]


@dataclass
class Bot:
    """Where it listens, and who came."""

    port: int
    visits: list[Visit] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


async def hear_all(visit: Visit) -> None:
    """Hear until the far end hangs up, then close."""
    await visit.hear_until(HANGUP)


@asynccontextmanager
async def bot(script: Script = hear_all, *, port: int = 0) -> AsyncIterator[Bot]:
    """Serve AudioSocket with a script per connection, which is closed when its script is done."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        visit = Visit(reader, writer)
        found.visits.append(visit)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await script(visit)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    found = Bot(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
