"""A real edge on loopback, and those who knock on it from addresses of their own: all of 127.0.0.0/8 is this machine.

127.0.0.1 belongs to a trunk; every other address is a stranger's.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from sipflow.errors import CallFailed
from sipflow.net.acl import Networks
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import parse_datagram
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, staged

KNOWN = replace(LOCAL, accept_from=Networks(["127.0.0.1"]))
HERE, STRANGER = "127.0.0.1", "127.0.0.66"
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
SILENCE_S = 0.15  # how long is waited for an answer that must not come
_numbers = count(1)


def edge(*, trunk: Trunk = KNOWN, **more: Any) -> AbstractAsyncContextManager[Stage]:
    """Open an edge for one trunk; see `staged`."""
    return staged(trunks=(trunk,), **more)


def sip(
    method: str = "INVITE",
    *,
    uri: str = f"sip:{NUMBER}@127.0.0.1",
    source: str = HERE,
    body: bytes = b"",
    without: str = "",
    more: bytes = b"",
    **lines: Any,
) -> bytes:
    """Write a request by hand: `lines` replace header lines (`Content_Length="x"`), `more` stands behind them as is."""
    number = next(_numbers)
    known = {
        "Via": f"SIP/2.0/UDP {source}:5060;branch=z9hG4bK-{number};rport",
        "From": f"<sip:caller@{source}>;tag=t{number}",
        "To": f"<{uri}>",
        "Call-ID": f"{number}@{source}",
        "CSeq": f"1 {method}",
        "Max-Forwards": "70",
        "Contact": f"<sip:caller@{source}>",
        **({"Content-Type": "application/sdp"} if body else {}),
        "Content-Length": str(len(body)),
    }
    known |= {name.replace("_", "-"): text for name, text in lines.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in known.items() if name != without)
    return f"{method} {uri} SIP/2.0\r\n{head}".encode("utf-8", "surrogateescape") + more + b"\r\n" + body


class Knocker:
    """One who sends datagrams by hand, from an address of this machine. A context manager."""

    def __init__(self, stage: Stage, host: str = HERE) -> None:
        self._target = ("127.0.0.1", stage.port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self.host = host
        self._heard: set[str] = set()
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._target)

    async def hear(self, timeout_s: float = WAIT_S) -> bytes:
        """Wait for the next datagram; b"" if none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().sock_recv(self._socket, 65535)
        except TimeoutError:
            return b""

    async def ask(self, data: bytes) -> int:
        """Send a request and give the first status of its own that is no 100."""
        self.send(data)
        named = re.search(rb"Call-ID ?\t?: ?([^\r]*)", data)
        while True:
            answer = await self.response()
            own = named is None or "Call-ID" not in answer.headers or answer.call_id == named[1].decode()
            if own and answer.status != 100:
                return answer.status

    async def response(self) -> Response:
        heard = parse_datagram(await self.hear())
        assert isinstance(heard, Response), heard
        return heard

    async def heard(self, method: str) -> Request | None:
        """The next request with this method that is no repetition of one before it; None if none comes."""
        while data := await self.hear(4 * SILENCE_S):
            heard = parse_datagram(data)
            if isinstance(heard, Request) and heard.method == method and str(heard.via) not in self._heard:
                self._heard.add(str(heard.via))
                return heard
        return None

    async def silent(self) -> bool:
        """Whether nothing comes for a while."""
        return await self.hear(SILENCE_S) == b""

    async def statuses(self) -> list[int]:
        """The statuses that have come and still come."""
        found = []
        while data := await self.hear(SILENCE_S):
            heard = parse_datagram(data)
            if isinstance(heard, Response):
                found.append(heard.status)
        return found


def knocker(stage: Stage, host: str = HERE) -> Knocker:
    return Knocker(stage, host)


async def alive(stage: Stage) -> bool:
    """Whether the next call is answered, and nothing ever raised."""
    call = await stage.call()
    await call.hangup()
    await call.ended()
    return stage.callee.endpoint.faults == 0 and stage.callee.tasks.failures == 0


async def refused(stage: Stage) -> int:
    """Place a call that is refused; give the status."""
    call = await stage.caller.switchboard.place(stage.plan())
    try:
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
    except CallFailed as failed:
        return failed.status
    return 200


async def settled(stage: Stage) -> Mapping[str, int]:
    """Wait until nothing goes on at the edge; give what there is that could leak but transactions, which time out."""
    await stage.quiet()
    edge = stage.callee
    with suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S):
            while len(edge.tasks) or any(edge.endpoint.counts.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return {"calls": len(edge.switchboard.calls), "dialogs": edge.ua.counts["dialogs"], **edge.endpoint.counts}


@dataclass
class Line:
    """A TCP connection by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """All that comes until the far end closes."""
        async with asyncio.timeout(WAIT_S):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def line(stage: Stage, host: str = HERE) -> AsyncIterator[Line]:
    """Open a TCP connection from an address of this machine."""
    port = stage.callee.endpoint.ports["tcp"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def memory_bytes() -> int:
    """What this process holds in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def messages_of(data: bytes) -> Request | Response:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Request | Response)
    return parsed
