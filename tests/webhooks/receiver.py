"""An HTTP server on loopback that answers as a test says, and remembers what it was asked."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

WAIT_S = 20.0  # how long a test waits for what must happen; machines are slow


@dataclass(frozen=True)
class Got:
    """One request; names of headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a request is answered with.

    Attributes:
        until: waits for this before it answers.
        reset: breaks the connection instead.
        huge_bytes: a body of that many octets.
        stall: sends the beginning of the body and no more.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    until: asyncio.Event | None = None
    reset: bool = False
    huge_bytes: int = 0
    stall: bool = False

    @property
    def head(self) -> bytes:
        lines = {"Content-Length": str(self.huge_bytes or len(self.body)), **self.headers}
        text = f"HTTP/1.1 {self.status} Answer\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return text.encode() + b"\r\n"


class Receiver:
    """The server.

    Attributes:
        got: every request, in order.
        port: on 127.0.0.1.
        connections: how many were opened.
        at_once: the most requests that were being answered at the same time.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.got: list[Got] = []
        self.port = 0
        self.connections = 0
        self.at_once = 0
        self._busy = 0
        self._scripts: dict[str, list[Answer]] = defaultdict(lambda: [Answer()])
        self._changed = asyncio.Condition()
        self._forever = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._forever.set()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http{'s' if self._tls else ''}://{host}:{self.port}{path}"

    def script(self, path: str, *answers: Answer) -> str:
        """Say what requests to a path are answered with, in order; the last goes on for ever. Returns the URL."""
        self._scripts[path] = list(answers)
        return self.url(path)

    def hanging(self) -> Answer:
        """An answer that never comes."""
        return Answer(until=self._forever)

    async def requests(self, count: int, path: str = "") -> list[Got]:
        """Wait for so many requests; return them."""

        def found() -> list[Got]:
            return [got for got in self.got if not path or got.path.partition("?")[0] == path]

        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count)
        return found()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is done, or the test is
        finally:
            self._serving.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; False when the connection is no good for another."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split()[1]
        script = self._scripts[path.partition("?")[0]]
        answer = script.pop(0) if len(script) > 1 else script[0]
        async with self._changed:
            self.got.append(Got(path, headers, body))
            self._changed.notify_all()
        self._busy += 1
        self.at_once = max(self.at_once, self._busy)
        try:
            return await self._answer(writer, answer)
        finally:
            self._busy -= 1

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        if answer.until is not None:
            await answer.until.wait()
        if answer.reset:
            writer.transport.abort()
            return False
        writer.write(answer.head)
        if answer.stall:
            writer.write(answer.body[:1])
            await self._forever.wait()
        if answer.huge_bytes:
            for _ in range(answer.huge_bytes // 65536):
                writer.write(b"x" * 65536)
                await writer.drain()
            return True
        writer.write(answer.body)
        await writer.drain()
        return "close" not in answer.headers.get("Connection", "")
