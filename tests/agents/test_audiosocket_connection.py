import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from sipflow.agents import audiosocket_connection
from sipflow.agents.audiosocket_connection import AudioSocket
from tests.agents.audiosocket_bots import DTMF, ERROR, HANGUP, SLIN, UUID, Script, Visit, bot, hear_all, message

FRAME = bytes(320)


@dataclass
class Heard:
    """A listener that remembers, and can be waited for."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    end: tuple[bool, str] | None = None

    def received(self, kind: int, payload: bytes) -> None:
        self.messages.append((kind, payload))

    def lost(self, *, cleanly: bool, why: str) -> None:
        assert self.end is None
        self.end = (cleanly, why)

    async def ended(self) -> tuple[bool, str]:
        async with asyncio.timeout(10):
            while self.end is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.end


@asynccontextmanager
async def connected(script: Script, *, drop_s: float = 30.0) -> AsyncIterator[AudioSocket]:
    async with bot(script) as found:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: AudioSocket(drop_s=drop_s), "127.0.0.1", found.port
        )
        try:
            yield connection
        finally:
            await connection.close()


async def test_messages_come_in_order_and_the_end_after_them() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, FRAME)
        await visit.say(DTMF, b"1")
        await visit.say(HANGUP)

    heard = Heard()
    async with connected(script) as connection:
        connection.listen(heard)

        assert await heard.ended() == (True, "the far end closed the connection")
    assert heard.messages == [(SLIN, FRAME), (DTMF, b"1"), (HANGUP, b"")]


async def test_what_is_sent_arrives() -> None:
    async with bot(hear_all) as found:
        _, connection = await asyncio.get_running_loop().create_connection(AudioSocket, "127.0.0.1", found.port)
        for kind, payload in ((UUID, bytes(16)), (SLIN, FRAME), (DTMF, b"#"), (HANGUP, b"")):
            connection.send(kind, payload)
        await connection.close()

        assert found.visits[0].heard == [(UUID, bytes(16)), (SLIN, FRAME), (DTMF, b"#"), (HANGUP, b"")]


async def test_nothing_is_handed_on_while_held_not_even_the_end() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, FRAME)
        await visit.say(SLIN, FRAME)

    heard = Heard()
    async with connected(script) as connection:
        await asyncio.sleep(0.05)
        connection.listen(heard)
        connection.hold(60)
        connection.hold(0.001)  # the first one counts
        await asyncio.sleep(0.05)
        before = len(heard.messages), heard.end
        connection.release()

        assert before == (2, (True, "the far end closed the connection")) or before == (0, None)
        assert await heard.ended() == (True, "the far end closed the connection")
    assert len(heard.messages) == 2


async def test_a_listener_that_holds_gets_one_message_at_a_time() -> None:
    async def script(visit: Visit) -> None:
        for _ in range(10):
            await visit.say(SLIN, FRAME)

    async with connected(script) as connection:

        class Slow(Heard):
            def received(self, kind: int, payload: bytes) -> None:
                super().received(kind, payload)
                connection.hold(0.02)

        heard, began = Slow(), asyncio.get_running_loop().time()
        connection.listen(heard)
        await heard.ended()

        assert len(heard.messages) == 10
        assert asyncio.get_running_loop().time() - began >= 0.18


async def test_a_flood_waits_in_the_network_and_not_in_memory() -> None:
    flooding: list[int] = []

    async def script(visit: Visit) -> None:
        while True:
            await visit.say(SLIN, bytes(65000))
            flooding.append(65000)

    async with connected(script) as connection:
        heard = Heard()
        connection.listen(heard)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.hold(60)
        before, waiting = 0, 1
        while waiting != before:
            before = waiting
            await asyncio.sleep(0.2)
            waiting = sum(flooding)

        assert connection._messages.waiting_bytes < 1 << 20


async def test_a_flood_of_tiny_messages_is_throttled() -> None:
    async def script(visit: Visit) -> None:
        while True:
            visit.writer.write(message(0x02) * 10_000)
            await visit.writer.drain()

    heard = Heard()
    async with connected(script) as connection:
        connection.listen(heard)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        took_s = asyncio.get_running_loop().time() - began

    assert 2000 <= len(heard.messages) <= 2000 + 1500 * (took_s + 0.2)


async def test_audio_that_is_not_read_is_dropped_and_counted() -> None:
    async def script(visit: Visit) -> None:
        visit.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    heard = Heard()
    async with connected(script, drop_s=0.3) as connection:
        connection.listen(heard)
        for _ in range(200):
            connection.send(SLIN, bytes(65000))

        assert connection.unread > 50
        assert not connection.writable
        assert await heard.ended() == (False, "the far end read nothing for 0.3 s")
        unread = connection.unread
        connection.send(DTMF, b"1")
        assert connection.unread == unread + 1


async def test_half_a_message_at_the_end_is_no_clean_end() -> None:
    async def script(visit: Visit) -> None:
        visit.writer.write(message(SLIN, FRAME)[:100])

    heard = Heard()
    async with connected(script) as connection:
        connection.listen(heard)

        assert await heard.ended() == (False, "the far end closed the connection in the middle of a message")
    assert heard.messages == []


async def test_half_a_message_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(visit: Visit) -> None:
        visit.writer.write(message(SLIN, FRAME)[:100])
        await asyncio.sleep(60)

    monkeypatch.setattr(audiosocket_connection, "_HALF_S", 0.2)
    monkeypatch.setattr(audiosocket_connection, "_LOOK_S", 0.05)
    heard = Heard()
    async with connected(script) as connection:
        connection.listen(heard)

        assert await heard.ended() == (False, "the far end sent half a message, and for 0.2 s nothing more")


async def test_garbage_is_the_end() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(SLIN, FRAME)
        visit.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(60)

    heard = Heard()
    async with connected(script) as connection:
        connection.listen(heard)

        assert await heard.ended() == (
            False,
            "the far end sends garbage: a message of type 0x48, which AudioSocket does not have",
        )
    assert heard.messages == [(SLIN, FRAME)]


async def test_a_reset_connection_is_a_closed_one() -> None:
    async def script(visit: Visit) -> None:
        await visit.say(ERROR, b"\x04")
        visit.writer.transport.abort()

    heard = Heard()
    async with connected(script) as connection:
        connection.send(SLIN, FRAME)
        connection.listen(heard)
        end = await heard.ended()

    assert heard.messages in ([(ERROR, b"\x04")], [])  # a reset may overtake what came before it
    assert end == (True, "the far end closed the connection")


async def test_closing_tells_no_one_and_leaves_nothing_running() -> None:
    heard = Heard()
    async with connected(hear_all) as connection:
        connection.listen(heard)
        await connection.close()
        connection.send(SLIN, FRAME)

    assert heard.end is None
    assert connection._watch is None
