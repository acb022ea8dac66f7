"""Asterisk dials in: an AudioSocket server that runs an agent for each connection.

In Asterisk's dialplan: `Answer()` and then `AudioSocket(<uuid>,host:9092)`; or `Dial(AudioSocket/host:9092/<uuid>)`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from sipflow.agents.audiosocket_connection import AudioSocket
from sipflow.agents.audiosocket_wire import RATES_HZ, Kind
from sipflow.errors import CallEnded, TransportError
from sipflow.integrations.audiosocket_call import AudioSocketCall
from sipflow.media.pacer import Pacer
from sipflow.tasks import Tasks

Handler = Callable[[AudioSocketCall], Awaitable[object]]
PORT = 9092

_UUID_S = 5.0  # for the first message
_AUDIO_S = 0.5  # for the first audio, which tells the rate; then it is 8 kHz
_USUAL_HZ = 8000
_UUID_BYTES = 16
_MOST_EARLY = 20  # messages that wait for the call to begin
_log = structlog.get_logger("sipflow.audiosocket")


class AudioSocketServer:
    """Runs an agent for each AudioSocket connection; a context manager that listens while its block runs.

    Whoever can connect is served: the protocol knows no password. Listen where only Asterisk can reach it.

    Attributes:
        port: where it listens.
        calls: those under way.
        refused: connections closed because there were too many, or because they spoke no AudioSocket.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = PORT, max_calls: int = 200) -> None:
        """Prepare.

        Args:
            handler: the agent: returning hangs up, `CallEnded` ends it quietly.
            host, port: where to listen; 0 is any free port.
            max_calls: connections beyond so many are closed at once.
        """
        self.port = port
        self.calls: set[AudioSocketCall] = set()
        self.refused = 0
        self._handler = handler
        self._host = host
        self._max_calls = max_calls
        self._connections = 0
        self._tasks = Tasks()
        self._pacer = Pacer()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            TransportError: the address cannot be had.
        """
        try:
            self._server = await asyncio.get_running_loop().create_server(self._accept, self._host, self.port)
        except OSError as error:
            raise TransportError(f"cannot listen for AudioSocket on {self._host}:{self.port}: {error}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        _log.info("listening for AudioSocket", host=self._host, port=self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, hang up every call, and wait for the agents' ends."""
        if self._server is not None:
            self._server.close()
        for call in tuple(self.calls):
            call.end("local", "the server is being closed")
        await self._tasks.close()
        self._pacer.close()

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        if self._server is not None:
            await self._server.serve_forever()

    def _accept(self) -> AudioSocket:
        return AudioSocket(on_made=self._begin)

    def _begin(self, connection: AudioSocket) -> None:
        self._tasks.spawn(self._serve(connection), name="an AudioSocket connection")

    async def _serve(self, connection: AudioSocket) -> None:
        self._connections += 1
        try:
            if self._connections > self._max_calls:
                raise TransportError(f"{self._max_calls} calls are under way")
            await self._run(connection)
        except TransportError as error:
            self.refused += 1
            _log.warning("an AudioSocket connection was refused", why=str(error))
        finally:
            self._connections -= 1
            await connection.close()

    async def _run(self, connection: AudioSocket) -> None:
        opening = _Opening(connection)
        connection.listen(opening)
        uuid, rate_hz = await opening.read()
        call = AudioSocketCall(self._tasks, connection, uuid, sample_rate_hz=rate_hz)
        self.calls.add(call)
        for kind, payload in opening.early:
            call.received(kind, payload)
        connection.listen(call)
        self._pacer.add(call.session)
        call.log.info("call in over AudioSocket", sample_rate_hz=rate_hz)
        try:
            await self._handler(call)
        except CallEnded:
            pass  # the far end hung up while the agent waited: the quiet end
        except (Exception, SystemExit) as error:  # an agent may raise, or exit; it ends its own call and no other
            call.log.exception("the agent raised")
            call.end("local", f"the agent raised {type(error).__name__}", failed=True)
        finally:
            call.end("local", "the agent is done")
            self._pacer.remove(call.session)
            self.calls.discard(call)
            call.log.info("call over", why=call.ending.why if call.ending is not None else "")


class _Opening:
    """Reads how a connection begins: its UUID, and the first audio, which tells the rate.

    Attributes:
        early: what came after the UUID, for whoever listens next.
    """

    def __init__(self, connection: AudioSocket) -> None:
        self._connection = connection
        loop = asyncio.get_running_loop()
        self._uuid: asyncio.Future[UUID] = loop.create_future()
        self._rate_hz: asyncio.Future[int] = loop.create_future()
        self.early: list[tuple[int, bytes]] = []

    async def read(self) -> tuple[UUID, int]:
        """Wait for the opening.

        Raises:
            TransportError: it is none, or it does not come.
        """
        try:
            async with asyncio.timeout(_UUID_S):
                uuid = await self._uuid
        except TimeoutError:
            raise TransportError(f"no UUID came within {_UUID_S:g} s") from None
        try:
            async with asyncio.timeout(_AUDIO_S):
                return uuid, await self._rate_hz
        except TimeoutError:
            return uuid, _USUAL_HZ

    def received(self, kind: int, payload: bytes) -> None:
        """Take a message."""
        if not self._uuid.done():
            if kind == Kind.UUID and len(payload) == _UUID_BYTES:
                self._uuid.set_result(UUID(bytes=payload))
            else:
                self._uuid.set_exception(TransportError("the first message is no UUID"))
        else:
            self.early.append((kind, payload))
            if kind in RATES_HZ or len(self.early) >= _MOST_EARLY:
                self._connection.hold(_UUID_S)  # until the call listens
                if not self._rate_hz.done():
                    self._rate_hz.set_result(RATES_HZ.get(kind, _USUAL_HZ))

    def lost(self, *, cleanly: bool, why: str) -> None:  # noqa: ARG002  (either way there will be no call)
        """Take the end of the connection."""
        for future in (self._uuid, self._rate_hz):
            if not future.done():
                future.set_exception(TransportError(f"{why} before the call began"))
                future.exception()  # whoever is not there to wait for it need not be told
