"""The WebSocket itself: reaching a bot, and what a bot may do to us."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from sipflow.agents.stream.connection import Connection, Limits, connect
from sipflow.agents.stream.options import trusting
from sipflow.errors import TransportError
from tests.agents.stream.bots import Visit, bot
from tests.net.certificates import make_certificates

PATIENCE_S = 10.0


class Bare(asyncio.Transport):
    """A transport with another one's socket; nothing goes over it."""

    def __init__(self, of: asyncio.StreamWriter) -> None:
        super().__init__({"socket": of.get_extra_info("socket")})

    def write(self, data: object) -> None:
        """Send nothing."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have none."""


@dataclass
class Ear:
    """Remembers what the bot said, and how it ended."""

    heard_so_far: list[bytes | str] = field(default_factory=list)
    ending: tuple[bool, str] | None = None
    stalls: list[float] = field(default_factory=list)

    def heard(self, data: bytes, *, is_text: bool) -> None:
        self.heard_so_far.append(data.decode() if is_text else data)

    def lost(self, *, normally: bool, why: str) -> None:
        assert self.ending is None
        self.ending = (normally, why)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard_so_far) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def until_lost(self) -> tuple[bool, str]:
        async with asyncio.timeout(PATIENCE_S):
            while self.ending is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.ending


async def wait_to_be_left(visit: Visit) -> None:
    await visit.hear_all()


async def read_nothing(visit: Visit) -> None:
    visit.socket.transport.pause_reading()
    await visit.socket.wait_closed()


@asynccontextmanager
async def connected(
    script: Callable[[Visit], Awaitable[None]] = wait_to_be_left,
    *,
    listen: bool = True,
    limits: Limits | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Connection, Ear, Visit]]:
    async with bot(script, **options) as found:
        connection = await connect(found.url, limits=limits, timeout_s=PATIENCE_S)
        ear = Ear()
        if listen:
            connection.listen(ear)
        try:
            yield connection, ear, await found.visited()
        finally:
            connection.abort("the test is over")


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Run something at a TCP port that is no WebSocket; gives its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


async def why_not(url: str, *, timeout_s: float = PATIENCE_S, trust: ssl.SSLContext | None = None) -> str:
    with pytest.raises(TransportError) as error:
        await connect(url, timeout_s=timeout_s, trust=trust)
    return str(error.value)


# Reaching a bot


async def test_header_lines_and_subprotocols_are_in_the_handshake() -> None:
    lines = [("Authorization", "Bearer sesame"), ("X-Tenant", "7")]
    async with bot(wait_to_be_left, subprotocols=[Subprotocol("audio.jambonz.org")], path="/ws?a=b") as found:
        connection = await connect(found.url, headers=lines, subprotocols=["audio.jambonz.org"], timeout_s=PATIENCE_S)
        visit = await found.visited()
        await connection.close()

    request = found.requests[0]
    assert (request.path, request.headers["Authorization"], request.headers["X-Tenant"]) == (
        "/ws?a=b",
        "Bearer sesame",
        "7",
    )
    assert (request.headers["User-Agent"], visit.socket.subprotocol) == ("sipflow", "audio.jambonz.org")
    assert "Sec-WebSocket-Extensions" not in request.headers


@pytest.mark.parametrize(
    ("status", "final"), [(401, True), (404, True), (429, False), (301, False), (500, False), (200, False)]
)
async def test_a_refusal_says_which_and_whether_asking_again_may_help(status: int, final: bool) -> None:
    async with bot(wait_to_be_left, refuse=lambda visit: status) as found:
        with pytest.raises(TransportError) as error:
            await connect(found.url, timeout_s=PATIENCE_S)

    assert (str(error.value), error.value.final) == (
        f"the bot answered HTTP {status}, not a WebSocket",
        final,
    )


async def test_a_port_where_nobody_listens_cannot_be_reached() -> None:
    async with listening(hang) as url:
        pass

    assert (await why_not(url)).startswith("it cannot be reached: ")


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_bot_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    async with listening(hang) as url:
        assert await why_not(url, timeout_s=0.1) == "no answer within 0.1 s"


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"\0" * 100_000]
)
async def test_what_is_no_websocket_is_told_in_a_sentence(said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with listening(speak) as url:
        assert (await why_not(url)).startswith("the bot speaks no ")


async def test_cancelling_while_it_connects_leaves_nothing_open() -> None:
    left = asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            await reader.read()
        left.set()

    async with listening(notice) as url:
        task = asyncio.create_task(connect(url, timeout_s=PATIENCE_S))
        await asyncio.sleep(0.05)
        task.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await left.wait()
        assert task.cancelled()


async def test_a_bot_behind_tls_is_trusted_by_its_authority_alone(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server.certificate, certificates.server.key)
    async with bot(wait_to_be_left, tls=server) as found:
        connection = await connect(found.url, trust=trusting(str(certificates.ca)), timeout_s=PATIENCE_S)
        await connection.close()
        stranger = await why_not(found.url, trust=trusting(""))

    assert found.visits[0].close_code == 1000
    assert "certificate" in stranger


# Hearing


async def test_texts_and_bytes_arrive_whole_whatever_their_pieces() -> None:
    async def script(visit: Visit) -> None:
        await visit.socket.send("one")
        await visit.socket.send([b"t" * 3000, b"", b"wo"])
        await visit.socket.send(["thr", "ee"])
        await visit.socket.send(b"x" * 300_000)
        await visit.hear_all()

    async with connected(script) as (_, ear, _visit):
        await ear.until(4)

    assert ear.heard_so_far == ["one", b"t" * 3000 + b"wo", "three", b"x" * 300_000]


async def test_what_comes_before_anybody_listens_waits() -> None:
    async def script(visit: Visit) -> None:
        for number in range(500):
            await visit.socket.send(f"{number:0100}")
        await visit.hear_all()

    async with connected(script, listen=False) as (connection, _, _visit):
        await asyncio.sleep(0.05)
        ear = Ear()
        connection.listen(ear)
        await ear.until(500)

    assert ear.heard_so_far == [f"{number:0100}" for number in range(500)]


async def test_held_back_it_reads_no_further_until_released() -> None:
    async def script(visit: Visit) -> None:
        while True:
            await visit.socket.send("x" * 4000)

    async with connected(script) as (connection, ear, _visit):
        await ear.until(1)
        connection.hold()
        await asyncio.sleep(0.02)
        before = len(ear.heard_so_far)
        await asyncio.sleep(0.1)
        assert len(ear.heard_so_far) == before
        connection.release()
        await ear.until(before + 10)


async def test_a_flood_does_not_keep_other_calls_waiting() -> None:
    async def script(visit: Visit) -> None:
        while True:
            await visit.socket.send("{}")
            visit.socket.transport.write(Frame(Opcode.TEXT, b"{}").serialize(mask=False) * 10_000)
            await asyncio.sleep(0)

    async with connected(script) as (_connection, ear, _visit):
        await ear.until(10_000)  # this much is free
        count, began, cpu = len(ear.heard_so_far), time.monotonic(), time.process_time()
        await asyncio.sleep(0.5)
        rate = (len(ear.heard_so_far) - count) / (time.monotonic() - began)
        busy = time.process_time() - cpu

    assert rate < 3000  # 1,000 a second, and what one slice may have too many
    assert busy < 0.4


# Speaking


async def test_texts_and_audio_reach_the_bot() -> None:
    async with connected() as (connection, _, visit):
        connection.send('{"a": 1}')
        connection.send_audio(b'{"b": 2}', is_text=True)
        connection.send_audio(b"\x01\x02", is_text=False)
        await connection.close()
        await asyncio.sleep(0.01)

    assert visit.heard == [{"a": 1}, {"b": 2}, b"\x01\x02"]


async def test_a_bot_that_reads_too_slowly_loses_the_oldest_audio_and_costs_no_memory() -> None:
    reading = asyncio.Event()

    async def script(visit: Visit) -> None:
        visit.socket.transport.pause_reading()
        await reading.wait()
        visit.socket.transport.resume_reading()
        await visit.hear_all()

    async with connected(script, max_queue=None) as (connection, _, visit):
        await asyncio.sleep(0.05)
        for number in range(20_000):
            connection.send_audio(b"%0500d" % number, is_text=False)
            if number % 100 == 0:
                await asyncio.sleep(0)
        lost = connection.lost_frames
        reading.set()
        await asyncio.sleep(0.5)
        connection.send_audio(b"%0500d" % 20_000, is_text=False)
        await connection.close()
        await asyncio.sleep(0.05)

    numbers = [int(message) for message in visit.heard]
    assert lost > 1000
    assert len(numbers) == 20_001 - lost
    assert numbers == sorted(numbers)
    assert numbers[-51:] == list(range(19_950, 20_001))


async def test_a_bot_that_never_reads_is_left() -> None:
    async with connected(read_nothing, limits=Limits(ping_s=0.1, drop_s=0.3)) as (connection, ear, visit):
        await asyncio.sleep(0.02)
        for _ in range(20_000):
            connection.send_audio(bytes(500), is_text=False)
        assert await ear.until_lost() in [
            (False, "the bot read nothing for 0.3 s"),
            (False, "the bot was silent for 0.3 s, pongs included"),
        ]
        visit.socket.transport.abort()


async def test_texts_that_the_bot_does_not_read_are_bounded() -> None:
    async with connected(read_nothing) as (connection, ear, visit):
        await asyncio.sleep(0.02)
        for _ in range(20_000):
            connection.send("x" * 1000)
        assert await ear.until_lost() == (False, "the bot does not read")
        visit.socket.transport.abort()


# The end


async def test_a_bot_that_answers_pings_is_kept_however_little_it_says() -> None:
    async with connected(limits=Limits(ping_s=0.1, drop_s=1.0)) as (_, ear, _visit):
        await asyncio.sleep(1.5)
        assert ear.ending is None


async def test_a_bot_that_is_silent_pongs_included_is_left() -> None:
    async with connected(read_nothing, limits=Limits(ping_s=0.05, drop_s=0.2)) as (_, ear, visit):
        assert await ear.until_lost() == (False, "the bot was silent for 0.2 s, pongs included")
        visit.socket.transport.abort()


async def test_a_bot_that_is_held_back_is_not_blamed_for_its_silence() -> None:
    async with connected(limits=Limits(ping_s=0.1, drop_s=1.0)) as (connection, ear, _visit):
        connection.hold()
        await asyncio.sleep(1.5)
        connection.release()
        await asyncio.sleep(0.1)
        assert ear.ending is None


@pytest.mark.parametrize(
    ("code", "reason", "ending"),
    [
        (1000, "", (True, "the bot closed the WebSocket with 1000")),
        (1001, "bye", (True, "the bot closed the WebSocket with 1001 bye")),
        (1011, "oh", (False, "the bot closed the WebSocket with 1011 oh")),
    ],
)
async def test_how_the_bot_closes_is_told(code: int, reason: str, ending: tuple[bool, str]) -> None:
    async def script(visit: Visit) -> None:
        await visit.socket.send("last words")
        await visit.socket.close(code, reason)

    async with connected(script) as (_, ear, _visit):
        assert await ear.until_lost() == ending

    assert ear.heard_so_far == ["last words"]


async def test_an_end_before_anybody_listens_is_told_to_whoever_listens_then() -> None:
    async def script(visit: Visit) -> None:
        visit.socket.transport.abort()

    async with connected(script, listen=False) as (connection, _, _visit):
        await asyncio.sleep(0.1)
        ear = Ear()
        connection.listen(ear)
        normally, why = await ear.until_lost()

    assert (normally, why.startswith("the connection broke")) == (False, True)


async def test_a_bot_that_nobody_listens_to_yet_is_not_blamed_for_its_silence() -> None:
    async with connected(listen=False, limits=Limits(ping_s=0.1, drop_s=1.0)) as (connection, _, _visit):
        await asyncio.sleep(1.5)
        ear = Ear()
        connection.listen(ear)
        await asyncio.sleep(0.1)
        assert ear.ending is None


@pytest.mark.parametrize(
    "frames",
    [
        [Frame(Opcode.CONT, b"x")],
        [Frame(Opcode.TEXT, b"x", fin=False), Frame(Opcode.TEXT, b"x")],
        [Frame(Opcode.TEXT, b"x" * 5000)],
        [Frame(Opcode.BINARY, b"x" * 3000, fin=False), Frame(Opcode.CONT, b"x" * 3000)],
    ],
)
async def test_a_bot_that_breaks_the_protocol_is_left_with_a_sentence(frames: Sequence[Frame]) -> None:
    async def script(visit: Visit) -> None:
        for frame in frames:
            visit.socket.transport.write(frame.serialize(mask=False))
        await visit.hear_all()

    async with connected(script, limits=Limits(max_message_bytes=4096)) as (_, ear, _visit):
        normally, why = await ear.until_lost()

    assert not normally
    assert why.startswith("the bot broke the protocol: ")


async def test_fragments_without_end_cost_no_memory() -> None:
    async def script(visit: Visit) -> None:
        visit.socket.transport.write(Frame(Opcode.BINARY, b"", fin=False).serialize(mask=False))
        visit.socket.transport.write(Frame(Opcode.CONT, b"", fin=False).serialize(mask=False) * 5000)
        visit.socket.transport.write(Frame(Opcode.CONT, b"end").serialize(mask=False))
        await visit.hear_all()

    async with connected(script) as (_, ear, _visit):
        await ear.until(1)

    assert ear.heard_so_far == [b"end"]


async def test_closing_says_goodbye_and_waits_a_second_at_most() -> None:
    async with connected() as (connection, ear, visit):
        await connection.close()
        await connection.close()
    assert (ear.ending, visit.socket.close_code) == (None, 1000)

    async with connected(read_nothing) as (connection, ear, visit):
        began = time.monotonic()
        await connection.close()
        assert 0.5 < time.monotonic() - began < 5
        visit.socket.transport.abort()


async def test_small_frames_do_not_wait_for_one_another_on_the_way_to_a_bot() -> None:
    tcp, no_delay = 6, 1  # IPPROTO_TCP and TCP_NODELAY of tcp(7)

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(wait) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.partition("127.0.0.1:")[2].removesuffix("/ws")))
        sock = writer.get_extra_info("socket")
        sock.setsockopt(tcp, no_delay, 0)  # some event loops have set it already
        before = sock.getsockopt(tcp, no_delay)
        connection = Connection("ws://bot.example.com/", headers=(), subprotocols=(), limits=Limits())
        connection.connection_made(Bare(writer))
        after = sock.getsockopt(tcp, no_delay)
        connection.connection_lost(None)
        writer.close()

    assert (before, after != 0) == (0, True)
