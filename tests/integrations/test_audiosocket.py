"""The server against a client written from the protocol alone, and against sipflow's own client over a real call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import pytest

from sipflow.agents.audiosocket import audiosocket
from sipflow.agents.audiosocket_wire import AUDIO_KINDS, call_uuid
from sipflow.agents.spec import AgentSpec
from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import CallEnded, TransportError
from sipflow.integrations import audiosocket as server_module
from sipflow.integrations.audiosocket import AudioSocketServer, Handler
from sipflow.integrations.audiosocket_call import AudioSocketCall
from tests.agents.audiosocket_bots import DTMF, HANGUP, SLIN, Visit
from tests.agents.audiosocket_bots import UUID as UUID_KIND
from tests.calls.stage import staged
from tests.integrations.elsewhere import load_snippet
from tests.interop.phone import steady_dbfs

ID = UUID("01234567-89ab-4def-8123-456789abcdef")


@asynccontextmanager
async def asterisk(port: int, *, kind: int = SLIN, uuid: bytes = ID.bytes) -> AsyncIterator[Visit]:
    """What Asterisk does: connect, say the UUID, and send 20 ms every 20 ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    visit = Visit(reader, writer)
    await visit.say(UUID_KIND, uuid)

    async def talk() -> None:
        rate_hz = next(rate for rate, found in AUDIO_KINDS.items() if found == kind)
        tone = sine(1000, 1000, sample_rate_hz=rate_hz)
        size = rate_hz // 25
        began = asyncio.get_running_loop().time()
        with suppress(ConnectionError):
            for number in range(1000):
                at = number % 50 * size
                await visit.say(kind, tone[at : at + size])
                await asyncio.sleep(began + (number + 1) * 0.02 - asyncio.get_running_loop().time())

    talking = asyncio.ensure_future(talk()) if kind else None
    try:
        yield visit
    finally:
        if talking is not None:
            talking.cancel()
        writer.close()


async def echo(call: AudioSocketCall) -> None:
    await call.answer()
    await call.play(call.audio)


async def over(server: AudioSocketServer) -> None:
    async with asyncio.timeout(10):
        while server.calls:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
async def test_an_agent_hears_and_says_at_the_rate_that_comes(rate_hz: int) -> None:
    kind = AUDIO_KINDS[rate_hz]
    async with AudioSocketServer(echo, port=0) as server, asterisk(server.port, kind=kind) as visit:
        async with asyncio.timeout(10):
            while len(visit.audio(kind)) < 2 * rate_hz * 1.5:
                await visit.hear()
        await visit.say(HANGUP)
        await over(server)

    assert {found for found, _ in visit.heard} == {kind}
    assert {len(payload) for _, payload in visit.heard} == {rate_hz // 25}
    assert steady_dbfs(visit.audio(kind)[-rate_hz:], 1000, rate_hz) == pytest.approx(-16.0, abs=1.0)


async def test_audio_leaves_in_real_time_and_never_ahead() -> None:
    async def speak(call: AudioSocketCall) -> None:
        await call.play(sine(440, 5000))

    async with AudioSocketServer(speak, port=0) as server, asterisk(server.port) as visit:
        await visit.hear_until(SLIN)
        began = asyncio.get_running_loop().time()
        for _ in range(50):
            await visit.hear_until(SLIN)
        took_s = asyncio.get_running_loop().time() - began
        await over_when_left(server, visit)

    assert 0.9 < took_s < 3.0


async def over_when_left(server: AudioSocketServer, visit: Visit) -> None:
    visit.writer.close()
    await over(server)


async def test_an_agent_that_returns_hangs_up() -> None:
    async def greet(call: AudioSocketCall) -> None:
        assert (call.uuid, call.id) == (ID, str(ID))
        await call.play(sine(440, 200))

    async with AudioSocketServer(greet, port=0) as server, asterisk(server.port) as visit:
        async with asyncio.timeout(10):
            await visit.hear_until(HANGUP)
            assert await visit.reader.read() == b""

    assert measure_tone(visit.audio()[-2 * 1280 :], 440) > -20


async def test_digits_and_the_end_reach_the_agent() -> None:
    pressed: list[str | None] = []
    ended: list[str] = []

    async def menu(call: AudioSocketCall) -> None:
        pressed.append(await call.read_digit(timeout=5))
        try:
            await call.read_digit(timeout=60)
        except CallEnded as error:
            ended.append(error.reason)
            assert (await call.ended()).by == "remote"
            raise

    async with AudioSocketServer(menu, port=0) as server, asterisk(server.port) as visit:
        await visit.hear()
        await visit.say(DTMF, b"7")
        while not pressed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await visit.say(HANGUP)
        await over(server)

    assert (pressed, ended) == (["7"], ["the far end hung up"])


async def test_a_connection_that_sends_no_audio_is_served_at_8_khz() -> None:
    async with AudioSocketServer(echo, port=0) as server, asterisk(server.port, kind=0) as visit:
        async with asyncio.timeout(10):
            assert await visit.hear() == (SLIN, bytes(320))
        await over_when_left(server, visit)


async def test_an_agent_that_raises_ends_its_own_call_and_no_other() -> None:
    async def fail(call: AudioSocketCall) -> None:
        if await call.read_digit(timeout=5) == "1":
            raise ValueError("a bug")
        await call.ended()

    async with (
        AudioSocketServer(fail, port=0) as server,
        asterisk(server.port) as one,
        asterisk(server.port) as other,
    ):
        await other.hear()
        await one.hear()
        await one.say(DTMF, b"1")
        async with asyncio.timeout(10):
            await one.hear_until(HANGUP)

        assert len(server.calls) == 1
        assert (await other.hear())[0] == SLIN


@pytest.mark.parametrize(
    "opening", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\x01\x40" + bytes(320), b"\x01\x00\x04abcd", b"\x00\x00\x00", b""]
)
async def test_what_is_no_audiosocket_is_closed(opening: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_UUID_S", 0.2)
    async with AudioSocketServer(echo, port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(opening)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()

        assert (server.refused, server.calls) == (1, set())


async def test_there_are_never_more_calls_than_allowed() -> None:
    async with AudioSocketServer(echo, port=0, max_calls=1) as server, asterisk(server.port) as one:
        await one.hear()
        async with asterisk(server.port, kind=0) as two:
            async with asyncio.timeout(10):
                assert await two.reader.read() == b""

        assert (server.refused, len(server.calls)) == (1, 1)


async def test_the_end_of_the_server_hangs_up_every_call() -> None:
    async with AudioSocketServer(echo, port=0) as server:
        held = asterisk(server.port)
        visit = await held.__aenter__()
        await visit.hear()
    async with asyncio.timeout(10):
        await visit.hear_until(HANGUP)
    await held.__aexit__(None, None, None)


async def test_an_address_that_is_taken_is_said_as_such() -> None:
    async with AudioSocketServer(echo, port=0) as server:
        with pytest.raises(TransportError, match=f"127.0.0.1:{server.port}"):
            async with AudioSocketServer(echo, port=server.port):
                pass


async def test_sipflow_s_own_client_and_server_carry_a_real_call() -> None:
    """A SIP call goes to `handler: audiosocket`, which is connected to a server with an agent that echoes."""
    served: list[AudioSocketCall] = []

    async def agent(call: AudioSocketCall) -> None:
        served.append(call)
        async with call.playing(call.audio):
            digit = await call.read_digit(timeout=20)
        await call.send_digits(digit or "0")

    async with AudioSocketServer(agent, port=0) as server, staged() as stage:
        options = {"address": f"127.0.0.1:{server.port}"}
        stage.agent.runner._agents["agent"] = (AgentSpec("agent", "audiosocket", options), audiosocket)
        call, heard = await stage.call(), b""
        async with call.playing(sine(1000, 8000, level_dbfs=-12.0)):
            async for frame in call.audio:
                heard += frame.pcm
                if len(heard) >= 2 * 16000:
                    break
        reader = call.audio
        with suppress(CallEnded):
            await call.send_digits("5")
        ending = await asyncio.wait_for(call.ended(), 10)
        tail = b"".join([frame.pcm async for frame in reader])
        await stage.quiet()
        inbound = stage.agent.calls[0]

    assert served[0].uuid == call_uuid(inbound.id)
    assert steady_dbfs(heard[-16000:], 1000) == pytest.approx(-12.0, abs=1.0)
    assert max(measure_tone(tail[at : at + 1280], 1336) for at in range(0, len(tail) - 1280, 640)) > -25  # the 5
    assert ending.status == 200


async def test_the_server_of_the_page_serves() -> None:
    names = load_snippet("sipflow.integrations.audiosocket")
    servers: list[AudioSocketServer] = []

    def on_any_port(handler: Handler, **where: object) -> AudioSocketServer:
        assert where == {"host": "127.0.0.1", "port": 9092}
        servers.append(AudioSocketServer(handler, port=0))
        return servers[0]

    names["AudioSocketServer"] = on_any_port
    serving = asyncio.ensure_future(names["main"]())  # type: ignore[operator]
    while not servers or not servers[0].port:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with asterisk(servers[0].port) as visit:
        await visit.hear()
        await visit.say(DTMF, b"1")
        async with asyncio.timeout(10):
            await visit.hear_until(HANGUP)
    serving.cancel()
    await asyncio.wait({serving})
